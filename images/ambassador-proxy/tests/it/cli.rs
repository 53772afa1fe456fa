//! The command line, where nutcracker's is the measure beside it; signals and statistics.

mod background;
mod statistics;

use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};

use crate::support::{Finished, Proxy, free_port, nutcracker_checks, run};

const GOOD: &str = "\
cache:
  listen: 127.0.0.1:7401
  timeout: 400
  servers:
   - 127.0.0.1:7411:1 one
   - 127.0.0.1:7412:3 two
   - 127.0.0.1:7413:1
sessions:
  listen: 127.0.0.1:7402
  distribution: modula
  hash_tag: \"{}\"
  redis: true
  timeout: 400
  servers:
   - 127.0.0.1:7414:1 one
   - 127.0.0.1:7415:2 two
";

/// Runs the binary beside a file, and expects an exit code and what is written.
fn expect_run(config: &str, arguments: &[&str], code: i32, expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.yml"), config).unwrap();
    let Finished { code: found, stdout, stderr } = run(arguments, dir.path());
    assert_eq!(found, Some(code), "{arguments:?}: {stdout}{stderr}");
    let both = [stdout, stderr].into_iter().filter(|text| !text.is_empty());
    expected.assert_eq(&both.collect::<Vec<_>>().join("stderr:\n"));
}

