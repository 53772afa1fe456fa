//! Connections: taken, read in turns, closed.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::Ingest;
use super::counters::Protocol;
use super::framing::Framing;
use super::relay::Relay;
use super::sockets::{Connections, Counts};

#[cfg(test)]
mod tests;

/// Connections of all listeners together; for one more an idle one goes, or it is closed at once.
const CONNECTIONS_MAX: usize = if cfg!(test) { 8 } else { 1024 };
/// Connections taken before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Bytes of one read.
const READ_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };
/// Bytes of a turn of all connections together. Their senders can wait; those of datagrams cannot.
pub(super) const TURN_BYTES: usize = 4 * READ_BYTES;
/// A connection that has said nothing for so many ticks, which is two minutes, may go for another:
/// senders of Graphite speak once in one.
pub(super) const IDLE_TICKS: u32 = 120;

/// All connections, and the sockets they come from.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) listeners: Vec<Connections>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Slots that may have something to read, in the order of their turns.
    ready: VecDeque<usize>,
    ticks: u32,
    /// The token of the first slot.
    first_token: usize,
    /// Room for what is read.
    room: Vec<u8>,
}

/// Whether a source may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    More,
    Empty,
}

/// One stream.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    framing: Framing,
    counts: Arc<Counts>,
    /// It stands in the queue.
    ready: bool,
    /// The tick in which it last said something.
    heard: u32,
}

/// What was left of a connection when it ended well.
struct Last {
    protocol: Protocol,
    framing: Framing,
}

/// What ended a connection.
enum Ended {
    Well,
    Failed,
    LongLine,
    /// It had to go for another.
    Idle,
    /// We end.
    Stopped,
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(listeners: Vec<Connections>, first_token: usize) -> Self {
        // Without listeners nothing is ever read.
        let room = vec![0; if listeners.is_empty() { 0 } else { READ_BYTES }];
        let (slots, free, ready) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { listeners, slots, free, ready, ticks: 0, first_token, room }
    }

    /// Something may be there to read.
    pub(super) fn queue(&mut self, token: Token) {
        self.queue_slot(token.0 - self.first_token);
    }

    /// Puts all connections into the queue.
    pub(super) fn queue_all(&mut self) {
        for slot in 0..self.slots.len() {
            self.queue_slot(slot);
        }
    }

    /// Puts a connection into the queue, unless it stands there.
    fn queue_slot(&mut self, slot: usize) {
        if let Some(Some(connection)) = self.slots.get_mut(slot)
            && !std::mem::replace(&mut connection.ready, true)
        {
            self.ready.push_back(slot);
        }
    }

    /// Whether something may be there to read.
    pub(super) fn are_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// To be called once a second.
    pub(super) fn tick(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
    }

