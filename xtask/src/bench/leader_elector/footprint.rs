//! What a member takes: memory idle and under load, the size of the program, and the time from its
//! start until it can serve in a group that runs.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::group::{Group, Kind, MEMBERS, acquire, call};
use super::http::request;
use super::load::{self, Window, Work};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section, megabytes};
use crate::bench::series::{Series, quantile};
use crate::bench::until;

/// For a group to come to rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Connections of the load.
const CONNECTIONS: usize = 16;
/// Starts of a member.
const STARTS: usize = 10;
/// From a start to its answer that it can serve.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Bars.
const RESIDENT_MAX: f64 = 15.0;
const BINARY_MAX: f64 = 8.0;
const READY_MAX: f64 = 1.0;

/// Measures all of it.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants("footprint") {
        return Ok(());
    }
    let mut section = Section::new("What a member takes", &["", "leader-elector", "etcd", "limit"]);
    section.note(
        "Resident memory of the member that has most, in millions of bytes; load: 16 connections \
         that renew, for as long as a cell above takes, at the group's leader.",
    );
    section.note(
        "Start: of one of three members with its state, to its own answer that it can serve.",
    );
    let [ours, theirs] = Kind::BOTH.map(|kind| measure(bench, kind));
    let (ours, theirs) = (ours?, theirs?);
    let limits = [RESIDENT_MAX, RESIDENT_MAX, BINARY_MAX, READY_MAX];
    for ((what, ours, theirs), limit) in ours
        .iter()
        .zip(&theirs)
        .map(|((what, ours), (_, theirs))| (*what, *ours, *theirs))
        .zip(limits)
    {
        println!("{what}: {ours:.2}, etcd {theirs:.2}");
        let unit = if what.ends_with('s') { " s" } else { " MB" };
        report.at_most(what, limit, ours, unit);
        let figures = [ours, theirs].map(|figure| format!("{figure:.2}"));
        section.row([what.to_owned()].into_iter().chain(figures).chain([limit.to_string()]));
    }
    report.add(section);
    Ok(())
}

fn measure(bench: &Bench, kind: Kind) -> Result<Vec<(&'static str, f64)>> {
    let mut group = Group::start(bench, kind)?;
    pause(SETTLE);
    let idle = megabytes(group.resident_max()?);
    let leader = group.leader()?;
    let work = renewals(&group, leader)?;
    let longer = Window { warm: Duration::ZERO, ..bench.window() };
    load::closed(group.api(leader), &work, longer, || Ok(()))?;
    let loaded = megabytes(group.resident_max()?);
    let program = match kind {
        Kind::Ours => &bench.ours,
        Kind::Theirs => &bench.theirs,
    };
    let size = megabytes(std::fs::metadata(program)?.len());

    let mut starts = Vec::new();
    for round in 1..=bench.rounds(STARTS) {
        let index = (group.leader()? + 1 + round % (MEMBERS - 1)) % MEMBERS;
        group.kill_member(index);
        let start = Instant::now();
        group.start_member(index)?;
        until("a started member to be ready", READY_WITHIN, || {
            Ok(group.ready(index).then_some(()))
        })?;
        starts.push(start.elapsed().as_secs_f64());
        group.settle()?;
    }
    let median = starts.iter().copied().collect::<Series>().median();
    println!("{}: starts up to {:.2} s", kind.name(), quantile(&starts, 1.0));
    Ok(vec![
        ("Resident memory, idle, MB", idle),
        ("Resident memory under load, MB", loaded),
        ("Program, MB", size),
        ("Start to ready, median, s", median),
    ])
}

/// A renewal on each of 16 connections.
fn renewals(group: &Group, leader: usize) -> Result<Vec<Work>> {
    let port = group.api(leader);
    let one = |number: usize| -> Result<Work> {
        Ok(match group.kind {
            Kind::Ours => {
                let held = acquire(port, &format!("load-{number}"), 60_000, 0)?;
                Work { requests: held.renew_request(), ..Work::new("\"valid_for_ms\":", 1, 1) }
            }
            Kind::Theirs => {
                let grant = call(port, "/v3/lease/grant", &serde_json::json!({ "TTL": 60 }))?.1;
                let body = serde_json::json!({ "ID": grant["ID"] }).to_string();
                let requests = request("POST", "/v3/lease/keepalive", &body);
                Work { requests, ..Work::new("\"TTL\":\"60\"", 1, 1) }
            }
        })
    };
    (0..CONNECTIONS).map(one).collect()
}
