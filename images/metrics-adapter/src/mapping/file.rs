//! A mapping file: YAML as `statsd_exporter` reads it (YAML 1.1, no unknown and no double keys),
//! checked value by value, so that a mistake is said with its line, its key, what was found and
//! what was expected.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::glob::{Glob, Globs};
use super::template::Template;
use super::{
    Action, Mapping, MappingError, MatchType, Matcher, MetricType, Observer, Rule, Settings,
    Warning, pattern,
};

mod options;
mod value;

use options::{RawHistogram, RawQuantile, RawSummary, buckets, histogram, quantiles, summary, ttl};
use value::Reader;

/// A file larger than this is a mistake.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// With a file, histograms have native buckets too, unless it says otherwise.
const NATIVE_BUCKET_FACTOR: f64 = 1.1;

/// A scalar as written: what it means is decided by its key.
type Text = Spanned<String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFile {
    defaults: Option<RawDefaults>,
    mappings: Option<Vec<Spanned<Option<RawRule>>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawDefaults {
    observer_type: Option<Text>,
    timer_type: Option<Text>,
    match_type: Option<Text>,
    glob_disable_ordering: Option<Text>,
    ttl: Option<Text>,
    summary_options: Option<RawSummary>,
    histogram_options: Option<RawHistogram>,
    buckets: Option<Vec<Text>>,
    quantiles: Option<Vec<RawQuantile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRule {
    r#match: Option<Text>,
    name: Option<Text>,
    labels: Option<BTreeMap<String, Spanned<Option<String>>>>,
    honor_labels: Option<Text>,
    observer_type: Option<Text>,
    timer_type: Option<Text>,
    match_type: Option<Text>,
    help: Option<Text>,
    action: Option<Text>,
    match_metric_type: Option<Text>,
    ttl: Option<Text>,
    summary_options: Option<RawSummary>,
    histogram_options: Option<RawHistogram>,
    scale: Option<Text>,
    buckets: Option<Vec<Text>>,
    quantiles: Option<Vec<RawQuantile>>,
}

/// What rules inherit.
struct Defaults {
    settings: Settings,
    /// `None` when the file does not say: options of either kind are then allowed in a rule.
    observer: Option<Observer>,
    match_type: MatchType,
}

const OBSERVERS: &[(&str, Observer)] =
    &[("summary", Observer::Summary), ("histogram", Observer::Histogram), ("", Observer::Summary)];
const MATCH_TYPES: &[(&str, MatchType)] =
    &[("glob", MatchType::Glob), ("regex", MatchType::Regex), ("", MatchType::Glob)];
const ACTIONS: &[(&str, Action)] =
    &[("map", Action::Map), ("drop", Action::Drop), ("", Action::Map)];
const METRIC_TYPES: &[(&str, MetricType)] = &[
    ("counter", MetricType::Counter),
    ("gauge", MetricType::Gauge),
    ("observer", MetricType::Observer),
];

/// Reads, checks and compiles a file.
pub(super) fn parse(text: &str) -> Result<Mapping, MappingError> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("{} bytes, expected at most {FILE_BYTES_MAX}", text.len());
        return Err(MappingError::new(None, None, message));
    }
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let file = if text.lines().all(blank) {
        RawFile::default()
    } else {
        let file: Option<RawFile> =
            serde_saphyr::from_str(text).map_err(|error| not_yaml(&error))?;
        file.unwrap_or_default()
    };
    let raw = file.defaults.unwrap_or_default();
    let mut warnings = Vec::new();
    let reader = Reader::new("defaults".to_owned());
    let ordered = !reader.boolean("glob_disable_ordering", raw.glob_disable_ordering.as_ref())?;
    let defaults = defaults(&reader, &raw, &mut warnings)?;
    let mut mapping = Mapping {
        unmapped: defaults.settings.clone(),
        rules: Vec::new(),
        globs: Globs::new(ordered),
        regexes: Vec::new(),
        warnings,
    };
    for (at, raw) in file.mappings.unwrap_or_default().into_iter().enumerate() {
        let line = raw.referenced.line();
        let reader = Reader::new(format!("mappings[{at}]"));
        let raw = raw.value.unwrap_or_default();
        let rule = rule(&reader, &raw, line, &defaults, &mut mapping.warnings)?;
        match &rule.matcher {
            Matcher::Glob(glob) => mapping.globs.insert(glob, rule.metric_type, at),
            Matcher::Regex(_) => mapping.regexes.push(at),
        }
        mapping.rules.push(rule);
    }
    Ok(mapping)
}

