//! What is too much: it gets an error, costs no memory, and harms nobody else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use ambassador_proxy::config::Protocol;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::support::{Client, Proxy, Server, free_port, request, wait_until};

const MIB: u64 = 1 << 20;
/// Growth of memory that is no growth: allocators keep some.
const NOISE: u64 = 16 * MIB;
/// Idle clients, if the system allows so many descriptors.
const IDLE: u64 = 10_000;

struct Setting {
    servers: [Server; 2],
    redis: u16,
    cache: u16,
    proxy: Proxy,
}

fn setting(lines: &str, flags: &[&str]) -> Setting {
    let servers = [Server::redis(&[]), Server::memcached(&["-I", "8m", "-m", "256"])];
    let [redis, cache] = [free_port(), free_port()];
    let config = format!(
        "redis:\n  listen: 127.0.0.1:{redis}\n  redis: true\n{lines}  servers:\n{}\
         cache:\n  listen: 127.0.0.1:{cache}\n{lines}  servers:\n{}",
        servers[0].entry("a"),
        servers[1].entry("b"),
    );
    let proxy = Proxy::start(&config, flags);
    Setting { servers, redis, cache, proxy }
}

#[test]
fn hostile_requests_get_an_error_and_cost_nothing() {
    let Setting { servers: _servers, redis, cache, proxy } = setting("", &[]);
    let long = "x".repeat(100 * 1024);
    let nested = "*1\r\n".repeat(1000);
    let cases: &[(u16, &str, &str)] = &[
        (redis, "*2000000000\r\n", "-ERR Protocol error"),
        (redis, "*99999999999999999999999\r\n", "-ERR Protocol error"),
        (redis, "*2\r\n$3\r\nGET\r\n$2000000000\r\n", "-ERR Protocol error"),
        (redis, "*2\r\n$3\r\nGET\r\n$-5\r\n", "-ERR Protocol error"),
        (redis, &nested, "-ERR Protocol error"),
        (redis, &long, "-ERR Protocol error"),
        (redis, "GET \"unbalanced\r\n", "-ERR Protocol error"),
        (cache, &long, "CLIENT_ERROR"),
        (cache, "set k 0 0 1\r\nxxxx\r\n", "CLIENT_ERROR"),
    ];
    let open: &[(u16, &str)] = &[
        (redis, "*1048576\r\n$536870912\r\n"),
        (redis, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"),
        (redis, "*2\r\n$536870912\r\n"),
        (cache, "set k 0 0 8000000\r\n"),
        (cache, "ms k 536870912\r\n"),
    ];
    let before = proxy.resident_bytes();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        for (port, bytes, error) in cases {
            let mut client = Client::connect(*port);
            // It may close before all of it is written.
            let _ = client.stream.write_all(bytes.as_bytes());
            let reply = String::from_utf8(client.rest()).unwrap();
            let start = &bytes[..bytes.len().min(40)];
            assert!(reply.starts_with(error), "{start:?} got {reply:?}");
        }
        for (port, bytes) in open {
            let mut client = Client::connect(*port);
            client.send(bytes.as_bytes());
            waiting.push(client);
        }
    }
    let after = proxy.resident_bytes();
    assert!(after < before + NOISE, "memory went from {before} to {after}");
    assert_eq!(Client::connect(redis).ask(&["SET", "k", "v"]), "+OK\r\n");
    assert_eq!(Client::connect(cache).ask_memcache("get k\r\n"), "END\r\n");
}

