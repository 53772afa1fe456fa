//! `-d`, the files it leaves, and signals.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Client, Server, free_port, http, listen_to, run, wait_until};

/// A process in the background; it is killed when this is dropped.
struct Daemon {
    pid_file: PathBuf,
    pid: Pid,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.pid_file.exists() {
            // It may have ended in this moment.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

#[test]
fn it_goes_into_the_background_and_obeys_signals() {
    let server = Server::redis(&[]);
    let (port, stats) = (free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let config =
        format!("p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n{}", server.entry("a"));
    fs::write(dir.path().join("file.yml"), config).unwrap();
    let [pid_file, log, old] = ["pid", "log", "old"].map(|name| dir.path().join(name));
    let stats_flag = stats.to_string();
    let admin = free_port();
    let admin_flag = format!("127.0.0.1:{admin}");
    let flags = [
        "-d",
        "-c",
        "file.yml",
        "-o",
        "log",
        "-p",
        "pid",
        "-s",
        &stats_flag,
        "-a",
        "127.0.0.1",
        "-v",
        "5",
        "--probe-addr",
        "127.0.0.1:0",
        "--admin-addr",
        &admin_flag,
    ];
    let started = run(&flags, dir.path());
    assert_eq!(started.code, Some(0), "{}{}", started.stdout, started.stderr);
    // The parent has returned, so everything is there.
    let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    let daemon = Daemon { pid_file: pid_file.clone(), pid: Pid::from_raw(pid).unwrap() };
    let mut client = Client::connect(port);
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    let line = listen_to(SocketAddr::from(([127, 0, 0, 1], stats))).unwrap();
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["p"]["a"]["requests"], 1);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, pid.to_string(), "it is in the session of its parent");

    // A log that was moved away is opened anew.
    let signal = |signal| kill_process(daemon.pid, signal).unwrap();
    wait_until("the log is written", || {
        fs::read_to_string(&log).unwrap().contains("management is up")
    });
    fs::rename(&log, &old).unwrap();
    signal(Signal::HUP);
    wait_until("there is a new log", || log.exists());
    let admin = SocketAddr::from(([127, 0, 0, 1], admin));
    let level = || http(admin, "GET", "/mgmt/v1/log-level").unwrap().body;
    let normal = level();
    assert!(normal.contains("info"), "{normal}");
    signal(Signal::TTIN);
    wait_until("the level goes up", || level().contains("debug"));
    signal(Signal::TTOU);
    wait_until("the level goes down", || !level().contains("debug"));
    signal(Signal::USR2);
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    signal(Signal::TERM);
    wait_until("it ends and takes its pid file along", || !pid_file.exists());
    assert!(fs::read_to_string(&log).unwrap().contains("ending"), "the new log is not in use");
}

#[test]
fn a_start_in_the_background_that_fails_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config =
        format!("p:\n  listen: {}\n  servers:\n   - 127.0.0.1:1:1\n", taken.local_addr().unwrap());
    fs::write(dir.path().join("file.yml"), config).unwrap();
    let flags = [
        "-d",
        "-c",
        "file.yml",
        "-o",
        "log",
        "-s",
        "0",
        "--probe-addr",
        "127.0.0.1:0",
        "--admin-addr",
        "127.0.0.1:0",
    ];
    let started = run(&flags, dir.path());
    assert_eq!(started.code, Some(1), "{}", started.stderr);
    assert!(started.stderr.contains("see its log"), "{}", started.stderr);
}
