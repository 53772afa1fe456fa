//! A new configuration under load: no failed request, no closed connection, and a file that is
//! wrong changes nothing.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ambassador_proxy::config::Protocol;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Client, End, Load, Proxy, Random, Server, free_port, request, wait_until};

const CLIENTS: usize = 50;
const RELOADS: usize = 1000;
/// Any share of keys may move.
const FREELY: [&str; 2] = ["--reload-moved-max", "1"];

/// How a reload is brought about.
#[derive(Clone, Copy, Debug)]
enum By {
    Request,
    Signal,
    /// The file is replaced, in one step.
    File,
    /// The link to its directory is replaced, as the kubelet does with a ConfigMap.
    Link,
}

/// A directory laid out as a ConfigMap is: the file is a link through `..data`.
struct Mount {
    dir: TempDir,
    version: usize,
}

impl Mount {
    fn new(config: &str) -> Mount {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Mount { dir, version: 0 };
        mount.swap(config);
        symlink("..data/nutcracker.yml", mount.dir.path().join("nutcracker.yml")).unwrap();
        mount
    }

    fn swap(&mut self, config: &str) {
        self.version += 1;
        let path = self.dir.path();
        let name = format!("..{}", self.version);
        fs::create_dir(path.join(&name)).unwrap();
        fs::write(path.join(&name).join("nutcracker.yml"), config).unwrap();
        symlink(&name, path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    }

    fn replace(&self, config: &str) {
        replace(&self.dir.path().join("..data/nutcracker.yml"), config);
    }
}

fn replace(file: &Path, config: &str) {
    let fresh = file.with_extension("new");
    fs::write(&fresh, config).unwrap();
    fs::rename(&fresh, file).unwrap();
}

/// A pool of these servers, with further lines of its own.
fn pool(name: &str, port: u16, lines: &[&str], entries: &[String]) -> String {
    let mut text = format!("{name}:\n  listen: 127.0.0.1:{port}\n");
    for line in lines {
        writeln!(text, "  {line}").unwrap();
    }
    text + "  servers:\n" + &entries.concat()
}

#[test]
fn a_thousand_reloads_under_load_fail_no_request() {
    let mut random = Random::from_environment();
    let redis: Vec<Server> = (0..3).map(|_| Server::redis(&[])).collect();
    let caches: Vec<Server> = (0..2).map(|_| Server::memcached(&[])).collect();
    let [redis_port, cache_port] = [free_port(), free_port()];
    let mut config = |turn: usize| {
        let mut entries = |servers: &[Server]| {
            let mut entries: Vec<String> = servers
                .iter()
                .enumerate()
                .map(|(at, server)| {
                    let weight = 1 + random.below(4);
                    server.entry(&format!("s{at}")).replacen(":1 ", &format!(":{weight} "), 1)
                })
                .collect();
            random.shuffle(&mut entries);
            entries.truncate(1 + random.below(servers.len()));
            entries
        };
        let (redis, caches) = (entries(&redis), entries(&caches));
        // The timeout makes each text another one; it is never reached.
        let timeout = format!("timeout: {}", 15_000 + turn);
        let connections = format!("server_connections: {}", 1 + random.below(2) * turn % 3);
        pool("redis", redis_port, &["redis: true", &timeout], &redis)
            + &pool("cache", cache_port, &[&timeout, &connections], &caches)
    };
    let mut mount = Mount::new(&config(0));
    let file = mount.dir.path().join("nutcracker.yml");
    let flags = [&FREELY[..], &["--watch-interval", "20ms"]].concat();
    let proxy = Proxy::start_on(tempfile::tempdir().unwrap(), file, &flags);
    let load =
        Load::start(CLIENTS, &[(Protocol::Redis, redis_port), (Protocol::Memcache, cache_port)]);
    for turn in 1..=RELOADS {
        let by = match turn % 20 {
            0 => By::Link,
            10 => By::File,
            1 | 5 | 9 | 13 | 17 => By::Signal,
            _ => By::Request,
        };
        let from = proxy.log_length();
        let config = config(turn);
        if matches!(by, By::Link) {
            mount.swap(&config)
        } else {
            mount.replace(&config)
        }
        let cause = match by {
            By::Request => {
                let answer = proxy.post("/mgmt/v1/reload");
                assert_eq!(answer.status, 200, "{}", answer.body);
                continue;
            }
            By::Signal => {
                proxy.signal(Signal::USR1);
                "cause=\"SIGUSR1\""
            }
            By::File | By::Link => "cause=\"file changed\"",
        };
        wait_for_reload(&proxy, from, cause);
    }
    load.wait_for_rounds(CLIENTS as u64);
    let answered = load.finish();
    let log = proxy.log();
    assert!(!log.contains("not reloaded"), "{log}");
    assert!(proxy.metric("ambassador_proxy_proxy_reloads_total") >= RELOADS as f64);
    for pool in ["redis", "cache"] {
        let errors = format!("ambassador_proxy_pool_forward_error_total{{pool=\"{pool}\"}}");
        assert!(proxy.metric(&errors) == 0.0, "{pool}");
    }
    println!("{answered} requests answered during {RELOADS} reloads");
}

/// Waits for the log, from byte `from` on, to tell of a reload with that cause.
fn wait_for_reload(proxy: &Proxy, from: usize, cause: &str) {
    wait_until("the reload is logged", || {
        proxy.has_logged(from, &["configuration reloaded", cause])
    });
}

#[test]
fn a_refused_reload_changes_nothing() {
    let servers = [Server::redis(&[]), Server::redis(&[])];
    let port = free_port();
    let config = |server: &Server| pool("p", port, &["redis: true"], &[server.entry("one")]);
    let proxy = Proxy::start(&config(&servers[0]), &["--watch-interval", "0s"]);
    let mut client = Client::connect(port);
    assert_eq!(client.ask(&["SET", "k", "first"]), "+OK\r\n");

    let wrong = [
        ("", "nutcracker.yml:1"),
        ("p:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n   - x\n", "nutcracker.yml:5"),
        ("p:\n  listen: 127.0.0.1:1\n  hash: sha1\n  servers:\n   - h:1:1\n", "hash"),
    ];
    for (text, named) in wrong {
        replace(&proxy.file, text);
        let answer = proxy.post("/mgmt/v1/reload");
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains(named), "{} does not name {named}", answer.body);
        assert_eq!(client.ask(&["GET", "k"]), "$5\r\nfirst\r\n");
    }

