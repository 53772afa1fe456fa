//! The Raft library's log lines as our events.

use slog::{Drain, Level, Logger, OwnedKVList, Record};

/// Passes lines on; most are details of the protocol, so none is louder than `debug` but errors.
struct Events;

// === impl Events ===

impl Drain for Events {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        match record.level() {
            Level::Critical | Level::Error => {
                tracing::error!(target: "raft", text = %record.msg(), "raft");
            }
            Level::Warning | Level::Info => {
                tracing::debug!(target: "raft", text = %record.msg(), "raft");
            }
            Level::Debug | Level::Trace => {
                tracing::trace!(target: "raft", text = %record.msg(), "raft");
            }
        }
        Ok(())
    }
}

/// A logger for the Raft library.
pub fn logger() -> Logger {
    Logger::root(Events.fuse(), slog::o!())
}