fn not_yaml(error: &serde_saphyr::Error) -> MappingError {
    let line = error.location().map(|location| location.line());
    let error = error.without_snippet();
    let (key, message) = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            let expected = expected.join(", ");
            (Some(field.clone()), format!("unknown key `{field}`, expected one of {expected}"))
        }
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            (key.clone(), format!("the key `{}` twice", key.as_deref().unwrap_or_default()))
        }
        // The line is said by its field, and advice to programmers helps no operator.
        error => {
            let whole = error.to_string();
            let summary = whole.split(" at line ").next().unwrap_or_default();
            let summary = summary.split(", set ").next().unwrap_or_default();
            (None, format!("not a mapping file: {summary}"))
        }
    };
    MappingError::new(line, key, message)
}

fn defaults(
    reader: &Reader,
    raw: &RawDefaults,
    warnings: &mut Vec<Warning>,
) -> Result<Defaults, MappingError> {
    let observer = reader.choice("observer_type", raw.observer_type.as_ref(), OBSERVERS)?;
    let timer = reader.choice("timer_type", raw.timer_type.as_ref(), OBSERVERS)?;
    let observer = observer.or(timer);
    let mut settings = Settings { observer: observer.unwrap_or_default(), ..Settings::default() };
    settings.histogram.native_bucket_factor = NATIVE_BUCKET_FACTOR;
    settings.ttl = ttl(reader, raw.ttl.as_ref(), warnings)?;
    // Old places count where the new ones say nothing.
    quantiles(reader, "quantiles", raw.quantiles.as_deref(), &mut settings.summary)?;
    buckets(reader, "buckets", raw.buckets.as_deref(), &mut settings.histogram)?;
    if let Some(raw) = &raw.summary_options {
        summary(&reader.below("summary_options"), raw, &mut settings.summary)?;
    }
    if let Some(raw) = &raw.histogram_options {
        histogram(&reader.below("histogram_options"), raw, &mut settings.histogram)?;
    }
    let match_type = reader.choice("match_type", raw.match_type.as_ref(), MATCH_TYPES)?;
    Ok(Defaults { settings, observer, match_type: match_type.unwrap_or_default() })
}

