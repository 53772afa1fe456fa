//! The soak: full load while servers are killed, stopped and revived at random. It passes when no
//! client ever got a reply that was not its own, no reply was malformed, none stayed out, the proxy
//! closed no connection, and its memory came to rest.
//!
//! In reading order: `replies` (what a reply must be), `clients` (the load), `chaos` (the servers).

mod chaos;
mod clients;
mod replies;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use self::clients::Counts;
use super::Bench;
use super::servers::{Kind, pool, start_proxy};
use super::workload::Protocol;
use crate::bench::child::{Child, Port};
use crate::bench::machine::stay_on;
use crate::bench::random::Random;
use crate::bench::report::{Report, Section, megabytes, thousands};
use crate::bench::usage;

/// Servers of each protocol.
const SERVERS: usize = 3;
/// Between two samples of memory, unless the soak is short.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Samples at the least.
const SAMPLES_MIN: u32 = 12;
/// Rows of the table at the most.
const ROWS_MAX: usize = 20;
/// A shorter soak has not filled all buffers when its first quarter ends.
const JUDGED_FROM: Duration = Duration::from_secs(120);
/// What the last quarter may have above the second: allocators round.
const GROWTH_MAX: f64 = 1.10;
const GROWTH_FREE_MB: f64 = 1.0;

/// Ejection with quick returns, so that servers come and go often.
const FAULTS: &str = "timeout: 400\nauto_eject_hosts: true\nserver_retry_timeout: 500\n\
                      server_failure_limit: 1";

/// Memory and progress at one time.
struct Sample {
    at: Duration,
    resident: f64,
    requests: u64,
    errors: u64,
}

/// Runs the soak; tells also whether it passed.
pub(super) fn run(bench: &Bench, duration: Duration) -> Result<(Report, bool)> {
    let seed = bench.options.seed.unwrap_or_else(Random::seed);
    println!("soak: {} s, seed {seed}", duration.as_secs());
    stay_on(&bench.layout.rest)?;
    let servers = chaos::Servers::start(bench, SERVERS)?;
    let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
    let [redis, memcached, stats] = [&ports[0], &ports[1], &ports[2]].map(Port::number);
    let pools: String = [(Protocol::Redis, redis), (Protocol::Memcached, memcached)]
        .map(|(protocol, port)| {
            let name = format!("{protocol:?}").to_lowercase();
            pool(&name, port, protocol, &servers.ports(protocol), FAULTS)
        })
        .concat();
    let file = bench.folder().join("soak.yml");
    std::fs::write(&file, pools).context("write the configuration")?;
    let mut proxy = start_proxy(bench, Kind::Ours, &file, stats, 1, &bench.layout.tested)?;
    proxy.await_listening(redis)?;
    proxy.await_listening(memcached)?;

    let over = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel();
    let (samples, load, chaos) = std::thread::scope(|scope| {
        // The sender ends with the load, and so does the watch.
        let stop = &over;
        let load = scope.spawn(move || clients::run([redis, memcached], seed, stop, &sender));
        let chaos = scope.spawn(|| servers.trouble(bench, Random::new(seed ^ 1), &over));
        let samples = watch(&mut proxy, duration, &receiver, || chaos.is_finished());
        over.store(true, Ordering::Relaxed);
        let load = load.join().map_err(|_| anyhow!("the load generator panicked"));
        let chaos = chaos.join().map_err(|_| anyhow!("the troublemaker panicked"));
        (samples, load, chaos)
    });
    // The cause before its effects: the load fails with the proxy, and the watch with everything.
    proxy.ensure_running()?;
    let (counts, events, samples) = (load??, chaos??, samples?);
    Ok(summary(bench, seed, &samples, &counts, &events))
}

