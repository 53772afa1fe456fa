//! The two wire protocols as resumable scanners: bytes in, frame boundaries out.
//!
//! A scanner never copies, never looks at a byte of a body and never looks at any byte twice: it
//! keeps its place between calls, and the caller keeps the bytes. Nothing is allocated from a
//! declared size; a length only moves the place where the scan goes on.

pub mod commands;
#[cfg(any(test, feature = "simulation"))]
pub mod differential;
pub mod memcache;
pub mod resp;

#[cfg(test)]
mod tests;

/// Most elements of one request (`*N`), as in Redis.
pub const ELEMENTS_MAX: i64 = 1_048_576;
/// Most bytes of one bulk string or memcached value, as in Redis (`proto-max-bulk-len`).
pub const BULK_BYTES_MAX: i64 = 512 * 1024 * 1024;
/// Longest line of a request: an inline Redis command or a memcached command line.
///
/// A memcached `get` of 250 keys of 250 bytes fits; Redis has the same limit for inline commands.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Longest line of a reply.
pub const REPLY_LINE_BYTES_MAX: usize = 1024 * 1024;

/// A piece of a frame, as offsets from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        // A request is held whole only up to `held_bytes_max`, far below 4 GiB.
        Span { start: start as u32, end: end as u32 }
    }

    /// The bytes this span names in `frame`.
    #[inline]
    pub fn of<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        &frame[self.start as usize..self.end as usize]
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span names no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// What a scanner found in the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The frame ends after this many bytes.
    Done(usize),
    /// The frame goes on. At least `need` bytes from its start are necessary to say more, so a
    /// caller can tell a large body from a short tail.
    More {
        /// Lower bound of the length of the frame, in bytes.
        need: usize,
    },
}

/// The bytes are not of the protocol. The connection cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProtocolError(pub &'static str);

/// Reads a decimal that fills `text` whole; no sign, no more than 19 digits.
#[inline]
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Appends `value` in decimal.
pub fn push_decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
