//! CPU per request and throughput, in closed loops.

use std::time::Duration;

use anyhow::{Context, Result};

use super::servers::{Kind, Proxy, Servers};
use super::workload::{self, Batch, Protocol, Workload};
use super::{Bench, CLIENTS, load};
use crate::bench::report::{Report, Section, thousands};
use crate::bench::series::Series;
use crate::bench::{machine, usage};

/// One measurement.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) rate: f64,
    /// CPU of the proxy per request, µs.
    proxy: f64,
    /// CPU of the load generator per request, µs.
    generator: f64,
    /// CPU of the servers per request, µs.
    servers: f64,
    /// Share of the kernel in the proxy's CPU time.
    kernel: f64,
    /// CPU time of the proxy per second: 1 is a core full.
    busy: f64,
    p50: f64,
    p99: f64,
    /// CPU time per second of what does not belong to the measurement.
    others: f64,
}

/// Rounds of one workload with both proxies.
struct Pair {
    ours: Vec<Cell>,
    theirs: Vec<Cell>,
}

/// What stands behind the proxies.
#[derive(Clone, Copy)]
enum Backing {
    Real(usize),
    Canned(usize),
}

/// CPU per request of every workload, and the bars for it.
pub(super) fn cpu(bench: &Bench, report: &mut Report) -> Result<()> {
    use workload::{GET_1, GET_16, MEMCACHED_GET_1, MEMCACHED_GET_16, MGET, SET_16};
    let plan = [
        (Protocol::Redis, vec![(GET_1, 0.5), (GET_16, 0.6), (SET_16, 0.6), (MGET, 0.7)]),
        // The issue names no bar for these; they are held to the same as Redis.
        (Protocol::Memcached, vec![(MEMCACHED_GET_1, 0.5), (MEMCACHED_GET_16, 0.6)]),
    ];
    let mut section = Section::new("CPU per request, one worker", &COLUMNS);
    section.note(
        "Two servers. CPU is user and system time of all threads of the proxy, over the requests \
         answered meanwhile.",
    );
    section.note(
        "Busy is the share of its core that the proxy used: where it is below 100 %, the \
         throughput is bound by the other core.",
    );
    let mut any = false;
    let mut seen = Vec::new();
    for (protocol, workloads) in plan {
        let wanted = |workload: &Workload| bench.options.wants("cpu", workload.name);
        let workloads: Vec<_> = workloads.into_iter().filter(|(one, _)| wanted(one)).collect();
        if workloads.is_empty() {
            continue;
        }
        any = true;
        let servers = Servers::real(bench, protocol, 2, &bench.layout.rest)?;
        let proxies = start_both(bench, &servers)?;
        workload::write_keys(proxies[0].port, protocol)?;
        for (workload, bar) in workloads {
            let pair = measure_pair(bench, &servers, &proxies, &workload, workload.label)?;
            rows(&mut section, workload.label, &pair);
            seen.extend(pair.both());
            let ratio = ratio(&pair, |cell| cell.proxy);
            report.at_most(&format!("CPU per request, {}", workload.label), bar, ratio, "");
        }
    }
    if any {
        note_others(&mut section, &seen);
        report.add(section);
    }
    Ok(())
}

/// Throughput where the proxy is the bottleneck, or as near as the cores allow.
pub(super) fn throughput(bench: &Bench, report: &mut Report) -> Result<()> {
    use workload::{GET_16, GET_64};
    let plan = [
        ("GET, P=64, 2 redis-server", Backing::Real(2), GET_64),
        ("GET, P=16, 8 redis-server", Backing::Real(8), GET_16),
        ("GET, P=16, 2 canned servers", Backing::Canned(2), GET_16),
        ("GET, P=64, 2 canned servers", Backing::Canned(2), GET_64),
    ];
    let wanted = |workload: &Workload| bench.options.wants("throughput", workload.name);
    let plan: Vec<_> = plan.into_iter().filter(|(_, _, workload)| wanted(workload)).collect();
    if plan.is_empty() {
        return Ok(());
    }
    let mut section = Section::new("Throughput, one worker", &COLUMNS);
    section.note(
        "Canned servers answer from memory in one thread; they leave the most to the proxy that \
         two cores can.",
    );
    section.note(
        "Where ours is busy below 95 % it waits for the other core, and the ratio is a lower bound.",
    );
    let mut seen = Vec::new();
    for (label, backing, workload) in plan {
        let servers = match backing {
            Backing::Real(count) => {
                Servers::real(bench, Protocol::Redis, count, &bench.layout.rest)?
            }
            Backing::Canned(count) => Servers::canned(count)?,
        };
        let proxies = start_both(bench, &servers)?;
        if matches!(backing, Backing::Real(_)) {
            workload::write_keys(proxies[0].port, Protocol::Redis)?;
        }
        let pair = measure_pair(bench, &servers, &proxies, &workload, label)?;
        rows(&mut section, label, &pair);
        seen.extend(pair.both());
        let gain = ratio(&pair, |cell| cell.rate);
        let busy = pair.series(Kind::Ours, |cell| cell.busy).median();
        let bound = if busy < 0.95 { " (ours had to wait)" } else { "" };
        report.at_least(&format!("Throughput, {label}{bound}"), 1.5, gain, "×");
    }
    note_others(&mut section, &seen);
    report.add(section);
    Ok(())
}

