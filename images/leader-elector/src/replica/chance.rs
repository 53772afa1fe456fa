//! Chance that can be replayed.

/// SplitMix64: enough chance for timeouts, and the same on every machine.
pub(super) struct Chance(pub(super) u64);

// === impl Chance ===

impl Chance {
    /// Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
