//! The ways to ask.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::config::{PullLimits, PulledConfig, PulledKind};
use crate::exposition::Family;
use crate::jmx::attach::{self, Selector};
use crate::jmx::collector::Collector;
use crate::jmx::session::{GivenUp, Target};
use crate::jolokia::Jolokia;
use crate::json::Json;
use crate::rules::{JmxConfig, RuleCounters};

/// What a scrape has read.
#[derive(Debug, Default)]
pub struct Scraped {
    /// Families in the order of their names.
    pub families: Vec<Family>,
    /// What the rules have counted so far; nothing where there are none.
    pub rules: RuleCounters,
}

/// Why there is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// A JVM that is looked for among the processes, until it is found and as often as it goes.
#[derive(Debug)]
pub(super) struct Attached {
    process: Selector,
    rules: JmxConfig,
    collector: Option<Collector>,
    given_up: GivenUp,
}

/// A way to ask.
#[derive(Debug)]
pub(super) enum Source {
    Jmx(Arc<Mutex<Collector>>, GivenUp),
    Attach(Arc<Mutex<Attached>>, GivenUp),
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
                let given_up = GivenUp::default();
                let target = Target { given_up: given_up.clone(), ..target.clone() };
                let collector = Collector::new(target, rules.as_ref().clone());
                Self::Jmx(Arc::new(Mutex::new(collector)), given_up)
            }
            PulledKind::Attach { process, rules } => {
                let given_up = GivenUp::default();
                let attached = Attached {
                    process: process.clone(),
                    rules: rules.as_ref().clone(),
                    collector: None,
                    given_up: given_up.clone(),
                };
                Self::Attach(Arc::new(Mutex::new(attached)), given_up)
            }
            PulledKind::Jolokia { remote, rules } => {
                Self::Jolokia(Arc::new(Jolokia::new(remote, rules, limits.body_bytes_max)?))
            }
            PulledKind::Json(json) => Self::Json(Arc::new(Json::new(json, limits.body_bytes_max)?)),
        })
    }

    /// Whether what `jmx_exporter` says of its scrapes is to be said.
    pub(super) fn is_jmx(&self) -> bool {
        !matches!(self, Self::Json(_))
    }

    pub(super) async fn scrape(&self, end: Instant) -> Result<Scraped, Failure> {
        match self {
            Self::Jmx(collector, _) => {
                let collector = Arc::clone(collector);
                blocking(move || {
                    let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
                    read(&mut collector, end)
                })
                .await
            }
            Self::Attach(attached, _) => {
                let attached = Arc::clone(attached);
                blocking(move || {
                    attached.lock().unwrap_or_else(PoisonError::into_inner).scrape(end)
                })
                .await
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

    /// Tells a scrape that blocks a thread to end (or, with false, that the next one may wait
    /// again); true if it does so by itself, false if it ends by being dropped.
    pub(super) fn give_up(&self, given_up: bool) -> bool {
        match self {
            Self::Jmx(_, flag) | Self::Attach(_, flag) => {
                flag.set(given_up);
                true
            }
            Self::Jolokia(_) | Self::Json(_) => false,
        }
    }

    /// A scrape under way keeps the connection alive by itself, and a heartbeat that broke off
    /// shows with the next scrape.
    pub(super) async fn heartbeat(&self, end: Instant) {
        let beat: Box<dyn FnOnce() + Send> = match self {
            Self::Jmx(collector, _) => {
                let collector = Arc::clone(collector);
                Box::new(move || {
                    if let Ok(mut collector) = collector.try_lock() {
                        collector.heartbeat(end);
                    }
                })
            }
            Self::Attach(attached, _) => {
                let attached = Arc::clone(attached);
                Box::new(move || {
                    if let Ok(mut attached) = attached.try_lock()
                        && let Some(collector) = &mut attached.collector
                    {
                        collector.heartbeat(end);
                    }
                })
            }
            Self::Jolokia(_) | Self::Json(_) => return,
        };
        let _ = tokio::task::spawn_blocking(beat).await;
    }
}

impl Drop for Source {
    /// Says goodbye, so that a server need not keep its side for two minutes; not here where
    /// others would wait for it.
    fn drop(&mut self) {
        let Some(goodbye) = self.goodbye() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(goodbye)),
            Err(_) => goodbye(),
        }
    }
}

impl Source {
    /// Ends the connection, if there is one and nobody uses it.
    pub(super) fn goodbye(&self) -> Option<Box<dyn FnOnce() + Send>> {
        match self {
            Self::Jmx(collector, _) => {
                let collector = Arc::clone(collector);
                Some(Box::new(move || {
                    if let Ok(mut collector) = collector.try_lock() {
                        collector.close();
                    }
                }))
            }
            Self::Attach(attached, _) => {
                let attached = Arc::clone(attached);
                Some(Box::new(move || {
                    if let Ok(mut attached) = attached.try_lock()
                        && let Some(mut collector) = attached.collector.take()
                    {
                        collector.close();
                    }
                }))
            }
            Self::Jolokia(_) | Self::Json(_) => None,
        }
    }
}

/// Runs what blocks on a thread that may.
async fn blocking(
    scrape: impl FnOnce() -> Result<Scraped, Failure> + Send + 'static,
) -> Result<Scraped, Failure> {
    let result = tokio::task::spawn_blocking(scrape).await;
    result.map_err(|error| Failure(format!("the scrape broke off: {error}")))?
}

fn read(collector: &mut Collector, end: Instant) -> Result<Scraped, Failure> {
    let families = collector.scrape(end).map_err(|error| Failure(error.to_string()))?;
    Ok(Scraped { families, rules: collector.counters() })
}

// === impl Attached ===

impl Attached {
    /// A JVM that does not answer is looked for again with the next scrape: it may be another one.
    fn scrape(&mut self, end: Instant) -> Result<Scraped, Failure> {
        let mut collector = match self.collector.take() {
            Some(collector) => collector,
            None => Collector::new(self.find(end)?, self.rules.clone()),
        };
        let scraped = read(&mut collector, end)?;
        self.collector = Some(collector);
        Ok(scraped)
    }

    fn find(&self, end: Instant) -> Result<Target, Failure> {
        let found = attach::attach(&self.process, end);
        let url = found.map_err(|error| Failure(error.to_string()))?.url;
        let target = Target::from_url(&url);
        let target = target.map_err(|error| Failure(format!("the local agent: {error}")))?;
        Ok(Target { given_up: self.given_up.clone(), ..target })
    }
}