#[test]
fn files_are_checked() {
    expect_run(
        GOOD,
        &["check", "-c", "file.yml"],
        0,
        &expect![[r#"
            file.yml:1: cache: note: fnv1a_64 keeps 99 % of consecutive ids on one server (chance alone: 44 %), measured with 20000 keys N: a range of ids loads one server
            file.yml:8: sessions: note: fnv1a_64 keeps 100 % of consecutive ids on one server (chance alone: 56 %), measured with 20000 keys N: a range of ids loads one server
            file.yml: ok, pools: 2, servers: 5
        "#]],
    );
    let crc32 = GOOD.replace(
        "  timeout: 400\n  servers:\n   - 127.0.0.1:7411",
        "  hash: crc32\n  servers:\n   - 127.0.0.1:7411",
    );
    expect_run(
        &crc32,
        &["-c", "file.yml", "check"],
        0,
        &expect![[r#"
        file.yml:1: cache: warning: crc32 with ketama puts 5.00 times its share on the busiest of 3 servers, measured with 20000 keys N; every key is on that one server (it has 15 bits; crc32a has 32)
        file.yml:1: cache: warning: no timeout: requests to a server that hangs wait forever
        file.yml:8: sessions: note: fnv1a_64 keeps 100 % of consecutive ids on one server (chance alone: 56 %), measured with 20000 keys N: a range of ids loads one server
        file.yml: ok, pools: 2, servers: 5
    "#]],
    );
}

#[test]
fn wrong_values_name_file_line_and_key() {
    let cases: [(&str, &str, Expect); 5] = [
        (
            "timeout: 400",
            "timeout: soon",
            expect![[r#"
            ambassador-proxy: file.yml:3: cache.timeout: found "soon", expected milliseconds as a whole number up to 2147483647, or with a unit: 400ms, 2s, 1m
        "#]],
        ),
        (
            "distribution: modula",
            "distribution: random-ish",
            expect![[r#"
            ambassador-proxy: file.yml:10: sessions.distribution: found "random-ish", expected one of ketama, modula, random
        "#]],
        ),
        (
            "127.0.0.1:7412:3 two",
            "127.0.0.1:7412 two",
            expect![[r#"
            ambassador-proxy: file.yml:6: cache.servers[1]: found "127.0.0.1:7412 two", expected host:port:weight or /path:weight, with an optional name after a space
        "#]],
        ),
        (
            "redis: true",
            "rediss: true",
            expect![[r#"
            ambassador-proxy: file.yml:12: sessions: found "rediss", expected a pool key, one of listen, servers, hash, hash_tag, distribution, timeout, backlog, client_connections, tcpkeepalive, reuseport, preconnect, redis, redis_auth, redis_db, server_connections, auto_eject_hosts, server_retry_timeout, server_failure_limit, key_bytes, compat, eject_mode, redis_user, resp3, flush_all, request_max; did you mean redis?
        "#]],
        ),
        (
            "hash_tag: \"{}\"",
            "hash_tag: \"{\"",
            expect![[r#"
            ambassador-proxy: file.yml:11: sessions.hash_tag: found "{", expected exactly two characters, such as "{}"
        "#]],
        ),
    ];
    for (right, wrong, expected) in cases {
        let config = GOOD.replacen(right, wrong, 1);
        expect_run(&config, &["check", "-c", "file.yml"], 2, &expected);
        expect_run(&config, &["-c", "file.yml", "-s", "0"], 2, &expected);
    }
}

#[test]
fn wrong_settings_and_flags_are_named() {
    let settings = GOOD.to_owned() + "ambassador-proxy:\n  workers: many\n";
    expect_run(
        &settings,
        &["check", "-c", "file.yml"],
        2,
        &expect![[r#"
        ambassador-proxy: file.yml:18: workers: found `many`, expected a number from 0 to 64
    "#]],
    );
    expect_run(
        GOOD,
        &["check", "-c", "missing.yml"],
        2,
        &expect![[r#"
        ambassador-proxy: missing.yml: reading the file: No such file or directory (os error 2)
    "#]],
    );
    expect_run(
        GOOD,
        &["-c", "file.yml", "-v", "12"],
        2,
        &expect![[r#"
        error: invalid value '12' for '--verbose <N>': 12 is not in 0..=11

        For more information, try '--help'.
    "#]],
    );
    expect_run(
        GOOD,
        &["-c", "file.yml", "-s", "high"],
        2,
        &expect![[r#"
        error: invalid value 'high' for '--stats-port <PORT>': invalid digit found in string

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn keys_are_located() {
    let locate = |rest: &[&'static str]| [&["locate", "-c", "file.yml", "--pool"], rest].concat();
    expect_run(
        GOOD,
        &locate(&["cache", "user:1", "user:2"]),
        0,
        &expect![[r#"
        key      "user:1"
        pool     cache
        hash     fnv1a_64 = 1963465963
        point    1978485579 (position 208 of 480, from 0)
        server   two at 127.0.0.1:7412 (index 1, weight 3)
        why      ketama: fnv1a_64 of "user:1" is 1963465963; the first ring point from there on is 1978485579
        key      "user:2"
        pool     cache
        hash     fnv1a_64 = 1963466398
        point    1978485579 (position 208 of 480, from 0)
        server   two at 127.0.0.1:7412 (index 1, weight 3)
        why      ketama: fnv1a_64 of "user:2" is 1963466398; the first ring point from there on is 1978485579
    "#]],
    );
    expect_run(
        GOOD,
        &locate(&["sessions", "{user:1}:name"]),
        0,
        &expect![[r#"
        key      "{user:1}:name"
        pool     sessions
        tag      "user:1"
        hash     fnv1a_64 = 1963465963
        slot     1 of 3
        server   two at 127.0.0.1:7415 (index 1, weight 2)
        why      modula: fnv1a_64 of "user:1" is 1963465963; modulo 3, the sum of weights, that is 1
    "#]],
    );
    expect_run(
        GOOD,
        &locate(&["sessions", "--json", "k"]),
        0,
        &expect![[r#"
        {"pool":"sessions","key":"k","hashed":"k","tag_used":false,"hash":"fnv1a_64","hash_value":2248277386,"distribution":"modula","found":{"remainder":{"remainder":1,"weights":3}},"server":{"index":1,"label":"two","address":"127.0.0.1:7415","weight":2,"share":2,"line":16},"why":"fnv1a_64 of \"k\" is 2248277386; modulo 3, the sum of weights, that is 1"}
    "#]],
    );
    expect_run(
        GOOD,
        &locate(&["nosuch", "k"]),
        1,
        &expect![[r#"
        ambassador-proxy: there is no pool nosuch; the file has cache, sessions
    "#]],
    );
}

#[test]
fn small_flags_answer_as_nutcracker_does() {
    expect_run(
        GOOD,
        &["-V"],
        0,
        &expect![[r#"
        This is nutcracker-0.5.0
        ambassador-proxy 0.1.0
    "#]],
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.yml");
    for (config, code) in [(GOOD, 0), ("a:\n  listen: x\n", 1), ("", 1)] {
        fs::write(&file, config).unwrap();
        let theirs = nutcracker_checks(&file);
        let ours = run(&["-t", "-c", file.to_str().unwrap()], dir.path());
        assert_eq!((theirs.status.code(), ours.code), (Some(code), Some(code)));
        let verdict = |text: &str| text.lines().last().map(ToOwned::to_owned);
        assert_eq!(verdict(&ours.stderr), verdict(&String::from_utf8_lossy(&theirs.stderr)));
    }
    let help = run(&["-h"], dir.path());
    assert_eq!(help.code, Some(0));
    for flag in "hVtdDvocsaipm".chars() {
        assert!(help.stdout.contains(&format!(" -{flag}, ")), "no -{flag} in\n{}", help.stdout);
    }
    let described = run(&["-D"], dir.path()).stdout;
    for name in ["client_eof", "server_ejected_at", "out_queue_bytes", "fragments"] {
        assert!(described.contains(&format!("  {name} ")), "no {name} in\n{described}");
    }
}

/// Long names, glued and abbreviated forms, as `getopt_long` takes them.
#[test]
fn flags_are_taken_in_every_form() {
    let (pool, stats) = (free_port(), free_port());
    let config = format!("p:\n  listen: 127.0.0.1:{pool}\n  servers:\n   - 127.0.0.1:1:1\n");
    let glued = format!("-s{stats}");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file.yml"), config).unwrap();
    let all = ["--conf-file=file.yml", "-tv6", &glued, "-i1", "--mbuf", "512", "-a127.0.0.1"];
    let tested = run(&all, dir.path());
    assert_eq!(tested.code, Some(0), "{}", tested.stderr);
    assert!(tested.stderr.contains("syntax is ok"));
}

#[test]
fn health_is_asked_for() {
    let port = free_port();
    let config = format!("p:\n  listen: 127.0.0.1:{port}\n  servers:\n   - 127.0.0.1:1:1 a\n");
    let proxy = Proxy::start(&config, &["--grace", "30s"]);
    let probe = proxy.probe.to_string();
    for (what, code) in [("live", 0), ("ready", 0)] {
        let asked = run(&["healthcheck", what, "--probe-addr", &probe], Path::new("/"));
        assert_eq!(asked.code, Some(code), "{what}: {}", asked.stderr);
    }
    assert_eq!(proxy.post("/mgmt/v1/lifecycle/drain").status, 202);
    let asked = run(&["healthcheck", "ready", "--probe-addr", &probe], Path::new("/"));
    assert_eq!(asked.code, Some(1), "{}", asked.stderr);
    let asked = run(&["healthcheck", "live", "--probe-addr", &probe], Path::new("/"));
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    drop(proxy);
    let asked = run(&["healthcheck", "--probe-addr", &probe], Path::new("/"));
    assert_eq!(asked.code, Some(1), "{}", asked.stderr);
}
