//! A page of many series: CPU and time of a scrape, in every format.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::programs::Adapter;
use super::{Bench, blast, page};
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::series::Series;
use crate::bench::usage;

/// Series, by their families.
const FAMILIES: usize = 100;
const SERIES_EACH: usize = 1_000;
/// Scrapes of each format; one before them is not counted.
const SCRAPES: usize = 10;
/// Bar, in milliseconds of CPU, for each format.
const CPU_MS_MAX: f64 = 100.0;

const FORMATS: [(&str, &str); 4] = [
    ("text 0.0.4", page::TEXT),
    ("text 0.0.4, gzip", "Accept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n"),
    ("OpenMetrics 1.0", "Accept: application/openmetrics-text;version=1.0.0\r\n"),
    (
        "protobuf",
        "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
         encoding=delimited\r\n",
    ),
];

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let each = bench.scaled(SERIES_EACH, 10);
    let series = FAMILIES * each;
    let columns = ["format", "CPU ms", "ms", "MB", "RSS MB", "limit CPU ms"];
    let mut section = Section::new(&format!("A page of {series} series"), &columns);
    section.note(format!(
        "Counters with two labels in {FAMILIES} families; {SCRAPES} scrapes each, over connections \
         of their own. No peer: Debian has no statsd_exporter."
    ));
    let mut adapter = Adapter::statsd(bench, "", "")?;
    adapter.await_ready()?;
    let line = |number: usize| {
        let (family, one) = (number % FAMILIES, number / FAMILIES);
        format!("bench.page{family:02}:1|c|#user:u{one:04},region:eu")
    };
    blast::say(adapter.statsd, (0..series).map(line))?;
    let found = page::count(&adapter.text()?, "bench_page");
    ensure!(found == series, "{found} of {series} series on the page");
    for (format, headers) in FORMATS {
        let mut size = page::scrape(adapter.page.number(), headers)?.len();
        let (mut cpu, mut time) = (Vec::new(), Vec::new());
        for _ in 0..SCRAPES {
            let before = usage::cpu(adapter.pid())?;
            let start = Instant::now();
            size = page::scrape(adapter.page.number(), headers)?.len();
            time.push(start.elapsed().as_secs_f64() * 1e3);
            cpu.push((usage::cpu(adapter.pid())? - before).as_secs_f64() * 1e3);
        }
        let [cpu, time] = [cpu, time].map(|it| it.into_iter().collect::<Series>());
        println!("page: {format}: {:.1} ms CPU, {:.1} ms", cpu.median(), time.median());
        // Compression is the scraper's wish, and its price.
        let bar = !format.contains("gzip");
        if bar && each == SERIES_EACH {
            let what = format!("CPU of a scrape of {series} series, {format}");
            report.at_most(&what, CPU_MS_MAX, cpu.median(), " ms");
        }
        section.row([
            format.to_owned(),
            format!("{:.1} ({:.0} %)", cpu.median(), cpu.spread()),
            format!("{:.1}", time.median()),
            format!("{:.1}", megabytes(size as u64)),
            format!("{:.1}", megabytes(usage::resident(adapter.pid())?)),
            if bar { CPU_MS_MAX.to_string() } else { String::new() },
        ]);
    }
    report.add(section);
    Ok(())
}