/// Samples memory until the time is up; fails when the proxy ends or the load stops.
fn watch(
    proxy: &mut Child,
    duration: Duration,
    progress: &mpsc::Receiver<(u64, u64)>,
    peaceful: impl Fn() -> bool,
) -> Result<Vec<Sample>> {
    let start = Instant::now();
    let every = SAMPLE_EVERY.min(duration / SAMPLES_MIN);
    let mut samples = Vec::new();
    let mut next = every;
    loop {
        proxy.ensure_running()?;
        ensure!(!peaceful(), "nobody troubles the servers any more");
        // The load reports several times a second.
        let (requests, errors) =
            progress.recv_timeout(Duration::from_secs(30)).context("the load stands still")?;
        if start.elapsed() < next {
            continue;
        }
        next += every;
        let sample = Sample {
            at: start.elapsed(),
            resident: megabytes(usage::resident(proxy.pid())?),
            requests,
            errors,
        };
        println!(
            "soak: {:.0} s, {:.1} MB, {requests} requests, {errors} errors",
            sample.at.as_secs_f64(),
            sample.resident
        );
        samples.push(sample);
        if start.elapsed() >= duration {
            return Ok(samples);
        }
    }
}

fn summary(
    bench: &Bench,
    seed: u64,
    samples: &[Sample],
    counts: &Counts,
    events: &chaos::Events,
) -> (Report, bool) {
    let mut head = bench.head();
    head.push(format!(
        "Load: {} Redis and {} memcached clients, batches of up to {} mixed requests, one batch of \
         {} left unanswered by hanging up, seed {seed}",
        clients::PER_PROTOCOL,
        clients::PER_PROTOCOL,
        clients::BATCH_MAX,
        clients::HANG_UP_ONE_IN
    ));
    head.push(format!(
        "Trouble: {SERVERS} servers of each kind, {} killed and revived, {} stopped and continued",
        events.killed, events.stopped
    ));
    let mut report = Report::new("ambassador-proxy under trouble", head);
    let figures = [
        ("Replies that were another's", counts.foreign as f64),
        ("Malformed replies", counts.malformed as f64),
        ("Requests without a reply for 10 s", counts.stuck as f64),
        ("Connections closed by the proxy", counts.closed as f64),
    ];
    for (what, found) in figures {
        report.at_most(what, 0.0, found, "");
    }
    let [before, after] = rest_of_memory(samples);
    let limit = ((before * GROWTH_MAX + GROWTH_FREE_MB) * 10.0).round() / 10.0;
    let long_enough = samples.last().is_some_and(|sample| sample.at >= JUDGED_FROM);
    let flat = after <= limit;
    if long_enough {
        report.at_most(
            "Memory of the last quarter (that of the second, and a tenth)",
            limit,
            after,
            " MB",
        );
    }

    let mut requests = Section::new("Requests", &["outcome", "count"]);
    if let Some(example) = &counts.example {
        requests.note(format!("The first wrong reply: `{example}`."));
    }
    requests.row(["requests".to_owned(), count(counts.requests)]);
    requests.row(["hung up within a batch".to_owned(), count(counts.hung_up)]);
    requests.row(["values read".to_owned(), count(counts.values)]);
    requests.row(["not found".to_owned(), count(counts.missing)]);
    for (kind, number) in &counts.errors {
        requests.row([format!("`{kind}`"), count(*number)]);
    }
    report.add(requests);

    let mut memory = Section::new("Memory over time", &["after s", "MB", "requests", "errors"]);
    memory.note(match (long_enough, flat) {
        (false, _) => "Too short to judge memory.",
        (true, true) => "Flat.",
        (true, false) => "**Not flat.**",
    });
    let step = samples.len().div_ceil(ROWS_MAX).max(1);
    for sample in samples.iter().skip(step - 1).step_by(step) {
        memory.row([
            format!("{:.0}", sample.at.as_secs_f64()),
            format!("{:.1}", sample.resident),
            count(sample.requests),
            count(sample.errors),
        ]);
    }
    report.add(memory);
    let passed = (flat || !long_enough) && figures.iter().all(|(_, found)| *found == 0.0);
    (report, passed)
}

/// Mean memory of the second and of the last quarter: the first is for filling buffers.
fn rest_of_memory(samples: &[Sample]) -> [f64; 2] {
    let quarter = (samples.len() / 4).max(1);
    let mean = |samples: &[Sample]| {
        let sum: f64 = samples.iter().map(|sample| sample.resident).sum();
        let count = samples.len().max(1) as f64;
        sum / count
    };
    let second = samples.len().min(quarter)..samples.len().min(2 * quarter);
    [mean(&samples[second]), mean(&samples[samples.len().saturating_sub(quarter)..])]
}

fn count(number: u64) -> String {
    thousands(number as f64)
}
