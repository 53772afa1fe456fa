//! What the management thread and every handle share.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use prometheus::Registry;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::handle;
use crate::health::{Heartbeats, Outcomes, Status, lock};
use crate::lifecycle::{Conflict, Drain, ExitReason, Machine, Request, State, Taken};
use crate::logging::Logging;
use crate::network::Network;
use crate::security::TokenFile;
use crate::settings::Effective;
use crate::signals::Signal;
use crate::{Endpoint, Image};

pub(super) type Action = Arc<dyn Fn() + Send + Sync>;

/// What the management thread and every [`Handle`] share.
pub(crate) struct Core {
    pub(crate) image: Image,
    pub(crate) started_at: SystemTime,
    pub(super) started: Instant,
    pub(crate) logs: Logging,
    pub(crate) registry: Registry,
    pub(crate) network: Option<Arc<dyn Network>>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) probe_addr: SocketAddr,
    pub(crate) admin_addr: SocketAddr,
    pub(crate) token: Option<TokenFile>,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) outcomes: Outcomes,
    pub(crate) requests: Requests,
    pub(crate) log_streams: Arc<tokio::sync::Semaphore>,
    pub(crate) tasks: TaskTracker,
    /// Written by the image after a reload, read by `/mgmt/v1/config`.
    pub(crate) effective: Mutex<Effective>,
    /// Written by the image, by requests and by the supervisor.
    pub(super) machine: Mutex<Machine>,
    /// Wakes the supervisor.
    pub(crate) changed: Notify,
    /// Given by the image with [`Handle::run`].
    pub(crate) drain: Mutex<Option<Arc<dyn Drain>>>,
    /// The image's own word, beside the checks.
    pub(super) ready: AtomicBool,
    pub(super) ever_ready: AtomicBool,
    /// What the image says is broken about what it serves, for `/livez`.
    pub(crate) broken: Mutex<Option<String>>,
    pub(super) actions: Mutex<HashMap<Signal, Action>>,
    pub(super) end: Mutex<End>,
    /// Threads watched by their handle.
    pub(crate) watched: Mutex<Vec<handle::Watched>>,
}

/// How it ended, and who waits to hear it.
#[derive(Default)]
pub(super) struct End {
    reason: Option<ExitReason>,
    waiting: Vec<oneshot::Sender<ExitReason>>,
}

/// Requests served, per listener.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) probe: AtomicU64,
    pub(crate) admin: AtomicU64,
}

// === impl Requests ===

impl Requests {
    pub(crate) fn all(&self) -> [(&'static str, u64); 2] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("probe", read(&self.probe)), ("admin", read(&self.admin))]
    }
}

// === impl Core ===

impl Core {
    /// Time since the start, which is all the lifecycle knows of clocks.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.machine).state()
    }

    pub(crate) fn with_machine<T>(&self, act: impl FnOnce(&mut Machine, Duration) -> T) -> T {
        act(&mut lock(&self.machine), self.now())
    }

    /// Takes a request and wakes the supervisor.
    pub(crate) fn request(&self, request: Request) -> Result<Taken, Conflict> {
        let taken = self.with_machine(|machine, now| machine.apply(now, request));
        self.changed.notify_one();
        taken
    }

    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(target: "management", reason, "failed");
        // A failure is taken in every state.
        let _ = self.request(Request::Fail(reason));
    }

    /// What a watched task or thread does when it ends: nothing to worry about only at the end.
    pub(crate) fn ended(&self, what: &str) {
        if !self.with_machine(|machine, _| machine.ending()) {
            self.fail(format!("{what} ended"));
        }
    }

    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
        if ready {
            // Being ready once more is no conflict in any state.
            let _ = self.request(Request::Started);
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Readiness of the whole, and whether it ever was.
    pub(crate) fn readiness(&self) -> Status {
        let serving = self.state() == State::Running && self.is_ready();
        let status = if serving { self.outcomes.status() } else { Status::Fail };
        if status != Status::Fail {
            self.ever_ready.store(true, Ordering::Relaxed);
        }
        status
    }

    pub(crate) fn was_ready(&self) -> bool {
        self.readiness() != Status::Fail || self.ever_ready.load(Ordering::Relaxed)
    }

    /// What keeps the process from being alive.
    pub(crate) fn stalled(&self, now: Instant) -> Vec<String> {
        if self.state() == State::Failed {
            return vec!["failed".to_owned()];
        }
        let stalled = self.heartbeats.stalled(now);
        let name = |(name, age): (String, Duration)| {
            format!("no heartbeat of {name} for {:.1}s", age.as_secs_f64())
        };
        stalled.into_iter().map(name).chain(lock(&self.broken).clone()).collect()
    }

    /// What a drain would wait for. An image that is ready and has not brought its drain yet is
    /// about to, and may be serving: that counts as one.
    pub(crate) fn in_flight(&self) -> u64 {
        let drain = lock(&self.drain).clone();
        drain.map_or_else(|| u64::from(self.is_ready()), |drain| drain.in_flight())
    }

    pub(crate) fn on_signal(&self, signal: Signal, action: Action) {
        lock(&self.actions).insert(signal, action);
    }

    pub(crate) fn action(&self, signal: Signal) -> Option<Action> {
        lock(&self.actions).get(&signal).cloned()
    }

    /// Says how it ended to everybody who waits; the first word stands.
    pub(crate) fn finish(&self, reason: &ExitReason) {
        let mut end = lock(&self.end);
        if end.reason.is_none() {
            end.reason = Some(reason.clone());
            for waiting in end.waiting.drain(..) {
                // Whoever stopped waiting need not hear it.
                let _ = waiting.send(reason.clone());
            }
        }
    }

    pub(crate) fn wait(&self) -> oneshot::Receiver<ExitReason> {
        let (sender, receiver) = oneshot::channel();
        let mut end = lock(&self.end);
        match end.reason.clone() {
            // The receiver is in hand.
            Some(reason) => drop(sender.send(reason)),
            None => end.waiting.push(sender),
        }
        receiver
    }

    /// Takes the image's drain, and tells it what was missed.
    pub(crate) fn set_drain(&self, drain: Arc<dyn Drain>) {
        *lock(&self.drain) = Some(Arc::clone(&drain));
        if !self.with_machine(|machine, _| machine.accepting()) {
            drain.stop_accepting();
        }
        self.changed.notify_one();
    }
}
