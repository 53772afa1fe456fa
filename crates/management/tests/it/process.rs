//! The example image as a process: exit codes, streams, signals, health check.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use expect_test::{Expect, expect};

use crate::support::{get, post, until};

/// Cargo builds examples with the tests of a package, one folder up from them.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().with_file_name("examples").join("example-image");
    assert!(path.exists(), "build it: cargo build -p management --example example-image");
    path
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env_clear().args(args);
    command
}

fn finished(args: &[&str], env: &[(&str, &str)]) -> Output {
    command(args).envs(env.iter().copied()).output().unwrap()
}

fn check(args: &[&str], env: &[(&str, &str)], code: i32, stderr: &Expect) {
    let output = finished(args, env);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    stderr.assert_eq(&String::from_utf8(output.stderr).unwrap());
    assert!(output.stdout.is_empty());
}

/// A running example, with its addresses read from its log. Killed if a test gives up.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    probe: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args)
            .args(["--probe-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut running = Self { child, log, probe: unknown, admin: unknown };
        let mut line = String::new();
        running.log.read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "management is up", "{line}");
        let addr = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        (running.probe, running.admin) = (addr("probe"), addr("admin"));
        running
    }

    /// Before that, a stop has nothing to wait for.
    fn until_ready(&self) {
        until("ready", || get(self.probe, "/readyz").status == 200);
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// The exit code, and what was logged until then.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_wrong_configuration_ends_with_2_and_one_message() {
    let grace = ("EXAMPLE_IMAGE_GRACE", "soon");
    check(
        &["check"],
        &[grace],
        2,
        &expect![[r#"
        example-image: EXAMPLE_IMAGE_GRACE: found `soon`, expected a duration with its unit, such as 150ms, 2s or 1m
    "#]],
    );
    check(
        &["--config", "/nonexistent.yml"],
        &[],
        2,
        &expect![[r#"
        example-image: /nonexistent.yml: reading the file: No such file or directory (os error 2)
    "#]],
    );
    check(
        &["--admin-addr", "0.0.0.0:0", "check"],
        &[],
        2,
        &expect![[r#"
        example-image: --admin-addr: found `0.0.0.0:0`, expected a loopback address, or a token file given with --admin-token-file
    "#]],
    );
    let output = finished(&["--grase", "1s"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let output = finished(&["--admin-token-file", "/nonexistent"], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_good_configuration_is_checked_in_silence() {
    check(&["check"], &[("EXAMPLE_IMAGE_STUCK", "4")], 0, &expect![""]);
    let output = finished(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("[env: EXAMPLE_IMAGE_STUCK]"));
}

#[test]
fn it_serves_answers_its_health_check_and_stops_when_asked() {
    let running = Running::start(&[]);
    running.until_ready();
    let addr = running.probe.to_string();
    for kind in ["live", "ready"] {
        let output = finished(&["healthcheck", kind, "--probe-addr", &addr], &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("\"status\":\"pass\""));
    }
    let by_variable = finished(&["healthcheck"], &[("EXAMPLE_IMAGE_PROBE_ADDR", &addr)]);
    assert_eq!(by_variable.status.code(), Some(0));
    assert_eq!(post(running.admin, "/mgmt/v1/lifecycle/drain", "").status, 202);
    let output = finished(&["healthcheck", "ready", "--probe-addr", &addr], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.starts_with(b"503 {"), "{output:?}");
    let output = finished(&["healthcheck", "live", "--probe-addr", &addr], &[]);
    assert_eq!(output.status.code(), Some(0));
    for signal in ["-HUP", "-USR1", "-USR2", "-TTIN", "-TTOU"] {
        running.signal(signal);
    }
    running.signal("-TERM");
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"drain finished\""), "{log}");
    let output = finished(&["healthcheck", "live", "--probe-addr", &addr], &[]);
    assert_eq!(output.status.code(), Some(1), "nobody is there: {output:?}");
}

#[test]
fn a_stuck_request_is_abandoned_and_a_third_signal_aborts() {
    let running = Running::start(&["--stuck", "2", "--grace", "300ms"]);
    running.until_ready();
    running.signal("-INT");
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"drain abandoned\""), "{log}");
    let running = Running::start(&["--stuck", "2", "--grace", "1h"]);
    running.until_ready();
    for wanted in ["1", "2"] {
        running.signal("-TERM");
        until("the signal is seen", || {
            let logs = get(running.admin, "/mgmt/v1/logs").body;
            logs.matches("signal received").count().to_string() == wanted
        });
    }
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(1));
}

#[test]
fn a_dead_worker_ends_the_process_with_1() {
    let running = Running::start(&["--fail"]);
    let (code, log) = running.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("\"reason\":\"thread worker ended\""), "{log}");
}

#[test]
fn an_unknown_variable_is_warned_of() {
    let env = [("EXAMPLE_IMAGE_GRAZE", "1s"), ("EXAMPLE_IMAGE_FAIL", "true")];
    let args = ["--probe-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"];
    let output = finished(&args, &env);
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("EXAMPLE_IMAGE_GRAZE is no variable of example-image"), "{log}");
    assert!(log.contains("did you mean EXAMPLE_IMAGE_GRACE?"), "{log}");
}
