//! The end of the process, and the drain before it: nobody who asks in time is let down.

use std::time::{Duration, Instant};

use ambassador_proxy::config::Protocol;
use rustix::process::Signal;

use crate::support::{Client, Load, Proxy, Server, free_port, http, request, wait_until};

/// Long before a grace of 30 s is over.
const EARLY: Duration = Duration::from_secs(15);

struct Setting {
    servers: [Server; 2],
    ports: [u16; 2],
    proxy: Proxy,
}

fn setting(grace: &str) -> Setting {
    let servers = [Server::redis(&[]), Server::memcached(&[])];
    let ports = [free_port(), free_port()];
    let config = format!(
        "redis:\n  listen: 127.0.0.1:{}\n  redis: true\n  servers:\n{}\
         cache:\n  listen: 127.0.0.1:{}\n  servers:\n{}",
        ports[0],
        servers[0].entry("a"),
        ports[1],
        servers[1].entry("b"),
    );
    let proxy = Proxy::start(&config, &["--grace", grace]);
    Setting { servers, ports, proxy }
}

fn load(setting: &Setting, clients: usize) -> Load {
    let [redis, cache] = setting.ports;
    Load::start(clients, &[(Protocol::Redis, redis), (Protocol::Memcache, cache)])
}

#[test]
fn sigterm_under_load_fails_no_request() {
    let mut setting = setting("20s");
    let load = load(&setting, 20);
    setting.proxy.signal(Signal::TERM);
    wait_until("it is not ready", || setting.proxy.ready_status() == 503);
    wait_until("it accepts nobody", || Client::try_connect(setting.ports[0]).is_err());
    // Clients go on asking, and leave within the grace.
    load.wait_for_rounds(1000);
    assert!(setting.proxy.is_running());
    let answered = load.finish();
    let left = Instant::now();
    assert_eq!(setting.proxy.wait().code(), Some(0));
    assert!(left.elapsed() < EARLY, "it did not end when the last client had gone");
    println!("{answered} requests answered");
}

#[test]
fn idle_clients_do_not_hold_up_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut setting = setting("30s");
        let mut idle: Vec<Client> =
            setting.ports.iter().cycle().take(10).map(|port| Client::connect(*port)).collect();
        idle[0].ask(&["SET", "k", "v"]);
        idle[1].ask_memcache("get k\r\n");
        let start = Instant::now();
        setting.proxy.signal(signal);
        assert_eq!(setting.proxy.wait().code(), Some(0));
        assert!(start.elapsed() < EARLY, "{signal:?}");
        for client in &mut idle {
            assert!(client.is_closed());
        }
    }
}

#[test]
fn the_grace_ends_requests_that_nobody_answers() {
    let mut setting = setting("2s");
    setting.servers[0].freeze();
    let mut client = Client::connect(setting.ports[0]);
    client.send(&request(&["GET", "k"]));
    let sent = r#"ambassador_proxy_server_requests_total{pool="redis",server="a"}"#;
    wait_until("the request is on its way", || setting.proxy.metric(sent) == 1.0);
    let start = Instant::now();
    setting.proxy.signal(Signal::TERM);
    assert_eq!(setting.proxy.wait().code(), Some(0));
    assert!(start.elapsed() > Duration::from_secs(1), "it waited for nothing");
    assert!(start.elapsed() < EARLY);
    assert!(client.is_closed());
    assert!(setting.proxy.log().contains("in_flight: 1"), "{}", setting.proxy.log());
}

#[test]
fn a_request_on_its_way_is_answered_before_the_end() {
    let mut setting = setting("30s");
    setting.servers[0].freeze();
    let mut client = Client::connect(setting.ports[0]);
    client.send(&request(&["SET", "k", "v"]));
    let sent = r#"ambassador_proxy_server_requests_total{pool="redis",server="a"}"#;
    wait_until("the request is on its way", || setting.proxy.metric(sent) == 1.0);
    setting.proxy.signal(Signal::TERM);
    wait_until("it is not ready", || setting.proxy.ready_status() == 503);
    setting.servers[0].thaw();
    assert_eq!(client.resp().unwrap(), b"+OK\r\n");
    assert!(client.is_closed());
    assert_eq!(setting.proxy.wait().code(), Some(0));
}

#[test]
fn the_third_signal_ends_it_at_once() {
    let mut setting = setting("30s");
    let busy = load(&setting, 2);
    for expected in ["drain", "drain", "abort"] {
        let from = setting.proxy.log().matches("signal received").count();
        assert!(setting.proxy.is_running(), "before {expected}");
        setting.proxy.signal(Signal::TERM);
        wait_until("the signal is seen", || {
            setting.proxy.log().matches("signal received").count() > from
                || !setting.proxy.is_running()
        });
        if expected == "drain" {
            busy.wait_for_rounds(10);
        }
    }
    assert_eq!(setting.proxy.wait().code(), Some(1));
    busy.abandon();
}

#[test]
fn a_drain_can_be_undone() {
    let setting = setting("30s");
    let load = load(&setting, 4);
    let [redis, cache] = setting.ports;
    for _ in 0..3 {
        assert_eq!(setting.proxy.post("/mgmt/v1/lifecycle/drain").status, 202);
        wait_until("it is not ready", || setting.proxy.ready_status() == 503);
        for port in [redis, cache] {
            wait_until("it accepts nobody", || Client::try_connect(port).is_err());
        }
        assert_eq!(http(setting.proxy.probe, "GET", "/livez").unwrap().status, 200);
        load.wait_for_rounds(40);
        assert_eq!(setting.proxy.post("/mgmt/v1/lifecycle/drain").status, 200);
        assert_eq!(setting.proxy.post("/mgmt/v1/lifecycle/undrain").status, 202);
        wait_until("it is ready", || setting.proxy.ready_status() == 200);
        wait_until("it accepts again", || Client::try_connect(cache).is_ok());
        let mut client = Client::connect(redis);
        assert_eq!(client.ask(&["SET", "k", "v"]), "+OK\r\n");
    }
    load.finish();
}

#[test]
fn a_shutdown_can_be_asked_for() {
    let mut setting = setting("30s");
    assert_eq!(setting.proxy.post("/mgmt/v1/lifecycle/shutdown").status, 202);
    assert_eq!(setting.proxy.wait().code(), Some(0));
}
