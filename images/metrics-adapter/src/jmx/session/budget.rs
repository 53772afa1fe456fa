//! What may be made of a reply. References name the same object again and again for five bytes each,
//! and values do not share: limits on the stream bound neither their number nor their size.

/// Most values or names; a stream has room for the names of 200,000 beans.
const VALUES_MAX: usize = 250_000;

/// Most bytes of text, with those that a metric repeats for each value: the bean's name, the keys
/// above, the index of its row.
const BYTES_MAX: usize = 32 << 20;

/// Memory of a value itself, about.
const VALUE_BYTES: usize = 80;

/// What is left of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    values: usize,
    bytes: usize,
}

/// Nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

// === impl Budget ===

impl Budget {
    /// For one reply.
    pub(super) fn reply() -> Self {
        Self { values: VALUES_MAX, bytes: BYTES_MAX }
    }

    /// One more value with so many bytes of text.
    pub(super) fn value(&mut self, bytes: usize) -> Result<(), Spent> {
        self.values = self.values.checked_sub(1).ok_or(Spent)?;
        self.bytes(bytes)
    }

    /// More text, or as many steps of work.
    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), Spent> {
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => {
                *self = Self { values: 0, bytes: 0 };
                Err(Spent)
            }
        }
    }

    /// Values made so far.
    pub(super) fn values_used(&self) -> usize {
        VALUES_MAX - self.values
    }

    /// Memory of all that was made so far, at most.
    pub(super) fn memory_bytes(&self) -> usize {
        BYTES_MAX - self.bytes + VALUE_BYTES * self.values_used()
    }
}
