//! Beans of a live JVM.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::config::{PulledConfig, PulledKind};
use crate::jmx::attach;
use crate::jmx::collector::Collector;
use crate::jmx::session::Target;

/// Time for the JVM to answer.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn explain(input: &PulledConfig, out: &mut impl Write) -> anyhow::Result<()> {
    let end = Instant::now() + input.timeout.unwrap_or(PATIENCE).max(PATIENCE);
    let (target, rules) = match &input.kind {
        PulledKind::Jmx { target, rules } => (target.clone(), rules),
        PulledKind::Attach { process, rules } => {
            let url = attach::attach(process, end)?.url;
            (Target::from_url(&url).map_err(anyhow::Error::msg)?, rules)
        }
        PulledKind::Jolokia { .. } | PulledKind::Json(_) => return Ok(()),
    };
    let mut collector = Collector::new(target, rules.as_ref().clone());
    let mut result = Ok(());
    collector
        .values(end, |name, attributes| {
            if result.is_ok() {
                result = bean(name, attributes, out);
            }
        })
        .with_context(|| format!("reading {}", input.kind.address()))?;
    collector.close();
    result.or_else(super::closed).context("writing")
}

fn bean(
    name: &crate::jmx::ObjectName,
    attributes: &[(&crate::jmx::AttributeInfo, &crate::jmx::Value)],
    out: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(out, "bean: {name}")?;
    for (info, _) in attributes {
        writeln!(out, "  attribute: {}", info.name)?;
    }
    Ok(())
}
