//! One scrape: what is known of a place is used again, the rest is evaluated; then samples become
//! families.

mod families;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::budget::Budget;
use super::config::{ExtraValue, MetricCustomizer, Naming};
use super::engine::{Engine, Made, Outcome, short};
use super::jvm::{self, JvmFamilies};
use super::names::without_reserved;
use super::sieve::ALPHABET;
use super::walk::{BeanText, Place, Scalar, Walk, text};
use super::{Rules, customizer};
use crate::exposition::Family;
use crate::jmx::{AttributeInfo, Number, ObjectName, Value};
use crate::labels::Labels;
use families::{Emit, Help, Sample, families};

/// Most places whose outcome is kept; what is beyond is evaluated each time.
const PLANS_MAX: usize = 500_000;
/// Longest text whose outcome is kept, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// One scrape: attributes go in, families come out.
#[derive(Debug)]
pub struct Scrape<'a> {
    rules: &'a mut Rules,
    samples: Vec<Sample>,
    /// Places of this scrape whose outcome is kept.
    visited: usize,
    cached_beans: u64,
    jvm: JvmFamilies,
}

/// What is known of a bean.
#[derive(Debug)]
pub(super) struct Bean {
    text: Arc<BeanText>,
    customizer: Option<usize>,
    /// Labels of the customizer; with other values nothing that is known holds.
    custom: Vec<(String, String)>,
    places: HashMap<Box<str>, Known>,
    seen: u32,
}

/// What is known of a place.
#[derive(Debug)]
struct Known {
    /// For numbers and truth values, or for one text.
    of: Option<Box<str>>,
    emit: Option<Arc<Emit>>,
    /// The original would call it cached.
    cached: bool,
    seen: u32,
    /// Bytes that it takes, its series and a sample of that included.
    weight: usize,
}

/// The parts of [`Rules`] that a visit needs.
struct Visit<'a> {
    engine: &'a mut Engine,
    names: &'a mut HashSet<Arc<str>>,
    samples: &'a mut Vec<Sample>,
    places: &'a mut HashMap<Box<str>, Known>,
    custom: &'a [(String, String)],
    naming: Naming,
    seen: u32,
    plans: &'a mut usize,
    visited: &'a mut usize,
    cached_beans: &'a mut u64,
    budget: &'a mut Budget,
}

// === impl Scrape ===

impl<'a> Scrape<'a> {
    pub(super) fn new(rules: &'a mut Rules) -> Self {
        rules.seen = rules.seen.wrapping_add(1);
        rules.budget.renew();
        Self {
            rules,
            samples: Vec::new(),
            visited: 0,
            cached_beans: 0,
            jvm: JvmFamilies::default(),
        }
    }

    /// The readable, wanted attributes of one bean with their values.
    pub fn bean(&mut self, name: &ObjectName, attributes: &[(&AttributeInfo, &Value)]) {
        if let Some(ruled) = &self.rules.ruled
            && jvm::wants_bean(name)
        {
            self.jvm.bean(name, attributes, &mut self.rules.budget);
            if !ruled.wants_bean(name) {
                return;
            }
            let seen = attributes.iter().filter(|(info, _)| ruled.wants_attribute(name, info));
            let seen: Vec<_> = seen.copied().collect();
            return self.ruled(name, &seen);
        }
        self.ruled(name, attributes);
    }

    /// Shows a bean to the rules.
    fn ruled(&mut self, name: &ObjectName, attributes: &[(&AttributeInfo, &Value)]) {
        let Rules { engine, beans, names, plans, customizers, seen, naming, budget, .. } =
            &mut *self.rules;
        if !beans.contains_key(name.as_str()) {
            beans.insert(name.as_str().into(), Bean::new(name, customizers));
        }
        let Some(bean) = beans.get_mut(name.as_str()) else { return };
        bean.seen = *seen;
        let custom = bean.customizer.and_then(|index| customizers.get(index));
        if let Some(custom) = custom {
            let labels = customizer_labels(custom, attributes);
            if labels != bean.custom {
                *plans -= bean.places.len();
                bean.places.clear();
                bean.custom = labels;
            }
        }
        let custom_bytes: usize =
            bean.custom.iter().map(|(name, value)| name.len() + value.len()).sum();
        if !budget.held.take(bean.text.weight() + custom_bytes) {
            budget.refuse(attributes.len() as u64);
            *plans -= bean.places.len();
            self.visited -= bean.places.values().filter(|known| known.seen == *seen).count();
            beans.remove(name.as_str());
            return;
        }
        let mut visit = Visit {
            engine,
            names,
            samples: &mut self.samples,
            places: &mut bean.places,
            custom: &bean.custom,
            naming: *naming,
            seen: *seen,
            plans,
            visited: &mut self.visited,
            cached_beans: &mut self.cached_beans,
            budget,
        };
        let mut leaf = |place: &Place<'_>, scalar: Scalar<'_>| visit.leaf(place, scalar);
        let mut walk = Walk::new(&bean.text, &mut leaf);
        let extra = custom.map(extra_attributes).unwrap_or_default();
        for (info, value) in &extra {
            walk.attribute(&info.name, &info.description, value);
        }
        for (info, value) in attributes {
            walk.attribute(&info.name, &info.description, value);
        }
        let refused = walk.refused();
        budget.refuse(refused);
    }

