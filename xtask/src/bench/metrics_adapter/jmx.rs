//! Beans of a JVM: the first scrape and those after it, beside the JDK's own client doing the same
//! reads. Ours also makes a page of them and sends it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::java::{Beans, Classes, Round};
use super::programs::Adapter;
use super::{Bench, page};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::series::Series;
use crate::bench::usage;

/// Beans of the JVM, beside its own.
const BEANS: usize = 2_000;
/// Attributes of each.
const ATTRIBUTES: usize = 8;
/// Starts of either, by turns; the first of each warms the JVM that is read, and is not counted.
const STARTS: usize = 6;
/// Scrapes that warm a process, and scrapes that count.
const WARM: usize = 15;
const SCRAPES: usize = 30;
/// Between two attempts to get the first page.
const ATTEMPT_EVERY: Duration = Duration::from_micros(500);
/// From a start to the first page.
const FIRST_WITHIN: Duration = Duration::from_secs(60);
/// Bars.
const WARM_MIN: f64 = 3.0;
const FIRST_MIN: f64 = 5.0;
const RESIDENT_MB_MAX: f64 = 25.0;

/// What either took.
#[derive(Default)]
struct Figures {
    /// From a start to the end of the first scrape, in ms.
    first: Vec<f64>,
    /// A scrape, in ms.
    warm: Vec<f64>,
    /// CPU of a scrape, in ms.
    cpu: Vec<f64>,
    resident: u64,
}

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let beans_count = bench.scaled(BEANS, 10);
    let classes = Classes::compile(bench)?;
    let mut beans = classes.beans(bench, beans_count)?;
    std::fs::write(
        bench.folder().join("rules.yml"),
        format!("hostPort: 127.0.0.1:{}\n", beans.port),
    )
    .context("write the rules")?;

    let (mut ours, mut theirs) = (Figures::default(), Figures::default());
    for number in 0..bench.scaled(STARTS, 3) {
        beans.ensure_running()?;
        let (first, adapter) = first_page(bench, beans_count)?;
        drop(adapter);
        let client = classes.client(bench, &beans, 1, false)?;
        let client = client.first().context("no round of the JDK's client")?;
        if number > 0 {
            ours.first.push(first);
            theirs.first.push(client.since_start_ms);
        }
    }
    warm(bench, beans_count, &mut ours)?;
    let remembering = rounds(bench, &classes, &beans, beans_count, true)?;
    let asking = rounds(bench, &classes, &beans, beans_count, false)?;
    theirs.warm = remembering.warm;
    theirs.cpu = remembering.cpu;
    theirs.resident = remembering.resident;
    tell(report, beans_count, &ours, &theirs, &asking);
    Ok(())
}

/// Starts ours, and asks until the page is whole; with the time that took.
fn first_page(bench: &Bench, beans: usize) -> Result<(f64, Adapter)> {
    let start = Instant::now();
    let adapter = Adapter::jmx(bench, "rules.yml")?;
    loop {
        let answer = page::text(adapter.page.number());
        let took = start.elapsed();
        let found = answer.as_ref().map_or(0, |text| page::count(text, "load_"));
        if found >= beans * ATTRIBUTES {
            return Ok((took.as_secs_f64() * 1e3, adapter));
        }
        if took > FIRST_WITHIN {
            adapter.text()?;
            anyhow::bail!("{found} attributes on the page after {took:?}");
        }
        pause(ATTEMPT_EVERY);
    }
}

fn warm(bench: &Bench, beans: usize, figures: &mut Figures) -> Result<()> {
    let (_, adapter) = first_page(bench, beans)?;
    for number in 0..WARM + bench.scaled(SCRAPES, 6) {
        let before = usage::cpu(adapter.pid())?;
        let start = Instant::now();
        let page = page::scrape(adapter.page.number(), page::TEXT)?;
        let took = start.elapsed();
        if number >= WARM {
            figures.warm.push(took.as_secs_f64() * 1e3);
            figures.cpu.push((usage::cpu(adapter.pid())? - before).as_secs_f64() * 1e3);
        }
        let found = page::count(&String::from_utf8(page)?, "load_");
        ensure!(found == beans * ATTRIBUTES, "{found} attributes on the page");
    }
    figures.resident = usage::resident(adapter.pid())?;
    Ok(())
}

