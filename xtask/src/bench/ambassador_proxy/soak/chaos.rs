//! Servers that are killed, stopped and revived at random.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;

use super::super::Bench;
use super::super::servers::start_server;
use super::super::workload::Protocol;
use crate::bench::child::{Child, Port};
use crate::bench::machine::pause;
use crate::bench::random::Random;

/// A server's port stays; its process comes and goes.
struct Server {
    protocol: Protocol,
    port: Port,
    child: Mutex<Option<Child>>,
}

/// All servers of the soak.
pub(super) struct Servers(Vec<Server>);

/// What was done to them.
#[derive(Default)]
pub(super) struct Events {
    pub(super) killed: u32,
    pub(super) stopped: u32,
}

// === impl Servers ===

impl Servers {
    /// Starts so many of each kind.
    pub(super) fn start(bench: &Bench, of_each: usize) -> Result<Self> {
        let kinds = [Protocol::Redis, Protocol::Memcached];
        let kinds = kinds.into_iter().flat_map(|protocol| std::iter::repeat_n(protocol, of_each));
        let servers = kinds.map(|protocol| {
            let port = Port::reserve()?;
            let child = alive(bench, protocol, port.number())?;
            Ok(Server { protocol, port, child: Mutex::new(Some(child)) })
        });
        servers.collect::<Result<_>>().map(Self)
    }

    pub(super) fn ports(&self, protocol: Protocol) -> Vec<u16> {
        let servers = self.0.iter().filter(|server| server.protocol == protocol);
        servers.map(|server| server.port.number()).collect()
    }

    /// Makes trouble until it is over. One server at a time is away for up to 2 s: killed in two
    /// cases of three, else stopped so that its connections stay open but silent.
    pub(super) fn trouble(
        &self,
        bench: &Bench,
        mut random: Random,
        over: &AtomicBool,
    ) -> Result<Events> {
        let mut events = Events::default();
        while wait(over, 200 + random.below(1_500)) {
            let server = &self.0[usize::try_from(random.below(self.0.len() as u64))?];
            let mut child = server.child.lock().map_err(|_| anyhow!("another thread panicked"))?;
            let away = 50 + random.below(2_000);
            let begin = Instant::now();
            let done = if random.below(3) < 2 {
                *child = None;
                events.killed += 1;
                wait(over, away);
                *child = Some(alive(bench, server.protocol, server.port.number())?);
                "killed"
            } else if let Some(child) = child.as_ref() {
                child.signal(Signal::STOP)?;
                events.stopped += 1;
                wait(over, away);
                child.signal(Signal::CONT)?;
                "stopped"
            } else {
                continue;
            };
            let (protocol, port) = (server.protocol, server.port.number());
            let away = begin.elapsed().as_millis();
            println!("soak: {protocol:?} on {port} was {done}, back after {away} ms");
        }
        Ok(events)
    }
}

fn alive(bench: &Bench, protocol: Protocol, port: u16) -> Result<Child> {
    let mut child = start_server(bench, protocol, port, &bench.layout.rest)?;
    child.await_listening(port).context("revive a server")?;
    Ok(child)
}

/// Lets some milliseconds pass; false when it is over.
fn wait(over: &AtomicBool, milliseconds: u64) -> bool {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    while !over.load(Ordering::Relaxed) && Instant::now() < until {
        pause(Duration::from_millis(20));
    }
    !over.load(Ordering::Relaxed)
}