    /// Families in the order of their names. What was not seen in this scrape is forgotten.
    #[must_use]
    pub fn finish(self) -> Vec<Family> {
        let rules = &mut *self.rules;
        rules.cached_beans = self.cached_beans;
        let mut families = families(&self.samples, rules.naming, &rules.engine, &mut rules.budget);
        self.jvm.finish(&mut families);
        drop(self.samples);
        // More is known than was visited: something has gone.
        let seen = rules.seen;
        let before = rules.beans.len();
        rules.beans.retain(|_, bean| bean.seen == seen);
        if rules.beans.len() != before || rules.plans != self.visited {
            for bean in rules.beans.values_mut() {
                bean.places.retain(|_, known| known.seen == seen);
            }
            rules.plans = rules.beans.values().map(|bean| bean.places.len()).sum();
            rules.names.retain(|name| Arc::strong_count(name) > 1);
        } else if rules.names.len() > 2 * rules.plans + 1024 {
            rules.names.retain(|name| Arc::strong_count(name) > 1);
        }
        families
    }
}

// === impl Bean ===

impl Bean {
    fn new(name: &ObjectName, customizers: &[MetricCustomizer]) -> Self {
        Self {
            text: Arc::new(BeanText::new(name)),
            customizer: customizer(customizers, name),
            custom: Vec::new(),
            places: HashMap::new(),
            seen: 0,
        }
    }

    /// Bytes of the places that something is known of, and of the labels of their series.
    #[cfg(test)]
    pub(super) fn known_bytes(&self) -> usize {
        let labels = |known: &Known| {
            known.emit.as_ref().map_or(0, |emit| emit.labels.as_str().len() + emit.tail.len())
        };
        self.places.iter().map(|(path, known)| path.len() + labels(known)).sum()
    }
}

/// Labels that a customizer takes from attributes; of values that are too long, as much as a label
/// may have.
pub(super) fn customizer_labels(
    customizer: &MetricCustomizer,
    attributes: &[(&AttributeInfo, &Value)],
) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for name in &customizer.attributes_as_labels {
        let attribute = attributes.iter().find(|(info, _)| info.name == *name);
        if let Some(value) = attribute.and_then(|(_, value)| text(value)) {
            labels.push((name.clone(), short(&value).to_owned()));
        }
    }
    labels
}

/// Metrics that a customizer adds, as attributes.
pub(super) fn extra_attributes(customizer: &MetricCustomizer) -> Vec<(AttributeInfo, Value)> {
    let attribute = |extra: &super::config::ExtraMetric| {
        let value = match &extra.value {
            ExtraValue::Integer(value) => Value::Number(Number::Integer(*value)),
            ExtraValue::Double(value) => Value::Number(Number::Double(*value)),
            ExtraValue::Boolean(value) => Value::Boolean(*value),
            ExtraValue::Text(value) => Value::Text(value.clone()),
        };
        let info = AttributeInfo {
            name: extra.name.clone(),
            declared: String::new(),
            description: extra.description.clone().unwrap_or_default(),
            readable: true,
        };
        (info, value)
    };
    customizer.extra_metrics.iter().map(attribute).collect()
}

// === impl Visit ===

