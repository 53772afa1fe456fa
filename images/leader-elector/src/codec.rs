//! The primitives of our own binary format: varints and byte strings, nothing self-describing.
//!
//! Everything that crosses the network or the disk is written with these, so that no general
//! parser meets bytes from outside. Integers are LEB128 varints; a string or list is its length and
//! its content. A reader never allocates more than the input could fill.

#[cfg(test)]
mod tests;

use std::sync::Arc;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The input ends in the middle of a value.
    #[error("the input ends too early")]
    Short,
    /// A varint of over 64 bits, or not in its shortest form.
    #[error("a number is not well formed")]
    Number,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A tag that this version does not know.
    #[error("tag {0} is unknown")]
    Tag(u64),
    /// A value past its limit.
    #[error("a value is larger than allowed")]
    Large,
    /// A list that is not in its order, or has an element twice.
    #[error("a list is not in order")]
    Order,
    /// Bytes after the last value.
    #[error("bytes are left over")]
    Trailing,
}

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written.
    pub bytes: Vec<u8>,
}

/// Takes values off a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b> {
    bytes: &'b [u8],
}

// === impl Writer ===

impl Writer {
    /// A number as a varint.
    pub fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            // The low seven bits; a continuation bit marks that more follow.
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    /// A byte string.
    pub fn slice(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.slice(text.as_bytes())
    }

    /// A text that may be missing.
    pub fn optional(&mut self, text: Option<&str>) -> &mut Self {
        self.number(u64::from(text.is_some()));
        text.map(|text| self.text(text));
        self
    }

    /// A number that may be negative; short if it is near zero.
    pub fn signed(&mut self, value: i64) -> &mut Self {
        // Zigzag: the sign goes into the lowest bit.
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    /// A truth value.
    pub fn flag(&mut self, flag: bool) -> &mut Self {
        self.number(u64::from(flag))
    }
}

// === impl Reader ===

impl<'b> Reader<'b> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// A varint, in its shortest form only.
    ///
    /// # Errors
    /// [`CodecError::Short`], [`CodecError::Number`].
    pub fn number(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or(CodecError::Short)?;
            self.bytes = rest;
            let low = u64::from(byte & 0x7f);
            if (low << shift) >> shift != low || (byte == 0 && shift > 0) {
                return Err(CodecError::Number);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Number)
    }

    /// A byte string of at most `max` bytes.
    ///
    /// # Errors
    /// [`CodecError::Large`], and those of [`Reader::number`].
    pub fn slice(&mut self, max: usize) -> Result<&'b [u8], CodecError> {
        let length = usize::try_from(self.number()?).map_err(|_| CodecError::Large)?;
        if length > max {
            return Err(CodecError::Large);
        }
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A text of at most `max` bytes.
    ///
    /// # Errors
    /// [`CodecError::Text`], and those of [`Reader::slice`].
    pub fn text(&mut self, max: usize) -> Result<Arc<str>, CodecError> {
        let text = std::str::from_utf8(self.slice(max)?).map_err(|_| CodecError::Text)?;
        Ok(text.into())
    }

    /// A text that may be missing.
    ///
    /// # Errors
    /// As [`Reader::flag`] and [`Reader::text`].
    pub fn optional(&mut self, max: usize) -> Result<Option<Arc<str>>, CodecError> {
        if self.flag()? { self.text(max).map(Some) } else { Ok(None) }
    }

    /// A number that may be negative.
    ///
    /// # Errors
    /// Those of [`Reader::number`].
    pub fn signed(&mut self) -> Result<i64, CodecError> {
        let zigzag = self.number()?;
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    /// A truth value.
    ///
    /// # Errors
    /// [`CodecError::Tag`] for anything but 0 and 1.
    pub fn flag(&mut self) -> Result<bool, CodecError> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(CodecError::Tag(tag)),
        }
    }

    /// The length of a list of at most `max` elements, each of at least one byte.
    ///
    /// # Errors
    /// [`CodecError::Large`], [`CodecError::Short`].
    pub fn count(&mut self, max: usize) -> Result<usize, CodecError> {
        let count = usize::try_from(self.number()?).map_err(|_| CodecError::Large)?;
        if count > max {
            return Err(CodecError::Large);
        }
        if count > self.remaining() { Err(CodecError::Short) } else { Ok(count) }
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`CodecError::Trailing`].
    pub fn end(self) -> Result<(), CodecError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }
}
