//! One client connection: requests in, replies out in the order of the requests.

use std::collections::VecDeque;

use super::buffer::Buffer;
use super::join::Join;
use super::{CLIENT_BYTES_MAX, IN_FLIGHT_MAX, OUT_BYTES_HIGH};
use crate::config::Protocol;
use crate::protocol::{ProtocolError, Scan, memcache, resp};

/// Names a client for the time of its connection; a later client in the same place differs in
/// `generation`, so that a late reply finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId {
    /// Place in the table of clients.
    pub index: u32,
    /// How often the place has been used.
    pub generation: u32,
}

/// The request scanner of the client's protocol.
#[derive(Debug)]
pub(crate) enum Scanner {
    Redis(resp::RequestScan),
    Memcache(memcache::RequestScan),
}

impl Scanner {
    #[inline]
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        match self {
            Scanner::Redis(scan) => scan.scan(bytes),
            Scanner::Memcache(scan) => scan.scan(bytes),
        }
    }

    #[inline]
    pub(crate) fn reset(&mut self) {
        match self {
            Scanner::Redis(scan) => scan.reset(),
            Scanner::Memcache(scan) => scan.reset(),
        }
    }
}

/// The place of one reply in the order of replies.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing has arrived.
    Pending,
    /// Whole, in `parked`.
    Parked { start: usize, end: usize },
    /// Large or joined; `whole` once its end has arrived.
    Own { bytes: Vec<u8>, whole: bool },
    /// First in the order and passed on as it arrives.
    Streaming,
    /// One reply to be made of several.
    Join(Box<Join>),
}

/// What follows the bytes of a large request that is passed on as it arrives.
#[derive(Debug)]
pub(crate) enum Tail {
    Redis(resp::RequestTail),
    Memcache(usize),
}

impl Tail {
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        match self {
            Tail::Redis(tail) => tail.pass(bytes),
            Tail::Memcache(left) => {
                let step = bytes.len().min(*left);
                *left -= step;
                Ok(step)
            }
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Tail::Redis(tail) => tail.is_done(),
            Tail::Memcache(left) => *left == 0,
        }
    }
}

/// A large request on its way through.
#[derive(Debug)]
pub(crate) struct Passing {
    /// The upstream that takes it; `None`: it failed or was refused, and the rest is discarded.
    pub(crate) upstream: Option<u32>,
    pub(crate) tail: Tail,
    /// Bytes the request may still have (`request_max`).
    pub(crate) room: u64,
    /// The reply for when the rest has been discarded.
    pub(crate) refusal: Option<Vec<u8>>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// It does not.
    Open,
    /// When all replies have been sent.
    AfterReplies,
    /// Now; nothing more is sent.
    Now,
}

/// What a client has said about itself, and what it may do.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The password was right, or none is asked for.
    pub(crate) authenticated: bool,
    /// `HELLO 3` was accepted.
    pub(crate) resp3: bool,
    /// `CLIENT SETNAME`.
    pub(crate) name: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// Place of its pool in the fabric.
    pub(crate) pool: usize,
    pub(crate) protocol: Protocol,
    pub(crate) session: Session,
    pub(crate) scanner: Scanner,
    /// Bytes of a request that is not whole yet, or that has to wait.
    pub(crate) remainder: Vec<u8>,
    pub(crate) out: Buffer,
    pub(crate) ending: Ending,
    /// The client sends no more.
    pub(crate) eof: bool,
    /// It has sent requests that get no reply; where those are in the order nobody can tell.
    pub(crate) silent: bool,
    /// No request is taken until all replies before it have been sent on.
    pub(crate) barrier: bool,
    pub(crate) passing: Option<Passing>,
    /// Upstreams that are not read because this client is slow.
    pub(crate) blocks: Vec<u32>,
    pub(crate) blocks_since_us: u64,
    pub(crate) last_input_us: u64,
    /// It has been told to wait; to be listed as resumed when it need not.
    pub(crate) paused: bool,
    /// Whether it is listed as having something to send or to close.
    pub(crate) touched: bool,
    /// Whether it is listed as having unread requests that can be taken now.
    pub(crate) resumed: bool,
    /// Bytes that the fabric's account holds for this client.
    pub(crate) accounted: usize,
    /// Number of the first slot.
    head: u64,
    slots: VecDeque<Slot>,
    /// Small replies that wait for earlier ones; emptied when none waits.
    parked: Vec<u8>,
    parked_slots: u32,
    /// Bytes in slots of their own and in joins.
    held: usize,
}

