//! `check --explain`: which rule a line or a bean hits, and what comes of it.
//!
//! Lines go through the same core as those of sockets, one at a time into an empty registry, so
//! that what is shown is what would be scraped. Output goes to standard output, as data.

mod beans;
mod lines;

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::config::{CheckArgs, Config, PulledKind};

/// Longest line that is explained.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Says what was checked.
pub(crate) fn summary(config: &Config) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    said(config, &mut out).and_then(|()| out.flush()).or_else(closed)?;
    Ok(ExitCode::SUCCESS)
}

fn said(config: &Config, out: &mut impl Write) -> std::io::Result<()> {
    let web = &config.web;
    writeln!(out, "page: {}{}", web.listen, web.metrics_path)?;
    if let Some(plan) = &config.ingest {
        let unixgram = plan.unixgram.iter().map(|path| path.display().to_string());
        let listened = [("udp", &plan.udp), ("tcp", &plan.tcp)];
        let listened = listened.iter().flat_map(|(kind, addresses)| {
            addresses.iter().map(move |address| format!("{kind} {address}"))
        });
        let listened: Vec<String> = listened.chain(unixgram).collect();
        if !listened.is_empty() {
            let rules = plan.mapping.rules().len();
            writeln!(out, "statsd: {}; rules: {rules}", listened.join(", "))?;
        }
        let graphite: Vec<&str> =
            plan.graphite_udp.iter().chain(&plan.graphite_tcp).map(String::as_str).collect();
        if !graphite.is_empty() {
            let rules = plan.graphite_mapping.rules().len();
            writeln!(out, "graphite: {}; rules: {rules}", graphite.join(", "))?;
        }
    }
    for pulled in &config.pulled {
        writeln!(out, "input {}: {}", pulled.name, pulled.kind.address())?;
    }
    for module in &config.modules {
        writeln!(out, "module {}", module.name)?;
    }
    if !config.modules.is_empty() {
        writeln!(out, "targets: {}", config.targets.len())?;
    }
    for warning in &config.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "the configuration is good")
}

/// Explains lines of statsd, or the beans of an input.
pub(crate) fn run(config: &Config, check: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let input = match (&check.input, &config.ingest) {
        (Some(name), _) => {
            let found = config.pulled.iter().find(|pulled| pulled.name == *name);
            Some(found.with_context(|| format!("there is no pulled input {name}"))?)
        }
        (None, None) => config.pulled.first(),
        (None, Some(_)) => None,
    };
    match (input, &config.ingest) {
        (Some(input), _)
            if matches!(input.kind, PulledKind::Jmx { .. } | PulledKind::Attach { .. }) =>
        {
            beans::explain(input, &mut out)?;
        }
        (Some(input), _) => anyhow::bail!("{}: only beans over RMI can be explained", input.name),
        (None, Some(plan)) => {
            let source: Box<dyn Read> = match &check.lines {
                Some(path) => Box::new(
                    std::fs::File::open(path)
                        .with_context(|| format!("reading {}", path.display()))?,
                ),
                None => Box::new(std::io::stdin().lock()),
            };
            let mut source = BufReader::new(source);
            while let Some(line) = next(&mut source)? {
                if let Err(error) = lines::explain(&line, plan, &mut out) {
                    closed(error)?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
        (None, None) => anyhow::bail!("there is no input that could be explained"),
    }
    out.flush().or_else(closed)?;
    Ok(ExitCode::SUCCESS)
}

/// A line without its end; `None` at the end.
fn next(source: &mut impl BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
    if read.context("reading lines")? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == LINE_BYTES_MAX {
        anyhow::bail!("a line is longer than {LINE_BYTES_MAX} bytes");
    }
    Ok(Some(line))
}

/// Whoever closed the pipe has seen enough.
fn closed(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    }
}
