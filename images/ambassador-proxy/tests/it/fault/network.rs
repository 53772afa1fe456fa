//! A bad network between the proxy and a server: delays, resets, stalls, half-closes, crumbs.
//!
//! What happens to the nth connection follows from the seed and n.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;

use crate::support::{Random, Server};

/// Longer than twice the timeout of the pools.
const STALL: Duration = Duration::from_millis(500);
/// A fault comes within so many bytes of replies.
const FAULT_WITHIN: usize = 40_000;

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// Nothing.
    Sound,
    /// Every piece comes late.
    Delay(Duration),
    /// Replies come in small pieces.
    Crumbs(usize),
    /// A reset after so many bytes of replies.
    Reset(usize),
    /// The server's side is closed after so many bytes; requests are still taken.
    HalfClose(usize),
    /// Nothing more comes for a while.
    Stall(usize),
    /// Closed at once, before the first byte or between two pieces.
    Close,
}

/// The way to one server.
pub(super) struct Network {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    server: u16,
    /// Whether faults happen.
    bad: AtomicBool,
    connections: AtomicU64,
    faults: AtomicU64,
    /// The proxy's ends of connections that may be open.
    open: Mutex<Vec<TcpStream>>,
}

// === impl Network ===

impl Network {
    pub(super) fn before(server: &Server, seed: u64) -> Network {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            seed,
            server: server.port,
            bad: AtomicBool::new(true),
            connections: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                accept(&accepting, stream);
            }
        });
        Network { port, shared }
    }

    /// Switches faults on or off.
    pub(super) fn set_bad(&self, bad: bool) {
        self.shared.bad.store(bad, Relaxed);
    }

    /// How many faults have happened.
    pub(super) fn faults(&self) -> u64 {
        self.shared.faults.load(Relaxed)
    }

    /// Sends a reply that nobody asked for on every connection; how many took it.
    pub(super) fn send_stray(&self, reply: &[u8]) -> usize {
        let open = std::mem::take(&mut *self.shared.open.lock().unwrap());
        open.into_iter().filter_map(|mut stream| stream.write_all(reply).ok()).count()
    }
}

fn accept(shared: &Arc<Shared>, proxy: TcpStream) {
    let number = shared.connections.fetch_add(1, Relaxed);
    let mut random = Random::new(shared.seed.wrapping_add(number << 8));
    let plan = if shared.bad.load(Relaxed) { plan(&mut random) } else { Plan::Sound };
    let server = TcpStream::connect(("127.0.0.1", shared.server));
    let (Ok(server), false) = (server, matches!(plan, Plan::Close)) else {
        shared.faults.fetch_add(1, Relaxed);
        return;
    };
    for stream in [&proxy, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (requests, sink) = (proxy.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || pass_requests(requests, sink));
    let shared = Arc::clone(shared);
    shared.open.lock().unwrap().push(proxy.try_clone().unwrap());
    std::thread::spawn(move || {
        pass_replies(&shared, plan, &mut random, &server, &proxy);
        let _ = server.shutdown(Shutdown::Both);
    });
}

fn plan(random: &mut Random) -> Plan {
    let within = random.below(FAULT_WITHIN);
    match random.below(8) {
        0 => Plan::Sound,
        1 => Plan::Delay(Duration::from_millis(1 + random.below(15) as u64)),
        2 => Plan::Crumbs(1 + random.below(9)),
        3 | 4 => Plan::Reset(within),
        5 => Plan::HalfClose(within),
        6 => Plan::Stall(within),
        _ => Plan::Close,
    }
}

fn pass_requests(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = [0; 65536];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Passes replies on until the plan or either side ends it; nothing that fails here matters.
fn pass_replies(
    shared: &Shared,
    mut plan: Plan,
    random: &mut Random,
    mut from: &TcpStream,
    mut to: &TcpStream,
) -> Option<()> {
    let (mut piece, mut passed) = ([0; 16384], 0);
    loop {
        let length = from.read(&mut piece).ok().filter(|length| *length > 0)?;
        let bytes = &piece[..length];
        let bad = shared.bad.load(Relaxed);
        // Where in this piece the fault comes, if it does.
        let due =
            |after: usize| (bad && passed + length > after).then(|| after.saturating_sub(passed));
        match plan {
            Plan::Close if bad => return None,
            Plan::Delay(delay) if bad => {
                std::thread::park_timeout(delay);
                to.write_all(bytes).ok()?;
            }
            Plan::Crumbs(size) if bad => {
                // Large replies would take all day in the smallest pieces.
                let size = size.max(length / 64) + random.below(3);
                for crumb in bytes.chunks(size) {
                    to.write_all(crumb).ok()?;
                }
            }
            Plan::Reset(after) if due(after).is_some() => {
                shared.faults.fetch_add(1, Relaxed);
                to.write_all(&bytes[..due(after)?]).ok()?;
                SockRef::from(to).set_linger(Some(Duration::ZERO)).ok()?;
                let _ = from.shutdown(Shutdown::Both);
                forget(shared, to);
                return None;
            }
            Plan::HalfClose(after) if due(after).is_some() => {
                shared.faults.fetch_add(1, Relaxed);
                to.write_all(&bytes[..due(after)?]).ok()?;
                to.shutdown(Shutdown::Write).ok()?;
                while from.read(&mut piece).is_ok_and(|length| length > 0) {}
                return None;
            }
            Plan::Stall(after) if due(after).is_some() => {
                shared.faults.fetch_add(1, Relaxed);
                let at = due(after)?;
                to.write_all(&bytes[..at]).ok()?;
                std::thread::park_timeout(STALL);
                to.write_all(&bytes[at..]).ok()?;
                passed = FAULT_WITHIN;
            }
            _ => to.write_all(bytes).ok()?,
        }
        passed += length;
        if bad && passed > FAULT_WITHIN {
            // Whatever went well for so long goes on in another way.
            (plan, passed) = (self::plan(random), 0);
        }
    }
}

/// Closes our other handle of a connection, so that dropping this one resets it.
fn forget(shared: &Shared, stream: &TcpStream) {
    let peer = stream.peer_addr().ok();
    shared.open.lock().unwrap().retain(|other| other.peer_addr().ok() != peer);
    // The thread that passes requests has a handle as well; a shutdown ends it.
    let _ = stream.shutdown(Shutdown::Read);
}
