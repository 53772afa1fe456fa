//! Our verdict on configuration files beside nutcracker's.
//!
//! Every value and every file below says what both are expected to say; the test asks the real
//! nutcracker too, so neither column can be wrong. Where it accepts and we refuse, the reason
//! stands beside it: [`THEIRS`] is the whole list of intended exceptions.

use std::fmt::Write as _;
use std::fs;

use ambassador_proxy::config::parse_pools;
use tempfile::TempDir;

use crate::support::{Random, nutcracker_checks};

const RANDOM_FILES: usize = 300;

/// Who accepts a value.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Both,
    Neither,
    /// We do and nutcracker does not.
    Ours,
    /// nutcracker does and we do not.
    Theirs,
}

use By::{Both, Neither, Ours, Theirs};

/// Values of single keys in an otherwise sound Redis pool.
/// `reuseport` came into nutcracker after its release 0.5.0, which is the one asked here.
const VALUES: &[(&str, &str, By)] = &[
    ("listen", "127.0.0.1:7001", Both),
    ("listen", "\"127.0.0.1:7002\"", Both),
    ("listen", "::1:7003", Both),
    ("listen", "0.0.0.0:07004", Both),
    ("listen", "localhost:7005", Both),
    ("listen", "/tmp/pool.sock", Both),
    ("listen", "/tmp/pool.sock 0660", Both),
    ("listen", "/tmp/pool.sock 777", Both),
    ("listen", "/tmp/pool.sock 0", Both),
    ("listen", "/tmp/a b 0600", Both),
    ("listen", "/tmp/pool.sock 1777", Neither),
    ("listen", "\"[::1]:7006\"", Ours),
    ("listen", "127.0.0.1", Neither),
    ("listen", "127.0.0.1:0", Neither),
    ("listen", "127.0.0.1:65536", Neither),
    ("listen", "127.0.0.1:x", Neither),
    ("listen", "127.0.0.1:", Neither),
    ("listen", "\":7007\"", Neither),
    ("listen", "7008", Neither),
    ("listen", "no-such-host.invalid:7009", Ours),
    ("hash", "one_at_a_time", Both),
    ("hash", "md5", Both),
    ("hash", "'crc16'", Both),
    ("hash", "crc32a", Both),
    ("hash", "FNV1A_64", Neither),
    ("hash", "sha1", Neither),
    ("hash", "\"\"", Neither),
    ("hash_tag", "\"{}\"", Both),
    ("hash_tag", "'$$'", Both),
    ("hash_tag", "ab", Both),
    ("hash_tag", "é", Both),
    ("hash_tag", "\"{\"", Neither),
    ("hash_tag", "abc", Neither),
    ("distribution", "ketama", Both),
    ("distribution", "modula", Both),
    ("distribution", "random", Both),
    ("distribution", "Ketama", Neither),
    ("timeout", "0", Both),
    ("timeout", "400", Both),
    ("timeout", "\"400\"", Both),
    ("timeout", "0400", Both),
    ("timeout", "2147483647", Both),
    ("timeout", "400 # milliseconds", Both),
    ("timeout", "2147483648", Neither),
    ("timeout", "-1", Neither),
    ("timeout", "1.5", Neither),
    ("timeout", "+5", Neither),
    ("timeout", "1_000", Neither),
    ("timeout", "0x10", Neither),
    ("timeout", "", Neither),
    ("timeout", "400ms", Ours),
    ("timeout", "2s", Ours),
    ("backlog", "1024", Both),
    ("backlog", "many", Neither),
    ("client_connections", "7", Both),
    ("tcpkeepalive", "true", Both),
    ("tcpkeepalive", "'false'", Both),
    ("tcpkeepalive", "yes", Neither),
    ("tcpkeepalive", "True", Neither),
    ("tcpkeepalive", "1", Neither),
    ("reuseport", "false", Ours),
    ("preconnect", "true", Both),
    ("redis_auth", "secret", Both),
    ("redis_auth", "\"p: #w\\\"d\"", Both),
    ("redis_auth", "12345", Both),
    ("redis_auth", "~", Both),
    ("redis_auth", "null", Both),
    ("redis_db", "0", Both),
    ("redis_db", "15", Both),
    ("redis_db", "-1", Neither),
    ("server_connections", "1", Both),
    ("server_connections", "4", Both),
    ("server_connections", "0", Neither),
    ("auto_eject_hosts", "true", Both),
    ("auto_eject_hosts", "on", Neither),
    ("server_retry_timeout", "2000", Both),
    ("server_retry_timeout", "0", Both),
    ("server_failure_limit", "1", Both),
    ("server_failure_limit", "0", Both),
    ("key_bytes", "unsigned", Ours),
    ("compat", "strict", Ours),
    ("compat", "lenient", Neither),
    ("eject_mode", "fail_fast", Ours),
    ("resp3", "true", Ours),
    ("request_max", "64MiB", Ours),
    ("request_max", "64MB", Neither),
    ("sentinels", "a", Neither),
    ("Timeout", "400", Neither),
    ("server", "127.0.0.1:6379:1", Neither),
];

