//! What files mean, and what is said of those that mean nothing.

use std::path::Path;
use std::time::Duration;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const HEAD: &str = "alpha:\n  listen: 127.0.0.1:6379\n";
const SERVERS: &str = "  servers:\n   - h:6379:1\n";

fn parse(text: &str) -> Result<ParsedFile, ConfigError> {
    parse_pools(Path::new("nutcracker.yml"), text)
}

fn pool(keys: &str) -> PoolConfig {
    let parsed = parse(&format!("{HEAD}{SERVERS}{keys}")).unwrap_or_else(|e| panic!("{e}"));
    parsed.pools.0.into_iter().next().unwrap()
}

fn refused(text: &str, expected: Expect) {
    expected.assert_eq(&parse(text).unwrap_err().to_string());
}

#[test]
fn defaults_are_nutcrackers() {
    expect![[r#"
        PoolConfig {
            name: "alpha",
            line: 1,
            listen: Tcp {
                host: "127.0.0.1",
                port: 6379,
            },
            protocol: Memcache,
            rules: Rules {
                hash: Fnv1a64,
                key_bytes: Signed,
                hash_tag: None,
                distribution: Ketama,
            },
            timeout: None,
            backlog: 512,
            client_connections: 0,
            tcpkeepalive: false,
            reuseport: false,
            preconnect: false,
            redis_auth: None,
            redis_user: None,
            redis_db: 0,
            server_connections: 1,
            auto_eject_hosts: false,
            server_retry_timeout: 30s,
            server_failure_limit: 2,
            servers: [
                ServerConfig {
                    label: "h:6379",
                    name_given: false,
                    address: Tcp {
                        host: "h",
                        port: 6379,
                    },
                    weight: 1,
                    line: 4,
                },
            ],
            compat: Friendly,
            eject_mode: Remap,
            resp3: false,
            flush_all: false,
            request_max: 1073741824,
        }
    "#]]
    .assert_debug_eq(&pool(""));
}

#[test]
fn every_documented_key_is_read_and_its_default_changes_nothing() {
    for key in POOL_KEYS {
        if !["none", "required"].contains(&key.default) {
            let redis = "  redis: true\n";
            let written = match key.name {
                "redis" => pool("  redis: false\n") == pool(""),
                "flush_all" => pool("  flush_all: false\n") == pool(""),
                name => {
                    let line = format!("{redis}  {name}: {}\n", key.default);
                    pool(&line) == pool(redis)
                }
            };
            assert!(written, "{}: {}", key.name, key.default);
        }
        assert!(key.meaning.ends_with('.'), "{}", key.name);
    }
    let error = parse(&format!("{HEAD}  nonsense: 1\n{SERVERS}")).unwrap_err().to_string();
    assert!(POOL_KEYS.iter().all(|key| error.contains(key.name)), "{error}");
}

#[test]
fn labels_follow_the_rules_of_nutcracker() {
    let text = format!(
        "{HEAD}  servers:\n   - cache1:11211:1\n   - cache1:6379:2\n   - /tmp/s.sock:3\n   \
         - '[::1]:06380:4'\n   - h:1:5 given\n   - h:1:6 b\n   - h:1:7 a\n"
    );
    let parsed = parse(&text).unwrap();
    let servers: Vec<String> = parsed.pools.0[0]
        .servers
        .iter()
        .map(|s| format!("{} {} {} line {}\n", s.label, s.address, s.weight, s.line))
        .collect();
    expect![[r#"
        a h:1 7 line 10
        b h:1 6 line 9
        given h:1 5 line 8
        cache1 cache1:11211 1 line 4
        ::1:06380 [::1]:6380 4 line 7
        cache1:6379 cache1:6379 2 line 5
        /tmp/s.sock: /tmp/s.sock 3 line 6
    "#]]
    .assert_eq(&servers.concat());
}

#[test]
fn pools_are_ordered_by_length_then_bytes() {
    let names = ["zz", "b", "abc", "a"];
    let text: String = (0..)
        .zip(names)
        .map(|(port, name)| format!("{name}:\n  listen: 127.0.0.1:{}\n{SERVERS}", 7000 + port))
        .collect();
    let order: Vec<String> = parse(&text).unwrap().pools.0.into_iter().map(|p| p.name).collect();
    assert_eq!(order, ["a", "b", "zz", "abc"]);
}

#[test]
fn values_keep_their_meaning() {
    assert_eq!(pool("  timeout: 0400\n").timeout, Some(Duration::from_millis(400)));
    assert_eq!(pool("  timeout: 0\n").timeout, None);
    assert_eq!(pool("  timeout: 2s\n").timeout, Some(Duration::from_secs(2)));
    assert_eq!(pool("  hash_tag: é\n").rules.hash_tag, Some([0xc3, 0xa9]));
    assert_eq!(pool("  request_max: 64MiB\n").request_max, 64 << 20);
    let auth = pool("  redis: true\n  redis_auth: ~\n  redis_user: app\n");
    assert_eq!(auth.redis_auth.unwrap().expose(), "~");
    let listen = |text: &str| {
        let text = format!("alpha:\n  listen: {text}\n{SERVERS}");
        parse(&text).unwrap().pools.0[0].listen.clone()
    };
    let unix = |path: &str, mode| Listen::Unix { path: path.into(), mode };
    assert_eq!(listen("/tmp/a.sock"), unix("/tmp/a.sock", None));
    assert_eq!(listen("/tmp/a b 0660"), unix("/tmp/a b", Some(0o660)));
    assert_eq!(listen("/tmp/a.sock 0"), unix("/tmp/a.sock", None));
    assert_eq!(listen("::1:80"), Listen::Tcp { host: "::1".into(), port: 80 });
    assert_eq!(listen("'[::1]:80'").to_string(), "[::1]:80");
}

#[test]
fn settings_of_the_process_stand_beside_pools() {
    let text = format!("ambassador-proxy:\n  workers: 2\n  log: info\n{HEAD}{SERVERS}");
    let parsed = parse(&text).unwrap();
    assert_eq!(parsed.pools.0.len(), 1);
    let expected = Setting { value: "2".into(), line: 2 };
    assert_eq!(parsed.settings.get("workers"), Some(&expected));
    let pool = format!("ambassador-proxy:\n  listen: 127.0.0.1:1\n{SERVERS}");
    assert_eq!(parse(&pool).unwrap().pools.0[0].name, "ambassador-proxy");
}

#[test]
fn secrets_stay_out_of_messages() {
    let pool = pool("  redis: true\n  redis_auth: hunter2\n");
    assert!(!format!("{pool:?}").contains("hunter2"));
    let twice = format!("{HEAD}  redis_auth: hunter2\n  redis_auth: hunter2\n{SERVERS}");
    assert!(!parse(&twice).unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn wrong_values_are_named_with_file_line_and_key() {
    refused(
        "alpha:\n  listen: 127.0.0.1\n  hash: FNV1A_64\n  hash_tag: abc\n  timeout: 1.5\n  \
         redis: yes\n  server_connections: 0\n  request_max: 1MB\n  distribution: ketma\n  \
         hsah: md5\n  compat: lenient\n  redis_auth:\n  redis_user: ~\n  servers:\n   - h:6379\n   - h:0:1\n   \
         - h:6379:0\n   - [a]\n   - 'h:6379:1 '\n",
        expect![[r#"
            nutcracker.yml:2: alpha.listen: found "127.0.0.1", expected host:port with a port from 1 to 65535, or /path with an optional octal mode up to 0777
            nutcracker.yml:3: alpha.hash: found "FNV1A_64", expected one of one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, hsieh, murmur, jenkins; did you mean fnv1a_64?
            nutcracker.yml:4: alpha.hash_tag: found "abc", expected exactly two characters, such as "{}"
            nutcracker.yml:5: alpha.timeout: found "1.5", expected milliseconds as a whole number up to 2147483647, or with a unit: 400ms, 2s, 1m
            nutcracker.yml:6: alpha.redis: found "yes", expected true or false
            nutcracker.yml:7: alpha.server_connections: found "0", expected a whole number from 1 to 2147483647
            nutcracker.yml:8: alpha.request_max: found "1MB", expected bytes from 1024 on, or with a unit: 512KiB, 64MiB, 1GiB
            nutcracker.yml:9: alpha.distribution: found "ketma", expected one of ketama, modula, random; did you mean ketama?
            nutcracker.yml:10: alpha: found "hsah", expected a pool key, one of listen, servers, hash, hash_tag, distribution, timeout, backlog, client_connections, tcpkeepalive, reuseport, preconnect, redis, redis_auth, redis_db, server_connections, auto_eject_hosts, server_retry_timeout, server_failure_limit, key_bytes, compat, eject_mode, redis_user, resp3, flush_all, request_max; did you mean hash?
            nutcracker.yml:11: alpha.compat: found "lenient", expected strict or friendly
            nutcracker.yml:12: alpha.redis_auth: found nothing, expected one value
            nutcracker.yml:15: alpha.servers[0]: found "h:6379", expected host:port:weight or /path:weight, with an optional name after a space
            nutcracker.yml:16: alpha.servers[1]: found "h:0:1", expected a port from 1 to 65535 (host:port:weight or /path:weight, with an optional name after a space)
            nutcracker.yml:17: alpha.servers[2]: found "h:6379:0", expected a weight from 1 to 2147483647 (host:port:weight or /path:weight, with an optional name after a space)
            nutcracker.yml:18: alpha.servers[3]: found a list, expected host:port:weight or /path:weight, with an optional name after a space
            nutcracker.yml:19: alpha.servers[4]: found "h:6379:1 ", expected a name after the last space"#]],
    );
}

#[test]
fn wrong_structure_is_named() {
    refused(
        "",
        expect!["nutcracker.yml:1: found an empty file, expected a mapping of pool names to pools"],
    );
    refused(
        "alpha\n",
        expect![[r#"nutcracker.yml:1: found "alpha", expected a mapping of pool names to pools"#]],
    );
    refused("alpha:\n", expect!["nutcracker.yml:1: alpha: found nothing, expected a mapping"]);
    refused(
        "alpha: {}\n",
        expect![[r#"
        nutcracker.yml:1: alpha: found no "listen", expected one
        nutcracker.yml:1: alpha: found no "servers", expected one"#]],
    );
    refused(
        "ambassador-proxy:\n  workers: 2\n",
        expect!["nutcracker.yml:1: found no pool, expected at least one"],
    );
    refused(
        "ambassador-proxy:\n  workers: [2]\n",
        expect!["nutcracker.yml:2: ambassador-proxy.workers: found a list, expected one value"],
    );
    refused(
        "alpha:\n  listen: [\n",
        expect!["nutcracker.yml:2: found invalid YAML (unclosed bracket '['), expected YAML"],
    );
    refused(
        "alpha:\n\tlisten: 1\n",
        expect![
            "nutcracker.yml:2: found invalid YAML (tabs disallowed within this context (block indentation)), expected YAML"
        ],
    );
    refused(
        "a: !tag\n  b: c\n",
        expect![
            "nutcracker.yml:2: found a tag or another construct without meaning here, expected scalars, lists and mappings"
        ],
    );
    refused(
        "a: b\n---\nc: d\n",
        expect!["nutcracker.yml:3: found a second document, expected one document"],
    );
    refused("? [a]\n: b\n", expect!["nutcracker.yml:1: found a list, expected a key of one word"]);
}

#[test]
fn contradictions_are_named() {
    let heavy = "   - a:1:2147483647\n   - b:1:2147483647\n   - c:1:2147483647\n";
    refused(
        &format!("{HEAD}  servers:\n{heavy}"),
        expect![
            "nutcracker.yml:4: alpha.servers: found weights that add up to 6442450941, expected at most 4294967295"
        ],
    );
    refused(
        &format!("{HEAD}  servers:\n   - h:1:1 x\n   - i:1:1 x\n{HEAD}{SERVERS}"),
        expect![[r#"
            nutcracker.yml:5: alpha.servers: found "x" again (first on line 4), expected each server name once
            nutcracker.yml:6: found "alpha" again (first on line 1), expected each pool once"#]],
    );
    refused(
        &format!("{HEAD}{SERVERS}beta:\n  listen: 127.0.0.1:6379\n{SERVERS}"),
        expect![[
            r#"nutcracker.yml:5: beta.listen: found "127.0.0.1:6379", where pool "alpha" listens, expected an address of its own"#
        ]],
    );
    refused(
        &format!("{HEAD}  redis_auth: x\n  redis_user: u\n  resp3: true\n{SERVERS}"),
        expect![[r#"
            nutcracker.yml:3: alpha.redis_auth: found "redis_auth" in a memcache pool, expected it in a pool with "redis: true" only
            nutcracker.yml:4: alpha.redis_user: found "redis_user" in a memcache pool, expected it in a pool with "redis: true" only
            nutcracker.yml:5: alpha.resp3: found "resp3" in a memcache pool, expected it in a pool with "redis: true" only"#]],
    );
    refused(
        &format!("{HEAD}  redis: true\n  redis_user: u\n  flush_all: true\n{SERVERS}"),
        expect![[r#"
            nutcracker.yml:4: alpha.redis_user: found "redis_user" in a redis pool, expected "redis_auth" beside it
            nutcracker.yml:5: alpha.flush_all: found "flush_all" in a redis pool, expected it in a memcached pool only"#]],
    );
}

#[test]
fn doubtful_files_are_warned_of() {
    let text = format!("{HEAD}  redis_db: 3\n{SERVERS}beta:\n  listen: 0.0.0.0:6379\n{SERVERS}");
    let warnings: Vec<String> = parse(&text)
        .unwrap()
        .warnings
        .iter()
        .map(|warning| format!("{}: {warning}\n", warning.line))
        .collect();
    expect![[r#"
        3: alpha.redis_db: found a database for a memcached pool, which has none, expected "redis: true" beside it
        6: beta.listen: found "0.0.0.0:6379", where pool "alpha" listens, expected an address of its own
    "#]].assert_eq(&warnings.concat());
}

#[test]
fn hostile_yaml_costs_little() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g"].windows(2).map(|w| (w[0], w[1])) {
        bomb.push_str(&format!(
            "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, \
            *{from}, *{from}, *{from}, *{from}, *{from}]\n"
        ));
    }
    refused(
        &bomb,
        expect!["nutcracker.yml:6: found too many values, expected at most 131072 values"],
    );
    refused(
        &"[".repeat(10_000),
        expect!["nutcracker.yml:1: found invalid YAML (recursion limit exceeded), expected YAML"],
    );
    refused(
        &"- ".repeat(200),
        expect!["nutcracker.yml:1: found deeper nesting, expected at most 8 levels"],
    );
    refused(
        "a: &a [*a]\n",
        expect![
            "nutcracker.yml:1: found an alias inside its own anchor, expected an alias of an earlier value"
        ],
    );
    refused(
        &"#".repeat(5 << 20),
        expect!["nutcracker.yml:1: found a file of 5242880 bytes, expected at most 4194304 bytes"],
    );
    let comments = "# c\n".repeat(1_000);
    assert!(parse(&format!("{comments}{HEAD}{comments}{SERVERS}")).is_ok());
}

#[test]
fn servers_that_moved_count_as_moved_keys() {
    let named = |hosts: [&str; 2]| {
        let [a, b] = hosts;
        let text = format!("{HEAD}  servers:\n   - {a}:1:1 a\n   - {b}:1:1 b\n");
        parse(&text).unwrap().pools.0.remove(0)
    };
    let before = named(["h", "i"]);
    assert_eq!(before.moved_share(&before), 0.0);
    let share = before.moved_share(&named(["h", "j"]));
    assert!((0.4..0.6).contains(&share), "{share}");
    assert_eq!(before.moved_share(&named(["x", "y"])), 1.0);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-c:\\[\\]{}&*!|>'\"#\\-? \n\t0-9/é,~%]{0,120}") {
        drop(parse(&text));
    }

    #[test]
    fn no_value_makes_the_reader_panic(
        key in 0..POOL_KEYS.len(),
        value in "[a-c:\\[\\]0-9/é .-]{0,30}",
    ) {
        let key = POOL_KEYS[key].name;
        drop(parse(&format!("a:\n  {key}: {value:?}\n{SERVERS}")));
        drop(parse(&format!("{HEAD}  servers:\n   - {value:?}\n")));
    }
}
