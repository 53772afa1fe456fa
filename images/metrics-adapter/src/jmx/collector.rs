//! A scrape of one JVM: session, cached infos, selection, rules.
//!
//! Names are asked for at every scrape, infos only of beans that are new, changed, or due for the
//! slow refresh. What a scrape says of itself (`jmx_scrape_*`) is added by whoever asks for it,
//! who also knows of those that ran out of time.

mod beans;
#[cfg(test)]
mod tests;

use std::time::Instant;

use super::session::{Session, SessionError, Target};
use crate::exposition::Family;
use crate::jmx::{AttributeInfo, ObjectName, Value};
use crate::rules::{JmxConfig, RuleCounters, Rules, Selection};
use beans::Beans;

/// A JVM that is scraped again and again.
#[derive(Debug)]
pub struct Collector {
    target: Target,
    selection: Selection,
    queries: Vec<Option<ObjectName>>,
    rules: Rules,
    beans: Beans,
    session: Option<Session>,
    /// The process whose beans are known.
    process: Option<[u8; 4]>,
}

// === impl Collector ===

impl Collector {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(target: Target, config: JmxConfig) -> Self {
        let selection = config.selection();
        Self {
            target,
            queries: selection.queries(),
            selection,
            rules: Rules::new(&config),
            beans: Beans::default(),
            session: None,
            process: None,
        }
    }

    /// Reads all beans that are wanted and applies the rules. The connection is kept; a broken one
    /// is made anew once.
    ///
    /// # Errors
    /// [`SessionError`] when there is no connection, or none for long enough.
    pub fn scrape(&mut self, deadline: Instant) -> Result<Vec<Family>, SessionError> {
        let kept = self.session.as_ref().is_some_and(|session| !session.is_broken());
        self.connect(deadline)?;
        match self.read(deadline) {
            // The server may have been restarted, or have thought us dead.
            Err(error) if kept && error.is_connection() => {
                self.reconnect(deadline)?;
                self.read(deadline)
            }
            result => result,
        }
    }

    /// Reads the values of all beans that are wanted, in the order of the server, without rules.
    ///
    /// # Errors
    /// As [`Collector::scrape`].
    pub fn values(
        &mut self,
        deadline: Instant,
        mut each: impl FnMut(&ObjectName, &[(&AttributeInfo, &Value)]),
    ) -> Result<(), SessionError> {
        self.connect(deadline)?;
        let Some(session) = &mut self.session else { return Err(SessionError::Deadline) };
        self.beans.renew(session, &self.queries, &mut self.selection, deadline)?;
        self.beans.read(session, &mut self.selection, deadline, &mut each)
    }

    /// Keeps an idle connection alive; to be called every 50 s. A connection that fails is noticed
    /// here and made anew by the next scrape.
    pub fn heartbeat(&mut self, deadline: Instant) {
        if let Some(session) = self.session.as_mut().filter(|session| !session.is_broken()) {
            // The session knows that it is broken.
            let _ = session.ping(deadline);
        }
    }

    /// What the rules have counted, `jmx_scrape_cached_beans` among it.
    #[must_use]
    pub fn counters(&self) -> RuleCounters {
        self.rules.counters()
    }

    /// Beans whose attributes are known.
    #[must_use]
    pub fn known_beans(&self) -> usize {
        self.beans.len()
    }

    /// Ends the connection, so that the server need not wait for it.
    pub fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close();
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<Vec<Family>, SessionError> {
        let Some(session) = &mut self.session else { return Err(SessionError::Deadline) };
        self.beans.renew(session, &self.queries, &mut self.selection, deadline)?;
        let mut scrape = self.rules.scrape();
        self.beans.read(session, &mut self.selection, deadline, &mut |name, attributes| {
            scrape.bean(name, attributes);
        })?;
        Ok(scrape.finish())
    }

    fn connect(&mut self, deadline: Instant) -> Result<(), SessionError> {
        match &mut self.session {
            Some(session) if session.is_broken() => session.reconnect(deadline)?,
            Some(_) => {}
            None => self.session = Some(Session::connect(&self.target, deadline)?),
        }
        self.recognise();
        Ok(())
    }

    fn reconnect(&mut self, deadline: Instant) -> Result<(), SessionError> {
        if let Some(session) = &mut self.session {
            session.reconnect(deadline)?;
        }
        self.recognise();
        Ok(())
    }

    /// Another process may be behind the address, with other beans of the same names. Of the same
    /// one nothing is forgotten: a deadline that is too short for all may do in several scrapes.
    fn recognise(&mut self) {
        let process = self.session.as_ref().map(Session::process);
        if self.process != process {
            self.process = process;
            self.beans.clear();
        }
    }
}
