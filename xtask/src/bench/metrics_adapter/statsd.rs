//! Lines of statsd per second of CPU, and how many of a burst are kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::blast::Batch;
use super::programs::{Adapter, BUFFER, Collectd};
use super::{Bench, page};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, thousands};
use crate::bench::series::Series;
use crate::bench::until;
use crate::bench::usage;

/// Lines of a burst.
const LINES: usize = 2_000_000;
/// Bursts per cell, ours and collectd by turns.
const ROUNDS: usize = 5;
/// Different series.
const SERIES: usize = 100;
/// For figures to be written down: collectd does it every second.
const COUNTED_WITHIN: Duration = Duration::from_secs(15);
/// For a reader to finish what it has taken from the socket.
const FINISH: Duration = Duration::from_millis(50);
/// Bars, in millions of lines per second of CPU, and in per cent of the lines of a burst.
const PACKED_MIN: f64 = 5.0;
const SINGLE_MIN: f64 = 0.4;
const KEPT_MIN: f64 = 100.0;

/// What the names of counters begin with on the page.
const COUNTERS: &str = "bench_requests_handler";

/// A kind of load.
struct Load {
    name: &'static str,
    /// Lines of a datagram.
    packed: usize,
    line: fn(usize) -> String,
    /// Prefix of the series, on our page, that add up to the number of lines; empty if none do.
    sum: &'static str,
    /// Whether collectd has such lines.
    peer: bool,
    /// What is promised, if anything: millions of lines per second of CPU, and whether all are kept.
    bar: Option<(f64, bool)>,
}

const LOADS: [Load; 6] = [
    Load {
        name: "counters, 20 a datagram",
        packed: 20,
        line: counter,
        sum: COUNTERS,
        peer: true,
        bar: Some((PACKED_MIN, true)),
    },
    Load {
        name: "counters, 1 a datagram",
        packed: 1,
        line: counter,
        sum: COUNTERS,
        peer: true,
        bar: Some((SINGLE_MIN, false)),
    },
    Load {
        name: "counters with 3 tags, 20 a datagram",
        packed: 20,
        line: tagged,
        sum: "bench_requests{",
        peer: false,
        bar: None,
    },
    Load { name: "gauges, 20 a datagram", packed: 20, line: gauge, sum: "", peer: true, bar: None },
    Load { name: "timers, 20 a datagram", packed: 20, line: timer, sum: "", peer: true, bar: None },
    Load {
        name: "mixed with tags, 20 a datagram",
        packed: 20,
        line: mixed,
        sum: "",
        peer: false,
        bar: None,
    },
];

fn counter(number: usize) -> String {
    format!("bench.requests.handler{:02}.count:1|c", number % SERIES)
}

fn tagged(number: usize) -> String {
    format!("bench.requests:1|c|#handler:h{:02},method:get,status:200", number % SERIES)
}

fn gauge(number: usize) -> String {
    format!("bench.queue.handler{:02}.length:{}|g", number % SERIES, number % 977)
}

fn timer(number: usize) -> String {
    format!("bench.requests.handler{:02}.took:{}.5|ms", number % SERIES, number % 977)
}

/// Six counters, two gauges, two timers.
fn mixed(number: usize) -> String {
    let tags = format!("#handler:h{:02},method:get", number / 10 % SERIES);
    match number % 10 {
        0..=5 => format!("bench.requests{}:1|c|{tags}", number % 10),
        6 | 7 => format!("bench.queue{}:{}|g|{tags}", number % 10, number % 977),
        _ => format!("bench.took{}:{}.5|ms|{tags}", number % 10, number % 977),
    }
}

/// What the rounds of a cell gave.
#[derive(Default)]
struct Cell {
    /// Millions of lines per second of CPU.
    lines: Vec<f64>,
    /// In per cent.
    kept: Vec<f64>,
    /// Millions of lines per second of time, as long as they were read.
    rate: Vec<f64>,
    resident: u64,
    dropped: u64,
}

/// Measures all loads.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let lines = bench.scaled(LINES, 10);
    let mut section = Section::new(
        "Lines of statsd",
        &["load", "program", "million lines/CPU s", "ratio", "kept", "million lines/s", "RSS MB"],
    );
    section.note(format!(
        "Bursts of {} lines over 100 series, sent as fast as one core can; {} rounds.",
        thousands(lines as f64),
        bench.scaled(ROUNDS, 5)
    ));
    section.note(
        "Lines per second of CPU: those that were read. Kept: those that were read, of those sent; \
         both programs' own counts are held against what the kernel dropped.",
    );
    section.note(
        "The buffer of ours is set to 4 MB; collectd has no setting for it, and the system's \
         default. collectd has no tags, so no figures where there are some.",
    );
    for load in &LOADS {
        let batch = Batch::new(load.packed, load.line);
        let (mut ours, mut theirs) = (Cell::default(), Cell::default());
        for _ in 0..bench.scaled(ROUNDS, 5) {
            ours_once(bench, load, &batch, lines, &mut ours)?;
            if load.peer {
                theirs_once(bench, load, &batch, lines, &mut theirs)?;
            }
        }
        tell(report, &mut section, load, &ours, &theirs);
    }
    report.add(section);
    Ok(())
}

