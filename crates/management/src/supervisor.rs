//! The management thread: serves, samples, receives signals and drives the lifecycle.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::api;
use crate::health::{Check, lock};
use crate::lifecycle::{ExitReason, Request, Step};
use crate::runtime::{Core, Parts};
use crate::server::{Limits, Listener, serve};
use crate::signals::{self, Signal};

/// Probes are short: a connection that lives longer is given a fresh one.
const PROBE: Limits = Limits { connections_max: 128, life_max: Some(Duration::from_mins(1)) };
/// Log streams may run for ever.
const ADMIN: Limits = Limits { connections_max: 64, life_max: None };
/// The least time `main` has to end after it was told how.
const LAST_RESORT: Duration = Duration::from_secs(1);

/// Everything registered with the runtime, ready to run.
pub(crate) struct Setup {
    listeners: Vec<(Listener, Router, Limits)>,
    checks: Vec<Check>,
    signals: Option<mpsc::UnboundedReceiver<Signal>>,
    detached: bool,
}

// === impl Setup ===

impl Setup {
    /// Needs the context of the runtime.
    pub(crate) fn new(core: &Arc<Core>, parts: Parts) -> io::Result<Self> {
        let admin = api::admin(core, parts.routes);
        let probe = Listener::Tcp(TcpListener::from_std(parts.probe)?);
        let mut listeners = vec![
            (probe, api::probe(core), PROBE),
            (Listener::Tcp(TcpListener::from_std(parts.admin)?), admin.clone(), ADMIN),
        ];
        if let Some(socket) = parts.socket {
            listeners.push((Listener::Unix(UnixListener::from_std(socket)?), admin, ADMIN));
        }
        let signals = match (parts.signals, parts.detached) {
            (Some(signals), _) => Some(signals),
            (None, false) => Some(signals::listen(&core.tasks)?),
            (None, true) => None,
        };
        Ok(Self { listeners, checks: parts.checks, signals, detached: parts.detached })
    }

    pub(crate) fn detached(&self) -> bool {
        self.detached
    }
}

/// Runs until the process ends.
pub(crate) async fn run(core: Arc<Core>, setup: Setup) {
    for (listener, router, limits) in setup.listeners {
        core.tasks.spawn(serve(listener, router, limits, core.tasks.clone()));
    }
    for check in setup.checks {
        let core = Arc::clone(&core);
        core.clone().tasks.spawn(async move { check.run(&core.outcomes).await });
    }
    let sampling = Arc::clone(&core);
    core.tasks.spawn(async move { sample(&sampling).await });
    let logs = core.logs.clone();
    core.tasks.spawn(async move { logs.expire().await });
    if let Some(signals) = setup.signals {
        let core = Arc::clone(&core);
        core.clone().tasks.spawn(async move { receive(&core, signals).await });
    }
    let reason = drive(&core).await;
    core.logs.flush();
    core.finish(&reason);
    if setup.detached {
        // Probes of an ended process stay readable for a test.
        return std::future::pending().await;
    }
    let margin = core.with_machine(|machine, _| machine.plan().margin()).max(LAST_RESORT);
    tokio::time::sleep(margin).await;
    last_resort(&reason);
}

/// Follows the machine to its end.
async fn drive(core: &Core) -> ExitReason {
    loop {
        let in_flight = core.in_flight();
        let step = core.with_machine(|machine, now| machine.next(now, in_flight));
        // Read after the step, so that a drain brought meanwhile is told by one side or the other.
        let drain = lock(&core.drain).clone();
        match step {
            Step::Wait(None) => core.changed.notified().await,
            Step::Wait(Some(until)) => {
                let left = until.saturating_sub(core.now());
                tokio::select! {
                    () = core.changed.notified() => {}
                    () = tokio::time::sleep(left) => {}
                }
            }
            Step::StopAccepting => {
                tracing::info!(target: "management", in_flight, "stopped accepting");
                drain.iter().for_each(|drain| drain.stop_accepting());
            }
            Step::Undrain => {
                tracing::info!(target: "management", "accepting again");
                drain.iter().for_each(|drain| drain.undrain());
            }
            Step::Close { in_flight } => {
                match in_flight {
                    0 => tracing::info!(target: "management", in_flight, "drain finished"),
                    _ => tracing::warn!(target: "management", in_flight, "drain abandoned"),
                }
                drain.iter().for_each(|drain| drain.close());
            }
            Step::Finish(reason) => {
                tracing::info!(target: "management", ?reason, code = reason.code(), "ending");
                return reason;
            }
        }
    }
}

/// Notes heartbeats and looks after watched threads.
async fn sample(core: &Core) {
    let mut ticks = tokio::time::interval(core.heartbeats.interval());
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.heartbeats.sample(Instant::now());
        let watched = std::mem::take(&mut *lock(&core.watched));
        let alive: Vec<_> =
            watched.into_iter().filter_map(|mut one| one.alive(core).then_some(one)).collect();
        lock(&core.watched).extend(alive);
    }
}

async fn receive(core: &Core, mut signals: mpsc::UnboundedReceiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        tracing::info!(target: "management", ?signal, "signal received");
        if matches!(signal, Signal::Term | Signal::Int) {
            // Taken in every state.
            let _ = core.request(Request::StopSignal);
        } else if let Some(action) = core.action(signal) {
            action();
        } else {
            by_default(core, signal);
        }
    }
}

fn by_default(core: &Core, signal: Signal) {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        tracing::warn!(target: "management", %error, "{what} failed");
    };
    match signal {
        Signal::Hup => {
            core.logs.reopen().unwrap_or_else(|error| failed("opening the log anew", &error));
        }
        Signal::Ttin | Signal::Ttou => {
            let step = if signal == Signal::Ttin { 1 } else { -1 };
            core.logs
                .step_level(step)
                .unwrap_or_else(|error| failed("changing the log level", &error));
        }
        _ => {}
    }
}

/// `main` was told how it ended and is stuck; the grace is over.
#[expect(clippy::exit, reason = "main is stuck, and the grace was promised to the orchestrator")]
fn last_resort(reason: &ExitReason) -> ExitCode {
    tracing::error!(target: "management", "main did not end in time");
    std::process::exit(i32::from(reason.code()));
}
