//! The end of leadership that was not asked for by the application: what is done on a loss, and how
//! a sidecar that stops gives everything up first.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::{Action, Agent, Loss, Standing};
use crate::Boottime;

/// How long [`Agent::liveness`] fails, unless the application is seen to be new before: long enough
/// for three looks ten seconds apart, and the way there.
const LIVENESS_FAILS: Duration = Duration::from_secs(60);

impl Agent {
    /// Fails once leadership was lost under the action [`Action::Liveness`], until the application
    /// shows that it lives again by asking for leadership, or its probe by failing.
    ///
    /// # Errors
    /// Leadership was lost.
    pub fn liveness(&self) -> Result<(), String> {
        let until = self.broken_until.load(Ordering::Relaxed);
        if Boottime::now().as_nanos() < until {
            return Err("leadership was lost".to_owned());
        }
        Ok(())
    }

    /// The application was seen anew.
    pub(crate) fn application_lives(&self) {
        self.broken_until.store(0, Ordering::Relaxed);
    }

    fn application_must_end(&self) {
        let until = Boottime::now() + LIVENESS_FAILS;
        self.broken_until.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Gives everything up and takes nothing any more. Returns at once, on any thread; it is done
    /// when [`Agent::in_flight`] is 0.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Takes leases again.
    pub fn resume(&self) {
        self.stopping.send_replace(false);
    }

    /// Whether [`Agent::stop`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Holdings, and resignations and actions under way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        (self.held() + self.tasks.len()) as u64
    }

    /// Tells when [`Agent::stop`] or [`Agent::resume`] was called.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Loses and resigns everything, all at once; before that the action on loss gets its margin.
    pub(super) async fn resign_all(self: Arc<Self>) {
        let held: Vec<_> = {
            let holdings = self.holdings();
            holdings.all().map(|(name, it)| (Arc::clone(name), it.clone())).collect()
        };
        let mut resignations = tokio::task::JoinSet::new();
        for (election, standing) in held {
            let agent = Arc::clone(&self);
            resignations.spawn(async move { agent.withdraw(&election, standing).await });
        }
        resignations.join_all().await;
    }

    /// Gives a lease up that the application would have kept: the action on loss starts, gets its
    /// margin, and then others may lead.
    pub(crate) async fn withdraw(self: &Arc<Self>, election: &Arc<str>, standing: Standing) {
        let margin = self.config.stop_margin.min(standing.valid_for(Boottime::now()));
        let (session, token) = (standing.lease.session, standing.lease.token);
        let mut loss = Loss { election: Arc::clone(election), standing, over: false };
        if !margin.is_zero() {
            self.act(&loss);
            tokio::time::sleep(margin).await;
        }
        loss.over = true;
        self.act(&loss);
        if let Err(failure) = self.resign(election, session, token, None).await {
            warn!(election = &**election, token, %failure, "resigning failed");
        }
    }

    /// Does what was asked for on a loss.
    pub(super) fn act(self: &Arc<Self>, loss: &Loss) {
        let margin = !self.config.stop_margin.is_zero();
        match &self.config.on_lost {
            Action::None => {}
            Action::Liveness => self.application_must_end(),
            action => {
                let (action, loss) = (action.clone(), loss.clone());
                self.tasks.spawn(async move { action.run(&loss, margin).await });
            }
        }
    }
}
