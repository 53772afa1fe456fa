//! Beans of a live JVM.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::config::{PulledConfig, PulledKind};
use crate::jmx::attach;
use crate::jmx::collector::Collector;
use crate::jmx::session::Target;
use crate::jmx::{AttributeInfo, ObjectName, Value};
use crate::rules::{Explained, Explanation, Rules};

/// Time for the JVM to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says for every value of every bean that is wanted what rules were compared with, which one was
/// hit, and what came of it.
pub(super) fn explain(input: &PulledConfig, out: &mut impl Write) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE.max(input.timeout.unwrap_or_default());
    let (target, config) = match &input.kind {
        PulledKind::Jmx { target, rules } => (target.clone(), rules),
        PulledKind::Attach { process, rules } => {
            let url = attach::attach(process, end)?.url;
            (Target::from_url(&url).map_err(anyhow::Error::msg)?, rules)
        }
        PulledKind::Jolokia { .. } | PulledKind::Json(_) => return Ok(()),
    };
    let mut rules = Rules::new(config);
    let mut collector = Collector::new(target, config.as_ref().clone());
    let mut written = Ok(());
    collector
        .values(end, |name, attributes| {
            if written.is_ok() {
                written = bean(&mut rules, name, attributes, out);
            }
        })
        .with_context(|| format!("reading {}", input.kind.address()))?;
    collector.close();
    written.or_else(super::closed).context("writing")
}

fn bean(
    rules: &mut Rules,
    name: &ObjectName,
    attributes: &[(&AttributeInfo, &Value)],
    out: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(out, "bean: {name}")?;
    for Explanation { match_string, rule, outcome } in rules.explain(name, attributes) {
        writeln!(out, "  value: {match_string}")?;
        match rule {
            Some(rule) if rule.line > 0 => {
                writeln!(out, "    rule: rules[{}], line {}", rule.index, rule.line)?;
            }
            Some(_) => writeln!(out, "    rule: the default, as the file has none")?,
            None => {}
        }
        match outcome {
            Explained::Sample { name, labels, value } => {
                let labels: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let labels = match labels.is_empty() {
                    true => String::new(),
                    false => format!("{{{}}}", labels.join(",")),
                };
                writeln!(out, "    sample: {name}{labels} {value}")?;
            }
            Explained::Dropped(why) => writeln!(out, "    dropped: {why}")?,
        }
    }
    Ok(())
}
