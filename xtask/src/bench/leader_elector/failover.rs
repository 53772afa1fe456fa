//! A member is stopped (SIGSTOP): how long until the group carries out requests again, and how long
//! until somebody else holds what the stopped one held.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::json;

use super::Bench;
use super::group::{CALL_WITHIN, Group, Held, Kind, MEMBERS, acquire, acquire_request};
use super::http::{Client, request};
use crate::bench::machine::pause;
use crate::bench::random::Random;
use crate::bench::report::{Report, Section};
use crate::bench::series::{Series, quantile};

/// Rounds of each fault.
const ROUNDS: usize = 20;
/// Between two attempts of somebody who wants in.
const ATTEMPT_EVERY: Duration = Duration::from_millis(5);
/// An attempt that got no answer is given up; others are on their way by then.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(3);
/// Attempts on their way at once: those of the time that an attempt is given.
const ATTEMPTS_MAX: usize = 640;
/// Nobody waits longer for a group to work again.
const WORKS_WITHIN: Duration = Duration::from_secs(60);
/// A thread that sends one request needs no more stack.
const STACK_BYTES: usize = 128 * 1024;
/// Time to live where a holder is stopped.
const TTL: Duration = Duration::from_secs(1);
/// Its holder renews this often.
const RENEW_EVERY: Duration = Duration::from_millis(333);
/// Bars: of the median to etcd's, and above the time to live.
const RATIO_MAX: f64 = 0.5;
const ABOVE_TTL_MAX: f64 = 300.0;

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants("failover") {
        return Ok(());
    }
    let columns = ["milliseconds", "program", "p50", "p90", "highest", "rounds"];
    let mut section = Section::new("A member stops (SIGSTOP)", &columns);
    section.note(
        "The group's leader: to the first success of attempts made every 5 ms at another member, \
         each on a connection of its own: taking a free election of ours, writing a key of etcd's.",
    );
    section.note(
        "A holder's member: to the next acquisition by one that waits at another, with a time to \
         live of 1 s, renewed every third of it.",
    );
    let mut groups = [Group::start(bench, Kind::Ours)?, Group::start(bench, Kind::Theirs)?];
    let mut times = [Vec::new(), Vec::new()];
    for round in 1..=bench.rounds(ROUNDS) {
        for (group, times) in groups.iter_mut().zip(&mut times) {
            let took = leader_stops(group, round)?;
            println!("leader stops, round {round}, {}: {took:.0} ms", group.kind.name());
            times.push(took);
        }
    }
    let [ours, theirs] = times;
    row(&mut section, "leader of the group", Kind::Ours, &ours);
    row(&mut section, "leader of the group", Kind::Theirs, &theirs);
    let median = |times: &[f64]| times.iter().copied().collect::<Series>().median();
    let ratio = median(&ours) / median(&theirs);
    report.at_most("Group leader stops: median to etcd's", RATIO_MAX, ratio, "");

    let mut random = Random::new(Random::seed());
    for (what, leads) in [("holder, leads the group", true), ("holder, does not lead it", false)] {
        let mut times = Vec::new();
        for round in 1..=bench.rounds(ROUNDS) {
            let took = holder_stops(&mut groups[0], round, leads, &mut random)?;
            println!("{what}, round {round}: {took:.0} ms");
            times.push(took);
        }
        row(&mut section, what, Kind::Ours, &times);
        let above = median(&times) - TTL.as_secs_f64() * 1e3;
        let bar = format!("A {what}: median above the time to live");
        report.at_most(&bar, ABOVE_TTL_MAX, above, " ms");
    }
    report.add(section);
    Ok(())
}

fn row(section: &mut Section, what: &str, kind: Kind, times: &[f64]) {
    let at = |share: f64| format!("{:.0}", quantile(times, share));
    let cells = [what.to_owned(), kind.name().to_owned(), at(0.5), at(0.9), at(1.0)];
    section.row(cells.into_iter().chain([times.len().to_string()]));
}

