//! The mapping language of `statsd_exporter`: globs and regular expressions that turn dotted names
//! into names with labels. Pure: a file's text in, a decision per name out.
//!
//! Files of any of its versions are taken as they are. What is different is so on purpose:
//!
//! | file | there | here | why |
//! | --- | --- | --- | --- |
//! | `a.b` after `a.b.c` | never matches | matches | a rule is a rule |
//! | `a.b` again, later in the file | takes the first one's rank away | never matches | the same |
//! | `%` in a template | garbage | stays | it is only a character |
//! | `$1` beside `$11` in a template | garbage | each its own | the same |
//! | one name, other help | the page fails | the first help | one family has one help |
//! | ordering off, a literal edge leads nowhere | sometimes unmatched | goes back | what a rule says holds |
//! | `prefix_*` within a segment | refused | taken, `*` captures | asked for by its users |
//! | `timer_type`, `buckets`, `quantiles` of old files | refused since 0.24 | taken | files live long |
//! | buckets that do not rise, quantiles beyond 1, times below 0 | ends the process, or nonsense | refused | found at the start |
//!
//! Not here: escaping, tags of the line, `honor_labels`, `scale`. Whoever makes the series applies
//! them.

use std::time::Duration;

use regex::Regex;

use crate::registry::{HistogramOptions, SummaryOptions};

mod file;
mod glob;
mod lint;
mod pattern;
mod template;

#[cfg(test)]
mod tests;

pub use lint::Warning;

use glob::{Glob, Globs};
use template::Template;

/// A mapping file, checked and compiled.
#[derive(Debug)]
pub struct Mapping {
    /// What a name gets that no rule matches.
    pub unmapped: Settings,
    rules: Vec<Rule>,
    globs: Globs,
    /// Rules that are regular expressions, in the order of the file.
    regexes: Vec<usize>,
    /// What deserves a word although it is allowed.
    warnings: Vec<Warning>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Pattern as written.
    pub pattern: String,
    /// Line of the file, from 1.
    pub line: u64,
    /// How the pattern is read.
    pub match_type: MatchType,
    /// The only kind of sample it is for.
    pub metric_type: Option<MetricType>,
    /// Counts or discards.
    pub action: Action,
    /// What its series are made with.
    pub settings: Settings,
    name: Template,
    /// By their names.
    labels: Vec<(String, Template)>,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    Glob(Glob),
    Regex(Regex),
}

/// `match_type` of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchType {
    /// Segments between dots, `*` for any.
    #[default]
    Glob,
    /// A regular expression in Go's syntax that is found anywhere in the name.
    Regex,
}

/// `action` of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Make a series.
    #[default]
    Map,
    /// Discard, and count that.
    Drop,
}

/// How series of a rule (or of no rule) are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Help; `None` for the default text.
    pub help: Option<String>,
    /// What `ms`, `h` and `d` become.
    pub observer: Observer,
    /// Options of summaries.
    pub summary: SummaryOptions,
    /// Options of histograms.
    pub histogram: HistogramOptions,
    /// Zero for never.
    pub ttl: Duration,
    /// Tags of the line win over labels of the rule.
    pub honor_labels: bool,
    /// Applied to every value, after milliseconds have become seconds.
    pub scale: Option<f64>,
}

/// `observer_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observer {
    /// Quantiles.
    #[default]
    Summary,
    /// Buckets.
    Histogram,
}

/// `match_metric_type`: what kind of sample asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// `c`.
    Counter,
    /// `g` and `s`.
    Gauge,
    /// `ms`, `h` and `d`.
    Observer,
}

/// What a rule makes of a name.
#[derive(Clone, Debug)]
pub struct Mapped<'a> {
    /// The rule that won.
    pub rule: &'a Rule,
    /// The metric's name, templates expanded, not yet escaped.
    pub name: String,
    /// Labels of the rule, templates expanded, in the order of their names.
    pub labels: Vec<(&'a str, String)>,
}

/// What is wrong in a mapping file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MappingError {
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// The key, where it is known (`mappings[2].match`).
    pub key: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

// === impl Mapping ===

impl Default for Mapping {
    /// No rules; histograms have no native buckets, as without a file.
    fn default() -> Self {
        Self {
            unmapped: Settings::default(),
            rules: Vec::new(),
            globs: Globs::new(true),
            regexes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            help: None,
            observer: Observer::Summary,
            summary: SummaryOptions {
                quantiles: vec![(0.5, 0.05), (0.9, 0.01), (0.99, 0.001)],
                max_age: Duration::from_secs(600),
                age_buckets: 5,
                buf_cap: 500,
            },
            histogram: HistogramOptions {
                buckets: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
                native_bucket_factor: 0.0,
                native_max_buckets: 256,
            },
            ttl: Duration::ZERO,
            honor_labels: false,
            scale: None,
        }
    }
}

impl Mapping {
    /// Reads, checks and compiles the text of a file of at most 4 MiB.
    ///
    /// # Errors
    /// [`MappingError`].
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        file::parse(text)
    }

    /// The rules in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What is allowed but hardly meant: rules that can never match, references to nothing. In the
    /// order of lines. Takes time: to be called when somebody asks for a check.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.warnings.clone();
        warnings.extend(lint::warnings(&self.rules, self.globs.ordered()));
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }

    /// Finds the rule for a name as it stands in a line (dots and all): the first glob of the file
    /// that matches (or, without ordering, the most literal), else the first regular expression.
    #[must_use]
    pub fn find(&self, name: &str, metric_type: MetricType) -> Option<Mapped<'_>> {
        if let Some(rule) = self.globs.find(name, metric_type) {
            return Some(self.rules[rule].globbed(name));
        }
        let rules = self.regexes.iter().map(|&rule| &self.rules[rule]);
        rules
            .filter(|rule| rule.metric_type.is_none_or(|wanted| wanted == metric_type))
            .find_map(|rule| rule.captured(name))
    }
}

// === impl Rule ===

impl Rule {
    /// `name` as written, references and all.
    #[must_use]
    pub fn name_template(&self) -> &str {
        self.name.source()
    }

    /// `labels` as written, by their names.
    pub fn label_templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, template)| (name.as_str(), template.source()))
    }

    /// Expands the templates for a name that the tree has found to match.
    fn globbed(&self, name: &str) -> Mapped<'_> {
        let captures = match &self.matcher {
            Matcher::Glob(glob) => glob.captures(name),
            Matcher::Regex(_) => Vec::new(),
        };
        self.mapped(|number| captures.get(number - 1).copied())
    }

    /// Matches the regular expression and expands the templates.
    fn captured(&self, name: &str) -> Option<Mapped<'_>> {
        let Matcher::Regex(regex) = &self.matcher else { return None };
        // Most rules do not match, and a plain search is several times faster.
        if !regex.is_match(name) {
            return None;
        }
        let captures = regex.captures(name)?;
        Some(self.mapped(|number| captures.get(number).map(|group| group.as_str())))
    }

    fn mapped<'c>(&self, capture: impl Fn(usize) -> Option<&'c str>) -> Mapped<'_> {
        let labels = self.labels.iter();
        let labels = labels.map(|(name, template)| (name.as_str(), template.expand(&capture)));
        Mapped { rule: self, name: self.name.expand(&capture), labels: labels.collect() }
    }
}

// === impl MappingError ===

impl MappingError {
    pub(crate) fn new(line: Option<u64>, key: Option<String>, message: impl Into<String>) -> Self {
        Self { line, key, message: message.into() }
    }
}
