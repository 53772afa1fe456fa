//! Automatic mode: the sidecar stands for every election, and renews while the application is well.
//!
//! What to do next is decided by [`Campaign`], which is pure; here it is done. Without a probe
//! nothing is known of the application, and a dead one may lead for ever: that is said loudly.

mod machine;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

pub use machine::{Campaign, Health, Step};
pub use probe::Probe;
pub(crate) use probe::http_client;

use crate::Boottime;
use crate::agent::{Agent, Candidacy, Standing};
use crate::backend::Failure;

/// One stay in a queue; then it is joined again.
const QUEUE_STAY: Duration = Duration::from_secs(600);
/// Longest sleep, as timers stop while the machine sleeps.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// How the application is looked after.
#[derive(Debug)]
pub struct CampaignConfig {
    /// All must pass; none: the application is taken to be well.
    pub probes: Vec<Probe>,
    /// Pause between two looks.
    pub interval: Duration,
    /// Failures in a row before the application counts as unwell.
    pub failures: u32,
}

/// One candidate in one election.
struct Candidate {
    agent: Arc<Agent>,
    election: Arc<str>,
    campaign: Campaign,
    standing: Option<Standing>,
    /// Whether the application is well.
    health: watch::Receiver<bool>,
    stopping: watch::Receiver<bool>,
}

/// Stands for all elections of the agent; never returns.
pub async fn run(agent: Arc<Agent>, config: CampaignConfig) {
    let (health, watched) = watch::channel(false);
    let mut candidates = tokio::task::JoinSet::new();
    for election in agent.config().elections.clone() {
        let candidate = Candidate {
            campaign: Campaign::new(agent.config().ttl),
            stopping: agent.stopping(),
            agent: Arc::clone(&agent),
            election,
            standing: None,
            health: watched.clone(),
        };
        candidates.spawn(candidate.run());
    }
    drop(watched);
    look(&agent, &config, &health).await;
}

/// Looks at the application for ever.
async fn look(agent: &Agent, config: &CampaignConfig, health: &watch::Sender<bool>) {
    if config.probes.is_empty() {
        warn!("automatic mode without a probe: a dead application would go on leading");
        health.send_replace(true);
        return std::future::pending().await;
    }
    let mut count = Health::new(config.failures);
    let mut timer = tokio::time::interval(config.interval);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let result = probe::all(&config.probes).await;
        if result.is_err() {
            // It may be a restart that was asked for; in any case it is not what it was.
            agent.application_lives();
        }
        let well = count.observe(result.is_ok());
        let changed = health.send_if_modified(|before| std::mem::replace(before, well) != well);
        match result {
            Ok(()) if changed => info!("the application is well"),
            Err(reason) if changed => warn!(reason, "the application is unwell"),
            _ => {}
        }
    }
}

// === impl Candidate ===

impl Candidate {
    async fn run(mut self) {
        loop {
            let candidate = *self.health.borrow_and_update()
                && !*self.stopping.borrow_and_update()
                && self.agent.liveness().is_ok();
            self.campaign.candidate(Boottime::now(), candidate);
            match self.campaign.next(Boottime::now()) {
                Step::Acquire => self.acquire().await,
                Step::Renew => self.renew().await,
                Step::Resign => self.resign().await,
                Step::Wait(until) => self.wait(until).await,
            }
        }
    }

    async fn acquire(&mut self) {
        let candidacy = Candidacy {
            election: Arc::clone(&self.election),
            wait: QUEUE_STAY,
            ..Candidacy::default()
        };
        let acquired = tokio::select! {
            acquired = self.agent.acquire(candidacy) => acquired,
            // The queue is left with the future.
            () = news(&mut self.health, &mut self.stopping) => return,
        };
        let now = Boottime::now();
        match acquired {
            Ok(standing) => {
                self.standing = Some(standing);
                self.campaign.elected(now);
            }
            Err(Failure::Held { .. }) => self.campaign.outvoted(),
            Err(failure) => {
                warn!(election = &*self.election, %failure, "standing for election failed");
                self.campaign.failed(now);
            }
        }
    }

    async fn renew(&mut self) {
        let Some(Standing { lease, .. }) = self.standing.clone() else {
            return self.campaign.lost(Boottime::now());
        };
        let renewed = self.agent.renew(&self.election, lease.session, lease.token).await;
        let now = Boottime::now();
        match renewed {
            Ok(standing) => {
                self.standing = Some(standing);
                self.campaign.elected(now);
            }
            Err(Failure::Lost(_)) => {
                self.standing = None;
                self.campaign.lost(now);
            }
            // It stays a holding until its deadline, which the agent watches.
            Err(failure) => {
                warn!(election = &*self.election, %failure, "renewing failed");
                self.campaign.not_renewed(now);
            }
        }
    }

    async fn resign(&mut self) {
        if let Some(standing) = self.standing.take() {
            // What stops the sidecar resigns everything.
            if !*self.stopping.borrow() {
                self.agent.withdraw(&self.election, standing).await;
            }
        }
        self.campaign.resigned();
    }

    async fn wait(&mut self, until: Option<Boottime>) {
        let now = Boottime::now();
        let pause = until.map_or(SLEEP_MAX, |until| until.since(now).min(SLEEP_MAX));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = news(&mut self.health, &mut self.stopping) => {}
        }
    }
}

/// Waits until the application's health, or whether this process stops, has changed.
async fn news(health: &mut watch::Receiver<bool>, stopping: &mut watch::Receiver<bool>) {
    // Their senders live as long as the campaign.
    tokio::select! {
        _ = health.changed() => {}
        _ = stopping.changed() => {}
    }
}