/// Stops the leader of the group; milliseconds to the first success at another member.
fn leader_stops(group: &mut Group, round: usize) -> Result<f64> {
    let leader = group.leader()?;
    let other = (leader + 1 + round % (MEMBERS - 1)) % MEMBERS;
    let attempt = match group.kind {
        Kind::Ours => acquire_request(&format!("free-{round}"), 1_000, 0),
        Kind::Theirs => {
            let body = json!({ "key": "ZnJlZQ==", "value": "ZnJlZQ==" }).to_string();
            request("POST", "/v3/kv/put", &body)
        }
    };
    group.signal(leader, Signal::STOP)?;
    let took = first_success(group.api(other), &attempt);
    group.signal(leader, Signal::CONT)?;
    let took = took.with_context(|| group.last_words())?;
    group.settle()?;
    Ok(took.as_secs_f64() * 1e3)
}

/// Tries again and again, without waiting for earlier attempts, until one succeeds.
fn first_success(port: u16, attempt: &[u8]) -> Result<Duration> {
    let start = Instant::now();
    let (done, first) = mpsc::channel();
    let mut attempts: Vec<JoinHandle<()>> = Vec::new();
    let mut took = None;
    while took.is_none() && start.elapsed() < WORKS_WITHIN {
        attempts.retain(|it| !it.is_finished());
        if attempts.len() < ATTEMPTS_MAX {
            let (done, attempt) = (done.clone(), attempt.to_vec());
            let try_once = move || {
                let answer = Client::connect(port, ATTEMPT_WITHIN)
                    .and_then(|mut client| client.call(&attempt));
                if answer.is_ok_and(|(status, _)| status == 200) {
                    // Only the first is of interest.
                    let _ = done.send(start.elapsed());
                }
            };
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            attempts.push(builder.spawn(try_once).context("start an attempt")?);
        }
        took = first.recv_timeout(ATTEMPT_EVERY).ok();
    }
    for attempt in attempts {
        // It has no way to fail but a panic, which was printed.
        let _ = attempt.join();
    }
    took.with_context(|| format!("no success within {WORKS_WITHIN:?}"))
}

/// Stops the member through which an election is held; milliseconds to the next holder.
fn holder_stops(group: &mut Group, round: usize, leads: bool, random: &mut Random) -> Result<f64> {
    let leader = group.leader()?;
    let [holder, waiter] = if leads {
        [leader, (leader + 1) % MEMBERS]
    } else {
        // It is the leader, half of the time, through which the next one asks.
        let others = [(leader + 1) % MEMBERS, (leader + 2) % MEMBERS];
        [others[0], if round.is_multiple_of(2) { leader } else { others[1] }]
    };
    let election = format!("held-{leads}-{round}");
    let ttl_ms = u64::try_from(TTL.as_millis())?;
    let held = acquire(group.api(holder), &election, ttl_ms, 0)?;
    let stop = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        let renewing = scope.spawn(|| renew(group.api(holder), &held, &stop));
        let waiting = scope.spawn(|| -> Result<Instant> {
            acquire(group.api(waiter), &election, ttl_ms, 30_000)?;
            Ok(Instant::now())
        });
        // Between two renewals, anywhere: three of them, and a part.
        pause(RENEW_EVERY * 3 + Duration::from_millis(random.below(333)));
        let was_waiting = !waiting.is_finished();
        let start = Instant::now();
        group.signal(holder, Signal::STOP)?;
        let next = waiting.join();
        stop.store(true, Ordering::Relaxed);
        group.signal(holder, Signal::CONT)?;
        let _ = renewing.join();
        ensure!(was_waiting, "the election was not held until the fault");
        let next = next.ok().context("the one who waits panicked")??;
        Ok(next.saturating_duration_since(start))
    })
    .with_context(|| group.last_words())?;
    group.settle()?;
    Ok(took.as_secs_f64() * 1e3)
}

/// Shows signs of life until told to stop, or until there is no answer.
fn renew(port: u16, held: &Held, stop: &AtomicBool) -> Result<()> {
    let mut client = Client::connect(port, CALL_WITHIN)?;
    let request = held.renew_request();
    while !stop.load(Ordering::Relaxed) {
        pause(RENEW_EVERY);
        client.call(&request)?;
    }
    Ok(())
}
