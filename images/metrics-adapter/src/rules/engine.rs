//! The rules themselves: which one a scalar hits, and what that makes of it.

mod templates;
mod variant;

use std::cell::Cell;
use std::sync::Arc;

use super::config::{JmxConfig, RuleConfig, RuleKind};
use super::names::{safe, safe_label, snake_case};
use super::number::java_double;
use super::pattern::{Captures, NEVER, Pattern, StepLimitHits};
use super::sieve::{ALPHABET, Sieve};
use super::walk::{BeanText, Place, Scalar};
use templates::Templates;
pub(super) use templates::broken_templates;
use variant::Variant;

/// Longest name, help or value of a label, in bytes; what is longer is cut, and counted. The original
/// has no such bound.
const TEXT_BYTES_MAX: usize = 4096;
/// All rules, compiled.
#[derive(Debug)]
pub(super) struct Engine {
    rules: Vec<Rule>,
    variants: Vec<Variant>,
    lowercase_name: bool,
    lowercase_labels: bool,
    infer_counter: bool,
    /// Some rule makes numbers of its own, so texts may become metrics.
    pub(super) text_matters: bool,
    /// Some rule has `cache`.
    pub(super) has_cache: bool,
    pub(super) step_limit_hits: StepLimitHits,
    /// How often rules were tried on a value.
    pub(super) evaluations: u64,
    /// Texts that were cut.
    pub(super) cut: Cell<u64>,
}

/// A rule, compiled.
#[derive(Debug)]
struct Rule {
    line: u64,
    pattern: Option<Pattern>,
    variant: usize,
    /// Its number within the variant's sieve.
    number: usize,
    templates: Result<Templates, String>,
    factor: f64,
    kind: RuleKind,
    cache: bool,
}

/// What came of a scalar.
#[derive(Debug)]
pub(super) struct Evaluation {
    /// Index of the rule that was hit.
    pub(super) rule: Option<usize>,
    pub(super) outcome: Outcome,
    /// Every other number or truth value at this place has the same outcome.
    pub(super) stable: bool,
}

#[derive(Debug)]
pub(super) enum Outcome {
    NoRule,
    Dropped(Dropped),
    Made(Made),
}

/// Why a rule that was hit makes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// `value` is no number: this.
    Value(String),
    /// The name is empty.
    Name,
    /// A template refers to a group that is not there.
    Template(String),
}

/// What a rule makes of a place; the value is still to be put in.
#[derive(Debug, PartialEq)]
pub(super) struct Made {
    pub(super) name: String,
    /// Sorted, each name once.
    pub(super) labels: Vec<(String, String)>,
    pub(super) kind: RuleKind,
    /// `None` for the default text.
    pub(super) help: Option<String>,
    /// The number of `value`.
    pub(super) fixed: Option<f64>,
    pub(super) factor: f64,
    /// The match string before its last colon.
    pub(super) origin: String,
}

// === impl Engine ===

impl Engine {
    pub(super) fn new(config: &JmxConfig) -> Self {
        let mut variants: Vec<Variant> = Vec::new();
        let mut rules = Vec::with_capacity(config.rules.len());
        for (index, rule) in config.rules.iter().enumerate() {
            // A configuration made by hand has nothing compiled yet.
            let pattern = match config.patterns.get(index) {
                Some(pattern) if config.patterns.len() == config.rules.len() => pattern.clone(),
                _ => rule.pattern.as_deref().map(Pattern::compile_or_never),
            };
            rules.push(Rule::new(rule, pattern, &mut variants));
        }
        for (number, variant) in variants.iter_mut().enumerate() {
            let of_variant = rules.iter().filter(|rule: &&Rule| rule.variant == number);
            let patterns: Vec<&str> = of_variant.map(Rule::loose).collect();
            variant.sieve = Sieve::new(&patterns);
        }
        Self {
            text_matters: config.rules.iter().any(|rule| rule.value.is_some()),
            has_cache: config.rules.iter().any(|rule| rule.cache),
            rules,
            variants,
            lowercase_name: config.lowercase_output_name,
            lowercase_labels: config.lowercase_output_label_names,
            infer_counter: config.infer_counter_type_from_name,
            step_limit_hits: StepLimitHits::default(),
            evaluations: 0,
            cut: Cell::new(0),
        }
    }

    /// Whether a rule has `cache`.
    pub(super) fn caches(&self, rule: usize) -> bool {
        self.rules.get(rule).is_some_and(|rule| rule.cache)
    }

    /// Line of a rule.
    pub(super) fn line(&self, rule: usize) -> u64 {
        self.rules.get(rule).map_or(0, |rule| rule.line)
    }

    /// The match string that a rule saw in the last evaluation; without a rule, that of the first.
    pub(super) fn match_string(&self, rule: Option<usize>) -> &str {
        let variant = rule.and_then(|rule| self.rules.get(rule)).map_or(0, |rule| rule.variant);
        self.variants.get(variant).map_or("", |variant| variant.text.as_str())
    }

