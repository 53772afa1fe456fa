//! Servers that hang, die and come back.

use std::time::Duration;

use ambassador_proxy::config::Protocol;

use crate::support::{
    Client, DeadPort, Nutcracker, Proxy, Server, free_port, http, keys_of, request, wait_until,
};

const REFUSED: &str = "-ERR Connection refused\r\n";
const HOST_DOWN: &str = "-ERR Host is down\r\n";

/// Two servers, `a` and `b`, behind one pool.
struct Pair {
    servers: [Server; 2],
    port: u16,
    config: String,
}

impl Pair {
    fn new(protocol: Protocol, lines: &[&str]) -> Pair {
        let servers = [Server::start(protocol, &[]), Server::start(protocol, &[])];
        let port = free_port();
        let redis = protocol == Protocol::Redis;
        let mut config = format!("p:\n  listen: 127.0.0.1:{port}\n  redis: {redis}\n");
        for line in lines {
            config += &format!("  {line}\n");
        }
        config = config + "  servers:\n" + &servers[0].entry("a") + &servers[1].entry("b");
        Pair { servers, port, config }
    }

    fn key(&self, label: &str) -> String {
        keys_of(&self.config, "p", label).remove(0)
    }

    fn live(proxy: &Proxy, label: &str) -> bool {
        let series = "ambassador_proxy_server_live{pool=\"p\",server=";
        proxy.metric(&format!("{series}\"{label}\"}}")) == 1.0
    }
}

