//! What becomes of a frame between two nodes.

use std::collections::BTreeSet;

use super::clock::MS;
use super::dice::Dice;

/// The network between nodes, which are named by their places.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// (from, to) of the directions that nothing passes.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Frames lost, of a thousand.
    pub(super) loss: u64,
    /// Frames that arrive twice, of a thousand.
    pub(super) doubled: u64,
    /// Frames that take long and are overtaken, of a thousand.
    pub(super) late: u64,
    /// How long those take at most.
    pub(super) late_max: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { cut: BTreeSet::new(), loss: 0, doubled: 0, late: 0, late_max: MS }
    }
}

// === impl Network ===

impl Network {
    /// After which delays a frame arrives: once, twice or never.
    pub(super) fn delays(&self, from: usize, to: usize, dice: &mut Dice) -> [Option<u64>; 2] {
        if self.cut.contains(&(from, to)) || dice.permille(self.loss) {
            return [None, None];
        }
        let twice = dice.permille(self.doubled);
        [Some(self.delay(dice)), twice.then(|| self.delay(dice))]
    }

    fn delay(&self, dice: &mut Dice) -> u64 {
        if dice.permille(self.late) {
            dice.between(MS, self.late_max.max(2 * MS))
        } else {
            dice.between(MS / 10, 2 * MS)
        }
    }
}
