//! The command lines, as the built binary takes them.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::adapter::{Adapter, command, run};

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn refusal(args: &[&str]) -> String {
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    stderr
}

#[test]
fn what_is_wrong_in_a_file_is_named_with_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "map.yml", "mappings:\n- match: a.b\n  nam: x\n");
    written(folder.path(), "rules.yml", "rules:\n- pattern: \"a(\"\n");
    let table: [(&str, &[&str]); 24] = [
        ("inputs: 7", &["own.yml:1", "inputs", "found `7`", "a list"]),
        ("inputs:\n- udp: :1", &["own.yml:2", "inputs[0].type", "statsd, graphite, jmx"]),
        ("inputs:\n- type: snmp", &["inputs[0].type", "found `snmp`", "jolokia or json"]),
        ("inputs:\n- type: statsd", &["inputs[0]", "udp, tcp or unixgram"]),
        ("inputs:\n- type: statsd\n  udp: 9125", &["own.yml:3", "inputs[0].udp", "`9125`"]),
        ("inputs:\n- type: statsd\n  udp: :1\n  upd: :2", &["inputs[0]", "found `upd`", "one of"]),
        ("inputs:\n- type: statsd\n  udp: :1\n  relay: x", &["relay", "udp://HOST:PORT"]),
        ("inputs:\n- type: statsd\n  udp: :1\n  mapping: map.yml", &["map.yml:3", "nam"]),
        ("inputs:\n- type: statsd\n  udp: :1\n  mapping: no.yml", &["no.yml", "reading the file"]),
        ("inputs:\n- type: statsd\n  udp: :1\n  dialects: [x]", &["dialects", "signalfx"]),
        ("inputs:\n- type: jmx", &["inputs[0]", "target is missing"]),
        ("inputs:\n- type: jmx\n  target: x:y", &["inputs[0].target", "found `x:y`", "HOST:PORT"]),
        ("inputs:\n- type: jmx\n  rules: rules.yml\n  target: a:1", &["rules.yml:2", "pattern"]),
        ("inputs:\n- type: attach", &["inputs[0]", "pid or command"]),
        ("inputs:\n- type: attach\n  command: \"(\"", &["command", "a regular expression"]),
        ("inputs:\n- type: json\n  url: ftp://x", &["inputs[0].url", "http or https"]),
        ("inputs:\n- type: jmx\n  target: a:1\n  username: u", &["belong together"]),
        ("listen: \"9102\"", &["listen", "[HOST]:PORT"]),
        ("lisen: \":1\"", &["own.yml:1", "lisen", "did you mean listen?"]),
        ("limits:\n  series-max: 0", &["own.yml:2", "series-max", "found `0`"]),
        ("limits:\n  cats: 1", &["limits", "found `cats`", "series-max"]),
        ("targets: [a]", &["targets", "host:port"]),
        ("modules:\n  a:\n    type: attach", &["modules.a.type", "jmx, jolokia or json"]),
        ("web:\n  users:\n  - name: a", &["web.users[0]", "expected password"]),
    ];
    for (text, parts) in table {
        let own = written(folder.path(), "own.yml", text);
        let output = run(&["--config", &own, "check"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{text}: {said}");
        for part in parts {
            assert!(said.contains(part), "{text}: {part} is missing in {said}");
        }
    }
}

#[test]
fn what_may_be_secret_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "hush7";
    for line in [
        "url: http://admin:hush7@a.test/m",
        "url: http://hush7@a.test",
        "url: ftp://admin:hush7@a.test/m",
        "url: \"http://a.test/ ?token=hush7\"",
        "url: http://?token=hush7",
        "url: http://a.test\n  headers: {Authorization: \"Bearer hush7\\nx\"}",
        "url: http://a.test\n  headers: {Authorization: [hush7]}",
    ] {
        let own = written(folder.path(), "own.yml", &format!("inputs:\n- type: json\n  {line}\n"));
        let said = refusal(&["--config", &own, "check"]);
        assert!(said.contains("inputs[0]") && !said.contains(secret), "{line}: {said}");
    }
}

