//! Many elections and many watchers in one group: whether renewals keep their deadlines, and what
//! it takes.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::Bench;
use super::group::{CALL_WITHIN, Group, Held, Kind, MEMBERS, acquire};
use super::http::{Client, request};
use crate::bench::histogram::Histogram;
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, megabytes};

/// Elections, and as many watchers.
const ELECTIONS: usize = 1_000;
/// Time to live, and how often it is renewed.
const TTL: Duration = Duration::from_secs(5);
const RENEW_EVERY: Duration = Duration::from_millis(1_666);
/// The part of the time to live for which a holder may act.
const HELD_SHARE: f64 = 0.9;
/// Threads that renew, in equal parts at all members.
const THREADS: usize = 24;
/// How long it goes on.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(6);
/// Bars.
const RESIDENT_MAX: f64 = 40.0;

/// What one thread saw.
struct Seen {
    renewed: u64,
    /// Renewals answered after the lease before them had ended, and those that failed.
    missed: u64,
    latency: Histogram,
}

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants("crowd") {
        return Ok(());
    }
    let group = Group::start(bench, Kind::Ours)?;
    let duration = if bench.options.quick { SHORT } else { LONG };
    let stop = AtomicBool::new(false);
    let before = group.cpu()?;
    let (seen, watched, resident) = thread::scope(|scope| -> Result<_> {
        let (group, stop) = (&group, &stop);
        // Whatever fails below, the threads must end.
        let _stops = Stop(stop);
        let holders: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || hold(group, thread, stop))).collect();
        let watchers = scope.spawn(move || watch(group, stop));
        pause(duration);
        let resident = megabytes(group.resident_max()?);
        stop.store(true, Ordering::Relaxed);
        let seen: Result<Vec<Seen>> =
            holders.into_iter().map(|it| it.join().ok().context("a holder panicked")?).collect();
        let watched = watchers.join().ok().context("the watchers panicked")??;
        Ok((seen?, watched, resident))
    })
    .with_context(|| group.last_words())?;
    let cpu = (group.cpu()? - before).as_secs_f64() / duration.as_secs_f64() * 100.0;
    ensure!(seen.iter().any(|it| it.renewed > 0), "nothing was renewed");

    let missed = seen.iter().map(|it| it.missed).sum::<u64>();
    let renewed = seen.iter().map(|it| it.renewed).sum::<u64>();
    let p99 = |it: &Seen| it.latency.microseconds_at(0.99) / 1e3;
    let p99 = seen.iter().map(p99).fold(0.0, f64::max);
    let mut section =
        Section::new("1,000 elections and 1,000 watchers in one group", &["", "found"]);
    section.note(format!(
        "For {} s; time to live 5 s, each renewed on its own every 1.67 s; holders and watchers in \
         equal parts at all three members.",
        duration.as_secs()
    ));
    for (what, found) in [
        ("renewals", renewed.to_string()),
        ("renewals that missed their deadline, or failed", missed.to_string()),
        ("p99 of a renewal, slowest of 24 threads, ms", format!("{p99:.1}")),
        ("watchers that were told who leads", watched.told.to_string()),
        ("watchers that lost their connection", watched.lost.to_string()),
        ("resident memory of the member that has most, MB", format!("{resident:.1}")),
        ("CPU of all members, % of a core", format!("{cpu:.0}")),
    ] {
        println!("crowd: {what}: {found}");
        section.row([what.to_owned(), found]);
    }
    report.add(section);
    report.at_most("1,000 elections: renewals that missed their deadline", 0.0, missed as f64, "");
    report.at_most("1,000 elections and watchers: memory", RESIDENT_MAX, resident, " MB");
    Ok(())
}

/// Tells threads to stop when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes a part of the elections and renews each when it is due.
fn hold(group: &Group, thread: usize, stop: &AtomicBool) -> Result<Seen> {
    let port = group.api(thread % MEMBERS);
    let ttl_ms = u64::try_from(TTL.as_millis())?;
    let mut client = Client::connect(port, CALL_WITHIN)?;
    let mut seen = Seen { renewed: 0, missed: 0, latency: Histogram::new() };
    // When each is due, and when what it had ends.
    let mut held: Vec<(Held, Instant, Instant)> = Vec::new();
    for number in (thread..ELECTIONS).step_by(THREADS) {
        let asked = Instant::now();
        let lease = acquire(port, &format!("crowd-{number}"), ttl_ms, 0)?;
        held.push((lease, asked + RENEW_EVERY, asked + TTL.mul_f64(HELD_SHARE)));
    }
    while !stop.load(Ordering::Relaxed) {
        for (lease, due, deadline) in &mut held {
            let wait = due.saturating_duration_since(Instant::now());
            if wait > Duration::ZERO {
                pause(wait);
            }
            let asked = Instant::now();
            let (status, _) = client.call(&lease.renew_request())?;
            let answered = Instant::now();
            seen.renewed += 1;
            seen.latency.record(answered - asked);
            seen.missed += u64::from(status != 200 || answered > *deadline);
            *deadline = asked + TTL.mul_f64(HELD_SHARE);
            *due = asked + RENEW_EVERY;
        }
    }
    Ok(seen)
}

/// What the watchers saw.
struct Watched {
    told: usize,
    lost: usize,
}

/// Watches every election until told to stop.
fn watch(group: &Group, stop: &AtomicBool) -> Result<Watched> {
    const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut streams: Vec<(TcpStream, bool)> = Vec::new();
    for number in 0..ELECTIONS {
        let mut client = Client::connect(group.api((number + 1) % MEMBERS), CALL_WITHIN)?;
        client.send(&request("GET", &format!("/v1/elections/crowd-{number}/watch"), ""))?;
        let stream = client.into_stream();
        stream.set_nonblocking(true)?;
        epoll::add(&poll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
        streams.push((stream, false));
    }
    let mut events: Vec<Event> = Vec::with_capacity(ELECTIONS);
    let mut chunk = vec![0; 16 * 1024];
    let mut lost = 0;
    while !stop.load(Ordering::Relaxed) {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&LOOK_EVERY)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        for event in &events {
            let (stream, told) = &mut streams[usize::try_from(event.data.u64())?];
            match stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    lost += 1;
                    epoll::delete(&poll, &*stream)?;
                }
                Ok(read) => {
                    let text = String::from_utf8_lossy(&chunk[..read]);
                    *told |= text.contains("\"holder\":");
                }
            }
        }
    }
    Ok(Watched { told: streams.iter().filter(|(_, told)| *told).count(), lost })
}
