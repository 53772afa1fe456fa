//! What one scrape may hold and look at, whatever the other side sends.
//!
//! A reply of some megabytes can make a bean with a long name and a hundred thousand values, and
//! each series of it has the long name in its labels. So bytes are counted, not samples.

/// Most bytes of what one scrape makes of values: labels and samples, and what is remembered of
/// their places. A usual series takes about 400.
const HELD_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most bytes of match strings that one scrape tries rules on. A usual one has about 150, and only
/// those are tried whose outcome is not known.
const TRIED_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Most bytes of the families that samples become: labels, with `_objectname` where it is needed,
/// and help texts.
const PAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is left, and what was refused for want of it.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes held until the next scrape.
    pub(super) held: Pool,
    /// Bytes looked at.
    pub(super) tried: Pool,
    /// Bytes given away.
    pub(super) page: Pool,
    /// Samples refused, of all scrapes.
    refused: u64,
}

/// Bytes of one kind.
#[derive(Debug)]
pub(super) struct Pool {
    max: usize,
    left: usize,
    /// Some were refused; so are then all that follow, or small series among the last would come and
    /// go.
    spent: bool,
}

// === impl Budget ===

impl Default for Budget {
    fn default() -> Self {
        Self {
            held: Pool::new(HELD_BYTES_MAX),
            tried: Pool::new(TRIED_BYTES_MAX),
            page: Pool::new(PAGE_BYTES_MAX),
            refused: 0,
        }
    }
}

impl Budget {
    /// For the next scrape. What was refused is counted on.
    pub(super) fn renew(&mut self) {
        for pool in [&mut self.held, &mut self.tried, &mut self.page] {
            *pool = Pool::new(pool.max);
        }
    }

    /// Counts samples that are left out.
    pub(super) fn refuse(&mut self, samples: u64) {
        self.refused += samples;
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(max: usize) -> Self {
        Self { max, left: max, spent: false }
    }

    /// Takes bytes; false when there are not enough, and ever after.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.spent |= bytes > self.left;
        self.left = self.left.saturating_sub(bytes);
        !self.spent
    }
}
