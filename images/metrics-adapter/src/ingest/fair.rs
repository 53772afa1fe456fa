//! A lock that two threads take in turns.
//!
//! The standard one lets whoever runs take it again before the one who waits has woken. Under a
//! flood the reader runs all the time, and a page of many slices would wait for each of them.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
mod tests;

/// A value behind a lock. Who waits is next: nobody else can take the lock twice meanwhile.
#[derive(Debug)]
pub struct Fair<T> {
    /// Held while waiting for the value only.
    turn: Mutex<()>,
    value: Mutex<T>,
}

// === impl Fair ===

impl<T> Fair<T> {
    /// Puts a value behind a lock.
    pub fn new(value: T) -> Self {
        Self { turn: Mutex::new(()), value: Mutex::new(value) }
    }

    /// Waits for the value.
    ///
    /// # Errors
    /// A thread panicked while it had the lock.
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let value = self.value.lock();
        drop(turn);
        value
    }

    /// Whether nobody has the value.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.value.try_lock().is_ok()
    }
}
