//! One connection to a server: a queue of requests out, a queue of expectations for the replies.

use std::collections::VecDeque;
use std::sync::Arc;

use super::BLOCK_US_MAX;
use super::buffer::Buffer;
use super::client::ClientId;
use super::failure::Failure;
use crate::config::Protocol;
use crate::protocol::memcache::ReplyKind;
use crate::protocol::{ProtocolError, Scan, memcache, resp};
use crate::stats::ServerStats;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;
/// Mark for a reply that is no fragment of a joined one.
pub(crate) const WHOLE: u16 = u16::MAX;

/// Who gets a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The client's request of that number; a fragment of it, or [`WHOLE`].
    Client { id: ClientId, seq: u64, fragment: u16 },
    /// The proxy, which asked something on its own account while connecting.
    Handshake,
    /// Nobody: the request has failed already.
    Nobody,
}

/// A reply that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    pub(crate) to: For,
    pub(crate) kind: ReplyKind,
    pub(crate) deadline_us: u64,
}

/// The reply scanner of the server's protocol.
#[derive(Debug)]
pub(crate) enum Scanner {
    Redis(resp::ReplyScan),
    Memcache(memcache::ReplyScan),
}

impl Scanner {
    #[inline]
    pub(crate) fn scan(&mut self, bytes: &[u8], kind: ReplyKind) -> Result<Scan, ProtocolError> {
        match self {
            Scanner::Redis(scan) => scan.scan(bytes),
            Scanner::Memcache(scan) => scan.scan(bytes, kind),
        }
    }

    #[inline]
    pub(crate) fn reset(&mut self) {
        match self {
            Scanner::Redis(scan) => scan.reset(),
            Scanner::Memcache(scan) => scan.reset(),
        }
    }

    pub(crate) fn passable(&self, available: usize) -> usize {
        match self {
            Scanner::Redis(scan) => scan.passable(available),
            Scanner::Memcache(scan) => scan.passable(available),
        }
    }

    pub(crate) fn took(&mut self, taken: usize) {
        match self {
            Scanner::Redis(scan) => scan.took(taken),
            Scanner::Memcache(scan) => scan.took(taken),
        }
    }
}

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// There is none; the driver is to connect.
    Down,
    /// Under way.
    Connecting,
    /// Up.
    Up,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Place of its pool in the fabric.
    pub(crate) pool: usize,
    /// Place of its server in the pool; `None`: the pool has lost the server, finish and close.
    pub(crate) server: Option<usize>,
    pub(crate) shared: Arc<crate::health::Server>,
    pub(crate) stats: Arc<ServerStats>,
    pub(crate) resp3: bool,
    pub(crate) link: Link,
    pub(crate) out: Buffer,
    /// Bytes at the front of `out` that belong to the handshake. What follows waits for its end.
    pub(crate) handshake_bytes: usize,
    pub(crate) handshake_replies: u32,
    pub(crate) fifo: VecDeque<Expect>,
    /// Expectations at the front of `fifo` whose time is over.
    pub(crate) expired: usize,
    /// Bytes of a reply that is not whole yet.
    pub(crate) remainder: Vec<u8>,
    pub(crate) scanner: Scanner,
    /// The head of the fifo is passed on piece by piece.
    pub(crate) streaming: bool,
    /// Clients that are too slow for what comes from here.
    pub(crate) blocked_by: u32,
    /// The client whose large request has this connection for itself.
    pub(crate) owner: Option<ClientId>,
    /// That client's request has its reply: free when all is sent.
    pub(crate) release_when_sent: bool,
    /// Requests put in `out` since it was last empty.
    pub(crate) unsent: u64,
    pub(crate) touched: bool,
    pub(crate) resumed: bool,
    /// Closed as far as the core is concerned; the driver is to drop the socket.
    pub(crate) dead: bool,
    pub(crate) accounted: usize,
    /// Time limit of the pool, in µs.
    pub(crate) timeout_us: Option<u64>,
    /// Connecting must be over by then.
    pub(crate) connect_deadline_us: u64,
}

impl Upstream {
    pub(crate) fn new_scanner(protocol: Protocol) -> Scanner {
        match protocol {
            Protocol::Redis => Scanner::Redis(resp::ReplyScan::default()),
            Protocol::Memcache => Scanner::Memcache(memcache::ReplyScan::default()),
        }
    }

    /// What may be written now.
    #[inline]
    pub(crate) fn sendable(&self) -> &[u8] {
        let pending = self.out.pending();
        if self.handshake_replies > 0 {
            &pending[..self.handshake_bytes.min(pending.len())]
        } else {
            pending
        }
    }

    /// Some of it was written.
    #[inline]
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.out.consume(bytes);
        self.handshake_bytes = self.handshake_bytes.saturating_sub(bytes);
        if self.out.is_empty() {
            self.unsent = 0;
        }
    }

    /// The next time at which something expires.
    pub(crate) fn next_deadline_us(&self) -> u64 {
        let connect = match self.link {
            Link::Connecting => self.connect_deadline_us,
            Link::Down | Link::Up => NEVER,
        };
        if self.blocked_by > 0 {
            // What is not read cannot be late; `restart_clocks` follows.
            return connect;
        }
        let next = self.fifo.get(self.expired).map_or(NEVER, |expect| expect.deadline_us);
        let last = match (self.expired, self.fifo.front(), self.timeout_us) {
            (1.., Some(head), Some(timeout)) => head.deadline_us.saturating_add(timeout),
            _ => NEVER,
        };
        connect.min(next).min(last)
    }

    /// How long a client may keep this connection from being read for others, in µs.
    pub(crate) fn patience_us(&self) -> u64 {
        self.timeout_us.map_or(BLOCK_US_MAX, |timeout| BLOCK_US_MAX.min(timeout / 2))
    }

    /// Reading goes on after a client has kept it from being read, which was not the server's
    /// fault: it gets the time of a request anew. Returns the first deadline.
    pub(crate) fn restart_clocks(&mut self, now_us: u64) -> u64 {
        if let Some(timeout) = self.timeout_us {
            for expect in self.fifo.iter_mut().filter(|expect| expect.deadline_us != NEVER) {
                expect.deadline_us = expect.deadline_us.max(now_us + timeout);
            }
        }
        self.next_deadline_us()
    }

    /// Whether anyone but `client` waits for a reply.
    pub(crate) fn others_wait(&self, client: ClientId) -> bool {
        self.fifo.iter().any(|expect| match expect.to {
            For::Client { id, .. } => id != client,
            For::Handshake | For::Nobody => false,
        })
    }

    pub(crate) fn footprint(&self) -> usize {
        self.out.len() + self.remainder.len()
    }

    /// Whether nothing is on its way in either direction, nor part of a large request to come.
    pub(crate) fn is_idle(&self) -> bool {
        self.fifo.is_empty() && self.out.is_empty() && self.owner.is_none()
    }
}

/// What became of a request that was to be sent.
pub(crate) type Sent = Result<(), Failure>;
