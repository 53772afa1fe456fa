//! Lines of statsd.

use std::io::Write;
use std::sync::Arc;

use crate::exposition::{Format, Page};
use crate::ingest::{Core, IngestConfig};
use crate::line::{self, Action, Reason, Sample, Sink, Tag};
use crate::mapping::{self, Mapping, MetricType};
use crate::registry::{Cursor, Registry};

/// Says what a line is, which rule each of its samples hits, and what stands on the page then.
pub(super) fn explain(
    line: &[u8],
    plan: &IngestConfig,
    out: &mut impl Write,
) -> std::io::Result<()> {
    if line.is_empty() {
        return Ok(());
    }
    writeln!(out, "line: {}", String::from_utf8_lossy(line))?;
    let mut told = Told { mapping: &plan.mapping, lines: Vec::new() };
    line::parse(line, plan.dialects, &mut told);
    for text in told.lines {
        writeln!(out, "  {text}")?;
    }
    let mut registry = Registry::new(plan.limits);
    let mut core = Core::new(plan.dialects, Arc::clone(&plan.mapping), 0);
    core.line(&mut registry, line, 0);
    let mut page = Page::new(Format::Text);
    let mut cursor = Cursor::default();
    while !registry.write(&mut page, &mut cursor, 1000, 0) {}
    for text in String::from_utf8_lossy(&page.finish()).lines() {
        if let Some(kind) = text.strip_prefix("# TYPE ") {
            writeln!(out, "  page: {kind}")?;
        } else if !text.starts_with('#') {
            writeln!(out, "    {text}")?;
        }
    }
    Ok(())
}

struct Told<'a> {
    mapping: &'a Mapping,
    lines: Vec<String>,
}

// === impl Told ===

impl Told<'_> {
    fn rule(&mut self, name: &str, metric_type: MetricType) {
        let text = match self.mapping.find(name, metric_type) {
            None => "rule: none, the name stays".to_owned(),
            Some(mapped) => {
                let action = match mapped.rule.action {
                    mapping::Action::Map => format!("name {}", mapped.name),
                    mapping::Action::Drop => "dropped".to_owned(),
                };
                let labels: Vec<String> =
                    mapped.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let rule = mapped.rule;
                let place = format!("line {}, match {:?}", rule.line, rule.pattern);
                match labels.is_empty() {
                    true => format!("rule: {place}: {action}"),
                    false => format!("rule: {place}: {action}, labels {}", labels.join(", ")),
                }
            }
        };
        self.lines.push(format!("  {text}"));
    }
}

impl Sink for Told<'_> {
    fn sample(&mut self, sample: &Sample<'_>) {
        let (what, metric_type) = match sample.action {
            Action::Count { value } => (format!("counter, add {value}"), MetricType::Counter),
            Action::Set { value } => (format!("gauge, set {value}"), MetricType::Gauge),
            Action::Shift { value } => (format!("gauge, shift by {value}"), MetricType::Gauge),
            Action::Observe { value, weight } => {
                (format!("observe {value}, weight {weight}"), MetricType::Observer)
            }
            Action::Insert => (format!("set, insert {:?}", sample.text), MetricType::Gauge),
        };
        self.lines.push(format!("sample: {}: {what}", sample.name));
        self.rule(sample.name, metric_type);
    }

    fn refused(&mut self, reason: Reason) {
        self.lines.push(format!("refused: {}", reason.as_str()));
    }

    fn tag(&mut self, good: bool) {
        if !good {
            self.lines.push("refused: a tag that is none".to_owned());
        }
    }

    fn event(&mut self) {
        self.lines.push("event: counted".to_owned());
    }

    fn check(&mut self, name: &str, status: u8, _tags: &[Tag<'_>]) {
        self.lines.push(format!("service check: {name} is {status}"));
        self.rule(name, MetricType::Gauge);
    }
}
