//! Lines of a stream, put together from reads. Pure.

#[cfg(test)]
mod tests;

/// Longest line of a stream, without its end; as in the original.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// The unfinished line of one stream. Holds no memory between lines.
#[derive(Debug, Default)]
pub(super) struct Framing {
    partial: Vec<u8>,
}

/// A line did not end in [`LINE_BYTES_MAX`] bytes; the stream cannot be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

// === impl Framing ===

impl Framing {
    /// Takes what was read, and gives it on as bytes of whole lines separated by line feeds.
    ///
    /// # Errors
    /// [`TooLong`]; the lines before were given.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        let mut rest = bytes;
        if !self.partial.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (more, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            if self.partial.len() + more.len() - usize::from(end.is_some()) > LINE_BYTES_MAX {
                return Err(TooLong);
            }
            self.partial.extend_from_slice(more);
            rest = after;
            if end.is_some() {
                take(&self.partial[..self.partial.len() - 1]);
                self.partial = Vec::new();
            }
        }
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |end| end + 1);
        let (lines, unfinished) = rest.split_at(whole);
        let long = |line: &[u8]| line.len() > LINE_BYTES_MAX;
        if lines.len() > LINE_BYTES_MAX {
            let mut start = 0;
            for end in memchr::memchr_iter(b'\n', lines) {
                if long(&lines[start..end]) {
                    take(&lines[..start]);
                    return Err(TooLong);
                }
                start = end + 1;
            }
        }
        if !lines.is_empty() {
            take(lines);
        }
        if long(unfinished) {
            return Err(TooLong);
        }
        self.partial.extend_from_slice(unfinished);
        Ok(())
    }

    /// Whether a line has begun and not ended.
    pub(super) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The stream has ended: what is left is a line too.
    pub(super) fn finish(self, take: impl FnOnce(&[u8])) {
        if !self.partial.is_empty() {
            take(&self.partial);
        }
    }
}
