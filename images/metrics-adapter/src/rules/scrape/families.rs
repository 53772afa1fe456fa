//! From samples to families.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::exposition::{Family, Kind};
use crate::labels::Labels;
use crate::rules::budget::Budget;
use crate::rules::config::{Naming, RuleKind};
use crate::rules::engine::{Engine, short};
use crate::rules::walk::{BeanText, Scalar};

/// A series.
#[derive(Debug)]
pub(super) struct Emit {
    pub(super) name: Arc<str>,
    pub(super) labels: Labels,
    pub(super) kind: RuleKind,
    pub(super) help: Help,
    pub(super) fixed: Option<f64>,
    pub(super) factor: f64,
    pub(super) bean: Arc<BeanText>,
    /// The match string before its last colon, without the bean in front.
    pub(super) tail: Box<str>,
}

#[derive(Debug)]
pub(super) enum Help {
    Rule(Box<str>),
    Default { description: Option<Arc<str>>, attribute: Arc<str> },
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) emit: Arc<Emit>,
    pub(super) value: f64,
}

// === impl Emit ===

impl Emit {
    /// The value of a sample; `None` for a text without a number of the rule.
    pub(super) fn value(&self, scalar: Scalar<'_>) -> Option<f64> {
        match (self.fixed, scalar) {
            (Some(fixed), _) => Some(fixed * self.factor),
            // The factor is for numbers only.
            (None, Scalar::Boolean(_)) => scalar.number(),
            (None, _) => scalar.number().map(|number| number * self.factor),
        }
    }

    /// Bytes that a sample of it takes, about.
    pub(super) fn weight(&self) -> usize {
        let help = match &self.help {
            Help::Rule(help) => help.len(),
            Help::Default { .. } => 0,
        };
        size_of::<Self>()
            + size_of::<Sample>()
            + self.labels.as_str().len()
            + self.tail.len()
            + help
    }

    fn help(&self) -> String {
        match &self.help {
            Help::Rule(help) => help.to_string(),
            Help::Default { description, attribute } => {
                let property = |key| short(self.bean.property(key).unwrap_or("null"));
                let (name, kind) = (property("name"), property("type"));
                let (domain, attribute) = (short(&self.bean.domain), short(attribute));
                let place = format!("{domain}:name={name},type={kind},attribute={attribute}");
                match description {
                    Some(text) => format!("{} {place}", short(text)),
                    None => place,
                }
            }
        }
    }

    /// Bytes of a sample of a family, about.
    fn page_weight(&self, with_origin: bool) -> usize {
        let origin = if with_origin { self.bean.angled.len() + self.tail.len() } else { 0 };
        size_of::<(Labels, f64)>() + self.labels.as_str().len() + origin
    }

    /// The labels with `_objectname`, which tells apart what has the same labels.
    fn labels_with_origin(&self) -> Labels {
        let origin = format!("{}{}", self.bean.angled, self.tail);
        let mut pairs: Vec<(String, String)> = self
            .labels
            .pairs()
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .filter(|(name, _)| name != "_objectname")
            .collect();
        pairs.push(("_objectname".to_owned(), origin));
        pairs.sort();
        Labels::new(pairs)
    }
}

/// Samples of one name are one family.
pub(super) fn families(
    samples: &[Sample],
    naming: Naming,
    engine: &Engine,
    budget: &mut Budget,
) -> Vec<Family> {
    // Names are interned: one name has one address.
    let mut by_name: HashMap<usize, Vec<&Sample>> = HashMap::new();
    for sample in samples {
        by_name.entry(sample.emit.name.as_ptr().addr()).or_default().push(sample);
    }
    let mut by_name: Vec<Vec<&Sample>> = by_name.into_values().collect();
    // Before any is refused, that it be the same ones each time.
    by_name.sort_unstable_by(|left, right| left[0].emit.name.cmp(&right[0].emit.name));
    let mut families: Vec<Family> = by_name
        .iter()
        .filter_map(|samples| {
            let family = family(samples, naming, engine, budget);
            let made = family.as_ref().map_or(0, |family| family.samples.len());
            budget.refuse((samples.len() - made) as u64);
            family
        })
        .collect();
    // The end that a kind gives a name may change the order.
    families.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    families
}

/// The family of samples of one name; `None` when nothing of it fits the budget.
fn family(
    samples: &[&Sample],
    naming: Naming,
    engine: &Engine,
    budget: &mut Budget,
) -> Option<Family> {
    let first = &samples[0].emit;
    let kind = match &first.kind {
        kind if samples.iter().any(|sample| sample.emit.kind != *kind) => Kind::Untyped,
        RuleKind::Counter => Kind::Counter,
        RuleKind::Gauge => Kind::Gauge,
        RuleKind::Unknown | RuleKind::Other(_) => Kind::Untyped,
    };
    let name = match (naming, kind) {
        (Naming::V1, Kind::Counter) => format!("{}_total", first.name),
        _ => first.name.to_string(),
    };
    let mut help = first.help();
    engine.cut(&mut help);
    if !budget.page.take(size_of::<Family>() + name.len() + help.len()) {
        return None;
    }
    let mut labels = HashSet::with_capacity(if samples.len() > 1 { samples.len() } else { 0 });
    let unique = samples.len() < 2
        || samples.iter().all(|sample| labels.insert(sample.emit.labels.as_str()));
    let series = |sample: &&Sample| {
        let labels = match budget.page.take(sample.emit.page_weight(!unique)) {
            true if unique => sample.emit.labels.clone(),
            true => sample.emit.labels_with_origin(),
            false => return None,
        };
        Some((labels, sample.value))
    };
    let samples: Vec<_> = samples.iter().filter_map(series).collect();
    (!samples.is_empty()).then_some(Family { name, help, kind, samples })
}