/// Entries of `servers`.
const SERVERS: &[(&str, By)] = &[
    ("10.0.0.1:6379:1", Both),
    ("10.0.0.2:6379:100000 first", Both),
    ("\"10.0.0.3:6379:1 quoted\"", Both),
    ("cache.example.com:11211:1", Both),
    ("cache.example.net:11211:2 c1", Both),
    ("10.0.0.4:06380:07", Both),
    ("::1:6379:1", Both),
    ("fe80::1:6379:1 six", Both),
    ("\"[::2]:6379:1\"", Both),
    ("/tmp/redis.sock:1", Both),
    ("/tmp/redis.sock:3 sock", Both),
    ("\"/tmp/a b:1 spaced\"", Both),
    ("10.0.0.5:6379:2147483647 heavy", Both),
    ("name-only", Neither),
    ("10.0.0.6:6379", Neither),
    ("10.0.0.6:6379:0", Neither),
    ("10.0.0.6:6379:-1", Neither),
    ("10.0.0.6:6379:1.5", Neither),
    ("10.0.0.6:6379:x", Neither),
    ("10.0.0.6:0:1", Neither),
    ("10.0.0.6:65536:1", Neither),
    ("10.0.0.6:x:1", Neither),
    ("10.0.0.6:6379:1 two words", Neither),
    ("\"10.0.0.6:6379:1  gap\"", Neither),
    ("/tmp/redis.sock", Neither),
    ("/tmp/redis.sock:0", Neither),
    ("/tmp/re:dis.sock:1", Neither),
    ("\"\"", Neither),
];

