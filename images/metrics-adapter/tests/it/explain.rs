//! `check --explain`.

use std::io::Write;
use std::process::Stdio;

use crate::support::adapter::command;
use crate::support::jvm::{Jdk, Launch};

#[test]
fn a_line_is_followed_from_its_samples_to_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.yml");
    let text = "mappings:\n- match: \"web.*.hits\"\n  name: web_hits\n  labels:\n    site: $1\n\
                - match: \"noise.*\"\n  name: none\n  action: drop\n";
    std::fs::write(&map, text).unwrap();
    let mut child = command(&["check", "--explain", "--mapping"])
        .arg(&map)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = "web.a.hits:2|c|#x:y\nnoise.z:1|g\nplain:1|c\nbroken\n";
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).unwrap();
    for part in [
        "line: web.a.hits:2|c|#x:y",
        "sample: web.a.hits: counter, add 2",
        "rule: line 2, match \"web.*.hits\": name web_hits, labels site=\"a\"",
        "web_hits{site=\"a\",x=\"y\"} 2",
        "rule: line 6, match \"noise.*\": dropped",
        "rule: none, the name stays",
        "plain 1",
        "refused: malformed_line",
    ] {
        assert!(stdout.contains(part), "{part} is not in\n{stdout}");
    }
}

#[test]
fn the_beans_of_a_jvm_are_followed_to_their_samples() {
    let Some(jdk) = Jdk::any("the_beans_of_a_jvm_are_followed_to_their_samples") else { return };
    let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    let text = format!(
        "hostPort: 127.0.0.1:{}\nincludeObjectNames: [\"java.lang:type=Memory\"]\nrules:\n\
         - pattern: java.lang<type=Memory><HeapMemoryUsage>used\n  name: heap_used\n",
        jvm.port()
    );
    std::fs::write(&rules, text).unwrap();
    let output = command(&["check", "--explain", "--rules"]).arg(&rules).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    for part in [
        "bean: java.lang:type=Memory",
        "java.lang<type=Memory><HeapMemoryUsage>used",
        "rules[0], line 4",
        "sample: heap_used ",
        "no rule fits",
    ] {
        assert!(stdout.contains(part), "{part} is not in\n{stdout}");
    }
}
