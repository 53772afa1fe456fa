//! Bytes from a source, through a buffer of fixed size.

use std::io::{ErrorKind, Read};

use super::{JavaError, Problem};

/// Bytes asked of the source at once; a string of the usual kind (at most 65,535 bytes) fits.
const BUFFER_BYTES: usize = 64 * 1024;

/// A source with a buffer; a message ends where its content ends, so what was read beyond belongs
/// to the next one and stays here.
#[derive(Debug)]
pub struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// Bytes read before those in the buffer.
    passed: u64,
    /// Position that must not be passed.
    bound: u64,
}

// === impl Input ===

impl<R> Input<R> {
    /// Nothing is read yet.
    pub fn new(source: R) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { source, buffer, at: 0, end: 0, passed: 0, bound: u64::MAX }
    }

    /// The source; bytes may be in the buffer already.
    pub fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// Bytes given out so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.passed + self.at as u64
    }

    /// Whether bytes are there that nobody has asked for.
    #[must_use]
    pub fn has_buffered(&self) -> bool {
        self.at < self.end
    }

    /// From here, at most so many bytes are to come.
    pub fn bound(&mut self, bytes: u64) {
        self.bound = self.position().saturating_add(bytes);
    }

    pub(crate) fn error(&self, problem: Problem) -> JavaError {
        JavaError { offset: self.position(), problem }
    }
}

impl<R: Read> Input<R> {
    /// One byte.
    ///
    /// # Errors
    /// As for all here: the source's, its end, or the bound.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, JavaError> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes, as all numbers most significant first.
    ///
    /// # Errors
    /// See [`Input::u8`].
    #[inline]
    pub fn u16(&mut self) -> Result<u16, JavaError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// See [`Input::u8`].
    #[inline]
    pub fn i32(&mut self) -> Result<i32, JavaError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// See [`Input::u8`].
    #[inline]
    pub fn i64(&mut self) -> Result<i64, JavaError> {
        self.array().map(i64::from_be_bytes)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// See [`Input::u8`].
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], JavaError> {
        self.ensure(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[self.at..self.at + N]);
        self.at += N;
        Ok(bytes)
    }

    /// The next byte, which stays.
    pub(super) fn peek(&mut self) -> Result<u8, JavaError> {
        self.ensure(1)?;
        Ok(self.buffer[self.at])
    }

    /// A short run of bytes: at most 65,535.
    #[inline]
    pub(crate) fn short(&mut self, count: u16) -> Result<&[u8], JavaError> {
        let count = usize::from(count);
        self.ensure(count)?;
        let from = self.at;
        self.at += count;
        Ok(&self.buffer[from..self.at])
    }

    /// Appends a run of any length as it arrives.
    pub(super) fn append(&mut self, count: u64, to: &mut Vec<u8>) -> Result<(), JavaError> {
        self.each_piece(count, |piece| to.extend_from_slice(piece))
    }

    /// Reads past a run of any length.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), JavaError> {
        self.each_piece(count, |_| {})
    }

    fn each_piece(&mut self, mut count: u64, mut each: impl FnMut(&[u8])) -> Result<(), JavaError> {
        while count > 0 {
            self.ensure(1)?;
            let piece = (self.end - self.at).min(usize::try_from(count).unwrap_or(usize::MAX));
            each(&self.buffer[self.at..self.at + piece]);
            self.at += piece;
            count -= piece as u64;
        }
        Ok(())
    }

    /// Makes so many bytes stand in the buffer; not more than it holds.
    #[inline]
    fn ensure(&mut self, count: usize) -> Result<(), JavaError> {
        if self.end - self.at >= count { Ok(()) } else { self.refill(count) }
    }

    #[cold]
    fn refill(&mut self, count: usize) -> Result<(), JavaError> {
        if self.position() + count as u64 > self.bound {
            return Err(self.error(Problem::Limit("bytes")));
        }
        self.buffer.copy_within(self.at..self.end, 0);
        self.passed += self.at as u64;
        self.end -= self.at;
        self.at = 0;
        while self.end < count {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(self.error(Problem::End)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Problem::Io(error))),
            }
        }
        Ok(())
    }
}