    // All keys would be on another server.
    replace(&proxy.file, &config(&servers[1]));
    let answer = proxy.post("/mgmt/v1/reload");
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("more than the limit"), "{}", answer.body);
    assert_eq!(client.ask(&["GET", "k"]), "$5\r\nfirst\r\n");
    let answer = proxy.post("/mgmt/v1/reload?force=true");
    assert_eq!((answer.status, answer.body.as_str()), (200, FORCED));
    assert_eq!(client.ask(&["GET", "k"]), "$-1\r\n");

    // A port that somebody else has.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = pool("q", taken.local_addr().unwrap().port(), &[], &[servers[0].entry("q")]);
    replace(&proxy.file, &(config(&servers[1]) + &other));
    let answer = proxy.post("/mgmt/v1/reload");
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("cannot listen"), "{}", answer.body);
    assert_eq!(client.ask(&["SET", "k", "second"]), "+OK\r\n");
}

const FORCED: &str = r#"{"added":[],"moved_share":[["p",1.0]],"removed":[]}"#;

#[test]
fn the_report_tells_the_share_of_keys_that_move() {
    let servers: Vec<Server> = (0..4).map(|_| Server::redis(&[])).collect();
    let entries: Vec<String> = (0..4).map(|at| servers[at].entry(&format!("s{at}"))).collect();
    let port = free_port();
    let config = |count: usize| pool("p", port, &["redis: true"], &entries[..count]);
    let proxy = Proxy::start(&config(4), &["--watch-interval", "0s"]);
    replace(&proxy.file, &config(3));
    let answer = proxy.post("/mgmt/v1/reload");
    assert_eq!(answer.status, 200);
    let report: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let share = report["moved_share"][0][1].as_f64().unwrap();
    assert!((0.15..0.35).contains(&share), "{report}");
}

#[test]
fn pools_come_and_go() {
    let servers = [Server::redis(&[]), Server::memcached(&[])];
    let ports = [free_port(), free_port()];
    let stays = pool("stays", ports[0], &["redis: true"], &[servers[0].entry("a")]);
    let goes = pool("goes", ports[1], &[], &[servers[1].entry("b")]);
    let proxy = Proxy::start(&stays, &["--watch-interval", "0s"]);
    let mut client = Client::connect(ports[0]);
    client.ask(&["SET", "k", "v"]);

    replace(&proxy.file, &(stays.clone() + &goes));
    let answer = proxy.post("/mgmt/v1/reload");
    let report = r#"{"added":["goes"],"moved_share":[["stays",0.0]],"removed":[]}"#;
    assert_eq!((answer.status, answer.body.as_str()), (200, report));
    let mut cached = Client::connect(ports[1]);
    assert_eq!(cached.ask_memcache("set k 0 0 1\r\nv\r\n"), "STORED\r\n");

    // The last request is at the server when the pool goes; its reply still comes.
    servers[1].freeze();
    cached.send(b"get k\r\n");
    let waiting = r#"ambassador_proxy_server_requests_total{pool="goes",server="b"}"#;
    wait_until("the request is on its way", || proxy.metric(waiting) == 2.0);
    replace(&proxy.file, &stays);
    let answer = proxy.post("/mgmt/v1/reload");
    let report = r#"{"added":[],"moved_share":[["stays",0.0]],"removed":["goes"]}"#;
    assert_eq!((answer.status, answer.body.as_str()), (200, report));
    assert!(Client::try_connect(ports[1]).is_err(), "the pool that is gone still accepts");
    servers[1].thaw();
    assert_eq!(cached.memcache().unwrap(), b"VALUE k 0 1\r\nv\r\nEND\r\n");
    assert!(cached.is_closed());
    assert_eq!(client.ask(&["GET", "k"]), "$1\r\nv\r\n");
}

