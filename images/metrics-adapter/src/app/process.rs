//! What requests and signals may cause, and what it takes to do so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use management::Handle;
use management::settings::ProcessEnvironment;
use tracing::{info, warn};

use crate::config::{Config, Mode, Request};
use crate::exposition::Family;
use crate::ingest::{Ingest, IngestConfig};
use crate::metrics;
use crate::pull::{Origin, Probes, Pulled};
use crate::web::auth::Auth;
use crate::web::{Actions, Counters, Live, Site};

/// The process as a site sees it.
#[derive(Debug)]
pub(crate) struct Process {
    request: Request,
    ingest: OnceLock<Arc<Ingest>>,
    counters: Arc<Counters>,
    site: OnceLock<Weak<Site<Self>>>,
    handle: OnceLock<HandleBox>,
    /// What a reload cannot change, as it is in force.
    fixed: BTreeMap<String, String>,
    started: Instant,
    /// The file that is looked at when a scrape comes.
    watched: Option<Watched>,
    /// Reloads come one after another.
    reloading: tokio::sync::Mutex<()>,
    pub(crate) reloads: Reloads,
}

/// How often the configuration was read again.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    /// It is in force since.
    pub(crate) good: AtomicU64,
    /// Something was wrong with it.
    pub(crate) bad: AtomicU64,
    /// Rules of the statsd mapping in force.
    pub(crate) mappings: AtomicU64,
}

/// A file that may change.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// When a file was changed that was read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// It is in force.
    good: Option<SystemTime>,
    /// It was looked at, whatever came of it.
    tried: Option<SystemTime>,
}

struct HandleBox(Handle);

impl std::fmt::Debug for HandleBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// What can be exchanged, and what is bound once. What is the same as before is kept, with its
/// connections, its last answer and what it has counted.
pub(super) fn live(
    config: Config,
    started: Instant,
    before: Option<&Live>,
) -> anyhow::Result<(Live, Option<IngestConfig>)> {
    let limits = config.pull;
    let pulled = config.pulled.into_iter().map(|pulled| {
        let known = before.into_iter().flat_map(|live| &live.pulled);
        let mut origin = Origin::new(started);
        if let Some(known) = known.into_iter().find(|known| known.name() == pulled.name) {
            if known.config().is_same(&pulled) {
                return Ok(Arc::clone(known));
            }
            origin.counters = Arc::clone(known.counters());
        }
        Pulled::new(pulled, limits, origin)
    });
    let (modules, targets) = (config.modules, config.targets);
    let probes = match before.map(|live| &live.probes) {
        Some(probes) if probes.is_of(&modules, &targets) => Arc::clone(probes),
        Some(probes) => Arc::new(probes.with(modules, targets)),
        None => Arc::new(Probes::new(modules, targets, limits)),
    };
    let live = Live {
        pulled: pulled.collect::<anyhow::Result<_>>()?,
        probes,
        auth: Auth::new(config.web.users.clone()),
        tls: config.web.tls.clone(),
        web: config.web,
    };
    Ok((live, config.ingest))
}

/// Starts the reader of pushed inputs.
pub(super) fn read(handle: &Handle, ingest: &Arc<Ingest>) -> std::io::Result<()> {
    let (tasks, ingest) = (handle.clone(), Arc::clone(ingest));
    handle.spawn_thread("ingest", move || {
        let beat = tasks.heartbeat("ingest");
        if let Err(error) = ingest.run(|| beat.beat()) {
            tasks.fail(format!("reading pushed inputs: {error}"));
        }
    })?;
    Ok(())
}

/// Health: which pulled inputs do not answer.
pub(super) fn inputs(site: &Site<Process>) -> Result<(), String> {
    let live = site.live();
    let down: Vec<&str> = live
        .pulled
        .iter()
        .filter(|pulled| pulled.is_up() == Some(false))
        .map(|pulled| pulled.name())
        .collect();
    match down.is_empty() {
        true => Ok(()),
        false => Err(format!("no answer of {}", down.join(", "))),
    }
}

// === impl Watched ===

