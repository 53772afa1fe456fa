//! The ways to ask.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::{PullLimits, PulledConfig, PulledKind};
use crate::exposition::Family;
use crate::jmx::collector::Collector;
use crate::jolokia::Jolokia;
use crate::json::Json;

/// What a scrape has read.
#[derive(Debug, Default)]
pub struct Scraped {
    /// Families in the order of their names.
    pub families: Vec<Family>,
    /// Attributes whose rule is remembered.
    pub cached_beans: u64,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// A way to ask.
#[derive(Debug)]
pub(super) enum Source {
    Jmx(Arc<Mutex<Collector>>),
    Jolokia(Arc<Jolokia>),
    Json(Arc<Json>),
}

// === impl Failure ===

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

// === impl Source ===

impl Source {
    pub(super) fn new(config: &PulledConfig, limits: &PullLimits) -> anyhow::Result<Self> {
        Ok(match &config.kind {
            PulledKind::Jmx { target, rules } => {
                let collector = Collector::new(target.clone(), rules.as_ref().clone());
                Self::Jmx(Arc::new(Mutex::new(collector)))
            }
            PulledKind::Attach { .. } => anyhow::bail!("attach is not built in"),
            PulledKind::Jolokia { remote, rules } => {
                Self::Jolokia(Arc::new(Jolokia::new(remote, rules, limits.body_bytes_max)?))
            }
            PulledKind::Json(json) => {
                Self::Json(Arc::new(Json::new(json, limits.body_bytes_max)?))
            }
        })
    }

    /// Whether what `jmx_exporter` says of its scrapes is to be said.
    pub(super) fn is_jmx(&self) -> bool {
        !matches!(self, Self::Json(_))
    }

    pub(super) async fn scrape(&self, end: Instant) -> Result<Scraped, Failure> {
        match self {
            Self::Jmx(collector) => {
                let collector = Arc::clone(collector);
                let scrape = move || {
                    let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
                    collector.scrape(end)
                };
                let result = tokio::task::spawn_blocking(scrape).await;
                let families = result
                    .map_err(|error| Failure(format!("the scrape broke off: {error}")))?
                    .map_err(|error| Failure(error.to_string()))?;
                Ok(Scraped { families, cached_beans: 0 })
            }
            Self::Jolokia(jolokia) => {
                let scrape = jolokia.scrape();
                let late = |_| Failure("the deadline has passed".to_owned());
                tokio::time::timeout_at(end.into(), scrape).await.map_err(late)?
            }
            Self::Json(json) => {
                let scrape = json.scrape();
                let late = |_| Failure("the deadline has passed".to_owned());
                tokio::time::timeout_at(end.into(), scrape).await.map_err(late)?
            }
        }
    }

    pub(super) async fn heartbeat(&self, end: Instant) {
        if let Self::Jmx(collector) = self {
            let collector = Arc::clone(collector);
            let beat = move || {
                // A scrape under way keeps the connection alive by itself.
                if let Ok(mut collector) = collector.try_lock() {
                    collector.heartbeat(end);
                }
            };
            // A heartbeat that broke off shows with the next scrape.
            let _ = tokio::task::spawn_blocking(beat).await;
        }
    }
}
