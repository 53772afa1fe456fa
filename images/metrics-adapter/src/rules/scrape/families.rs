//! From samples to families.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::exposition::{Family, Kind};
use crate::labels::Labels;
use crate::rules::config::{Naming, RuleKind};
use crate::rules::walk::BeanText;

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
    fn help(&self) -> String {
        match &self.help {
            Help::Rule(help) => help.to_string(),
            Help::Default { description, attribute } => {
                let property = |key| self.bean.property(key).unwrap_or("null");
                let (name, kind) = (property("name"), property("type"));
                let domain = &self.bean.domain;
                let place = format!("{domain}:name={name},type={kind},attribute={attribute}");
                match description {
                    Some(text) => format!("{text} {place}"),
                    None => place,
                }
            }
        }
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
pub(super) fn families(samples: &[Sample], naming: Naming) -> Vec<Family> {
    // Names are interned: one name has one address.
    let mut by_name: HashMap<usize, Vec<&Sample>> = HashMap::new();
    for sample in samples {
        by_name.entry(sample.emit.name.as_ptr().addr()).or_default().push(sample);
    }
    let mut families: Vec<Family> =
        by_name.into_values().map(|samples| family(&samples, naming)).collect();
    families.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    families
}

fn family(samples: &[&Sample], naming: Naming) -> Family {
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
    let mut labels = HashSet::with_capacity(if samples.len() > 1 { samples.len() } else { 0 });
    let unique = samples.len() < 2
        || samples.iter().all(|sample| labels.insert(sample.emit.labels.as_str()));
    let series = |sample: &&Sample| {
        let labels = match unique {
            true => sample.emit.labels.clone(),
            false => sample.emit.labels_with_origin(),
        };
        (labels, sample.value)
    };
    Family { name, help: first.help(), kind, samples: samples.iter().map(series).collect() }
}
