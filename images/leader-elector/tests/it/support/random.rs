//! Chance that can be replayed.

/// The variable that replays a seed a test has printed.
pub(crate) const SEED_VARIABLE: &str = "LEADER_ELECTOR_TEST_SEED";

/// A small generator of random numbers (splitmix64): a seed gives the same test everywhere.
pub(crate) struct Random(u64);

// === impl Random ===

impl Random {
    /// From the seed in [`SEED_VARIABLE`], or a fresh one; printed either way.
    pub(crate) fn from_environment() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        #[expect(clippy::disallowed_methods, reason = "a test's seed is no configuration")]
        let given = std::env::var(SEED_VARIABLE).ok();
        let seed = match given {
            Some(seed) => seed.parse().expect("the seed is a number"),
            None => RandomState::new().build_hasher().finish(),
        };
        println!("replay with {SEED_VARIABLE}={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }
}
