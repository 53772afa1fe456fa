//! Resident memory: at rest, and with many series.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::programs::{Adapter, Collectd};
use super::{Bench, blast, page};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::usage;

/// Series, each with a name of its own.
const SERIES: usize = 10_000;
/// For a program to come to rest; collectd looks at its series every second.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Scrapes before memory is read, as the page takes some too.
const SCRAPES: usize = 5;
/// Bar, in millions of bytes.
const COUNTERS_MAX: f64 = 10.0;

type Kind = (&'static str, fn(usize) -> String);

const KINDS: [Kind; 3] = [("counters", counter), ("gauges", gauge), ("timers", timer)];

fn counter(number: usize) -> String {
    format!("bench.memory.series{number:05}:1|c")
}

fn gauge(number: usize) -> String {
    format!("bench.memory.series{number:05}:17|g")
}

fn timer(number: usize) -> String {
    format!("bench.memory.series{number:05}:320|ms")
}

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let columns = ["resident memory, MB", "metrics-adapter", "collectd", "limit"];
    let mut section = Section::new("Memory", &columns);
    section.note(format!(
        "Millions of bytes, after {SCRAPES} scrapes of ours. Each series has a name of its own; \
         timers are summaries with four quantiles, of one observation each."
    ));
    let mut adapter = Adapter::statsd(bench, "", "")?;
    adapter.await_ready()?;
    let collectd = Collectd::start(bench, false)?;
    pause(SETTLE);
    let at_rest = [usage::resident(adapter.pid())?, usage::resident(collectd.pid())?];
    drop((adapter, collectd));
    row(&mut section, "at rest", at_rest.map(megabytes), "");
    for (name, line) in KINDS {
        let figures = [ours(bench, line)?, theirs(bench, line)?];
        let bar = name == "counters";
        let limit = if bar { COUNTERS_MAX.to_string() } else { String::new() };
        row(&mut section, &format!("{SERIES} {name}"), figures, &limit);
        if bar {
            let what = format!("Resident memory with {SERIES} counters");
            report.at_most(&what, COUNTERS_MAX, figures[0], " MB");
        }
    }
    report.add(section);
    Ok(())
}

fn row(section: &mut Section, what: &str, [ours, theirs]: [f64; 2], limit: &str) {
    println!("memory: {what}: {ours:.1} MB, collectd {theirs:.1} MB");
    section.row([what.to_owned(), format!("{ours:.1}"), format!("{theirs:.1}"), limit.to_owned()]);
}

fn ours(bench: &Bench, line: fn(usize) -> String) -> Result<f64> {
    let mut adapter = Adapter::statsd(bench, "", "")?;
    adapter.await_ready()?;
    blast::say(adapter.statsd, (0..SERIES).map(line))?;
    pause(SETTLE);
    for _ in 0..SCRAPES {
        let found = page::count(&adapter.text()?, "bench_memory_");
        ensure!(found >= SERIES, "{found} series on the page");
    }
    Ok(megabytes(usage::resident(adapter.pid())?))
}

fn theirs(bench: &Bench, line: fn(usize) -> String) -> Result<f64> {
    let collectd = Collectd::start(bench, false)?;
    blast::say(collectd.statsd, (0..SERIES).map(line))?;
    pause(SETTLE);
    Ok(megabytes(usage::resident(collectd.pid())?))
}
