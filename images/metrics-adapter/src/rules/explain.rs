//! What rules make of a bean, said place by place; for `check --explain`.

use std::sync::Arc;

use super::budget::Budget;
use super::engine::{Dropped, Outcome};
use super::names::without_reserved;
use super::scrape::{customizer_labels, extra_attributes};
use super::walk::{BeanText, Place, Scalar, Walk};
use super::{Naming, Rules, customizer};
use crate::jmx::{AttributeInfo, ObjectName, Value};

/// What became of one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What patterns were compared with.
    pub match_string: String,
    /// The rule that was hit.
    pub rule: Option<RuleHit>,
    /// What came of it.
    pub outcome: Explained,
}

/// A rule of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleHit {
    /// Place in the file, from 0.
    pub index: usize,
    /// Its first line, from 1; 0 for the rule of a file without rules.
    pub line: u64,
}

/// What came of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// A sample, before samples of one name are put together: kinds may still differ, and
    /// `_objectname` may be added.
    Sample {
        /// Its name, without the end that its kind gives it.
        name: String,
        /// Its labels, sorted.
        labels: Vec<(String, String)>,
        /// Its value.
        value: f64,
    },
    /// Nothing, and why.
    Dropped(String),
}

impl Rules {
    /// Says for each value of a bean which rule it hits and what comes of it; of no more values than
    /// a scrape may look at.
    pub fn explain(
        &mut self,
        name: &ObjectName,
        attributes: &[(&AttributeInfo, &Value)],
    ) -> Vec<Explanation> {
        let bean = Arc::new(BeanText::new(name));
        let custom = customizer(&self.customizers, name).map(|index| &self.customizers[index]);
        let labels = custom.map(|one| customizer_labels(one, attributes)).unwrap_or_default();
        let extra = custom.map(extra_attributes).unwrap_or_default();
        let mut out = Vec::new();
        let (engine, naming) = (&mut self.engine, self.naming);
        let mut budget = Budget::default();
        let mut leaf = |place: &Place<'_>, scalar: Scalar<'_>| {
            let length = place.bean.angled.len() + scalar.len();
            if !budget.tried.take(length) || !budget.held.take(length) {
                return;
            }
            let bean = match place.rows.is_empty() {
                true => Arc::clone(place.bean),
                false => Arc::new(place.bean.extended(place.rows)),
            };
            let found = engine.evaluate(&bean, place, scalar, &labels);
            let rule = found.rule.map(|index| RuleHit { index, line: engine.line(index) });
            let match_string = engine.match_string(found.rule).to_owned();
            let outcome = explained(found.outcome, scalar, naming);
            out.push(Explanation { match_string, rule, outcome });
        };
        let mut walk = Walk::new(&bean, &mut leaf);
        for (info, value) in &extra {
            walk.attribute(&info.name, &info.description, value);
        }
        for (info, value) in attributes {
            walk.attribute(&info.name, &info.description, value);
        }
        out
    }
}

fn explained(outcome: Outcome, scalar: Scalar<'_>, naming: Naming) -> Explained {
    let made = match outcome {
        Outcome::Made(made) => made,
        Outcome::NoRule => return Explained::Dropped("no rule fits".to_owned()),
        Outcome::Dropped(Dropped::Name) => {
            return Explained::Dropped("the rule's name is empty".to_owned());
        }
        Outcome::Dropped(Dropped::Value(text)) => {
            return Explained::Dropped(format!("the rule's value `{text}` is no number"));
        }
        Outcome::Dropped(Dropped::Template(what)) => return Explained::Dropped(what),
    };
    let factor = match scalar {
        Scalar::Boolean(_) if made.fixed.is_none() => 1.0,
        _ => made.factor,
    };
    let name = match naming {
        Naming::V1 => without_reserved(&made.name).to_owned(),
        Naming::V0 => made.name,
    };
    match made.fixed.or_else(|| scalar.number()) {
        Some(value) => Explained::Sample { name, labels: made.labels, value: value * factor },
        None => Explained::Dropped("a text is no number, and the rule has no value".to_owned()),
    }
}