impl Visit<'_> {
    fn leaf(&mut self, place: &Place<'_>, scalar: Scalar<'_>) {
        let of_text = match scalar {
            // A text is no number, whatever rule it hits.
            Scalar::Text(_) if !self.engine.text_matters && !self.engine.has_cache => return,
            Scalar::Text(text) => Some(text),
            _ => None,
        };
        // A number of any size may come from afar; its characters must be those of numbers.
        let plain = match scalar {
            Scalar::Number(Number::Big(text)) => text.bytes().all(|b| ALPHABET.contains(&b)),
            _ => true,
        };
        if plain
            && let Some(path) = place.path
            && let Some(known) = self.places.get_mut(path)
            && known.of.as_deref() == of_text
        {
            let emit = known.emit.clone();
            if !self.budget.held.take(known.weight) {
                return self.refuse(emit.as_deref(), scalar);
            }
            if known.seen != self.seen {
                known.seen = self.seen;
                *self.visited += 1;
            }
            *self.cached_beans += u64::from(known.cached);
            return self.sample(emit, scalar);
        }
        self.evaluate(place, scalar, of_text);
    }

    fn evaluate(&mut self, place: &Place<'_>, scalar: Scalar<'_>, of_text: Option<&str>) {
        if !self.budget.tried.take(place.bean.angled.len() + scalar.len()) {
            // What would become of it is not known.
            self.budget.refuse(1);
            return self.forget(place);
        }
        let extended;
        let (bean, own) = if place.rows.is_empty() {
            (place.bean, 0)
        } else {
            extended = Arc::new(place.bean.extended(place.rows));
            (&extended, extended.weight())
        };
        let found = self.engine.evaluate(bean, place, scalar, self.custom);
        let cached =
            self.engine.has_cache && found.rule.is_none_or(|rule| self.engine.caches(rule));
        let emit = match found.outcome {
            Outcome::Made(made) => Some(Arc::new(self.emit(made, bean, place))),
            Outcome::NoRule | Outcome::Dropped(_) => None,
        };
        let keeps = match of_text {
            None => found.stable,
            Some(text) => text.len() <= TEXT_BYTES_MAX,
        };
        let path = place.path.filter(|_| keeps && *self.plans < PLANS_MAX);
        let of_place = path.map_or(0, |path| {
            size_of::<(Box<str>, Known)>() + path.len() + of_text.map_or(0, str::len)
        });
        let weight = of_place + emit.as_ref().map_or(0, |emit| own + emit.weight());
        if !self.budget.held.take(weight) {
            self.refuse(emit.as_deref(), scalar);
            return self.forget(place);
        }
        *self.cached_beans += u64::from(cached);
        if let Some(path) = path {
            let of = of_text.map(Box::from);
            let known = Known { of, emit: emit.clone(), cached, seen: self.seen, weight };
            // What was known of another kind of value may have been counted already.
            let before = self.places.insert(path.into(), known);
            *self.plans += usize::from(before.is_none());
            let counted = before.is_some_and(|before| before.seen == self.seen);
            *self.visited += usize::from(!counted);
        } else {
            self.forget(place);
        }
        self.sample(emit, scalar);
    }

    /// Forgets what was known of a place.
    fn forget(&mut self, place: &Place<'_>) {
        if let Some(before) = place.path.and_then(|path| self.places.remove(path)) {
            *self.plans -= 1;
            *self.visited -= usize::from(before.seen == self.seen);
        }
    }

    fn sample(&mut self, emit: Option<Arc<Emit>>, scalar: Scalar<'_>) {
        if let Some(emit) = emit
            && let Some(value) = emit.value(scalar)
        {
            self.samples.push(Sample { emit, value });
        }
    }

    /// Counts a sample that is left out, if there would have been one.
    fn refuse(&mut self, emit: Option<&Emit>, scalar: Scalar<'_>) {
        let made = emit.is_some_and(|emit| emit.value(scalar).is_some());
        self.budget.refuse(u64::from(made));
    }

    fn emit(&mut self, made: Made, bean: &Arc<BeanText>, place: &Place<'_>) -> Emit {
        let Made { name, labels, kind, help, fixed, factor, origin } = made;
        let name = match self.naming {
            Naming::V1 => without_reserved(&name),
            Naming::V0 => &name,
        };
        let help = match help {
            Some(help) => Help::Rule(help.into()),
            None => Help::Default {
                description: place.description.map(|text| self.intern(text)),
                attribute: self.intern(place.attribute),
            },
        };
        let tail = origin.strip_prefix(&*bean.angled).unwrap_or(&origin).into();
        let (name, bean) = (self.intern(name), Arc::clone(bean));
        Emit { name, labels: Labels::new(labels), kind, help, fixed, factor, bean, tail }
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        let found = self.names.get_or_insert_with(text, |text| Arc::from(text));
        Arc::clone(found)
    }
}