/// Whole files.
const FILES: &[(&str, &str, By)] = &[
    ("the book's Redis pool", include_str!("testdata/book_redis.yml"), Both),
    ("the book's memcached pool", include_str!("testdata/book_memcached.yml"), Both),
    ("many pools, as in the manual", include_str!("testdata/manual.yml"), Both),
    ("an empty file", "", Neither),
    ("a comment", "# nothing\n", Neither),
    ("a scalar", "alpha\n", Neither),
    ("a pool without body", "alpha:\n", Neither),
    ("no servers", "a:\n  listen: 127.0.0.1:7001\n", Neither),
    ("empty servers", "a:\n  listen: 127.0.0.1:7001\n  servers:\n", Neither),
    ("no listen", "a:\n  servers:\n   - h:1:1\n", Neither),
    ("a scalar for servers", "a:\n  listen: 127.0.0.1:7001\n  servers: h:1:1\n", Neither),
    (
        "a key twice",
        "a:\n  listen: 127.0.0.1:7001\n  timeout: 1\n  timeout: 1\n  servers:\n   - h:1:1\n",
        Neither,
    ),
    (
        "servers twice",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n  servers:\n   - i:1:1\n",
        Neither,
    ),
    (
        "a pool twice",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n\
         a:\n  listen: 127.0.0.1:7002\n  servers:\n   - h:1:1\n",
        Neither,
    ),
    (
        "a listener twice",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n\
         b:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n",
        Neither,
    ),
    (
        "one host under two names",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1 x\n   - h:1:1 y\n",
        Both,
    ),
    (
        "two hosts under one name",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1 x\n   - i:1:1 x\n",
        Neither,
    ),
    (
        "two ports of a host",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n   - h:11211:1\n",
        Both,
    ),
    (
        "a password on a memcached pool",
        "a:\n  listen: 127.0.0.1:7001\n  redis_auth: x\n  servers:\n   - h:1:1\n",
        Neither,
    ),
    (
        "a database on a memcached pool",
        "a:\n  listen: 127.0.0.1:7001\n  redis_db: 3\n  servers:\n   - h:1:1\n",
        Both,
    ),
    (
        "a pool named as our settings are",
        "ambassador-proxy:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n",
        Both,
    ),
    (
        "settings of ours",
        "ambassador-proxy:\n  workers: 2\na:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n",
        Ours,
    ),
    ("flow style", "a: {listen: '127.0.0.1:7001', servers: ['h:1:1']}\n", Ours),
    ("a document marker", "---\na:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n", Ours),
    ("two documents", "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n---\nb: c\n", Neither),
    (
        "anchors",
        "a:\n  listen: 127.0.0.1:7001\n  servers: &s\n   - h:1:1\n\
         b:\n  listen: 127.0.0.1:7002\n  servers: *s\n",
        Ours,
    ),
    ("tabs", "a:\n\tlisten: 127.0.0.1:7001\n\tservers:\n\t - h:1:1\n", Neither),
    (
        "a list not indented",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n  - h:1:1\n  - i:1:1\n",
        Both,
    ),
    (
        "line ends of Windows",
        "a:\r\n  listen: 127.0.0.1:7001\r\n  servers:\r\n   - h:1:1 n\r\n",
        Both,
    ),
    ("a byte order mark", "\u{feff}a:\n  listen: 127.0.0.1:7001\n  servers:\n   - h:1:1\n", Both),
    (
        "comments and blank lines",
        "# a\n\na: # b\n\n  # c\n  listen: 127.0.0.1:7001   # d\n  servers: # e\n\n   - h:1:1 # f",
        Both,
    ),
    (
        "block scalars",
        "a:\n  listen: >-\n    127.0.0.1:7001\n  servers:\n   - |-\n    h:1:1\n",
        Both,
    ),
    ("a nested pool", "a:\n  b:\n    listen: 127.0.0.1:7001\n", Neither),
];

/// What nutcracker lets pass and we refuse, each with the reason.
const THEIRS: &[(&str, &str)] = &[
    (
        "a number that wraps round 32 bits: 4294967297 is read as 1",
        "a:\n  listen: 127.0.0.1:7001\n  timeout: 4294967297\n  servers:\n   - h:1:1\n",
    ),
    (
        "a mode that is not octal is read as far as it is, so 0668 becomes 066",
        "a:\n  listen: /tmp/a.sock 0668\n  servers:\n   - h:1:1\n",
    ),
    (
        "an empty name makes a server without a label",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - \"h:1:1 \"\n",
    ),
    (
        "an empty host can never be connected to",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - \":6379:1 x\"\n",
    ),
    (
        "a host with a space in it cannot be connected to either",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - \"a b:6379:1 x\"\n",
    ),
    (
        "weights whose sum wraps round 32 bits",
        "a:\n  listen: 127.0.0.1:7001\n  servers:\n   - a:1:2147483647\n   - b:1:2147483647\n   \
         - c:1:2147483647\n",
    ),
    (
        "one socket under two spellings is bound twice",
        "a:\n  listen: /tmp/a.sock\n  servers:\n   - h:1:1\n\
         b:\n  listen: /tmp/a.sock 0600\n  servers:\n   - h:1:1\n",
    ),
    (
        "one value of servers outside its list",
        "a:\n  listen: 127.0.0.1:7001\n  servers: h:1:1\n  servers:\n   - i:1:1\n",
    ),
    ("a list where one value belongs", "a:\n  listen:\n   - 127.0.0.1:7001\n  servers: h:1:1\n"),
];

