//! Passing lines on, as they came, to other statsd servers.
//!
//! Lines are packed until the next would make a packet too long, and sent at least once a second.
//! A target that is down or slow loses lines, counted, and never holds up the reader: nothing here
//! waits. Names are resolved on a thread of their own, once at the start and after each failure.

use std::io;
use std::sync::Arc;

use mio::{Registry, Token, Waker};

use super::counters::{Meter, RelayCounters};

mod address;
mod link;
mod packer;
#[cfg(test)]
mod tests;

use address::{Address, Resolver};
use link::Link;
use packer::Packer;

/// All targets.
#[derive(Debug)]
pub(super) struct Relay {
    packer: Packer,
    links: Vec<Link>,
    resolver: Resolver,
    registry: Registry,
}

/// What a target counts; shared with whoever reads it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    target: String,
    packets: Meter,
    bytes: Meter,
    lines: Meter,
    long_lines: Meter,
    dropped_lines: Meter,
    errors: Meter,
    connected: Meter,
}

// === impl Relay ===

impl Relay {
    /// Nothing is connected before the first [`Relay::tick`]. The tokens from `first_token` on, one
    /// per target, are its own; `waker` is woken when a name has been resolved.
    pub(super) fn new(
        targets: &[String],
        packet_bytes_max: usize,
        registry: Registry,
        waker: Arc<Waker>,
        first_token: usize,
    ) -> anyhow::Result<Self> {
        let links = (first_token..)
            .zip(targets)
            .map(|(token, target)| {
                let counts = Counts { target: target.clone(), ..Counts::default() };
                Ok(Link::new(Address::parse(target)?, Token(token), Arc::new(counts)))
            })
            .collect::<anyhow::Result<_>>()?;
        let packer = Packer::new(packet_bytes_max);
        Ok(Self { packer, links, resolver: Resolver::new(waker), registry })
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = &Arc<Counts>> {
        self.links.iter().map(Link::counts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Takes bytes of whole lines.
    pub(super) fn lines(&mut self, bytes: &[u8]) {
        #[cfg(test)]
        assert!(!super::HELD.get(), "sending while others wait for the locks");
        let links = &mut self.links;
        for line in bytes.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if !self.packer.fits(line) {
                links.iter().for_each(|link| link.counts().long_lines.add(1));
                continue;
            }
            self.packer.push(line, |packet, lines| {
                links.iter_mut().for_each(|link| link.send(packet, lines));
            });
        }
    }

    /// Sends what is packed, and connects what is not connected; to be called once a second.
    pub(super) fn tick(&mut self) {
        self.flush();
        for (index, link) in self.links.iter_mut().enumerate() {
            link.tick(index, &mut self.resolver, &self.registry);
        }
    }

    /// Sends what is packed.
    pub(super) fn flush(&mut self) {
        let links = &mut self.links;
        self.packer.flush(|packet, lines| {
            links.iter_mut().for_each(|link| link.send(packet, lines));
        });
    }

    /// Goes on with what was left for others to have their turn.
    pub(super) fn turn(&mut self) {
        self.links.iter_mut().filter(|link| link.is_unread()).for_each(Link::ready);
    }

    /// Something happened to the socket with this token.
    pub(super) fn ready(&mut self, token: Token) {
        if let Some(link) = self.links.iter_mut().find(|link| link.token() == token) {
            link.ready();
        }
    }

    /// Takes the answers for names.
    pub(super) fn woken(&mut self) {
        while let Some((index, answer)) = self.resolver.answer() {
            if let Some(link) = self.links.get_mut(index) {
                link.resolved(answer, &self.registry);
            }
        }
    }

    /// Whether a packet could still be on its way to a socket.
    pub(super) fn is_busy(&self) -> bool {
        self.links.iter().any(Link::is_busy)
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn reading(&self) -> RelayCounters {
        RelayCounters {
            target: self.target.clone(),
            packets: self.packets.get(),
            bytes: self.bytes.get(),
            lines: self.lines.get(),
            long_lines: self.long_lines.get(),
            dropped_lines: self.dropped_lines.get(),
            errors: self.errors.get(),
            connected: self.connected.get() != 0,
        }
    }

    fn sent(&self, bytes: usize) {
        self.packets.add(1);
        self.bytes.add(bytes as u64);
    }

    fn failed(&self, doing: &'static str, error: &io::Error) {
        self.errors.add(1);
        tracing::debug!(target = self.target, doing, %error, "relay failed");
    }
}