#[test]
fn what_is_wrong_on_a_command_line_of_an_original_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let rules = written(folder.path(), "rules.yml", "lowercaseOutputName: true\n");
    let map = written(folder.path(), "map.yml", "mappings:\n- match: \"a.*.\"\n  name: x\n");
    let none = ["statsd_exporter", "--statsd.listen-udp=", "--statsd.listen-tcp", ""];
    assert!(refusal(&none).contains("at least one"));
    let table: [(&[&str], &str); 7] = [
        (&["statsd_exporter", "--statsd.listen-udp=x"], "--statsd.listen-udp: found `x`"),
        (&["statsd_exporter", "--web.listen-address="], "--web.listen-address"),
        (&["statsd_exporter", "--statsd.mapping-config", &map], "map.yml:2"),
        (&["statsd_exporter", "--statsd.cache-type=fifo"], "statsd.cache-type"),
        (&["statsd_exporter", "--no-such-flag"], "--no-such-flag"),
        (&["jmx_exporter", "9404", "/nonexistent.yml"], "/nonexistent.yml: reading the file"),
        (&["jmx_exporter", "9404", &rules], "hostPort or jmxUrl is missing"),
    ];
    for (args, part) in table {
        let said = refusal(args);
        assert!(said.contains(part), "{args:?}: {said}");
    }
    assert!(refusal(&["jmx_exporter", "host:port", &rules]).contains("rules.yml"));
}

#[test]
fn every_flag_of_statsd_exporter_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let map = written(folder.path(), "map.yml", "mappings:\n- match: a.b\n  name: x\n");
    let flags = [
        "statsd_exporter",
        "--web.listen-address=:0",
        "--web.telemetry-path",
        "/m",
        "--web.enable-lifecycle",
        "--statsd.listen-udp=:0",
        "--statsd.listen-tcp=:0",
        "--statsd.listen-unixgram=",
        "--statsd.unixsocket-mode=700",
        "--statsd.mapping-config",
        &map,
        "--statsd.read-buffer=1048576",
        "--statsd.cache-size=5",
        "--statsd.cache-type=random",
        "--statsd.event-queue-size=1",
        "--statsd.event-flush-threshold=1",
        "--statsd.event-flush-interval=1s",
        "--statsd.udp-packet-queue-size=1",
        "--statsd.parse-dogstatsd-tags",
        "--no-statsd.parse-influxdb-tags",
        "--no-statsd.parse-librato-tags",
        "--no-statsd.parse-signalfx-tags",
        "--statsd.relay.address=localhost:9",
        "--statsd.relay.packet-length=1000",
        "--debug.dump-fsm=/tmp/x",
        "--log.level=debug",
        "--log.format=json",
        "--check-config",
    ];
    let output = run(&flags);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("the configuration is good"), "{stdout}");
    assert!(stdout.contains("rules: 1"), "{stdout}");
}

#[test]
fn help_and_version_are_told() {
    for args in [
        &["--help"][..],
        &["statsd_exporter", "--help"],
        &["jmx_exporter", "--help"],
        &["--version"],
        &["statsd_exporter", "--version"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_link_of_the_originals_name_stands_for_the_subcommand() {
    let mut linked = command(&["--check-config", "--statsd.listen-tcp="]);
    linked.arg0("/usr/local/bin/statsd_exporter");
    let output = linked.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().contains("statsd: udp :9125; rules: 0"));
    let mut linked = command(&["9404", "/nonexistent.yml"]);
    linked.arg0("jmx_exporter");
    let said = String::from_utf8(linked.output().unwrap().stderr).unwrap();
    assert!(said.contains("/nonexistent.yml"), "{said}");
}

#[test]
fn shared_flags_come_before_the_subcommand_or_from_variables() {
    let mut started = command(&[
        "--grace",
        "1s",
        "--series-max",
        "7",
        "statsd_exporter",
        "--web.listen-address=127.0.0.1:0",
        "--statsd.listen-udp=127.0.0.1:0",
        "--statsd.listen-tcp=",
    ]);
    started.env("METRICS_ADAPTER_FAMILY_SERIES_MAX", "3");
    let mut adapter = Adapter::start(started);
    let config = crate::support::adapter::get(adapter.admin, "/mgmt/v1/config", &[]).json();
    let value = |name: &str| config["values"][name]["value"].as_str().unwrap().to_owned();
    assert_eq!(value("series-max"), "7");
    assert_eq!(value("family-series-max"), "3");
    adapter.signal(rustix::process::Signal::TERM);
    assert_eq!(adapter.wait(), Some(0));
}

#[test]
fn without_a_configuration_it_is_a_statsd_sidecar() {
    let output = run(&["check"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("statsd: udp :9125, tcp :9125; rules: 0"), "{stdout}");
    assert!(stdout.contains("page: :9102/metrics"), "{stdout}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = run(&["--listen", &addr]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&format!("listen on {addr}")), "{stderr}");
    // The file of a socket that somebody else has.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"x").unwrap();
    let path = file.path().display().to_string();
    let flags = ["statsd_exporter", "--web.listen-address=127.0.0.1:0", "--statsd.listen-udp="];
    let flags = [&flags[..], &["--statsd.listen-tcp=", "--statsd.listen-unixgram", &path]].concat();
    let output = run(&flags);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&path));
}