/// Servers answer everything with these bytes, then close.
#[test]
fn hostile_replies_cost_their_connection_only() {
    // What has begun to be passed on can only be ended by closing the client, too.
    let replies: &[(&[u8], bool)] = &[
        (b"*2000000000\r\n", false),
        (b"$99999999999999\r\n", true),
        (&b"*1\r\n".repeat(100_000), true),
        (b"hello\r\n", false),
        (b"$5\r\nabcdefgh\r\n", false),
        (&b"+".repeat(4 << 20), false),
        (b"", false),
    ];
    for (reply, closes) in replies {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = server.local_addr().unwrap().port();
        let bytes = reply.to_vec();
        std::thread::spawn(move || {
            for mut stream in server.incoming().map_while(Result::ok) {
                let _ = stream.read(&mut [0; 4096]);
                // It may be closed before it has taken everything.
                let _ = stream.write_all(&bytes);
            }
        });
        let port = free_port();
        let config = format!(
            "p:\n  listen: 127.0.0.1:{port}\n  redis: true\n  timeout: 2000\n  servers:\n   \
             - 127.0.0.1:{upstream}:1\n"
        );
        let proxy = Proxy::start(&config, &["--workers", "1"]);
        let before = proxy.resident_bytes();
        for _ in 0..5 {
            let mut client = Client::connect(port);
            client.send(&[request(&["GET", "k"]), request(&["PING"])].concat());
            let start = reply.escape_ascii().to_string();
            let start = &start[..start.len().min(40)];
            if *closes {
                assert!(!client.rest().ends_with(b"PONG\r\n"), "after {start:?}");
                continue;
            }
            let answer = client.resp().unwrap_or_else(|error| panic!("{start:?}: {error}"));
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with("-ERR "), "{start:?} became {answer:?}");
            assert_eq!(client.resp().unwrap(), b"+PONG\r\n", "after {start:?}");
        }
        let after = proxy.resident_bytes();
        assert!(after < before + NOISE, "memory went from {before} to {after}");
    }
}

#[test]
fn a_pool_takes_as_many_clients_as_it_says() {
    let Setting { servers: _servers, redis, cache, proxy } =
        setting("  client_connections: 3\n", &[]);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(redis)).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    }
    let refused = Client::connect(redis).rest();
    assert_eq!(refused, b"-ERR max number of clients reached\r\n");
    // Each pool counts its own.
    let mut others: Vec<Client> = (0..3).map(|_| Client::connect(cache)).collect();
    for client in &mut others {
        // Each has been accepted before the next one comes.
        assert_eq!(client.ask_memcache("get k\r\n"), "END\r\n");
    }
    assert_eq!(Client::connect(cache).rest(), b"SERVER_ERROR max number of clients reached\r\n");
    assert_eq!(proxy.metric("ambassador_proxy_proxy_refused_clients_total"), 2.0);
    clients.pop();
    wait_until("there is room again", || {
        let mut client = Client::connect(redis);
        client.send(&request(&["PING"]));
        client.resp().is_ok_and(|reply| reply == b"+PONG\r\n")
    });
}

