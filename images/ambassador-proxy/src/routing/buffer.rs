//! Bytes on their way out of a connection.

/// Room that an empty buffer may keep, so that a quiet connection holds next to nothing.
const KEEP_BYTES: usize = 2 * 1024;
/// Sent bytes at the front of a buffer before the rest is moved down.
const COMPACT_BYTES: usize = 256 * 1024;

/// A queue of bytes, contiguous so that one `write` takes all of it.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    sent: usize,
}

impl Buffer {
    /// Bytes not sent yet.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything has been sent.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == self.sent
    }

    /// What is to be sent next.
    #[inline]
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The end of the queue, to append to.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Appends.
    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Removes what has been sent.
    #[inline]
    pub(crate) fn consume(&mut self, sent: usize) {
        self.sent += sent;
        if self.sent == self.bytes.len() {
            self.clear(KEEP_BYTES);
        } else if self.sent >= COMPACT_BYTES && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Empties the buffer; room beyond `keep_bytes` is given back.
    pub(crate) fn clear(&mut self, keep_bytes: usize) {
        self.sent = 0;
        if self.bytes.capacity() > keep_bytes {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }
}
