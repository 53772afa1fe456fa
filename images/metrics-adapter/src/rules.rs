//! The rules of `jmx_exporter`: beans and attributes in, families out. Pure.
//!
//! [`JmxConfig`] is the file, [`Selection`] says what is to be read, [`Rules`] are compiled once and
//! learn which attributes they need not look at again; a [`Scrape`] takes values and gives families.
//!
//! Reading order: [`config`], `selection`, `walk` (values to scalars), `engine` (a scalar to the
//! rule it hits and what that makes), with `pattern`, `template`, `names` and `sieve` below it,
//! `scrape` (what is kept between scrapes, and how samples become families) and `budget`.
//!
//! # Where it differs from the original
//!
//! Only for a file that asks for it:
//!
//! | Key | The original | With the key |
//! |---|---|---|
//! | `naming: jmx_0.20` | 1.x takes `_total`, `_created`, `_bucket` and `_info` off names | names stay as rules make them, as in 0.20 |
//! | `jvmMetrics: true` | `jvm_*` and `process_*` in its Java agent only | made from the beans of the platform |
//! | `pruneBeans: true` | reads beans that no rule can name | does not read them; takes for granted that no `<` stands in keys, attributes and values |
//!
//! For every file, on purpose:
//!
//! | What | The original | Here |
//! |---|---|---|
//! | a rule with `cache`, hit once | rules before it are never tried again on that attribute | they are, unless they cannot fit whatever the value is: the page does not depend on which value came first |
//! | `getAttributes` of a bean fails, and attributes are read one by one | the bean is without the labels and extra metrics of its customizer | it has them |
//! | a date as the value of a label (`attributesAsLabels`, index columns) | `Date.toString()` in the zone of the JVM | the same text in UTC, which is the zone of most containers: of the JVM's zone nothing is sent. As values, dates are seconds in both |
//! | a label twice | the scrape fails | the first one stays |
//! | a `$3` in a pattern with two groups | an exception at each hit | the value is left out, and a warning said once |
//! | a pattern that goes astray in backtracking | takes as long as it takes | given up after a number of steps, counted |
//!
//! Limits that the original does not have, each far beyond what is usual, and counted:
//!
//! | What | Most | Beyond |
//! |---|---|---|
//! | a name, a help text, the value of a label | 4096 bytes | cut |
//! | properties of a bean, and with those of a row | 128 | the bean or the row is left out |
//! | composite and tabular data in each other | 32 | deeper ones are left out |
//! | labels and samples of a scrape; match strings that rules are tried on; families | bytes, see `budget` | samples are left out, the same ones each time |

mod budget;
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
use budget::Budget;
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
    budget: Budget,
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
    /// Samples beyond the limits of one scrape, as far as it was still looked what would become of a
    /// value; otherwise values. Beans and rows with too many properties are counted here, too.
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
            budget: Budget::default(),
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
            refused_samples: self.budget.refused(),
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