#[test]
fn values_of_100_mb_pass_through() {
    let Setting { servers: _servers, redis, proxy, .. } = setting("", &[]);
    let size = 100 * MIB as usize;
    let peak = || {
        let path = format!("/proc/{}/status", proxy.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    };
    let before = peak();
    let piece: Vec<u8> = (0..MIB as usize).map(|at| (at % 251) as u8).collect();
    let mut client = Client::connect(redis);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${size}\r\n").as_bytes());
    for _ in 0..100 {
        client.send(&piece);
    }
    client.send(b"\r\n");
    assert_eq!(client.resp().unwrap(), b"+OK\r\n");
    // The same connection, and small requests around it, stay in order.
    client.send(&[request(&["PING"]), request(&["GET", "k"]), request(&["STRLEN", "k"])].concat());
    let mut head = vec![0; 7 + format!("${size}\r\n").len()];
    client.stream.read_exact(&mut head).unwrap();
    assert_eq!(head, format!("+PONG\r\n${size}\r\n").as_bytes());
    let mut read = vec![0; piece.len()];
    for _ in 0..100 {
        client.stream.read_exact(&mut read).unwrap();
        assert!(read == piece, "the value was changed on its way");
    }
    let mut end = [0; 2];
    client.stream.read_exact(&mut end).unwrap();
    assert_eq!(&end, b"\r\n");
    assert_eq!(client.resp().unwrap(), format!(":{size}\r\n").as_bytes());
    let grown = peak() - before;
    assert!(grown < 64 * MIB, "memory grew by {grown} bytes");
    println!("memory grew by {grown} bytes");
}

/// Whoever does not read is cut off for the sake of others, and only then.
#[test]
fn a_client_that_does_not_read_is_cut_off_only_when_others_wait() {
    let Setting { servers, redis, cache, proxy } = setting("", &["--workers", "1"]);
    let value = "v".repeat(MIB as usize);
    let gets = 64;
    assert_eq!(servers[0].client().ask(&["SET", "k", &value]), "+OK\r\n");
    let set = format!("set k 0 0 {}\r\n{value}\r\n", value.len());
    assert_eq!(servers[1].client().ask_memcache(&set), "STORED\r\n");
    let mut greedy = Client::connect(redis);
    greedy.send(&request(&["GET", "k"]).repeat(gets));
    let mut alone = Client::connect(cache);
    alone.send(&b"get k\r\n".repeat(gets));
    // Its requests are at the servers, and replies fill every buffer on the way back.
    let asked = r#"ambassador_proxy_server_requests_total{pool="redis",server="a"}"#;
    wait_until("the requests are on their way", || proxy.metric(asked) == gets as f64);
    let start = Instant::now();
    let mut other = Client::connect(redis);
    assert_eq!(other.ask(&["STRLEN", "k"]), format!(":{MIB}\r\n"));
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(2), "nobody was cut off: {waited:?}");
    assert_eq!(proxy.metric("ambassador_proxy_proxy_slow_clients_total"), 1.0);
    let rest = greedy.rest();
    assert!(rest.len() < gets * value.len(), "it got everything");
    for _ in 0..gets {
        assert_eq!(
            alone.memcache().unwrap().len(),
            "VALUE k 0 1048576\r\n\r\nEND\r\n".len() + value.len()
        );
    }
}

#[test]
fn ten_thousand_idle_clients_cost_little() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let count = IDLE.min(limit.current.unwrap_or(u64::MAX).saturating_sub(2000));
    let Setting { servers: _servers, redis, proxy, .. } = setting("", &[]);
    let before = proxy.resident_bytes();
    let mut clients: Vec<Client> = (0..count)
        .map(|number| {
            let mut client = Client::connect(redis);
            // Each was busy once.
            client.send(&request(&["SET", &format!("k{number}"), &"v".repeat(500)]));
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.resp().unwrap(), b"+OK\r\n");
    }
    let connected = r#"ambassador_proxy_pool_client_connections{pool="redis"}"#;
    assert_eq!(proxy.metric(connected), count as f64);
    let grown = proxy.resident_bytes() - before;
    assert!(grown < 100 * MIB, "{count} clients cost {grown} bytes");
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.ask(&["PING"]), "+PONG\r\n");
    }
    drop(clients);
    wait_until("they are gone", || proxy.metric(connected) == 0.0);
    println!("{count} clients cost {grown} bytes");
}

/// One client with one long pipeline, whose requests and replies exceed every buffer.
#[test]
fn a_pipeline_without_end_is_answered_in_order() {
    let Setting { servers: _servers, redis, proxy: _proxy, .. } = setting("", &[]);
    let mut client = Client::connect(redis);
    let mut writer = Client { stream: client.stream.try_clone().unwrap(), buffer: Vec::new() };
    let count = 50_000;
    let sender = std::thread::spawn(move || {
        for number in 0..count {
            writer.send(&request(&["ECHO", &format!("{number}")]));
        }
    });
    for number in 0..count {
        let text = number.to_string();
        let reply = client.reply(Protocol::Redis).unwrap();
        assert_eq!(reply, format!("${}\r\n{text}\r\n", text.len()).as_bytes());
    }
    sender.join().unwrap();
}
