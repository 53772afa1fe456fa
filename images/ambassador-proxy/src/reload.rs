//! A new configuration for a running proxy: by signal, by request, or because the file changed.
//!
//! All three come to one task, so that reloads happen one after the other. A file that is wrong,
//! or that moves too many keys, changes nothing; the log says why.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};

use crate::config::{Pools, lint, parse_pools};
use crate::fleet::Fleet;
use crate::resolver;

/// Requests for a reload that may wait.
const QUEUE: usize = 16;

/// A request to reload.
#[derive(Debug)]
struct Request {
    cause: &'static str,
    /// Carried out however many keys move.
    force: bool,
    reply: Option<oneshot::Sender<Result<Value, String>>>,
}

/// Asks for reloads; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trigger(mpsc::Sender<Request>);

/// The task that carries them out.
#[derive(Debug)]
pub struct Reloader {
    requests: mpsc::Receiver<Request>,
    fleet: Arc<Fleet>,
    file: PathBuf,
    moved_max: f64,
    watch_interval: Duration,
    /// What was loaded, or refused, last.
    text: String,
}

impl Trigger {
    /// Asks for a reload without waiting for it. One more than can wait is dropped: those before
    /// it will read the same file.
    pub fn signal(&self, cause: &'static str) {
        let _ = self.0.try_send(Request { cause, force: false, reply: None });
    }

    /// Asks for a reload and waits for what came of it.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub async fn request(&self, force: bool) -> Result<Value, String> {
        let (reply, answer) = oneshot::channel();
        let request = Request { cause: "request", force, reply: Some(reply) };
        if self.0.try_send(request).is_err() {
            return Err("too many reloads wait already".to_owned());
        }
        answer.await.unwrap_or_else(|_| Err("the proxy is stopping".to_owned()))
    }
}

impl Reloader {
    /// A reloader of `file`, whose text in force is `text`.
    pub fn new(
        fleet: Arc<Fleet>,
        file: PathBuf,
        text: String,
        moved_max: f64,
        watch_interval: Duration,
    ) -> (Trigger, Reloader) {
        let (sender, requests) = mpsc::channel(QUEUE);
        (Trigger(sender), Reloader { requests, fleet, file, moved_max, watch_interval, text })
    }

    /// Runs for as long as the process does.
    pub async fn run(mut self) {
        let watches = !self.watch_interval.is_zero();
        let mut look = tokio::time::interval(self.watch_interval.max(Duration::from_millis(10)));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // A change is taken up when it has been seen twice alike, not while it is being written.
        let mut seen = self.text.clone();
        loop {
            tokio::select! {
                request = self.requests.recv() => {
                    let Some(request) = request else { return };
                    self.serve(request).await;
                    seen.clone_from(&self.text);
                }
                _ = look.tick(), if watches => {
                    // Reading follows links, so the `..data` link of a ConfigMap needs no care.
                    let Ok(text) = tokio::fs::read_to_string(&self.file).await else { continue };
                    if text != self.text && text == seen {
                        let request = Request { cause: "file changed", force: false, reply: None };
                        self.serve(request).await;
                    }
                    seen = text;
                }
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        let result = self.reload(request.force).await;
        match &result {
            Ok(report) => info!(cause = request.cause, %report, "configuration reloaded"),
            Err(reason) => error!(cause = request.cause, reason, "configuration not reloaded"),
        }
        if let Some(reply) = request.reply {
            // Who asked may have gone.
            let _ = reply.send(result);
        }
    }

    async fn reload(&mut self, force: bool) -> Result<Value, String> {
        let text = tokio::fs::read_to_string(&self.file)
            .await
            .map_err(|error| format!("{}: {error}", self.file.display()))?;
        self.text.clone_from(&text);
        let parsed = parse_pools(&self.file, &text).map_err(|error| error.to_string())?;
        report_findings(&parsed.pools);
        // New names are looked up before the pools are served, as at the start.
        let known = resolver::look_ahead(&parsed.pools).await;
        let moved_max = if force { 1.0 } else { self.moved_max };
        let fleet = Arc::clone(&self.fleet);
        let reload = tokio::task::spawn_blocking(move || {
            fleet.reload(parsed.pools, moved_max, |served| resolver::apply(served, &known))
        });
        let report = reload.await.map_err(|error| error.to_string())?;
        let report = report.map_err(|error| error.to_string())?;
        Ok(json!(report))
    }
}

/// Says in the log what the linter finds.
pub fn report_findings(pools: &Pools) {
    for lint::Finding { pool, line, severity, message: finding } in
        pools.0.iter().flat_map(lint::lint)
    {
        match severity {
            lint::Severity::Warning => warn!(pool, line, finding, "configuration finding"),
            lint::Severity::Note => debug!(pool, line, finding, "configuration finding"),
        }
    }
}
