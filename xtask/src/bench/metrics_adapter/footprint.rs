//! Size of the binary, and time from its start to its first page.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::programs::Adapter;
use super::{Bench, page};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::series::{Series, quantile};

/// Starts.
const STARTS: usize = 20;
/// Between two attempts to get the first page: far below what is measured.
const ATTEMPT_EVERY: Duration = Duration::from_micros(200);
/// From a start to its page.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// Bars.
const BINARY_MB_MAX: f64 = 10.0;
const START_MS_MAX: f64 = 20.0;

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut section = Section::new("Size and start", &["", "metrics-adapter", "limit"]);
    section.note(
        "Start: from the call that starts the process, by way of `setpriv` and `taskset`, to the end \
         of the first page.",
    );
    let size = megabytes(std::fs::metadata(&bench.ours)?.len());
    report.at_most("Binary", BINARY_MB_MAX, size, " MB");
    section.row(["binary, MB".to_owned(), format!("{size:.2}"), BINARY_MB_MAX.to_string()]);
    let mut starts = Vec::new();
    for _ in 0..bench.scaled(STARTS, 5) {
        let start = Instant::now();
        let adapter = Adapter::statsd(bench, "", "")?;
        while page::text(adapter.page.number()).is_err() {
            if start.elapsed() > ANSWERS_WITHIN {
                adapter.text()?;
            }
            pause(ATTEMPT_EVERY);
        }
        starts.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let median = starts.iter().copied().collect::<Series>().median();
    let worst = quantile(&starts, 1.0);
    println!("footprint: binary {size:.2} MB, start {median:.1} ms, at worst {worst:.1} ms");
    report.at_most("Start to the first page, median", START_MS_MAX, median, " ms");
    let found = format!("{median:.1}, at worst {worst:.1}");
    section.row(["start to the first page, ms".to_owned(), found, START_MS_MAX.to_string()]);
    report.add(section);
    Ok(())
}
