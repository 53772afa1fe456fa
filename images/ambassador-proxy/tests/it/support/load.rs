//! Clients that ask without pause and believe nothing: each checks that every reply is its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use ambassador_proxy::config::Protocol;

use super::{Client, request, wait_until};

/// Pause of a client between two rounds, so that many of them leave room for the proxy.
const PAUSE: Duration = Duration::from_millis(10);

/// Clients under way.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Result<u64, String>>>,
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
}

// === impl Load ===

impl Load {
    /// Starts `count` clients, in turn on each of `ports`.
    pub(crate) fn start(count: usize, ports: &[(Protocol, u16)]) -> Load {
        let (stop, rounds) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..count).map(|number| {
            let (protocol, port) = ports[number % ports.len()];
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            std::thread::spawn(move || ask_on(protocol, port, number, &stop, &rounds))
        });
        let load = Load { clients: clients.collect(), stop, rounds };
        load.wait_for_rounds(count as u64);
        load
    }

    /// Waits until so many further rounds are done by all clients together.
    pub(crate) fn wait_for_rounds(&self, more: u64) {
        let until = self.rounds.load(Relaxed) + more;
        wait_until("clients make progress", || {
            self.rounds.load(Relaxed) >= until || self.clients.iter().any(JoinHandle::is_finished)
        });
    }

    /// Ends them whatever they met; for tests that take their server away.
    pub(crate) fn abandon(self) {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            // What a client met at the end is of no interest.
            let _ = client.join();
        }
    }

    /// Ends them and tells how many requests were answered; whatever went wrong fails the test.
    pub(crate) fn finish(self) -> u64 {
        self.stop.store(true, Relaxed);
        let results = self.clients.into_iter().map(|client| client.join().unwrap());
        results.map(|result| result.unwrap_or_else(|error| panic!("{error}"))).sum()
    }
}

fn ask_on(
    protocol: Protocol,
    port: u16,
    number: usize,
    stop: &AtomicBool,
    rounds: &AtomicU64,
) -> Result<u64, String> {
    let mut client = Client::try_connect(port).map_err(|error| format!("connect: {error}"))?;
    let mut round = 0;
    while !stop.load(Relaxed) {
        let result = match protocol {
            Protocol::Redis => redis_round(&mut client, number, round),
            Protocol::Memcache => memcache_round(&mut client, number, round),
        };
        result.map_err(|error| format!("client {number}, round {round}: {error}"))?;
        round += 1;
        rounds.fetch_add(1, Relaxed);
        std::thread::park_timeout(PAUSE);
    }
    Ok(round * 4)
}

/// A write, two reads and a read of two keys in one pipeline. A key may have moved to another
/// server since it was written, so nothing, or an older value of ours, is an answer as well.
fn redis_round(client: &mut Client, number: usize, round: u64) -> Result<(), String> {
    let key = |of: u64| format!("c{number}:{}", of % 64);
    let value = format!("{}={round}", key(round));
    let requests = [
        request(&["SET", &key(round), &value]),
        request(&["GET", &key(round)]),
        request(&["GET", &key(round + 1)]),
        request(&["MGET", &key(round), &key(round + 2)]),
    ];
    let fail = |error: io::Error| error.to_string();
    io::Write::write_all(&mut client.stream, &requests.concat()).map_err(fail)?;
    let replies: Result<Vec<_>, _> = (0..4).map(|_| client.resp()).collect();
    let replies = replies.map_err(fail)?;
    let text = |at: usize| String::from_utf8_lossy(&replies[at]).into_owned();
    let mine = |bulk: &str, of: u64| bulk == "$-1" || bulk.contains(&format!("\r\n{}=", key(of)));
    let good = replies[0] == b"+OK\r\n"
        && mine(text(1).trim_end(), round)
        && mine(text(2).trim_end(), round + 1)
        && text(3).starts_with("*2\r\n")
        && text(3).matches('$').count() == 2
        && text(3).matches('=').count() == text(3).matches(&format!("\r\nc{number}:")).count();
    if good { Ok(()) } else { Err(format!("{:?}", (0..4).map(text).collect::<Vec<_>>())) }
}

fn memcache_round(client: &mut Client, number: usize, round: u64) -> Result<(), String> {
    let key = |of: u64| format!("c{number}:{}", of % 64);
    let value = format!("{}={round}", key(round));
    let (one, two, three) = (key(round), key(round + 1), key(round + 2));
    let bytes = format!(
        "set {one} 0 0 {}\r\n{value}\r\nget {one}\r\nget {two}\r\nget {one} {three}\r\n",
        value.len()
    );
    let fail = |error: io::Error| error.to_string();
    io::Write::write_all(&mut client.stream, bytes.as_bytes()).map_err(fail)?;
    let replies: Result<Vec<_>, _> = (0..4).map(|_| client.memcache()).collect();
    let replies = replies.map_err(fail)?;
    let text = |at: usize| String::from_utf8_lossy(&replies[at]).into_owned();
    let mine = |reply: &str, key: &str| {
        let own = reply.starts_with(&format!("VALUE {key} ")) && reply.contains(&format!("{key}="));
        reply == "END\r\n" || own && reply.ends_with("\r\nEND\r\n")
    };
    let values = text(3).matches("VALUE ").count();
    let good = replies[0] == b"STORED\r\n"
        && mine(&text(1), &one)
        && mine(&text(2), &two)
        && text(3).ends_with("END\r\n")
        && values == text(3).matches(&format!("VALUE c{number}:")).count()
        && values == text(3).matches(&format!("\r\nc{number}:")).count();
    if good { Ok(()) } else { Err(format!("{:?}", (0..4).map(text).collect::<Vec<_>>())) }
}
