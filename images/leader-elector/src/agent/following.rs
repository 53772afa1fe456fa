//! What others do to a lease that is held here: one task per holding follows its election, and ends
//! the holding when the lease was resigned or taken over elsewhere.
//!
//! This can only shorten the time that this sidecar says "leader"; the deadline holds without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Agent, Sight};
use crate::Boottime;
use crate::backend::{Consistency, Session, View};

/// Between two looks at whether the lease is still held, and tries to see the election at all.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

impl Agent {
    /// Follows the election of a lease until it is not held here any more.
    pub(super) fn follow(self: &Arc<Self>, election: &Arc<str>, session: Session, token: u64) {
        let (agent, election) = (Arc::clone(self), Arc::clone(election));
        self.watchers.spawn(async move { agent.look_after(&election, (session, token)).await });
    }

    async fn look_after(self: &Arc<Self>, election: &Arc<str>, lease: (Session, u64)) {
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut views = None;
        while self.holdings().holds(election, lease.0, lease.1) {
            tokio::select! {
                open = changed(&mut views) => if !open {
                    views = None;
                    continue;
                },
                _ = look.tick() => {}
            }
            if views.is_none() {
                views = self.backend.watch(election).await.ok();
            }
            let Some(receiver) = &mut views else { continue };
            let view = receiver.borrow_and_update().clone();
            if !self.judge(election, lease, &view) {
                // The question is younger than the grant, so the answer is not older.
                let read = self.read(election, Consistency::Linearizable).await;
                read.iter().for_each(|view| self.conclude(election, lease, view));
            }
        }
    }

    /// Ends the holding if the view proves that the lease is over; false if nobody can say.
    fn judge(self: &Arc<Self>, election: &str, lease: (Session, u64), view: &View) -> bool {
        let sight = self.holdings().seen(Boottime::now(), election, lease, view);
        if let Sight::Over(loss) = &sight {
            self.lose(loss);
        }
        sight != Sight::Unsure
    }

    /// As [`Agent::judge`], for a view that is newer than the grant.
    fn conclude(self: &Arc<Self>, election: &str, lease: (Session, u64), view: &View) {
        if !self.judge(election, lease, view) {
            let loss = self.holdings().lost(Boottime::now(), election, lease.0, lease.1);
            loss.iter().for_each(|loss| self.lose(loss));
        }
    }
}

/// Waits for another view, for ever without any; false at the end of views.
async fn changed(views: &mut Option<watch::Receiver<View>>) -> bool {
    match views {
        Some(views) => views.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}