impl Client {
    pub(crate) fn new(id: ClientId, pool: usize, protocol: Protocol, now_us: u64) -> Client {
        Client {
            id,
            pool,
            protocol,
            session: Session::default(),
            scanner: match protocol {
                Protocol::Redis => Scanner::Redis(resp::RequestScan::default()),
                Protocol::Memcache => Scanner::Memcache(memcache::RequestScan::default()),
            },
            remainder: Vec::new(),
            out: Buffer::default(),
            ending: Ending::Open,
            eof: false,
            silent: false,
            barrier: false,
            passing: None,
            blocks: Vec::new(),
            blocks_since_us: 0,
            last_input_us: now_us,
            paused: false,
            touched: false,
            resumed: false,
            accounted: 0,
            head: 0,
            slots: VecDeque::new(),
            parked: Vec::new(),
            parked_slots: 0,
            held: 0,
        }
    }

    /// Requests without a complete answer.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len()
    }

    /// Whether a further request may be taken now.
    #[inline]
    pub(crate) fn takes_requests(&self) -> bool {
        self.ending == Ending::Open
            && self.slots.len() < IN_FLIGHT_MAX
            && self.out.len() + self.waiting_bytes() < OUT_BYTES_HIGH
            && (!self.barrier || self.slots.is_empty())
    }

    /// Bytes of replies that wait for earlier ones.
    #[inline]
    fn waiting_bytes(&self) -> usize {
        self.parked.len() + self.held
    }

    /// Bytes held for this client.
    #[inline]
    pub(crate) fn footprint(&self) -> usize {
        self.remainder.len() + self.out.len() + self.waiting_bytes()
    }

    /// Whether it holds more than one client may.
    #[inline]
    pub(crate) fn is_over_limit(&self) -> bool {
        self.footprint() > CLIENT_BYTES_MAX
    }

    /// Bytes that only grow while replies wait for their turn.
    pub(crate) fn held_back(&self) -> usize {
        self.waiting_bytes()
    }

    /// Whether the connection can be closed now.
    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        match self.ending {
            Ending::Now => true,
            Ending::AfterReplies => self.slots.is_empty() && self.out.is_empty(),
            Ending::Open => {
                let waits = self.paused || self.resumed;
                self.eof && self.slots.is_empty() && self.out.is_empty() && !waits
            }
        }
    }

    /// Whether what it sends is still of use: also the rest of a large request, when it is to
    /// get its replies and then go.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        match self.ending {
            Ending::Open => true,
            Ending::AfterReplies => self.passing.is_some(),
            Ending::Now => false,
        }
    }

    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending = self.ending.max(ending);
    }

    /// Keeps a place for a reply; returns its number.
    #[inline]
    pub(crate) fn expect_reply(&mut self) -> u64 {
        self.slots.push_back(Slot::Pending);
        self.head + self.slots.len() as u64 - 1
    }

    /// Keeps a place for a joined reply.
    pub(crate) fn expect_join(&mut self, join: Join) -> u64 {
        self.held += join.bytes();
        self.slots.push_back(Slot::Join(Box::new(join)));
        self.head + self.slots.len() as u64 - 1
    }

    /// Answers a request here, after all that came before it.
    pub(crate) fn answer(&mut self, reply: &[u8]) {
        if self.slots.is_empty() {
            self.out.extend(reply);
        } else {
            let seq = self.expect_reply();
            self.reply(seq, reply);
        }
    }

    #[inline]
    fn slot(&mut self, seq: u64) -> Option<&mut Slot> {
        self.slots.get_mut(seq.checked_sub(self.head)? as usize)
    }

    /// Takes the whole reply to request `seq`.
    #[inline]
    pub(crate) fn reply(&mut self, seq: u64, reply: &[u8]) {
        if seq == self.head && self.slots.pop_front().is_some() {
            self.out.extend(reply);
            self.head += 1;
            self.settle();
            return;
        }
        let start = self.parked.len();
        let end = start + reply.len();
        if let Some(slot) = self.slot(seq) {
            let before = std::mem::replace(slot, Slot::Parked { start, end });
            if let Slot::Own { bytes, .. } = before {
                // Nobody has seen the beginning of this one; the failure takes its place.
                self.held -= bytes.len();
            }
            self.parked.extend_from_slice(reply);
            self.parked_slots += 1;
        }
    }

    /// Takes the next piece of a large reply; `last` ends it.
    pub(crate) fn reply_piece(&mut self, seq: u64, piece: &[u8], last: bool) {
        if seq == self.head {
            let Some(front) = self.slots.front_mut() else { return };
            *front = Slot::Streaming;
            self.out.extend(piece);
            if last {
                self.slots.pop_front();
                self.head += 1;
                self.settle();
            }
            return;
        }
        let Some(slot) = self.slot(seq) else { return };
        match slot {
            Slot::Own { bytes, whole } => {
                bytes.extend_from_slice(piece);
                *whole = last;
            }
            _ => *slot = Slot::Own { bytes: piece.to_vec(), whole: last },
        }
        self.held += piece.len();
    }

    /// Takes a piece of a fragment of a joined reply.
    pub(crate) fn fragment(&mut self, seq: u64, fragment: u16, piece: &[u8], last: bool) {
        let Some(Slot::Join(join)) = self.slot(seq) else { return };
        join.take(fragment, piece);
        let done = last && join.fragment_done();
        self.held += piece.len();
        if done {
            self.join_done(seq);
        }
    }

    /// Takes the failure of a fragment.
    pub(crate) fn fragment_failed(&mut self, seq: u64, failure: &[u8]) {
        let Some(Slot::Join(join)) = self.slot(seq) else { return };
        join.fail(failure);
        if join.fragment_done() {
            self.join_done(seq);
        }
    }

    fn join_done(&mut self, seq: u64) {
        let index = (seq - self.head) as usize;
        let Some(Slot::Join(mut join)) = self.slots.get_mut(index).map(|slot| {
            // What stands in its place meanwhile is replaced below.
            std::mem::replace(slot, Slot::Pending)
        }) else {
            return;
        };
        self.held -= join.bytes();
        let closes = if index == 0 {
            let closes = join.merge(self.out.tail());
            self.slots.pop_front();
            self.head += 1;
            self.settle();
            closes
        } else {
            let mut bytes = Vec::new();
            let closes = join.merge(&mut bytes);
            self.held += bytes.len();
            self.slots[index] = Slot::Own { bytes, whole: true };
            closes
        };
        if closes {
            // A strict pool: the error is the last thing this client hears.
            self.slots.truncate((seq + 1).saturating_sub(self.head) as usize);
            self.end(Ending::AfterReplies);
        }
    }

    /// Whether part of the reply to `seq` is on its way to the client already.
    pub(crate) fn has_started(&mut self, seq: u64) -> bool {
        matches!(self.slot(seq), Some(Slot::Streaming))
    }

    /// The rest of the first reply will never come, so that nothing after it could be understood:
    /// the client gets what there is, then the connection ends.
    pub(crate) fn break_off(&mut self) {
        self.slots.clear();
        self.parked = Vec::new();
        self.parked_slots = 0;
        self.held = 0;
        self.end(Ending::AfterReplies);
    }

    /// Sends on what has become first in the order.
    #[inline]
    fn settle(&mut self) {
        while let Some(front) = self.slots.front_mut() {
            match front {
                Slot::Parked { start, end } => {
                    self.out.extend(&self.parked[*start..*end]);
                    self.parked_slots -= 1;
                }
                Slot::Own { bytes, whole } => {
                    self.out.extend(bytes);
                    self.held -= bytes.len();
                    if !*whole {
                        *front = Slot::Streaming;
                        break;
                    }
                }
                Slot::Pending | Slot::Streaming | Slot::Join(_) => break,
            }
            self.slots.pop_front();
            self.head += 1;
        }
        if self.parked_slots == 0 {
            if self.parked.capacity() > 16 * 1024 {
                self.parked = Vec::new();
            } else {
                self.parked.clear();
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }
}
