//! The rules of `jmx_exporter`: beans and attributes in, families out. Pure.
//!
//! [`JmxConfig`] is the file, [`Selection`] says what is to be read, [`Rules`] are compiled once and
//! learn which attributes they need not look at again; a [`Scrape`] takes values and gives families.
//!
//! Reading order: [`config`], `selection`, `walk` (values to scalars), `engine` (a scalar to the
//! rule it hits and what that makes), with `pattern`, `template`, `names` and `sieve` below it, and
//! `scrape` (what is kept between scrapes, and how samples become families).

pub mod config;
mod date;
mod engine;
mod explain;
mod jvm;
mod names;
mod number;
mod pattern;
mod scrape;
mod selection;
mod sieve;
mod template;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

pub use config::{JmxConfig, JmxConfigError, Naming};
pub use explain::{Explained, Explanation, RuleHit};
pub use scrape::Scrape;
pub use selection::{BeanAttributes, Selection};

use crate::jmx::ObjectName;
use config::MetricCustomizer;
use engine::Engine;
use scrape::Bean;

/// Compiled rules, with what they have learnt about attributes seen before.
#[derive(Debug)]
pub struct Rules {
    engine: Engine,
    customizers: Vec<MetricCustomizer>,
    naming: Naming,
    beans: HashMap<Box<str>, Bean>,
    /// Names, attributes and descriptions, each once.
    names: HashSet<Arc<str>>,
    /// What rules may see of beans that are read for `jvmMetrics` anyway; `None` without them.
    ruled: Option<Selection>,
    /// Places that something is known of.
    plans: usize,
    /// Number of the scrape.
    seen: u32,
    cached_beans: u64,
    refused_samples: u64,
}

/// What rules have counted since their start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounters {
    /// Values that rules were tried on; the others were known.
    pub evaluations: u64,
    /// Places whose outcome is known.
    pub plans: u64,
    /// Matches given up because they would have taken too long.
    pub step_limit_hits: u64,
    /// Names, helps and values of labels that were cut because of their length.
    pub cut_texts: u64,
    /// Samples beyond the limit of one scrape.
    pub refused_samples: u64,
    /// `jmx_scrape_cached_beans` of the last scrape.
    pub cached_beans: u64,
}

// === impl Rules ===

impl Rules {
    /// Compiles the rules of a file.
    #[must_use]
    pub fn new(config: &JmxConfig) -> Self {
        Self {
            engine: Engine::new(config),
            customizers: config.customizers.clone(),
            naming: config.naming,
            beans: HashMap::new(),
            names: HashSet::new(),
            ruled: config.jvm_metrics.then(|| Selection::of_rules(config)),
            plans: 0,
            seen: 0,
            cached_beans: 0,
            refused_samples: 0,
        }
    }

    /// Begins a scrape.
    pub fn scrape(&mut self) -> Scrape<'_> {
        Scrape::new(self)
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> RuleCounters {
        RuleCounters {
            evaluations: self.engine.evaluations,
            plans: self.plans as u64,
            step_limit_hits: self.engine.step_limit_hits.get(),
            cut_texts: self.engine.cut.get(),
            refused_samples: self.refused_samples,
            cached_beans: self.cached_beans,
        }
    }
}

/// The customizer of a bean: the first that fits.
fn customizer(customizers: &[MetricCustomizer], name: &ObjectName) -> Option<usize> {
    customizers.iter().position(|customizer| {
        let has = |(key, value): &(String, String)| {
            name.properties().any(|(name, found)| name == key && found == value)
        };
        customizer.domain == name.domain() && customizer.properties.iter().all(has)
    })
}
