//! Latency at equal load: an open loop at one rate for both proxies, well below what the weaker of
//! them can do. In a closed loop the faster proxy would be given more work and look slower.

use std::time::Duration;

use anyhow::{Context, Result};

use super::load::{self, Window};
use super::rates::{start_both, with_spread};
use super::servers::{Kind, Servers};
use super::workload::{self, Protocol, Workload};
use super::{Bench, CLIENTS};
use crate::bench::report::{Report, Section, thousands};
use crate::bench::series::Series;

/// Share of the weaker proxy's throughput that both are given.
const LOAD: f64 = 0.4;
/// To find that throughput.
const TRIAL: Window =
    Window { warm: Duration::from_millis(200), measured: Duration::from_millis(1_000) };
/// What is told of each distribution.
const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Quantiles of the rounds of one proxy.
type Rounds = Vec<[f64; 3]>;

/// Measures all workloads.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    use workload::{GET_1, MEMCACHED_GET_1, MGET, SET_1};
    let columns =
        ["workload", "requests/s", "proxy", "p50 µs", "p99 µs", "p99.9 µs", "p99 ratio", "lag µs"];
    let mut section = Section::new("Latency at equal load, one worker", &columns);
    section.note(format!(
        "Both are given {:.0} % of what the weaker one can do; latency counts from the time a \
         request was due, not from when it was sent.",
        LOAD * 100.0
    ));
    section.note(
        "Lag is how late the generator itself was at the 99th percentile, as it shares its core \
         with the servers.",
    );
    let mut any = false;
    for (protocol, workloads) in
        [(Protocol::Redis, vec![GET_1, SET_1, MGET]), (Protocol::Memcached, vec![MEMCACHED_GET_1])]
    {
        let wanted = |workload: &Workload| bench.options.wants("latency", workload.name);
        let workloads: Vec<_> = workloads.into_iter().filter(wanted).collect();
        if workloads.is_empty() {
            continue;
        }
        any = true;
        let servers = Servers::real(bench, protocol, 2, &bench.layout.rest)?;
        compare(bench, &servers, &workloads, &mut section, report)?;
    }
    if any {
        report.add(section);
    }
    Ok(())
}

fn compare(
    bench: &Bench,
    servers: &Servers,
    workloads: &[Workload],
    section: &mut Section,
    report: &mut Report,
) -> Result<()> {
    let proxies = start_both(bench, servers)?;
    workload::write_keys(proxies[0].port, servers.protocol)?;
    for workload in workloads {
        let batches = workload.batches();
        let mut weaker = f64::MAX;
        for proxy in &proxies {
            let trial = load::closed(proxy.port, CLIENTS, &batches, TRIAL, || Ok(()))?;
            weaker = weaker.min(trial.rate());
        }
        let rate = weaker * LOAD;
        let mut rounds: [Rounds; 2] = [Vec::new(), Vec::new()];
        let mut lags = [Vec::new(), Vec::new()];
        for round in 1..=bench.rounds() {
            for (at, proxy) in proxies.iter().enumerate() {
                let outcome = load::open(proxy.port, CLIENTS, &batches, rate, bench.window())
                    .with_context(|| proxy.failed_at(workload.label))?;
                let figures = QUANTILES.map(|quantile| outcome.latency.microseconds_at(quantile));
                println!(
                    "{} at {}/s, round {round}, {}: p50 {:.0} µs, p99 {:.0} µs",
                    workload.label,
                    thousands(rate),
                    proxy.kind.name(),
                    figures[0],
                    figures[1]
                );
                rounds[at].push(figures);
                lags[at].push(outcome.lag.microseconds_at(0.99));
            }
        }
        let ratio = series(&rounds[0], 1).median() / series(&rounds[1], 1).median();
        for (at, kind) in Kind::BOTH.into_iter().enumerate() {
            let [p50, p99, p999] =
                [0, 1, 2].map(|quantile| with_spread(&series(&rounds[at], quantile), whole));
            let lag = lags[at].iter().copied().collect::<Series>().median();
            let compared = if kind == Kind::Ours { format!("{ratio:.2}") } else { "1".to_owned() };
            let proxy = kind.name().to_owned();
            let label = workload.label.to_owned();
            section.row([label, thousands(rate), proxy, p50, p99, p999, compared, whole(lag)]);
        }
        report.at_most(&format!("p99 at equal load, {}", workload.label), 1.0, ratio, "");
    }
    Ok(())
}

/// One quantile over the rounds.
fn series(rounds: &Rounds, quantile: usize) -> Series {
    rounds.iter().map(|figures| figures[quantile]).collect()
}

fn whole(figure: f64) -> String {
    format!("{figure:.0}")
}
