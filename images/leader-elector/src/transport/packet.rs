//! How a frame travels: a header in front, an authentication code behind.
//!
//! ```text
//! length u32 | version u16 | kind u8 | group u128 | sequence u64 | payload | code, 16 bytes
//! ```
//!
//! Numbers are big-endian; the length is that of all that follows it. The code is there when members
//! share a secret, and covers everything before it; with TLS below, or nothing, it is left out.
//! Nothing of a payload is looked at before version, sequence, code and group are right.

use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::Refused;
use crate::bootstrap::GroupId;
use crate::wire::PROTOCOL_VERSION;

/// The length field.
const LENGTH_BYTES: usize = 4;
/// Everything before the payload.
pub(super) const HEADER_BYTES: usize = LENGTH_BYTES + 2 + 1 + 16 + 8;
/// Half of a SHA-256: nobody guesses 128 bits within a connection.
const CODE_BYTES: usize = 16;
/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;
/// A buffer that grew beyond this is given back when it is empty.
pub(super) const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Who the sender is; first of all, and again when it changes.
    Hello = 1,
    /// A frame.
    Frame = 2,
}

/// The key of one direction of one connection; none if the connection itself is trusted.
#[derive(Clone)]
pub(super) struct Key(Option<Hmac<Sha256>>);

/// Checks the packets of one connection.
pub(super) struct Checker {
    key: Key,
    sequence: u64,
}

/// A packet that was checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'b> {
    pub(super) kind: Kind,
    pub(super) group: GroupId,
    pub(super) payload: &'b [u8],
}

/// Cuts a stream of bytes into packets.
#[derive(Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
    /// Taken already.
    taken: usize,
}

// === impl Key ===

impl Key {
    pub(super) const NONE: Self = Self(None);

    pub(super) fn new(key: &[u8]) -> Self {
        // A key of any length will do.
        Self(Hmac::new_from_slice(key).ok())
    }

    fn code_bytes(&self) -> usize {
        if self.0.is_some() { CODE_BYTES } else { 0 }
    }

    /// Appends a packet without its code, which [`Key::seal`] adds: whoever queues packets need not
    /// be who has the time to sign them.
    pub(super) fn append(
        &self,
        bytes: &mut Vec<u8>,
        kind: Kind,
        group: GroupId,
        sequence: u64,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        bytes.extend_from_slice(&PROTOCOL_VERSION.to_be_bytes());
        bytes.push(kind as u8);
        bytes.extend_from_slice(&group.0.to_be_bytes());
        bytes.extend_from_slice(&sequence.to_be_bytes());
        payload(bytes);
        bytes.resize(bytes.len() + self.code_bytes(), 0);
        let length = u32::try_from(bytes.len() - start - LENGTH_BYTES).unwrap_or(u32::MAX);
        bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    }

    /// Signs packets that [`Key::append`] made, one after the other.
    pub(super) fn seal(&self, mut bytes: &mut [u8]) {
        let Some(key) = &self.0 else { return };
        while let Some(length) = length(bytes) {
            let (packet, rest) = bytes.split_at_mut(LENGTH_BYTES + length);
            let (signed, code) = packet.split_at_mut(packet.len() - CODE_BYTES);
            let whole = key.clone().chain_update(&*signed).finalize().into_bytes();
            code.copy_from_slice(&whole[..CODE_BYTES]);
            bytes = rest;
        }
    }
}

// === impl Checker ===

impl Checker {
    pub(super) fn new(key: Key) -> Self {
        Self { key, sequence: 0 }
    }

    /// Checks that a whole packet is genuine and the next one.
    pub(super) fn check<'b>(&mut self, packet: &'b [u8]) -> Result<Packet<'b>, Refused> {
        let end = packet.len().checked_sub(self.key.code_bytes()).ok_or(Refused::Garbage)?;
        let (signed, code) = packet.split_at(end);
        let (header, payload) =
            signed.split_first_chunk::<HEADER_BYTES>().ok_or(Refused::Garbage)?;
        let [_, _, _, _, v0, v1, kind, rest @ ..] = *header;
        if u16::from_be_bytes([v0, v1]) != PROTOCOL_VERSION {
            return Err(Refused::Version);
        }
        if let Some(key) = &self.key.0 {
            let genuine = key.clone().chain_update(signed).verify_truncated_left(code);
            genuine.map_err(|_| Refused::Forged)?;
        }
        let (mut group, mut sequence) = ([0; 16], [0; 8]);
        group.copy_from_slice(&rest[..16]);
        sequence.copy_from_slice(&rest[16..]);
        if u64::from_be_bytes(sequence) != self.sequence {
            return Err(Refused::Replayed);
        }
        self.sequence += 1;
        let kind = match kind {
            1 => Kind::Hello,
            2 => Kind::Frame,
            _ => return Err(Refused::Malformed),
        };
        Ok(Packet { kind, group: GroupId(u128::from_be_bytes(group)), payload })
    }
}

// === impl Cutter ===

impl Cutter {
    /// Reads more; how much, 0 at the end of the stream. Nothing is lost when it is cancelled.
    pub(super) async fn fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> std::io::Result<usize> {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(BUFFER_BYTES_KEPT);
        } else {
            self.bytes.drain(..self.taken);
        }
        self.taken = 0;
        // Never what the header asks for: memory grows with what has really come.
        self.bytes.reserve(READ_BYTES);
        stream.read_buf(&mut self.bytes).await
    }

    /// The next whole packet of at most `max` bytes.
    pub(super) fn take(&mut self, max: usize) -> Result<Option<&[u8]>, Refused> {
        let Some(length) = length(&self.bytes[self.taken..]) else { return Ok(None) };
        if length + LENGTH_BYTES > max {
            return Err(Refused::Oversized);
        }
        let range: Range<usize> = self.taken..self.taken + LENGTH_BYTES + length;
        if self.bytes.len() < range.end {
            return Ok(None);
        }
        self.taken = range.end;
        Ok(Some(&self.bytes[range]))
    }
}

/// The length field of the packet at the start of `bytes`.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.first_chunk::<LENGTH_BYTES>()?;
    Some(u32::from_be_bytes(*length) as usize)
}
