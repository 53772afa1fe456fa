//! What requests and signals may cause, and what it takes to do so.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use management::Handle;
use management::settings::ProcessEnvironment;
use tracing::{info, warn};

use crate::config::{Config, Mode, Request};
use crate::exposition::Family;
use crate::ingest::{Ingest, IngestConfig};
use crate::metrics;
use crate::pull::{Probes, Pulled};
use crate::web::auth::Auth;
use crate::web::{Actions, Counters, Live, Site};

/// The process as a site sees it.
#[derive(Debug)]
pub(crate) struct Process {
    request: Request,
    ingest: Option<Arc<Ingest>>,
    counters: Arc<Counters>,
    site: OnceLock<Weak<Site<Self>>>,
    handle: OnceLock<HandleBox>,
    /// The file that is looked at when a scrape comes, and when it last was as it is now.
    watched: Option<(PathBuf, Mutex<Option<SystemTime>>)>,
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

struct HandleBox(Handle);

impl std::fmt::Debug for HandleBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// What can be exchanged, and what is bound once.
pub(super) fn live(config: Config) -> anyhow::Result<(Live, Option<IngestConfig>)> {
    let limits = config.pull;
    let pulled = config.pulled.into_iter().map(|pulled| Pulled::new(pulled, limits));
    let live = Live {
        pulled: pulled.collect::<anyhow::Result<_>>()?,
        probes: Arc::new(Probes::new(config.modules, config.targets, limits)),
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

// === impl Process ===

impl Process {
    pub(super) fn new(
        request: Request,
        watched: Option<PathBuf>,
        ingest: Option<Arc<Ingest>>,
    ) -> Self {
        Self {
            request,
            ingest,
            counters: Arc::default(),
            site: OnceLock::new(),
            handle: OnceLock::new(),
            watched: watched.map(|path| {
                let seen = modified(&path);
                (path, Mutex::new(seen))
            }),
            reloading: tokio::sync::Mutex::default(),
            reloads: Reloads::default(),
        }
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
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
        let (live, plan) = live(config).map_err(|error| format!("{error:#}"))?;
        if live.web.listen != site.live().web.listen {
            warn!("another address of the page needs a restart");
        }
        match (&self.ingest, plan) {
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
            pulled.keep_alive();
        }
        site.replace(live);
        Ok(())
    }
}

impl Actions for Process {
    async fn reload(&self) -> Result<(), String> {
        let _alone = self.reloading.lock().await;
        let result = self.exchange().await;
        match &result {
            Ok(()) => {
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

    async fn reload_if_changed(&self) {
        let Some((path, seen)) = &self.watched else { return };
        let now = modified(path);
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if now.is_none() || *seen >= now {
                return;
            }
            *seen = now;
        }
        // Said in the log and counted.
        let _ = self.reload().await;
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
