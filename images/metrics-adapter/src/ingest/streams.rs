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

/// Connections of all listeners together; more are closed at once.
const CONNECTIONS_MAX: usize = if cfg!(test) { 8 } else { 1024 };
/// Connections taken before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Bytes of one read.
const READ_BYTES: usize = 64 << 10;

/// All connections, and the sockets they come from.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) listeners: Vec<Connections>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
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
}

/// What ended a connection.
enum Ended {
    Well,
    Failed,
    LongLine,
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(listeners: Vec<Connections>, first_token: usize) -> Self {
        // Without listeners nothing is ever read.
        let room = vec![0; if listeners.is_empty() { 0 } else { READ_BYTES }];
        Self { listeners, slots: Vec::new(), free: Vec::new(), first_token, room }
    }

    /// Puts a connection into the queue, unless it stands there.
    pub(super) fn queue(&mut self, token: Token, ready: &mut VecDeque<Token>) {
        if let Some(Some(connection)) = self.slots.get_mut(token.0 - self.first_token)
            && !std::mem::replace(&mut connection.ready, true)
        {
            ready.push_back(token);
        }
    }

    /// Puts all connections into the queue.
    pub(super) fn queue_all(&mut self, ready: &mut VecDeque<Token>) {
        for slot in 0..self.slots.len() {
            self.queue(Token(self.first_token + slot), ready);
        }
    }

    /// Takes connections of a listener.
    pub(super) fn accept(
        &mut self,
        index: usize,
        registry: &Registry,
        ready: &mut VecDeque<Token>,
    ) -> Turn {
        let Some(listener) = self.listeners.get(index) else { return Turn::Empty };
        let counts = &listener.counts;
        for _ in 0..ACCEPT_BATCH {
            let mut stream = match listener.socket.accept() {
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
            if self.slots.len() - self.free.len() >= CONNECTIONS_MAX {
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
            let (framing, counts) = (Framing::default(), Arc::clone(counts));
            // Who connects has something to say.
            self.slots[slot] = Some(Connection { stream, framing, counts, ready: true });
            ready.push_back(token);
        }
        Turn::More
    }

    /// Reads once from a connection.
    pub(super) fn read(&mut self, token: Token, ingest: &Ingest, relay: &mut Relay) -> Turn {
        let slot = token.0 - self.first_token;
        let Some(Some(connection)) = self.slots.get_mut(slot) else { return Turn::Empty };
        let ended = match connection.stream.read(&mut self.room) {
            Ok(0) => Ended::Well,
            Ok(read) => match connection.take(&self.room[..read], ingest, relay) {
                Ok(()) => return Turn::More,
                Err(ended) => ended,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Turn::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.ready = false;
                return Turn::Empty;
            }
            Err(_) => Ended::Failed,
        };
        self.close(slot, &ended, ingest, relay);
        Turn::Empty
    }

    /// Closes all connections, none with an error.
    pub(super) fn close_all(&mut self, ingest: &Ingest, relay: &mut Relay) {
        for slot in 0..self.slots.len() {
            self.close(slot, &Ended::Well, ingest, relay);
        }
    }

    /// What has no line feed yet is the last line of a connection that ends well.
    fn close(&mut self, slot: usize, ended: &Ended, ingest: &Ingest, relay: &mut Relay) {
        let Some(connection) = self.slots[slot].take() else { return };
        self.free.push(slot);
        let Connection { framing, counts, .. } = connection;
        counts.open.set(counts.open.get() - 1);
        match ended {
            Ended::LongLine => counts.long_lines.add(1),
            Ended::Failed => counts.connection_errors.add(1),
            Ended::Well => framing.finish(|line| {
                ingest.lock().take(counts.protocol, line);
                if counts.protocol == Protocol::Statsd {
                    relay.lines(line);
                }
            }),
        }
    }
}

// === impl Connection ===

impl Connection {
    fn take(&mut self, bytes: &[u8], ingest: &Ingest, relay: &mut Relay) -> Result<(), Ended> {
        let counts = &self.counts;
        counts.packets.add(1);
        counts.bytes.add(bytes.len() as u64);
        let mut locked = ingest.lock();
        locked.core.begin();
        let framed = self.framing.read(bytes, |lines| {
            locked.take(counts.protocol, lines);
            if counts.protocol == Protocol::Statsd {
                relay.lines(lines);
            }
        });
        framed.map_err(|_| Ended::LongLine)
    }
}