impl Watched {
    fn new(path: PathBuf) -> Self {
        let now = modified(&path);
        Self { path, seen: Mutex::new(Seen { good: now, tried: now }) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is newer than what is in force, and, unless `again`, than what was tried.
    fn is_due(&self, again: bool) -> bool {
        let Some(now) = modified(&self.path) else { return false };
        let seen = *self.seen();
        seen.good < Some(now) && (again || seen.tried < Some(now))
    }
}

// === impl Process ===

impl Process {
    /// The process of a configuration that is read for the first time.
    pub(super) fn new(request: Request, config: &Config, started: Instant) -> Self {
        Self {
            request,
            ingest: OnceLock::new(),
            counters: Arc::default(),
            site: OnceLock::new(),
            handle: OnceLock::new(),
            fixed: config.fixed(),
            started,
            watched: config.watched.clone().map(Watched::new),
            reloading: tokio::sync::Mutex::default(),
            reloads: Reloads::default(),
        }
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Gives it the reader of pushed inputs, if there is one; once.
    pub(super) fn set_ingest(&self, ingest: Option<Arc<Ingest>>) {
        if let Some(ingest) = ingest {
            let _ = self.ingest.set(ingest);
        }
    }

    /// Tells it whose actions these are; once.
    pub(super) fn set_site(&self, site: &Arc<Site<Self>>) {
        // A second call would say the same.
        let _ = self.site.set(Arc::downgrade(site));
    }

    /// Gives it the means to end the process; once.
    pub(super) fn set_handle(&self, handle: Handle) {
        let _ = self.handle.set(HandleBox(handle));
    }

    fn site(&self) -> Option<Arc<Site<Self>>> {
        self.site.get()?.upgrade()
    }

    async fn exchange(&self) -> Result<(), String> {
        let site = self.site().ok_or("the process is ending")?;
        let request = self.request.clone();
        let load = move || {
            let config = request.load(&ProcessEnvironment).map_err(|error| error.to_string())?;
            Ok::<_, String>(config)
        };
        let config =
            tokio::task::spawn_blocking(load).await.map_err(|error| error.to_string())??;
        for warning in &config.warnings {
            warn!(warning, "configuration");
        }
        self.tell_fixed(&config);
        let before = site.live();
        let (live, plan) =
            live(config, self.started, Some(&before)).map_err(|error| format!("{error:#}"))?;
        match (self.ingest.get(), plan) {
            (Some(ingest), Some(plan)) => {
                let rules = plan.mapping.rules().len() as u64;
                // Nobody else has seen this plan.
                if let Ok(mapping) = Arc::try_unwrap(plan.mapping) {
                    ingest.remap(mapping);
                    self.reloads.mappings.store(rules, Ordering::Relaxed);
                }
                if let Ok(mapping) = Arc::try_unwrap(plan.graphite_mapping) {
                    ingest.remap_graphite(mapping, plan.graphite_ttl);
                }
            }
            (None, None) => {}
            _ => warn!("pushed inputs that were added or removed need a restart"),
        }
        for pulled in &live.pulled {
            if !before.pulled.iter().any(|known| Arc::ptr_eq(known, pulled)) {
                pulled.keep_alive();
            }
        }
        site.replace(live);
        Ok(())
    }

    /// Says what was changed to no effect.
    fn tell_fixed(&self, config: &Config) {
        let now = config.fixed();
        let names = now.keys().chain(self.fixed.keys()).collect::<BTreeSet<_>>();
        let changed: Vec<&str> = names
            .into_iter()
            .filter(|name| now.get(*name) != self.fixed.get(*name))
            .map(String::as_str)
            .collect();
        if !changed.is_empty() {
            warn!(changed = changed.join(", "), "what was changed there needs a restart");
        }
    }

    /// Reads everything again; nobody else does so meanwhile.
    async fn reload_alone(&self) -> Result<(), String> {
        let watched = self.watched.as_ref();
        let now = watched.and_then(|watched| modified(&watched.path));
        if let Some(watched) = watched {
            watched.seen().tried = now;
        }
        let result = self.exchange().await;
        match &result {
            Ok(()) => {
                if let Some(watched) = watched {
                    watched.seen().good = now;
                }
                self.reloads.good.fetch_add(1, Ordering::Relaxed);
                info!("configuration read again");
            }
            Err(error) => {
                self.reloads.bad.fetch_add(1, Ordering::Relaxed);
                warn!(error, "configuration stays as it was");
            }
        }
        result
    }
}

impl Actions for Process {
    async fn reload(&self) -> Result<(), String> {
        let _alone = self.reloading.lock().await;
        self.reload_alone().await
    }

    async fn reload_if_changed(&self, again: bool) -> bool {
        let Some(watched) = self.watched.as_ref().filter(|watched| watched.is_due(again)) else {
            return false;
        };
        let _alone = self.reloading.lock().await;
        // Somebody else may have done it meanwhile; what was wrong is in the log and counted.
        watched.is_due(again) && self.reload_alone().await.is_ok()
    }

    fn quit(&self) {
        if let Some(HandleBox(handle)) = self.handle.get() {
            handle.shutdown();
        }
    }

    fn families(&self) -> Vec<Family> {
        match self.site() {
            Some(site) if site.mode == Mode::Statsd => metrics::statsd(&site),
            Some(site) if site.mode == Mode::Jmx => metrics::jmx(&site),
            _ => Vec::new(),
        }
    }
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}