#[test]
fn single_values_and_servers_are_judged_as_expected() {
    let mut judges = Judges::new();
    for (key, value, by) in VALUES {
        let text = pool("a", &[(key, value)], &["h:1:1"]);
        judges.expect(&text, *by, &format!("{key}: {value}"));
    }
    for (server, by) in SERVERS {
        judges.expect(&pool("a", &[], &[server]), *by, server);
    }
    judges.finish();
}

#[test]
fn files_are_judged_as_expected() {
    let mut judges = Judges::new();
    for (what, text, by) in FILES {
        judges.expect(text, *by, what);
    }
    for (reason, text) in THEIRS {
        judges.expect(text, Theirs, reason);
    }
    judges.finish();
}

#[test]
fn random_files_are_judged_alike() {
    let mut random = Random::from_environment();
    let mut judges = Judges::new();
    for _ in 0..RANDOM_FILES {
        let (mut ours, mut theirs) = (true, true);
        let mut text = String::new();
        for number in 0..=random.below(3) {
            let mut keys: Vec<(&str, &str)> = Vec::new();
            let mut servers = Vec::new();
            let mut note = |by: By| {
                ours &= matches!(by, Both | Ours);
                theirs &= matches!(by, Both | Theirs);
            };
            for _ in 0..random.below(8) {
                let (key, value, by) = *random.pick(VALUES);
                // Bad values are rarer than good ones, and listeners must differ.
                let unwanted = by != Both && !random.one_in(8);
                if unwanted || key == "listen" || keys.iter().any(|(other, _)| *other == key) {
                    continue;
                }
                keys.push((key, value));
                note(by);
            }
            for _ in 0..=random.below(5) {
                let (server, by) = *random.pick(SERVERS);
                let unwanted = by != Both && !random.one_in(8);
                if !unwanted && !servers.contains(&server) {
                    servers.push(server);
                    note(by);
                }
            }
            note(if servers.is_empty() { Neither } else { Both });
            let listen = format!("127.0.0.1:{}", 7100 + number);
            keys.push(("listen", &listen));
            random.shuffle(&mut keys);
            text.push_str(&pool(&format!("pool{number}"), &keys, &servers));
        }
        let by = match (ours, theirs) {
            (true, true) => Both,
            (true, false) => Ours,
            (false, true) => Theirs,
            (false, false) => Neither,
        };
        judges.expect(&text, by, "a random file");
    }
    judges.finish();
}

/// A Redis pool; `listen` has a value unless `keys` has one.
fn pool(name: &str, keys: &[(&str, &str)], servers: &[&str]) -> String {
    let mut text = format!("{name}:\n  redis: true\n");
    if !keys.iter().any(|(key, _)| *key == "listen") {
        text.push_str("  listen: 127.0.0.1:7000\n");
    }
    for (key, value) in keys {
        writeln!(text, "  {key}: {value}").unwrap();
    }
    text.push_str("  servers:\n");
    for server in servers {
        writeln!(text, "    - {server}").unwrap();
    }
    text
}

/// Every disagreement between what is expected and the two verdicts.
struct Judges {
    dir: TempDir,
    surprises: Vec<String>,
}

impl Judges {
    fn new() -> Self {
        Judges { dir: tempfile::tempdir().unwrap(), surprises: Vec::new() }
    }

    fn expect(&mut self, text: &str, by: By, what: &str) {
        let file = self.dir.path().join("nutcracker.yml");
        fs::write(&file, text).unwrap();
        let output = nutcracker_checks(&file);
        let ours = parse_pools(&file, text);
        let verdicts = (ours.is_ok(), output.status.success());
        if verdicts != (matches!(by, Both | Ours), matches!(by, Both | Theirs)) {
            let why = ours.err().map(|error| error.to_string()).unwrap_or_default();
            let theirs = String::from_utf8_lossy(&output.stderr);
            self.surprises.push(format!(
                "{what}: (ours, nutcracker's) = {verdicts:?}\n{text}{why}\n{theirs}",
            ));
        }
    }

    fn finish(self) {
        assert!(self.surprises.is_empty(), "{}", self.surprises.join("\n"));
    }
}