/// Throughput and CPU per request with one and two workers.
pub(super) fn scaling(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.options.wants("scaling", "scaling") {
        return Ok(());
    }
    let (tested, rest) = bench.layout.for_two();
    machine::stay_on(rest)?;
    let columns = ["workload", "workers", "requests/s", "CPU µs/request", "busy cores"];
    let mut section = Section::new("Scaling over workers", &columns);
    if tested.len() == rest.len() {
        section.note(format!(
            "This machine has {} cores, which proxy, canned servers and load generator share here: \
             a second worker only gets what the others leave.",
            bench.layout.all.len()
        ));
        section.note(
            "What the table can show is whether a second worker makes a request dearer, which it \
             would if workers waited for each other.",
        );
    }
    let batches = workload::GET_16.batches();
    let servers = Servers::canned(2)?;
    let mut rates = Vec::new();
    let mut seen = Vec::new();
    for workers in [1, 2] {
        let proxy = Proxy::start(bench, Kind::Ours, &servers, workers, tested, "")?;
        let cells = (0..bench.rounds())
            .map(|_| measure(bench, &servers, &proxy, &batches))
            .collect::<Result<Vec<_>>>()?;
        let series = |figure: fn(&Cell) -> f64| cells.iter().map(figure).collect::<Series>();
        let rate = series(|cell| cell.rate);
        println!("scaling: {workers} workers: {}/s", thousands(rate.median()));
        section.row([
            workload::GET_16.label.to_owned(),
            workers.to_string(),
            with_spread(&rate, thousands),
            with_spread(&series(|cell| cell.proxy), two_digits),
            two_digits(series(|cell| cell.busy).median()),
        ]);
        rates.push(rate.median());
        seen.extend(cells);
    }
    if tested.len() != rest.len() {
        report.at_least("Throughput of two workers over one", 1.7, rates[1] / rates[0], "×");
    }
    note_others(&mut section, &seen);
    report.add(section);
    Ok(())
}

/// Both proxies in front of the same servers; the one that is not measured idles.
pub(super) fn start_both(bench: &Bench, servers: &Servers) -> Result<[Proxy; 2]> {
    let start = |kind| Proxy::start(bench, kind, servers, 1, &bench.layout.tested, "");
    Ok([start(Kind::Ours)?, start(Kind::Theirs)?])
}

/// Measures a workload with both proxies by turns.
fn measure_pair(
    bench: &Bench,
    servers: &Servers,
    proxies: &[Proxy; 2],
    workload: &Workload,
    label: &str,
) -> Result<Pair> {
    let batches = workload.batches();
    let mut pair = Pair { ours: Vec::new(), theirs: Vec::new() };
    for round in 1..=bench.rounds() {
        for proxy in proxies {
            let cell =
                measure(bench, servers, proxy, &batches).with_context(|| proxy.failed_at(label))?;
            println!(
                "{label}, round {round}, {}: {}/s, {:.2} µs, busy {:.0} %",
                proxy.kind.name(),
                thousands(cell.rate),
                cell.proxy,
                cell.busy * 100.0
            );
            match proxy.kind {
                Kind::Ours => pair.ours.push(cell),
                Kind::Theirs => pair.theirs.push(cell),
            }
        }
    }
    Ok(pair)
}

