//! Findings with their figures. The pools are those of the measurements the rules come from.

use std::path::Path;

use expect_test::{Expect, expect};

use super::lint;

fn check(keys: &str, servers: &[String], expected: Expect) {
    let mut text = format!("alpha:\n  listen: 127.0.0.1:6379\n{keys}  servers:\n");
    for server in servers {
        text.push_str(&format!("    - {server}\n"));
    }
    let parsed = crate::config::parse_pools(Path::new("nutcracker.yml"), &text).unwrap();
    let findings: Vec<String> =
        lint(&parsed.pools.0[0]).iter().map(|finding| format!("{finding}\n")).collect();
    expected.assert_eq(&findings.concat());
}

fn ten() -> Vec<String> {
    (1..=10).map(|n| format!("10.0.0.{n}:6379:1")).collect()
}

#[test]
fn hashes_that_spread_badly_are_measured() {
    let hash = |name: &str| format!("  timeout: 400\n  hash: {name}\n");
    check(
        &hash("crc32"),
        &ten(),
        expect![[r#"
        1: alpha: warning: crc32 with ketama puts 10.00 times its share on the busiest of 10 servers, measured with 20000 keys N; every key is on that one server (it has 15 bits; crc32a has 32)
    "#]],
    );
    check(
        &hash("fnv1_64"),
        &ten(),
        expect![[r#"
        1: alpha: warning: fnv1_64 with ketama puts 2.30 times its share on the busiest of 10 servers, measured with 20000 keys N; 1 server gets none
        1: alpha: note: fnv1_64 keeps 100 % of consecutive ids on one server (chance alone: 10 %), measured with 20000 keys user:N: a range of ids loads one server
    "#]],
    );
    check(
        &hash("fnv1a_64"),
        &ten(),
        expect![[r#"
        1: alpha: warning: fnv1a_64 with ketama puts 1.50 times its share on the busiest of 10 servers, measured with 20000 keys N
        1: alpha: note: fnv1a_64 keeps 98 % of consecutive ids on one server (chance alone: 10 %), measured with 20000 keys N: a range of ids loads one server
    "#]],
    );
    check(
        &hash("crc16"),
        &ten(),
        expect![[r#"
        1: alpha: note: crc16 keeps 95 % of consecutive ids on one server (chance alone: 10 %), measured with 20000 keys user:N: a range of ids loads one server
    "#]],
    );
    check(
        &hash("fnv1_32"),
        &ten(),
        expect![[r#"
        1: alpha: note: fnv1_32 keeps 91 % of consecutive ids on one server (chance alone: 10 %), measured with 20000 keys N: a range of ids loads one server
    "#]],
    );
}

#[test]
fn hashes_that_spread_well_are_not_mentioned() {
    for hash in ["md5", "murmur", "jenkins", "one_at_a_time", "hsieh", "crc32a", "fnv1a_32"] {
        check(&format!("  timeout: 400\n  hash: {hash}\n"), &ten(), expect![[""]]);
    }
}

#[test]
fn a_server_without_points_is_found() {
    let servers = ["127.0.0.1:11212:100000".to_owned(), "127.0.0.1:11213:1".to_owned()];
    check(
        "  timeout: 400\n  hash: hsieh\n",
        &servers,
        expect![[r#"
            7: alpha: warning: server "127.0.0.1:11213" of weight 1 gets 0 of 316 ring points, so no key: its weight is too small beside the others'
        "#]],
    );
}

#[test]
fn ejection_is_judged_by_what_it_moves() {
    let eject = "  auto_eject_hosts: true\n  hash: murmur\n";
    let timeout = format!("{eject}  timeout: 400\n");
    check(
        &format!("{timeout}  distribution: modula\n"),
        &ten(),
        expect![[r#"
            1: alpha: warning: modula with auto_eject_hosts moves 90 % of all keys when one server is ejected, and moves them back later; use ketama, or eject_mode: fail_fast
        "#]],
    );
    check(
        &format!("{timeout}  redis: true\n"),
        &ten(),
        expect![[r#"
            1: alpha: warning: auto_eject_hosts in a Redis pool writes keys of an ejected server elsewhere and leaves them there when it comes back, which splits the data; use eject_mode: fail_fast unless it is only a cache
        "#]],
    );
    check(&format!("{timeout}  redis: true\n  eject_mode: fail_fast\n"), &ten(), expect![[""]]);
    check(
        eject,
        &ten(),
        expect![[r#"
        1: alpha: warning: no timeout: a server that hangs is never ejected, because auto_eject_hosts counts timeouts
    "#]],
    );
    check(
        "  timeout: 0\n  eject_mode: fail_fast\n  hash: md5\n",
        &ten(),
        expect![[r#"
            1: alpha: warning: no timeout: requests to a server that hangs wait forever
            1: alpha: note: eject_mode has no effect without auto_eject_hosts: true
        "#]],
    );
}

#[test]
fn the_rest_is_worth_a_note() {
    let keys = "  timeout: 400\n  distribution: random\n  server_connections: 40\n  \
        client_connections: 9\n";
    check(
        keys,
        &ten(),
        expect![[r#"
        1: alpha: warning: random sends each request to any server, so a key is not found where it was written; right only where all servers hold the same data, such as proxies
        1: alpha: note: up to 400 server connections for each worker
        1: alpha: note: client_connections: 9 is a limit here; nutcracker ignores it
    "#]],
    );
    let servers = [
        "cache1:11211:1".to_owned(),
        "cache2:11211:1 two".to_owned(),
        "cache2:11211:1 three".to_owned(),
        "10.0.0.300:11211:1".to_owned(),
        "10::0::1:11212:1".to_owned(),
    ];
    check(
        "  timeout: 400\n  hash: md5\n",
        &servers,
        expect![[r#"
        9: alpha: warning: host "10.0.0.300" looks like an IPv4 address but is none
        10: alpha: warning: host "10::0::1" looks like an IPv6 address but is none
        6: alpha: note: 2 servers at port 11211 without a name, such as "cache1": the port is left out of what places keys, so another port moves keys; a name keeps them where they are
        8: alpha: note: server "three" has the address cache2:11211 of the server on line 7
    "#]],
    );
}
