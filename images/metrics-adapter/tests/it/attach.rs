//! Attach mode with real JVMs that know nothing of JMX.

use std::process::Command;
use std::time::{Duration, Instant};

use metrics_adapter::jmx::attach::{AttachError, Selector, attach};

use crate::support::WAIT_MAX;
use crate::support::jvm::{Jdk, Jvm, Launch};

fn which(jvm: &Jvm) -> Selector {
    Selector::Pid(i32::try_from(jvm.pid()).unwrap())
}

fn soon() -> Instant {
    Instant::now() + WAIT_MAX
}

#[test]
fn a_jvm_without_any_flag_starts_its_agent() {
    for jdk in Jdk::all("a_jvm_without_any_flag_starts_its_agent") {
        let jvm = Launch::without_flags(&jdk).start();
        let first = attach(&which(&jvm), soon()).unwrap();
        assert_eq!(u32::try_from(first.pid).unwrap(), jvm.pid());
        assert!(first.url.starts_with("service:jmx:rmi://127.0.0.1/stub/rO0AB"), "{}", first.url);
        // The second time the socket is open and the agent runs.
        assert_eq!(attach(&which(&jvm), soon()).unwrap(), first);
        // The JDK's own client takes the address.
        let classes = jdk.classes();
        let client = ["-cp", classes.to_str().unwrap(), "Client", &first.url];
        let output = String::from_utf8(jdk.run("java", &client).stdout).unwrap();
        assert!(output.contains("\"beans\":"), "{output}");
    }
}

#[test]
fn a_jvm_is_found_by_its_command_line() {
    let Some(jdk) = Jdk::any("a_jvm_is_found_by_its_command_line") else { return };
    let mark = format!("-Dmark={}", std::process::id());
    let one = Launch::new(&jdk).flags(&[&mark]).start();
    let pattern = Selector::Pattern(regex::Regex::new(&format!("{mark} .*Beans$")).unwrap());
    let attached = attach(&pattern, soon()).unwrap();
    assert_eq!(u32::try_from(attached.pid).unwrap(), one.pid());
    let _two = Launch::new(&jdk).flags(&[&mark]).start();
    let error = attach(&pattern, soon()).unwrap_err();
    assert!(matches!(&error, AttachError::Many { pids, .. } if pids.len() == 2), "{error}");
}

/// As with a sidecar in the process namespace of the host.
#[test]
fn a_jvm_in_a_process_namespace_of_its_own() {
    const TEST: &str = "a_jvm_in_a_process_namespace_of_its_own";
    const UNSHARE: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let Some(jdk) = Jdk::any(TEST) else { return };
    let allowed = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {TEST}: namespaces cannot be made here");
        return;
    }
    let mark = format!("-Dinner={}", std::process::id());
    let jvm = Launch::new(&jdk).through(&UNSHARE).flags(&[&mark]).start();
    let pattern = Selector::Pattern(regex::Regex::new(&mark).unwrap());
    let attached = attach(&pattern, soon()).unwrap();
    // Not the program that made the namespace, and within it the first.
    assert_ne!(u32::try_from(attached.pid).unwrap(), jvm.pid());
    let status = std::fs::read_to_string(format!("/proc/{}/status", attached.pid)).unwrap();
    let numbers = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert!(numbers.ends_with("\t1"), "{numbers}");
}

#[test]
fn a_jvm_that_would_die_of_the_signal_is_left_alone() {
    let Some(jdk) = Jdk::any("a_jvm_that_would_die_of_the_signal_is_left_alone") else { return };
    // It has signals left alone, and its door is closed: the signal would end it.
    let flags = ["-Xrs", "-XX:+DisableAttachMechanism"];
    let mut jvm = Launch::new(&jdk).flags(&flags).start();
    let error = attach(&which(&jvm), soon()).unwrap_err();
    assert!(matches!(error, AttachError::WouldDie(_)), "{error}");
    jvm.command("gc");
    assert!(jvm.alive());
}

#[test]
fn a_jvm_that_leaves_signals_alone_needs_none() {
    let Some(jdk) = Jdk::any("a_jvm_that_leaves_signals_alone_needs_none") else { return };
    let mut jvm = Launch::new(&jdk).flags(&["-Xrs"]).start();
    attach(&which(&jvm), soon()).unwrap();
    assert!(jvm.alive());
}

#[test]
fn a_closed_door_is_told_by_the_deadline() {
    let Some(jdk) = Jdk::any("a_closed_door_is_told_by_the_deadline") else { return };
    let mut jvm = Launch::new(&jdk).flags(&["-XX:+DisableAttachMechanism"]).start();
    let deadline = Instant::now() + Duration::from_millis(400);
    let error = attach(&which(&jvm), deadline).unwrap_err();
    assert!(matches!(error, AttachError::Deadline { .. }), "{error}");
    jvm.command("gc");
    assert!(jvm.alive());
}

#[test]
fn a_jvm_that_stands_still_is_told_by_the_deadline() {
    let Some(jdk) = Jdk::any("a_jvm_that_stands_still_is_told_by_the_deadline") else { return };
    let jvm = Launch::new(&jdk).start();
    attach(&which(&jvm), soon()).unwrap();
    jvm.freeze(true);
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = attach(&which(&jvm), deadline).unwrap_err();
    assert!(matches!(error, AttachError::Deadline { .. }), "{error}");
    jvm.freeze(false);
    attach(&which(&jvm), soon()).unwrap();
}