fn tell(report: &mut Report, section: &mut Section, load: &Load, ours: &Cell, theirs: &Cell) {
    let series = |figures: &[f64]| figures.iter().copied().collect::<Series>();
    let base = series(&theirs.lines).median();
    let kept_min = |cell: &Cell| cell.kept.iter().copied().fold(100.0, f64::min);
    for (name, cell) in [("metrics-adapter", ours), ("collectd", theirs)] {
        if cell.lines.is_empty() {
            continue;
        }
        let (speed, rate) = (series(&cell.lines), series(&cell.rate));
        let ratio = if base > 0.0 { format!("{:.1}", speed.median() / base) } else { "-".into() };
        println!(
            "{}: {name}: {:.2} million lines/CPU s, {:.1} % kept at worst, {} dropped",
            load.name,
            speed.median(),
            kept_min(cell),
            cell.dropped
        );
        section.row([
            load.name.to_owned(),
            name.to_owned(),
            format!("{:.2} ({:.0} %)", speed.median(), speed.spread()),
            ratio,
            format!("{:.1} %", series(&cell.kept).median()),
            format!("{:.2}", rate.median()),
            format!("{:.1}", cell.resident as f64 / 1e6),
        ]);
    }
    if let Some((speed_min, all_kept)) = load.bar {
        let what = format!("Million lines per CPU second, {}", load.name);
        report.at_least(&what, speed_min, series(&ours.lines).median(), "");
        if all_kept {
            let what = format!("Kept of a burst, worst round, {}", load.name);
            report.at_least(&what, KEPT_MIN, kept_min(ours), " %");
        }
    }
}

fn ours_once(
    bench: &Bench,
    load: &Load,
    batch: &Batch,
    lines: usize,
    cell: &mut Cell,
) -> Result<()> {
    const LINES: &str = "statsd_exporter_lines_total";
    let mut adapter = Adapter::statsd(bench, "", &format!("--statsd.read-buffer={BUFFER}"))?;
    adapter.await_ready()?;
    let read = measured(adapter.pid(), adapter.statsd, batch, lines, cell)? as f64;
    let mut counted = 0.0;
    until("lines to be counted", COUNTED_WITHIN, || {
        counted = page::sum(&adapter.text()?, LINES);
        Ok((counted >= read).then_some(()))
    })
    .with_context(|| format!("{}: {counted} of {read} lines", load.name))?;
    ensure!(counted == read, "{}: {counted} lines counted, {read} delivered", load.name);
    if !load.sum.is_empty() {
        let sum = page::sum(&adapter.text()?, load.sum);
        ensure!(sum == read, "{}: {sum} in the counters, {read} delivered", load.name);
    }
    Ok(())
}

fn theirs_once(
    bench: &Bench,
    load: &Load,
    batch: &Batch,
    lines: usize,
    cell: &mut Cell,
) -> Result<()> {
    let collectd = Collectd::start(bench, !load.sum.is_empty())?;
    let read = measured(collectd.pid(), collectd.statsd, batch, lines, cell)? as f64;
    if load.sum.is_empty() {
        return Ok(());
    }
    let mut counted = 0.0;
    until("collectd to write down what it counted", COUNTED_WITHIN, || {
        counted = collectd.counted()?;
        Ok((counted >= read).then_some(()))
    })
    .with_context(|| format!("collectd: {counted} of {read} lines"))?;
    ensure!(counted == read, "collectd: {counted} lines counted, {read} delivered");
    Ok(())
}

/// One burst, from the first datagram until everything is read. Returns how many lines were read in
/// the life of the program.
fn measured(pid: u32, port: u16, batch: &Batch, lines: usize, cell: &mut Cell) -> Result<u64> {
    // The first lines of all series are what comes once in the life of a process.
    let first = batch.burst(port, SERIES * batch.packed)?;
    pause(FINISH);
    let before = usage::cpu(pid)?;
    let sent = batch.burst(port, lines)?;
    pause(FINISH);
    let used = (usage::cpu(pid)? - before).as_secs_f64();
    let read = sent.lines - sent.dropped;
    ensure!(read > 0, "nothing of a burst was read");
    cell.lines.push(read as f64 / used / 1e6);
    cell.kept.push(read as f64 / sent.lines as f64 * 100.0);
    cell.rate.push(read as f64 / sent.read.as_secs_f64() / 1e6);
    cell.resident = cell.resident.max(usage::resident(pid)?);
    cell.dropped += sent.dropped;
    Ok(first.lines - first.dropped + read)
}