fn ejecting(limit: u32, more: &[&'static str]) -> Vec<String> {
    let mut lines = vec![
        "auto_eject_hosts: true".to_owned(),
        "server_retry_timeout: 300".to_owned(),
        format!("server_failure_limit: {limit}"),
    ];
    lines.extend(more.iter().map(ToString::to_string));
    lines
}

fn pair(limit: u32, more: &[&'static str]) -> Pair {
    let lines = ejecting(limit, more);
    Pair::new(Protocol::Redis, &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_late_reply_costs_its_request_and_nothing_else() {
    let pair = Pair::new(Protocol::Redis, &["timeout: 1000"]);
    let proxy = Proxy::start(&pair.config, &["--workers", "1"]);
    let (a, b) = (pair.key("a"), pair.key("b"));
    let mut client = Client::connect(pair.port);
    for key in [&a, &b] {
        assert_eq!(client.ask(&["SET", key, key]), "+OK\r\n");
    }
    let connections = || {
        let list = pair.servers[1].client().ask(&["CLIENT", "LIST"]);
        let lines = list.lines().filter(|line| line.starts_with("id=") && !line.contains("|list"));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = connections();
    pair.servers[1].freeze();
    client.send(&[request(&["GET", &b]), request(&["GET", &a])].concat());
    assert_eq!(client.resp().unwrap(), b"-ERR Connection timed out\r\n");
    pair.servers[1].thaw();
    assert_eq!(client.resp().unwrap(), format!("${}\r\n{a}\r\n", a.len()).as_bytes());
    assert_eq!(client.ask(&["GET", &b]), format!("${}\r\n{b}\r\n", b.len()));
    assert_eq!(connections(), before, "the connection to the server was given up");
    assert_eq!(proxy.metric("ambassador_proxy_proxy_late_replies_total"), 1.0);
    let timed_out = r#"ambassador_proxy_server_timedout_total{pool="p",server="b"}"#;
    assert_eq!(proxy.metric(timed_out), 1.0);
}

#[test]
fn keys_of_an_ejected_server_move_and_return_without_an_error() {
    let mut pair = pair(2, &[]);
    let proxy = Proxy::start(&pair.config, &[]);
    let b = pair.key("b");
    let mut client = Client::connect(pair.port);
    assert_eq!(client.ask(&["SET", &b, "1"]), "+OK\r\n");
    pair.servers[1].kill();
    let mut errors = 0;
    wait_until("the key moves", || {
        let reply = client.ask(&["GET", &b]);
        let known = [REFUSED, "-ERR unknown\r\n", "-ERR Connection reset by peer\r\n", "$-1\r\n"];
        assert!(known.contains(&reply.as_str()), "{reply}");
        errors += u32::from(reply.starts_with('-'));
        reply == "$-1\r\n"
    });
    assert!(errors >= 1, "ejected without a failure");
    assert!(!Pair::live(&proxy, "b"));
    assert_eq!(client.ask(&["SET", &b, "2"]), "+OK\r\n");
    let ejects = r#"ambassador_proxy_pool_server_ejects_total{pool="p"}"#;
    assert_eq!(proxy.metric(ejects), 1.0);

    // Several retry timeouts pass, and no request is spent on trying.
    let start = std::time::Instant::now();
    wait_until("three retry timeouts are over", || {
        assert_eq!(client.ask(&["GET", &b]), "$1\r\n2\r\n");
        start.elapsed() > Duration::from_millis(1000)
    });
    pair.servers[1].revive();
    wait_until("the key is back", || {
        let reply = client.ask(&["GET", &b]);
        assert!(reply == "$1\r\n2\r\n" || reply == "$-1\r\n", "{reply}");
        reply == "$-1\r\n"
    });
    assert!(Pair::live(&proxy, "b"));
}

#[test]
fn fail_fast_keeps_keys_where_they_are() {
    let mut pair = pair(1, &["eject_mode: fail_fast"]);
    let proxy = Proxy::start(&pair.config, &[]);
    let (a, b) = (pair.key("a"), pair.key("b"));
    let mut client = Client::connect(pair.port);
    assert_eq!(client.ask(&["MSET", &a, "1", &b, "1"]), "+OK\r\n");
    pair.servers[1].kill();
    wait_until("the server is ejected", || client.ask(&["GET", &b]) == HOST_DOWN);
    assert_eq!(client.ask(&["SET", &b, "2"]), HOST_DOWN);
    assert_eq!(client.ask(&["MGET", &a, &b]), HOST_DOWN);
    assert_eq!(client.ask(&["GET", &a]), "$1\r\n1\r\n");
    let found = pair.servers[0].client().ask(&["EXISTS", &b]);
    assert_eq!(found, ":0\r\n", "a key moved");
    pair.servers[1].revive();
    wait_until("the server is back", || {
        let reply = client.ask(&["GET", &b]);
        assert!(reply == HOST_DOWN || reply == "$-1\r\n", "{reply}");
        reply == "$-1\r\n"
    });
    assert!(Pair::live(&proxy, "b"));
}

/// How many errors in a row a client gets, each time the server is tried.
#[test]
fn strict_pools_spend_as_many_errors_as_nutcracker() {
    let mut pair = pair(3, &["compat: strict"]);
    pair.servers[1].kill();
    let b = pair.key("b");
    let count = |port: u16| -> Vec<usize> {
        let mut client = Client::connect(port);
        let (mut rows, mut errors) = (Vec::new(), 0);
        wait_until("the server was tried three times", || {
            match client.ask(&["GET", &b]).as_str() {
                REFUSED => errors += 1,
                "$-1\r\n" if errors > 0 => rows.push(std::mem::take(&mut errors)),
                reply => assert_eq!(reply, "$-1\r\n"),
            }
            rows.len() == 3
        });
        rows
    };
    {
        let _nutcracker = Nutcracker::start(&pair.config.replace("  compat: strict\n", ""));
        assert_eq!(count(pair.port), [3, 3, 3], "nutcracker");
    }
    let _proxy = Proxy::start(&pair.config, &["--workers", "1"]);
    assert_eq!(count(pair.port), [3, 3, 3]);
}

#[test]
fn without_any_server_requests_are_refused() {
    let dead = [DeadPort::new(), DeadPort::new()];
    let port = free_port();
    let config = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  {}\n  servers:\n{}{}",
        ejecting(1, &[]).join("\n  "),
        dead[0].entry("a"),
        dead[1].entry("b")
    );
    let proxy = Proxy::start(&config, &[]);
    let mut client = Client::connect(port);
    wait_until("both servers are ejected", || {
        for key in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(client.ask(&["GET", key]), REFUSED);
        }
        !Pair::live(&proxy, "a") && !Pair::live(&proxy, "b")
    });
    assert_eq!(client.ask(&["GET", "k"]), REFUSED);
    assert_eq!(client.ask(&["MGET", "k", "l", "m"]), REFUSED);
    assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    // It can do nothing about that, so being restarted would not help.
    wait_until("the check fails", || {
        let ready = http(proxy.probe, "GET", "/readyz").unwrap();
        assert_eq!(ready.status, 200, "{}", ready.body);
        ready.body.contains("every server of pool p is ejected")
    });
}

#[test]
fn a_server_that_was_restarted_is_connected_to_again() {
    for protocol in [Protocol::Redis, Protocol::Memcache] {
        let mut pair = Pair::new(protocol, &["timeout: 5000"]);
        let proxy = Proxy::start(&pair.config, &["--workers", "1"]);
        let b = pair.key("b");
        let mut client = Client::connect(pair.port);
        let mut get = || match protocol {
            Protocol::Redis => client.ask(&["GET", &b]),
            Protocol::Memcache => client.ask_memcache(&format!("get {b}\r\n")),
        };
        let nothing = get();
        assert!(["$-1\r\n", "END\r\n"].contains(&nothing.as_str()), "{nothing}");
        pair.servers[1].kill();
        let connections = r#"ambassador_proxy_server_connections{pool="p",server="b"}"#;
        wait_until("the proxy notices", || proxy.metric(connections) == 0.0);
        pair.servers[1].revive();
        assert_eq!(get(), nothing);
    }
}

#[test]
fn a_server_that_dies_fails_what_is_on_its_way() {
    let mut pair = Pair::new(Protocol::Memcache, &[]);
    let proxy = Proxy::start(&pair.config, &["--workers", "1"]);
    let (a, b) = (pair.key("a"), pair.key("b"));
    let mut client = Client::connect(pair.port);
    assert_eq!(client.ask_memcache(&format!("get {b}\r\n")), "END\r\n");
    pair.servers[1].freeze();
    client.send(format!("get {a}\r\nget {b}\r\nget {a}\r\nget {a} {b}\r\nget {a}\r\n").as_bytes());
    assert_eq!(client.memcache().unwrap(), b"END\r\n");
    let sent = r#"ambassador_proxy_server_requests_total{pool="p",server="b"}"#;
    wait_until("the requests are on their way", || proxy.metric(sent) == 3.0);
    pair.servers[1].kill();
    let replies: Vec<String> =
        (0..4).map(|_| String::from_utf8(client.memcache().unwrap()).unwrap()).collect();
    let reset = "SERVER_ERROR Connection reset by peer\r\n";
    assert_eq!(replies, [reset, "END\r\n", reset, "END\r\n"]);
}

#[test]
fn servers_are_found_by_name() {
    let server = Server::redis(&[]);
    let port = free_port();
    let config = format!(
        "p:\n  listen: localhost:{port}\n  redis: true\n  servers:\n   - localhost:{}:1\n",
        server.port
    );
    let _proxy = Proxy::start(&config, &[]);
    assert_eq!(Client::connect(port).ask(&["SET", "k", "v"]), "+OK\r\n");
}
