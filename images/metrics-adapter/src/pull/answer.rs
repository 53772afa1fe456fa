//! What a pulled input answers, and how several answers become one page.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::exposition::{Family, Kind};
use crate::labels::{self, Labels};

/// An answer, good, stale or none.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was read.
    pub families: Arc<Vec<Family>>,
    /// Labels that tell its series from those of other inputs.
    pub labels: Vec<(String, String)>,
    /// What `jmx_exporter` says of every scrape.
    pub jmx: Option<JmxFigures>,
    /// Why there is nothing, or nothing new.
    pub error: Option<String>,
    /// Whether it is the answer of an earlier scrape.
    pub stale: bool,
}

/// What `jmx_exporter` says of every scrape.
#[derive(Clone, Copy, Debug)]
pub struct JmxFigures {
    /// How long the last scrape took.
    pub seconds: f64,
    /// Whether there is no answer.
    pub error: bool,
    /// Attributes whose rule is remembered.
    pub cached_beans: u64,
    /// Waiters whose time was up.
    pub timeouts: u64,
}

/// What was left out when answers were joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// Families whose name another kind had taken: they became untyped.
    pub families: u64,
    /// Series whose labels another series had taken.
    pub series: u64,
}

// === impl Answer ===

impl Answer {
    /// The families of the scrape itself.
    #[must_use]
    pub fn figures(&self) -> Vec<Family> {
        let Some(figures) = self.jmx else { return Vec::new() };
        let family = |name: &str, help: &str, kind, value| Family {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            samples: vec![(Labels::default(), value)],
        };
        vec![
            family(
                "jmx_scrape_cached_beans",
                "Attributes whose matching rule is remembered",
                Kind::Gauge,
                figures.cached_beans as f64,
            ),
            family(
                "jmx_scrape_duration_seconds",
                "Seconds that the last JMX scrape took",
                Kind::Gauge,
                figures.seconds,
            ),
            family(
                "jmx_scrape_error",
                "1 when the last JMX scrape failed, else 0",
                Kind::Gauge,
                f64::from(u8::from(figures.error)),
            ),
            family(
                "jmx_scrape_timeout_total",
                "Scrapes whose answer did not come in time",
                Kind::Counter,
                figures.timeouts as f64,
            ),
        ]
    }
}

/// Joins answers into families in the order of their names.
#[must_use]
pub fn merge(answers: &[Answer]) -> (Vec<Family>, Conflicts) {
    let mut joined: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen: HashSet<(String, Labels)> = HashSet::new();
    let mut conflicts = Conflicts::default();
    // A single input has no rival: its own families are good as they are.
    let check = answers.len() > 1;
    for answer in answers {
        for family in answer.families.iter().chain(&answer.figures()) {
            let mut samples = Vec::with_capacity(family.samples.len());
            for (own, value) in &family.samples {
                let full = with_labels(own, &answer.labels);
                if check && !seen.insert((family.name.clone(), full.clone())) {
                    conflicts.series += 1;
                } else {
                    samples.push((full, *value));
                }
            }
            match joined.entry(family.name.clone()) {
                Entry::Vacant(place) => {
                    place.insert(Family { samples, ..family.clone() });
                }
                Entry::Occupied(mut place) => {
                    let known = place.get_mut();
                    if known.kind != family.kind {
                        conflicts.families += 1;
                        known.kind = Kind::Untyped;
                    }
                    known.samples.append(&mut samples);
                }
            }
        }
    }
    (joined.into_values().collect(), conflicts)
}

/// Labels of a series with those of its input; a label that is there already stays.
fn with_labels(own: &Labels, extra: &[(String, String)]) -> Labels {
    if extra.is_empty() {
        return own.clone();
    }
    let mut text = own.as_str().to_owned();
    for (name, value) in extra {
        if !own.pairs().any(|(known, _)| known == name) {
            labels::push_pair(&mut text, name, value);
        }
    }
    Labels::from_rendered(&text)
}
