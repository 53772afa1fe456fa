//! What a pulled input answers, and how several answers become one page.

use std::borrow::Cow;
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

/// A family as one answer has it.
type Rival<'a> = (&'a Answer, Cow<'a, Family>);

/// Joins answers into families in the order of their names. What an answer says of its scrape goes
/// before what was read. A family that one answer alone has, and that gets no labels, is not
/// copied: those of a large JVM are some megabytes.
#[must_use]
pub fn merge(answers: &[Answer]) -> (Vec<Cow<'_, Family>>, Conflicts) {
    let mut named: BTreeMap<Cow<'_, str>, Vec<Rival<'_>>> = BTreeMap::new();
    for answer in answers {
        for family in answer.figures() {
            let name = Cow::Owned(family.name.clone());
            named.entry(name).or_default().push((answer, Cow::Owned(family)));
        }
    }
    for answer in answers {
        for family in answer.families.iter() {
            let name = Cow::Borrowed(family.name.as_str());
            named.entry(name).or_default().push((answer, Cow::Borrowed(family)));
        }
    }
    let mut conflicts = Conflicts::default();
    let joined = named.into_values().map(|mut rivals| match &rivals[..] {
        // An input makes no series twice by itself, and without labels of ours none becomes another.
        [(answer, _)] if answer.labels.is_empty() => rivals.swap_remove(0).1,
        _ => Cow::Owned(join(&rivals, &mut conflicts)),
    });
    (joined.collect(), conflicts)
}

/// Families of one name, at least one, as one; of two series with the same labels, in whatever
/// order, the first stays.
fn join(rivals: &[Rival<'_>], conflicts: &mut Conflicts) -> Family {
    let first = &rivals[0].1;
    let mut seen: HashSet<String> = HashSet::new();
    let mut kind = first.kind;
    let mut samples = Vec::with_capacity(rivals.iter().map(|(_, it)| it.samples.len()).sum());
    for (answer, family) in rivals {
        if family.kind != first.kind {
            conflicts.families += 1;
            kind = Kind::Untyped;
        }
        for (own, value) in &family.samples {
            let full = with_labels(own, &answer.labels);
            if !seen.insert(sorted(&full)) {
                conflicts.series += 1;
            } else {
                samples.push((full, *value));
            }
        }
    }
    Family { name: first.name.clone(), help: first.help.clone(), kind, samples }
}

/// The text of labels in the order of their names.
fn sorted(labels: &Labels) -> String {
    let mut pairs: Vec<_> = labels.pairs().collect();
    if pairs.is_sorted() {
        return labels.as_str().to_owned();
    }
    pairs.sort_unstable();
    Labels::new(pairs).as_str().to_owned()
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