/// Measures a proxy once.
pub(super) fn measure(
    bench: &Bench,
    servers: &Servers,
    proxy: &Proxy,
    batches: &[Batch],
) -> Result<Cell> {
    let mut edges: Vec<[Duration; 4]> = Vec::with_capacity(2);
    let mut ticks = Vec::with_capacity(2);
    let outcome = load::closed(proxy.port, CLIENTS, batches, bench.window(), || {
        ticks.push(usage::ticks(proxy.pid())?);
        let proxy = usage::cpu(proxy.pid())?;
        let all = usage::cpu_of_machine()?;
        edges.push([proxy, usage::cpu_of_this_thread()?, servers.cpu()?, all]);
        Ok(())
    })?;
    let requests = outcome.requests.max(1) as f64;
    let used = |index: usize| (edges[1][index] - edges[0][index]).as_secs_f64();
    let [user, kernel] = [ticks[1].0 - ticks[0].0, ticks[1].1 - ticks[0].1];
    let kernel = kernel as f64 / (user + kernel).max(1) as f64;
    Ok(Cell {
        rate: outcome.rate(),
        proxy: used(0) / requests * 1e6,
        generator: used(1) / requests * 1e6,
        servers: used(2) / requests * 1e6,
        kernel,
        busy: used(0) / outcome.elapsed.as_secs_f64(),
        p50: outcome.latency.microseconds_at(0.5),
        p99: outcome.latency.microseconds_at(0.99),
        others: (used(3) - used(0) - used(1) - used(2)).max(0.0) / outcome.elapsed.as_secs_f64(),
    })
}

// === impl Pair ===

impl Pair {
    /// The cells of both.
    fn both(&self) -> impl Iterator<Item = Cell> {
        self.ours.iter().chain(&self.theirs).copied()
    }

    fn series(&self, kind: Kind, figure: fn(&Cell) -> f64) -> Series {
        let cells = match kind {
            Kind::Ours => &self.ours,
            Kind::Theirs => &self.theirs,
        };
        cells.iter().map(figure).collect()
    }
}

const COLUMNS: [&str; 10] = [
    "workload",
    "proxy",
    "CPU µs/request",
    "ratio",
    "in kernel",
    "requests/s",
    "ratio",
    "busy",
    "p50/p99 µs",
    "generator/servers µs",
];

/// Ours over theirs, of the medians.
fn ratio(pair: &Pair, figure: fn(&Cell) -> f64) -> f64 {
    let [ours, theirs] = Kind::BOTH.map(|kind| pair.series(kind, figure).median());
    ours / theirs
}

/// Says how much the machine did besides, which no pinning keeps from the figures.
fn note_others(section: &mut Section, cells: &[Cell]) {
    let most = cells.iter().map(|cell| cell.others).fold(0.0, f64::max) * 100.0;
    let verdict = if most > 10.0 { ": **these figures are disturbed**" } else { "" };
    section.note(format!(
        "Programs that do not belong to the measurement took at most {most:.0} % of a core{verdict}."
    ));
}

/// A row for each proxy.
fn rows(section: &mut Section, label: &str, pair: &Pair) {
    for kind in Kind::BOTH {
        let series = |figure| pair.series(kind, figure);
        let median = |figure| pair.series(kind, figure).median();
        let compared = |figure| match kind {
            Kind::Ours => format!("{:.2}", ratio(pair, figure)),
            Kind::Theirs => "1".to_owned(),
        };
        section.row([
            label.to_owned(),
            kind.name().to_owned(),
            with_spread(&series(|cell| cell.proxy), two_digits),
            compared(|cell| cell.proxy),
            format!("{:.0} %", median(|cell| cell.kernel) * 100.0),
            with_spread(&series(|cell| cell.rate), thousands),
            compared(|cell| cell.rate),
            format!("{:.0} %", median(|cell| cell.busy) * 100.0),
            format!("{:.0}/{:.0}", median(|cell| cell.p50), median(|cell| cell.p99)),
            format!("{:.2}/{:.2}", median(|cell| cell.generator), median(|cell| cell.servers)),
        ]);
    }
}

/// The median and, in parentheses, the spread.
pub(super) fn with_spread(series: &Series, shown: fn(f64) -> String) -> String {
    format!("{} ({:.0} %)", shown(series.median()), series.spread())
}

fn two_digits(figure: f64) -> String {
    format!("{figure:.2}")
}
