//! A bad network between the proxy and real servers, and clients that check the one promise:
//! as many replies as requests, in their order, and never another client's.

mod client;
mod network;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use ambassador_proxy::config::Protocol;

use crate::support::{Proxy, Random, Server, free_port, wait_until};
use client::{Asker, Tally};
use network::Network;

const CLIENTS: usize = 12;
/// Times of faults, each followed by a quiet moment with a stray reply on every connection.
const PHASES: usize = 3;
const PHASE: Duration = Duration::from_millis(2000);

/// Lets clients pause and stop.
#[derive(Default)]
struct Baton {
    pause: AtomicBool,
    stop: AtomicBool,
    /// Clients that pause now.
    waiting: AtomicUsize,
}

#[test]
fn redis_replies_reach_whom_they_belong_to() {
    faults(Protocol::Redis, b"+STRAY\r\n");
}

#[test]
fn memcached_replies_reach_whom_they_belong_to() {
    faults(Protocol::Memcache, b"VALUE stray 0 5\r\nSTRAY\r\nEND\r\n");
}

fn faults(protocol: Protocol, stray: &[u8]) {
    let seed = Random::from_environment().next();
    let servers = [Server::start(protocol, &[]), Server::start(protocol, &[])];
    let networks: Vec<Network> = servers
        .iter()
        .enumerate()
        .map(|(at, server)| Network::before(server, seed.wrapping_add((at as u64) << 56)))
        .collect();
    let port = free_port();
    let redis = protocol == Protocol::Redis;
    let mut config = format!(
        "p:\n  listen: 127.0.0.1:{port}\n  redis: {redis}\n  timeout: 200\n  \
         auto_eject_hosts: true\n  server_retry_timeout: 100\n  server_failure_limit: 5\n  servers:\n"
    );
    for (name, network) in ["a", "b"].iter().zip(&networks) {
        config += &format!("   - 127.0.0.1:{}:1 {name}\n", network.port);
    }
    let proxy = Proxy::start(&config, &[]);
    let baton = Arc::<Baton>::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let baton = Arc::clone(&baton);
            let asker = Asker::new(protocol, port, number, seed);
            std::thread::spawn(move || ask(asker, &baton))
        })
        .collect();
    for _ in 0..PHASES {
        let start = Instant::now();
        wait_until("a phase is over", || start.elapsed() >= PHASE);
        pause(&baton, || quiet_moment(&proxy, &networks, stray));
        if clients.iter().any(std::thread::JoinHandle::is_finished) {
            break;
        }
    }
    baton.stop.store(true, SeqCst);
    let tallies: Vec<Tally> = clients
        .into_iter()
        .map(|client| client.join().unwrap().unwrap_or_else(|error| panic!("{error}")))
        .collect();
    let faults: u64 = networks.iter().map(Network::faults).sum();
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    println!(
        "{faults} faults, {} answers, {} errors, {} closes",
        sum(|tally| tally.answers),
        sum(|tally| tally.errors),
        sum(|tally| tally.closes)
    );
    assert!(tallies.iter().all(|tally| tally.answers > 0) && faults > 0);

    // On a good network everything is well again.
    for network in &networks {
        network.set_bad(false);
    }
    let mut asker = Asker::new(protocol, port, CLIENTS, seed);
    wait_until("a hundred pipelines go well in a row", || {
        let before = asker.tally.errors;
        (0..100).all(|_| {
            asker.pipeline().unwrap();
            asker.tally.errors == before
        })
    });
}

fn ask(mut asker: Asker, baton: &Baton) -> Result<Tally, String> {
    while !baton.stop.load(SeqCst) {
        if let Err(error) = asker.pipeline() {
            // Nobody is to wait for a client that is gone.
            baton.waiting.fetch_add(1, SeqCst);
            return Err(error);
        }
        if baton.pause.load(SeqCst) {
            baton.waiting.fetch_add(1, SeqCst);
            while baton.pause.load(SeqCst) {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
    Ok(asker.tally)
}

fn pause(baton: &Baton, then: impl FnOnce()) {
    let before = baton.waiting.load(SeqCst);
    let gone = before % CLIENTS;
    baton.pause.store(true, SeqCst);
    wait_until("all clients pause", || baton.waiting.load(SeqCst) >= before + CLIENTS - gone);
    then();
    baton.pause.store(false, SeqCst);
}

/// With nothing on its way, a reply that nobody asked for must cost its connection.
fn quiet_moment(proxy: &Proxy, networks: &[Network], stray: &[u8]) {
    let queue = |server: &str| {
        let series = "ambassador_proxy_server_out_queue{pool=\"p\",server=";
        proxy.metric(&format!("{series}\"{server}\"}}"))
    };
    wait_until("late replies have come or are given up", || queue("a") + queue("b") == 0.0);
    let strays = || proxy.metric("ambassador_proxy_proxy_stray_replies_total");
    let before = strays();
    for network in networks {
        network.set_bad(false);
    }
    let sent: usize = networks.iter().map(|network| network.send_stray(stray)).sum();
    // Some connections are closed already, though their other end does not know it yet.
    let open = || {
        let connections = |server: &str| {
            let series = "ambassador_proxy_server_connections{pool=\"p\",server=";
            proxy.metric(&format!("{series}\"{server}\"}}"))
        };
        connections("a") + connections("b")
    };
    wait_until("the connections with stray replies are closed", || open() == 0.0);
    println!("{sent} stray replies sent, {} seen", strays() - before);
    for network in networks {
        network.set_bad(true);
    }
}