    /// Takes connections of a listener.
    pub(super) fn accept(&mut self, index: usize, registry: &Registry) -> Turn {
        let Some(listener) = self.listeners.get(index) else { return Turn::Empty };
        let counts = Arc::clone(&listener.counts);
        for _ in 0..ACCEPT_BATCH {
            let mut stream = match self.listeners[index].socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Out of descriptors, perhaps: the next tick tries again.
                    counts.connection_errors.add(1);
                    tracing::debug!(address = counts.address, %error, "accepting failed");
                    return Turn::Empty;
                }
            };
            if self.slots.len() - self.free.len() >= CONNECTIONS_MAX && !self.close_idle() {
                counts.connections_refused.add(1);
                continue;
            }
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            let token = Token(self.first_token + slot);
            if let Err(error) = registry.register(&mut stream, token, Interest::READABLE) {
                counts.connection_errors.add(1);
                tracing::debug!(address = counts.address, %error, "registering failed");
                self.free.push(slot);
                continue;
            }
            // A peer that has gone without a word must not keep its place for ever.
            if let Err(error) = socket2::SockRef::from(&stream).set_keepalive(true) {
                tracing::debug!(address = counts.address, %error, "no keepalive");
            }
            counts.connections.add(1);
            counts.open.add(1);
            let (framing, counts) = (Framing::default(), Arc::clone(&counts));
            // Who connects has something to say.
            self.slots[slot] =
                Some(Connection { stream, framing, counts, ready: false, heard: self.ticks });
            self.queue_slot(slot);
        }
        Turn::More
    }

    /// Reads from every connection that is ready, once at most, and [`TURN_BYTES`] in all; those
    /// that have had no turn are the next.
    pub(super) fn turn(&mut self, ingest: &Ingest, relay: &mut Relay, beat: &dyn Fn()) {
        let mut left = TURN_BYTES;
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { return };
            let Some(connection) = &mut self.slots[slot] else { continue };
            let ended = match connection.stream.read(&mut self.room) {
                Ok(0) => Err(Ended::Well),
                Ok(read) => {
                    left = left.saturating_sub(read);
                    connection.heard = self.ticks;
                    connection.take(&self.room[..read], ingest, relay, beat)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.ready = false;
                    continue;
                }
                Err(_) => Err(Ended::Failed),
            };
            match ended {
                Ok(()) => self.ready.push_back(slot),
                Err(Ended::Well) => {
                    if let Some(last) = self.close(slot, &Ended::Well) {
                        last.take(ingest, relay, beat);
                    }
                }
                Err(ended) => drop(self.close(slot, &ended)),
            }
            if left == 0 {
                return;
            }
        }
    }

    /// Closes all connections, none with an error.
    pub(super) fn close_all(&mut self) {
        self.ready.clear();
        for slot in 0..self.slots.len() {
            self.close(slot, &Ended::Stopped);
        }
    }

    /// Closes the connection that has been idle longest, if one has for long enough.
    fn close_idle(&mut self) -> bool {
        let idle = |slot: usize| {
            let connection = self.slots[slot].as_ref().filter(|connection| !connection.ready)?;
            Some((self.ticks.wrapping_sub(connection.heard), slot))
        };
        let longest = (0..self.slots.len()).filter_map(idle).max();
        let Some((IDLE_TICKS.., slot)) = longest else { return false };
        if self.slots[slot].as_ref().is_some_and(Connection::is_unread) {
            // It has just begun to speak; its turn comes.
            self.queue_slot(slot);
            return false;
        }
        self.close(slot, &Ended::Idle);
        true
    }

    /// What has no line feed yet is the last line of a connection that its peer ended well. One that
    /// is ended here may have been about to say more, and half a line might be another.
    fn close(&mut self, slot: usize, ended: &Ended) -> Option<Last> {
        let connection = self.slots[slot].take()?;
        self.free.push(slot);
        let is_cut = connection.framing.is_partial() || connection.is_unread();
        let Connection { framing, counts, .. } = connection;
        counts.open.set(counts.open.get() - 1);
        match ended {
            Ended::LongLine => counts.long_lines.add(1),
            Ended::Failed => counts.connection_errors.add(1),
            Ended::Idle => counts.connections_idle.add(1),
            Ended::Stopped => {}
            Ended::Well => return Some(Last { protocol: counts.protocol, framing }),
        }
        if matches!(ended, Ended::Idle | Ended::Stopped) {
            counts.connections_cut.add(u64::from(is_cut));
        }
        None
    }
}

// === impl Last ===

impl Last {
    fn take(self, ingest: &Ingest, relay: &mut Relay, beat: &dyn Fn()) {
        let Self { protocol, framing } = self;
        framing.finish(|line| {
            ingest.hold(beat).take(protocol, line);
            if protocol == Protocol::Statsd {
                relay.lines(line);
            }
        });
    }
}

// === impl Connection ===

impl Connection {
    /// Whether the kernel has bytes of it.
    fn is_unread(&self) -> bool {
        matches!(self.stream.peek(&mut [0]), Ok(1..))
    }

    fn take(
        &mut self,
        bytes: &[u8],
        ingest: &Ingest,
        relay: &mut Relay,
        beat: &dyn Fn(),
    ) -> Result<(), Ended> {
        let counts = &self.counts;
        counts.packets.add(1);
        counts.bytes.add(bytes.len() as u64);
        let mut hold = ingest.hold(beat);
        hold.begin();
        let framed = self.framing.read(bytes, |lines| {
            hold.take(counts.protocol, lines);
            if counts.protocol == Protocol::Statsd && !relay.is_empty() {
                hold.release();
                relay.lines(lines);
            }
        });
        framed.map_err(|_| Ended::LongLine)
    }
}