#[test]
fn connections_to_servers_that_stay_are_kept() {
    let servers = [Server::redis(&[]), Server::redis(&[])];
    let entries = [servers[0].entry("a"), servers[1].entry("b")];
    let port = free_port();
    let config = |timeout: u32, count: usize| {
        let timeout = format!("timeout: {timeout}");
        let lines = ["redis: true", "preconnect: true", &timeout];
        pool("p", port, &lines, &entries[..count])
    };
    let flags = [&FREELY[..], &["--watch-interval", "0s"]].concat();
    let proxy = Proxy::start(&config(5000, 2), &flags);
    // Connections that ask for the list are not the proxy's.
    let connected = |server: &Server| -> Vec<String> {
        let list = server.client().ask(&["CLIENT", "LIST"]);
        let lines = list.lines().filter(|line| line.starts_with("id=") && !line.contains("|list"));
        lines.filter_map(|line| line.split(' ').next().map(ToOwned::to_owned)).collect()
    };
    // Two workers with a connection each.
    wait_until("the connections are there", || {
        servers.iter().all(|server| connected(server).len() == 2)
    });
    let before = servers.each_ref().map(connected);
    let mut client = Client::connect(port);
    for turn in 0..20 {
        replace(&proxy.file, &config(6000 + turn, 2));
        assert_eq!(proxy.post("/mgmt/v1/reload").status, 200);
        assert_eq!(client.ask(&["SET", &format!("k{turn}"), "v"]), "+OK\r\n");
    }
    assert_eq!(servers.each_ref().map(connected), before);

    replace(&proxy.file, &config(7000, 1));
    assert_eq!(proxy.post("/mgmt/v1/reload").status, 200);
    wait_until("the connections to the removed server close", || connected(&servers[1]).is_empty());
    assert_eq!(connected(&servers[0]), before[0]);
}

#[test]
fn an_ejected_server_of_a_strict_pool_returns_after_a_reload() {
    let mut server = Server::redis(&[]);
    let port = free_port();
    let config = |timeout: &str| {
        let lines = [
            "redis: true",
            "compat: strict",
            "auto_eject_hosts: true",
            "server_failure_limit: 1",
            "server_retry_timeout: 200",
            timeout,
        ];
        pool("p", port, &lines, &[server.entry("a")])
    };
    let (first, second) = (config("timeout: 5000"), config("timeout: 5001"));
    let proxy = Proxy::start(&first, &["--watch-interval", "0s"]);
    server.kill();
    let mut client = Client::connect(port);
    assert_eq!(client.ask(&["GET", "k"]), "-ERR Connection refused\r\n");
    replace(&proxy.file, &second);
    assert_eq!(proxy.post("/mgmt/v1/reload").status, 200);
    server.revive();
    wait_until("the server is taken back", || client.ask(&["GET", "k"]) == "$-1\r\n");
}

#[test]
fn a_pool_that_listens_anew_closes_its_clients_after_their_replies() {
    let server = Server::redis(&[]);
    let [old, new] = [free_port(), free_port()];
    let config = |port: u16| pool("p", port, &["redis: true"], &[server.entry("a")]);
    let proxy = Proxy::start(&config(old), &["--watch-interval", "0s"]);
    let mut client = Client::connect(old);
    client.ask(&["SET", "k", "v"]);
    replace(&proxy.file, &config(new));
    assert_eq!(proxy.post("/mgmt/v1/reload").status, 200);
    assert!(client.is_closed());
    assert!(Client::try_connect(old).is_err());
    let mut client = Client::connect(new);
    client.send(&request(&["GET", "k"]));
    let outcome = client.outcome(Protocol::Redis, 1, std::time::Duration::from_secs(5));
    assert_eq!((outcome.bytes.as_slice(), outcome.end), (&b"$1\r\nv\r\n"[..], End::Open));
}
