//! `-d`, the files it leaves, and signals.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, getsid, kill_process};
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

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }
}

#[test]
fn it_goes_into_the_background_and_obeys_signals() {
    let server = Server::redis(&[]);
    let [port, stats, admin] = [free_port(), free_port(), free_port()];
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  servers:\n{}",
        server.entry("a")
    );
    fs::write(dir.path().join("file.yml"), config).unwrap();
    let flags = format!(
        "-d -c file.yml -o log -p pid -s {stats} -a 127.0.0.1 -v 5 --probe-addr 127.0.0.1:0 \
         --admin-addr 127.0.0.1:{admin}"
    );
    let started = run(&flags.split(' ').collect::<Vec<_>>(), dir.path());
    assert_eq!(
        started.code,
        Some(0),
        "{}{}",
        started.stdout,
        started.stderr
    );
    // The parent has returned, so everything is there.
    let [pid_file, log, old] = ["pid", "log", "old"].map(|name| dir.path().join(name));
    let pid: i32 = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let daemon = Daemon {
        pid_file: pid_file.clone(),
        pid: Pid::from_raw(pid).unwrap(),
    };
    let mut client = Client::connect(port);
    assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    let line = listen_to(SocketAddr::from(([127, 0, 0, 1], stats))).unwrap();
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["p"]["a"]["requests"], 1);
    let session = getsid(Some(daemon.pid)).unwrap();
    assert_eq!(session, daemon.pid, "it is in the session of its parent");

    // A log that was moved away is opened anew.
    let read = || fs::read_to_string(&log).unwrap();
    wait_until("the log is written", || read().contains("management is up"));
    fs::rename(&log, &old).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("there is a new log", || log.exists());
    let admin = SocketAddr::from(([127, 0, 0, 1], admin));
    let level = || http(admin, "GET", "/mgmt/v1/log-level").unwrap().body;
    assert!(level().contains("info"), "{}", level());
    daemon.signal(Signal::TTIN);
    wait_until("the level goes up", || level().contains("debug"));
    daemon.signal(Signal::TTOU);
    wait_until("the level goes down", || !level().contains("debug"));
    daemon.signal(Signal::USR2);
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
    daemon.signal(Signal::TERM);
    wait_until("it ends and takes its pid file along", || {
        !pid_file.exists()
    });
    assert!(read().contains("ending"), "the new log is not in use");
}

#[test]
fn a_start_in_the_background_that_fails_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "p:\n  listen: {}\n  servers:\n   - 127.0.0.1:1:1\n",
        taken.local_addr().unwrap()
    );
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