    /// Finds the first rule that fits and applies it.
    pub(super) fn evaluate(
        &mut self,
        bean: &Arc<BeanText>,
        place: &Place<'_>,
        scalar: Scalar<'_>,
        custom: &[(String, String)],
    ) -> Evaluation {
        self.evaluations += 1;
        let mut stable = !matches!(scalar, Scalar::Text(_));
        for variant in &mut self.variants {
            variant.write(bean, place, scalar);
            if !variant.cache {
                let value = variant.text.as_bytes().get(variant.split..).unwrap_or_default();
                stable &= value.iter().all(|byte| ALPHABET.contains(byte));
            }
            stable &= variant.one_line;
            let blind = stable && !variant.cache;
            variant.search(blind);
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let variant = &self.variants[rule.variant];
            let found = variant.scan.found.contains(rule.number);
            let touching = !rule.cache && variant.scan.touching.contains(rule.number);
            let Some(pattern) = &rule.pattern else {
                let outcome = self.apply(rule, None, bean, place, custom);
                return Evaluation { rule: Some(index), outcome, stable };
            };
            if !found {
                stable &= !touching;
                continue;
            }
            let sure = variant.sieve.is_some() && variant.one_line && pattern.loose_is_exact();
            let templates = rule.templates.as_ref();
            let uses_groups = templates.is_ok_and(|all| all.uses_groups);
            let uses_whole = templates.is_ok_and(|all| all.uses_whole);
            let captures = match uses_groups {
                true => pattern.captures(&variant.text, &self.step_limit_hits),
                false => None,
            };
            let fits = match uses_groups {
                true => captures.is_some(),
                false => sure || pattern.is_match(&variant.text, &self.step_limit_hits),
            };
            if !fits {
                stable &= rule.cache;
                continue;
            }
            if !rule.cache {
                let early = sure && variant.scan.early.contains(rule.number);
                stable &= early && !uses_whole && !(uses_groups && touching);
            }
            let outcome = self.apply(rule, captures.as_ref(), bean, place, custom);
            return Evaluation { rule: Some(index), outcome, stable };
        }
        Evaluation { rule: None, outcome: Outcome::NoRule, stable }
    }

    /// Cuts a text that is too long.
    pub(super) fn cut(&self, text: &mut String) {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(short(text).len());
            self.cut.set(self.cut.get() + 1);
        }
    }

    fn apply(
        &self,
        rule: &Rule,
        captures: Option<&Captures<'_>>,
        bean: &BeanText,
        place: &Place<'_>,
        custom: &[(String, String)],
    ) -> Outcome {
        let templates = match &rule.templates {
            Ok(templates) => templates,
            Err(what) => return Outcome::Dropped(Dropped::Template(what.clone())),
        };
        let mut fixed = None;
        if let Some(value) = &templates.value {
            let text = value.expand(captures);
            match java_double(&text) {
                Some(number) => fixed = Some(number),
                None => return Outcome::Dropped(Dropped::Value(text)),
            }
        }
        let variant = &self.variants[rule.variant];
        let mut name = match &templates.name {
            Some(name) => safe(&name.expand(captures)),
            None => default_name(bean, place, variant.snake),
        };
        if name.is_empty() {
            return Outcome::Dropped(Dropped::Name);
        }
        self.cut(&mut name);
        if self.lowercase_name {
            name.make_ascii_lowercase();
        }
        let counter = self.infer_counter && name.ends_with("_total");
        let kind = if counter { RuleKind::Counter } else { rule.kind.clone() };
        let mut labels = Vec::new();
        let add = |labels: &mut Vec<(String, String)>, mut name: String, mut value: String| {
            self.cut(&mut name);
            self.cut(&mut value);
            let name = if self.lowercase_labels { name.to_ascii_lowercase() } else { name };
            labels.push((name, value));
        };
        for (name, value) in custom {
            add(&mut labels, safe_label(name), value.clone());
        }
        for (name, value) in &templates.labels {
            let (name, value) = (safe_label(&name.expand(captures)), value.expand(captures));
            if !name.is_empty() && !value.is_empty() {
                add(&mut labels, name, value);
            }
        }
        if templates.name.is_none() {
            // The first property is part of the name.
            for (name, value) in bean.properties.iter().skip(1) {
                add(&mut labels, safe_label(name), value.clone());
            }
        }
        // Of two labels with one name the first stays; the original gives up the scrape.
        labels.sort_by(|(left, _), (right, _)| left.cmp(right));
        labels.dedup_by(|(later, _), (earlier, _)| later == earlier);
        let mut help = templates.help.as_ref().map(|help| help.expand(captures));
        if let Some(help) = &mut help {
            self.cut(help);
        }
        let text = variant.text.as_str();
        let origin = text.rsplit_once(':').map_or(text, |(origin, _)| origin).to_owned();
        Outcome::Made(Made { name, labels, kind, help, fixed, factor: rule.factor, origin })
    }
}

/// As much of a text as is not cut.
pub(super) fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// `domain_v1_key…_attribute`.
fn default_name(bean: &BeanText, place: &Place<'_>, snake: bool) -> String {
    let mut name = bean.domain.to_string();
    let first = bean.properties.first().map(|(_, value)| value.as_str());
    for part in first.into_iter().chain(place.keys.iter().copied()) {
        name.push('_');
        name.push_str(part);
    }
    name.push('_');
    match snake {
        true => name.push_str(&snake_case(place.attribute)),
        false => name.push_str(place.attribute),
    }
    safe(&name)
}

// === impl Rule ===

impl Rule {
    fn new(config: &RuleConfig, pattern: Option<Pattern>, variants: &mut Vec<Variant>) -> Self {
        let (snake, cache) = (config.attr_name_snake_case, config.cache);
        let same = |variant: &Variant| variant.snake == snake && variant.cache == cache;
        let variant = variants.iter().position(same).unwrap_or_else(|| {
            variants.push(Variant::new(snake, cache));
            variants.len() - 1
        });
        let number = variants[variant].split;
        // Counts rules until the first text is written.
        variants[variant].split += 1;
        Self {
            line: config.line,
            templates: Templates::new(config, pattern.as_ref()),
            pattern,
            variant,
            number,
            factor: config.value_factor,
            kind: config.kind.clone(),
            cache,
        }
    }

    fn loose(&self) -> &str {
        // What has no pattern is never asked for.
        self.pattern.as_ref().map_or(NEVER, Pattern::loose)
    }
}