fn rounds(
    bench: &Bench,
    classes: &Classes,
    beans: &Beans,
    count: usize,
    remembers: bool,
) -> Result<Figures> {
    let all = classes.client(bench, beans, WARM + bench.scaled(SCRAPES, 6), remembers)?;
    let least = (count * ATTRIBUTES) as u64;
    ensure!(all.iter().all(|it| it.attributes >= least), "the JDK's client lacks attributes");
    let counted: &[Round] = all.get(WARM..).unwrap_or_default();
    Ok(Figures {
        first: Vec::new(),
        warm: counted.iter().map(|it| it.ms).collect(),
        cpu: counted.iter().map(|it| it.cpu_ms).collect(),
        resident: counted.last().map_or(0, |it| it.resident),
    })
}

fn tell(report: &mut Report, beans: usize, ours: &Figures, theirs: &Figures, asking: &Figures) {
    let median = |figures: &[f64]| figures.iter().copied().collect::<Series>().median();
    let told = |figures: &[f64]| {
        let series: Series = figures.iter().copied().collect();
        match figures.len() {
            0 => "-".to_owned(),
            _ => format!("{:.1} ({:.0} %)", series.median(), series.spread()),
        }
    };
    let title = format!("JMX: {beans} beans with {} attributes", beans * ATTRIBUTES);
    let columns = ["", "metrics-adapter", "JDK's client", "the same, asking anew", "ratio"];
    let mut section = Section::new(&title, &columns);
    section.note(
        "One JVM with beans, read by either in turn over plain JMX. Ours: from the request to the \
         end of the page; the client: the reads alone. Warm, both remember what each bean has; \
         asking anew, the client asks each time, as jmx_exporter does.",
    );
    section.note(
        "First: from the start of the process to the end of the first scrape. The client runs with \
         the JDK's defaults; with less memory it would be smaller, and slower.",
    );
    let first = median(&theirs.first) / median(&ours.first);
    let warm = median(&theirs.warm) / median(&ours.warm);
    let ratio = |number: f64| format!("{number:.1}");
    section.row([
        "first scrape, ms".into(),
        told(&ours.first),
        told(&theirs.first),
        "-".into(),
        ratio(first),
    ]);
    section.row([
        "warm scrape, ms".into(),
        told(&ours.warm),
        told(&theirs.warm),
        told(&asking.warm),
        ratio(warm),
    ]);
    section.row([
        "CPU of a warm scrape, ms".into(),
        told(&ours.cpu),
        told(&theirs.cpu),
        told(&asking.cpu),
        ratio(median(&theirs.cpu) / median(&ours.cpu)),
    ]);
    let resident = [ours, theirs, asking].map(|it| megabytes(it.resident));
    section.row([
        "resident memory, MB".into(),
        format!("{:.1}", resident[0]),
        format!("{:.1}", resident[1]),
        format!("{:.1}", resident[2]),
        ratio(resident[1] / resident[0]),
    ]);
    println!(
        "jmx: first {:.0} ms, client {:.0} ms; warm {:.1} ms, client {:.1} ms; {:.1} MB",
        median(&ours.first),
        median(&theirs.first),
        median(&ours.warm),
        median(&theirs.warm),
        resident[0]
    );
    report.at_least(
        "First scrape of beans, times faster than the JDK's client",
        FIRST_MIN,
        first,
        "",
    );
    report.at_least("Warm scrape of beans, times faster than the JDK's client", WARM_MIN, warm, "");
    report.at_most("Resident memory with beans", RESIDENT_MB_MAX, resident[0], " MB");
    report.add(section);
}
