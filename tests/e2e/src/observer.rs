//! Looks at all sidecars of a group, all the time, and remembers who led.
//!
//! What it holds them to needs no clock: once one sidecar has answered that it leads with some
//! token, no question asked after that answer may be answered "I lead" with a smaller token, and no
//! token belongs to two. It sees what a resource without fencing would suffer from, not more often
//! than it looks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::wait::{self, pause};

/// Between two looks at one sidecar.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// One term of leadership of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its fencing token.
    pub token: u64,
    /// Number of the sidecar that led.
    pub member: usize,
    /// When it was first seen to lead.
    pub seen: Instant,
}

/// Asks a sidecar, by its number, whether it leads, and with which token. Nothing is known while it
/// cannot be asked.
pub type Look = Arc<dyn Fn(usize) -> Option<u64> + Send + Sync>;

/// A thread for each sidecar that looks at it.
pub struct Observer {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    turns: BTreeMap<u64, Turn>,
    looks: u64,
    violation: Option<String>,
}

// === impl Observer ===

impl Observer {
    /// Begins to look at `members` sidecars.
    #[must_use]
    pub fn start(members: usize, look: &Look) -> Self {
        let seen = Arc::new(Seen::default());
        let threads = (0..members)
            .map(|member| {
                let (seen, look) = (Arc::clone(&seen), Arc::clone(look));
                std::thread::spawn(move || {
                    while !seen.stop.load(Ordering::Relaxed) {
                        seen.look(member, &look);
                        pause(LOOK_EVERY);
                    }
                })
            })
            .collect();
        Self { seen, threads }
    }

    /// The latest turn, if anybody ever led.
    #[must_use]
    pub fn latest(&self) -> Option<Turn> {
        self.seen.with(|state| state.turns.values().next_back().copied())
    }

    /// All turns, by token.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        self.seen.with(|state| state.turns.values().copied().collect())
    }

    /// Waits for a leader with a token above `token`, and returns the first such turn.
    ///
    /// # Errors
    /// Nobody leads within `limit`.
    pub fn after(&self, token: u64, limit: Duration) -> Result<Turn> {
        let later = || {
            Ok(self.seen.with(|state| state.turns.range(token + 1..).next().map(|(_, turn)| *turn)))
        };
        wait::until("the next leader", limit, later)
    }

    /// Fails if two were ever seen to lead, or if it never could look.
    ///
    /// # Errors
    /// What was seen.
    pub fn verdict(&self) -> Result<()> {
        self.seen.with(|state| {
            if let Some(violation) = &state.violation {
                bail!("{violation}");
            }
            ensure!(state.looks > 0, "no sidecar ever answered");
            Ok(())
        })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has no way to fail but a panic, which was printed.
            let _ = thread.join();
        }
    }
}

// === impl Seen ===

impl Seen {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, member: usize, look: &Look) {
        let floor = self.with(|state| state.turns.keys().next_back().copied().unwrap_or(0));
        let Some(token) = look(member) else {
            return;
        };
        let seen = Instant::now();
        self.with(|state| {
            state.looks += 1;
            let turn = *state.turns.entry(token).or_insert(Turn { token, member, seen });
            if turn.member != member {
                let other = turn.member;
                state.violation = Some(format!("{member} and {other} led with token {token}"));
            }
            if token < floor {
                let text =
                    format!("{member} led with token {token} when there was {floor} already");
                state.violation = Some(text);
            }
        });
    }
}

#[cfg(test)]
mod tests;