fn rule(
    reader: &Reader,
    raw: &RawRule,
    line: u64,
    defaults: &Defaults,
    warnings: &mut Vec<Warning>,
) -> Result<Rule, MappingError> {
    let name = raw.name.as_ref().filter(|name| !name.value.is_empty());
    let Some(name) = name else {
        return Err(reader.missing(line, "name", "the name of the metric"));
    };
    if !is_name_template(&name.value) {
        let expected = "letters, digits, `_`, `$1` and `${1}`, a digit not first";
        return Err(reader.wrong("name", name, expected));
    }
    let match_type = reader.choice("match_type", raw.match_type.as_ref(), MATCH_TYPES)?;
    let match_type = match_type.unwrap_or(defaults.match_type);
    let written = raw.r#match.as_ref().map_or("", |text| text.value.as_str());
    let matcher = match match_type {
        MatchType::Glob => Glob::new(written).map(Matcher::Glob).ok_or_else(|| {
            let expected = "segments of letters, digits, `_` and `-` with dots between, or `*`";
            reader.wrong_or_missing("match", raw.r#match.as_ref(), line, expected)
        }),
        MatchType::Regex => pattern::compile(written).map(Matcher::Regex).map_err(|error| {
            let expected = format!("a regular expression: {error}");
            reader.wrong_or_missing("match", raw.r#match.as_ref(), line, &expected)
        }),
    }?;
    let groups: Vec<Option<&str>> = match &matcher {
        Matcher::Glob(_) => Vec::new(),
        Matcher::Regex(regex) => regex.capture_names().collect(),
    };
    let template = |text: &str| match &matcher {
        Matcher::Glob(glob) => Template::glob(text, glob.captures_len()),
        Matcher::Regex(_) => Template::regex(text, &groups),
    };
    let mut labels = Vec::new();
    for (label, value) in raw.labels.iter().flatten() {
        if !is_label(label) {
            let expected = "at least two letters, digits or `_`, a digit not first";
            let line = value.referenced.line();
            return Err(reader.below("labels").wrong_at(Some(line), label, label, expected));
        }
        labels.push((label.clone(), template(value.value.as_deref().unwrap_or_default())));
    }
    let metric_type =
        reader.choice("match_metric_type", raw.match_metric_type.as_ref(), METRIC_TYPES)?;
    let action = reader.choice("action", raw.action.as_ref(), ACTIONS)?;
    Ok(Rule {
        pattern: written.to_owned(),
        line,
        match_type,
        metric_type,
        action: action.unwrap_or_default(),
        settings: rule_settings(reader, raw, line, defaults, warnings)?,
        name: template(&name.value),
        labels,
        matcher,
    })
}

fn rule_settings(
    reader: &Reader,
    raw: &RawRule,
    line: u64,
    defaults: &Defaults,
    warnings: &mut Vec<Warning>,
) -> Result<Settings, MappingError> {
    let observer = reader.choice("observer_type", raw.observer_type.as_ref(), OBSERVERS)?;
    let timer = reader.choice("timer_type", raw.timer_type.as_ref(), OBSERVERS)?;
    let observer = observer.or(timer).or(defaults.observer);
    let clash = |key, expected: &str| Err(reader.wrong_at(Some(line), key, key, expected));
    if observer == Some(Observer::Histogram) && raw.summary_options.is_some() {
        return clash("summary_options", "none beside an observer_type of histogram");
    }
    if observer == Some(Observer::Summary) && raw.histogram_options.is_some() {
        return clash("histogram_options", "none beside an observer_type of summary");
    }
    if raw.quantiles.is_some()
        && raw.summary_options.as_ref().is_some_and(|o| o.quantiles.is_some())
    {
        return clash("quantiles", "them in summary_options only");
    }
    if raw.buckets.is_some() && raw.histogram_options.as_ref().is_some_and(|o| o.buckets.is_some())
    {
        return clash("buckets", "them in histogram_options only");
    }
    let mut settings = defaults.settings.clone();
    settings.observer = observer.unwrap_or_default();
    quantiles(reader, "quantiles", raw.quantiles.as_deref(), &mut settings.summary)?;
    buckets(reader, "buckets", raw.buckets.as_deref(), &mut settings.histogram)?;
    if let Some(raw) = &raw.summary_options {
        summary(&reader.below("summary_options"), raw, &mut settings.summary)?;
    }
    if let Some(raw) = &raw.histogram_options {
        histogram(&reader.below("histogram_options"), raw, &mut settings.histogram)?;
    }
    let ttl = ttl(reader, raw.ttl.as_ref(), warnings)?;
    if !ttl.is_zero() {
        settings.ttl = ttl;
    }
    settings.help =
        raw.help.as_ref().map(|help| help.value.clone()).filter(|help| !help.is_empty());
    settings.honor_labels = reader.boolean("honor_labels", raw.honor_labels.as_ref())?;
    settings.scale = raw.scale.as_ref().map(|scale| reader.finite("scale", scale)).transpose()?;
    Ok(settings)
}

/// Letters, digits and `_`, and references by number; a digit not first.
fn is_name_template(name: &str) -> bool {
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if c == '$' {
            let body = rest[1..].strip_prefix('{').unwrap_or(&rest[1..]);
            let tail = body.trim_start_matches(|c: char| c.is_ascii_digit());
            if tail.len() == body.len() {
                return false;
            }
            rest = tail.strip_prefix('}').unwrap_or(tail);
            continue;
        }
        let first = rest.len() == name.len();
        if !(c.is_ascii_alphabetic() || c == '_' || c.is_ascii_digit() && !first) {
            return false;
        }
        rest = &rest[1..];
    }
    true
}

/// As there, labels of one letter are refused.
fn is_label(label: &str) -> bool {
    label.len() >= 2
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !label.starts_with(|c: char| c.is_ascii_digit())
}
