//! Renewals per second and their cost: one a request, many requests on their way at once, and many
//! in one request; asked of the member that leads the group, and of another.
//!
//! etcd keeps renewals in the memory of its leader: they are neither replicated nor durable. Ours
//! are both. So a durable write of etcd stands beside them as well.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Bench;
use super::group::{Group, Held, Kind, MEMBERS, acquire, call};
use super::http::request;
use super::load::{self, Outcome, Work};
use crate::bench::report::{Report, Section, thousands};
use crate::bench::series::Series;

/// Connections, each with an election or a lease of its own.
const CONNECTIONS: usize = 16;
/// Renewals on their way at once, or in one request.
const MANY: usize = 16;
/// Long enough for a whole run without other renewals.
const TTL_S: u64 = 600;
/// Rounds of each cell.
const ROUNDS: usize = 3;
/// What the issue asks for, as a multiple of etcd's rate.
const RATIO_MIN: f64 = 5.0;

/// How renewals are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One a request, the next after its reply.
    Single,
    /// One a request, 16 requests on their way at once.
    Pipelined,
    /// 16 in one request.
    Batch,
    /// No renewal: a durable write of a key.
    Put,
}

/// What is measured, and where it is asked.
#[derive(Clone, Copy)]
struct Cell {
    kind: Kind,
    form: Form,
    at_leader: bool,
}

/// What the rounds of a cell gave.
#[derive(Default)]
struct Rounds {
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
}

const CELLS: [Cell; 10] = {
    use Form::{Batch, Pipelined, Put, Single};
    use Kind::{Ours, Theirs};
    [
        Cell { kind: Ours, form: Single, at_leader: true },
        Cell { kind: Theirs, form: Single, at_leader: true },
        Cell { kind: Ours, form: Pipelined, at_leader: true },
        Cell { kind: Theirs, form: Pipelined, at_leader: true },
        Cell { kind: Ours, form: Batch, at_leader: true },
        Cell { kind: Theirs, form: Batch, at_leader: true },
        Cell { kind: Ours, form: Single, at_leader: false },
        Cell { kind: Theirs, form: Single, at_leader: false },
        Cell { kind: Ours, form: Batch, at_leader: false },
        Cell { kind: Theirs, form: Put, at_leader: true },
    ]
};

/// Measures all cells, ours and theirs by turns.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants("renewals") {
        return Ok(());
    }
    let ours = Group::start(bench, Kind::Ours)?;
    let theirs = Group::start(bench, Kind::Theirs)?;
    let held = hold(&ours)?;
    let leases = lease(&theirs)?;
    let mut all: Vec<Rounds> = CELLS.iter().map(|_| Rounds::default()).collect();
    for round in 1..=bench.rounds(ROUNDS) {
        for (cell, rounds) in CELLS.iter().zip(&mut all) {
            let (group, work) = match cell.kind {
                Kind::Ours => (&ours, our_work(cell.form, &held)),
                Kind::Theirs => (&theirs, their_work(cell.form, &leases)),
            };
            let (outcome, cpu) = measure(bench, group, *cell, &work)?;
            let rate = outcome.rate();
            println!("{}, round {round}: {}/s", cell.label(), thousands(rate));
            rounds.rates.push(rate);
            rounds.cpu_us.push(cpu / outcome.renewals as f64 * 1e6);
            rounds.p50_us.push(outcome.latency.microseconds_at(0.5));
            rounds.p99_us.push(outcome.latency.microseconds_at(0.99));
        }
    }
    tell(&all, report);
    Ok(())
}

fn measure(bench: &Bench, group: &Group, cell: Cell, work: &[Work]) -> Result<(Outcome, f64)> {
    let leader = group.leader()?;
    let asked = if cell.at_leader { leader } else { (leader + 1) % MEMBERS };
    let mut cpu = Vec::new();
    let edge = || {
        cpu.push(group.cpu()?);
        Ok(())
    };
    let outcome = load::closed(group.api(asked), work, bench.window(), edge)
        .with_context(|| format!("{}; {}", cell.label(), group.last_words()))?;
    ensure!(outcome.renewals > 0, "{}: nothing was renewed", cell.label());
    let used = cpu.last().zip(cpu.first()).map(|(last, first)| last.saturating_sub(*first));
    Ok((outcome, used.unwrap_or_default().as_secs_f64()))
}

fn tell(all: &[Rounds], report: &mut Report) {
    let columns = ["renewals", "program", "per second", "ratio", "CPU µs", "p50/p99 µs"];
    let mut section = Section::new("Renewals, 16 connections", &columns);
    section.note(
        "Ratio: to etcd's keep-alive one a request at its leader, but for CPU µs, which is of all \
         three members together for each renewal.",
    );
    section.note(
        "Ours are replicated and on disk before the reply; etcd's are in the memory of its leader \
         alone. The last row is what etcd can write durably.",
    );
    section.note(
        "16 in one request: ours by `POST /v1/renew`, which waits for all of them in one entry of \
         the log; etcd by 16 messages in the body of one keep-alive.",
    );
    let median = |figures: &[f64]| figures.iter().copied().collect::<Series>().median();
    let rate = |kind: Kind, form: Form, at_leader: bool| {
        let found = CELLS
            .iter()
            .zip(all)
            .find(|(it, _)| (it.kind, it.form, it.at_leader) == (kind, form, at_leader));
        found.map_or(0.0, |(_, rounds)| median(&rounds.rates))
    };
    let reference = rate(Kind::Theirs, Form::Single, true);
    for (cell, rounds) in CELLS.iter().zip(all) {
        let series: Series = rounds.rates.iter().copied().collect();
        section.row([
            cell.label_without_program(),
            cell.kind.name().to_owned(),
            format!("{} ({:.0} %)", thousands(series.median()), series.spread()),
            format!("{:.2}", series.median() / reference),
            format!("{:.1}", median(&rounds.cpu_us)),
            format!("{:.0}/{:.0}", median(&rounds.p50_us), median(&rounds.p99_us)),
        ]);
    }
    report.add(section);
    for (what, form, at_leader) in [
        ("one a request, at the group's leader", Form::Single, true),
        ("one a request, at a follower", Form::Single, false),
        ("16 requests on their way, at the group's leader", Form::Pipelined, true),
    ] {
        let ratio = rate(Kind::Ours, form, at_leader) / rate(Kind::Theirs, form, at_leader);
        report.at_least(&format!("Renewals/s to etcd's, {what}"), RATIO_MIN, ratio, "×");
    }
    let batch = rate(Kind::Ours, Form::Batch, true);
    let what = "Renewals/s, 16 in one request, to etcd's one a request";
    report.at_least(what, RATIO_MIN, batch / reference, "×");
    let what = "Renewals/s, 16 in one request, to etcd's 16 in one stream";
    report.at_least(what, RATIO_MIN, batch / rate(Kind::Theirs, Form::Batch, true), "×");
    let what = "Durable renewals/s, one a request, to etcd's durable writes/s";
    let ours = rate(Kind::Ours, Form::Single, true);
    report.at_least(what, RATIO_MIN, ours / rate(Kind::Theirs, Form::Put, true), "×");
}

/// Elections of ours, held for as long as the run takes: in rows, one for each connection.
fn hold(group: &Group) -> Result<Vec<Vec<Held>>> {
    let port = group.api(group.leader()?);
    let row = |connection: usize| {
        let one = |it| acquire(port, &format!("bench-{connection}-{it}"), TTL_S * 1000, 0);
        (0..MANY).map(one).collect()
    };
    (0..CONNECTIONS).map(row).collect()
}

/// Leases of etcd, likewise.
fn lease(group: &Group) -> Result<Vec<Vec<String>>> {
    let port = group.api(group.leader()?);
    let one = |_| -> Result<String> {
        let (_, lease) = call(port, "/v3/lease/grant", &json!({ "TTL": TTL_S }))?;
        Ok(lease["ID"].as_str().with_context(|| format!("no lease: {lease}"))?.to_owned())
    };
    (0..CONNECTIONS).map(|_| (0..MANY).map(one).collect()).collect()
}

/// Words of a renewal that went well.
const RENEWED: &str = "\"valid_for_ms\":";
/// A lease that is gone is answered without.
const KEPT_ALIVE: &str = "\"TTL\":\"600\"";

fn our_work(form: Form, held: &[Vec<Held>]) -> Vec<Work> {
    let work = |row: &Vec<Held>| match form {
        Form::Batch => {
            let items: Vec<_> = row.iter().map(Held::item).collect();
            let body = json!({ "renewals": items }).to_string();
            Work { requests: request("POST", "/v1/renew", &body), ..Work::new(RENEWED, 1, MANY) }
        }
        _ => work_of(form, RENEWED, row.iter().map(Held::renew_request)),
    };
    held.iter().map(work).collect()
}

fn their_work(form: Form, leases: &[Vec<String>]) -> Vec<Work> {
    let path = "/v3/lease/keepalive";
    let message = |id: &String| json!({ "ID": id }).to_string();
    let work = |(index, row): (usize, &Vec<String>)| match form {
        Form::Batch => {
            let body: String = row.iter().map(message).collect();
            Work { requests: request("POST", path, &body), ..Work::new(KEPT_ALIVE, 1, MANY) }
        }
        Form::Put => {
            // "a-0" and the like, in base 64; any text of the right length is.
            let body = json!({ "key": format!("YmVuY2{:02}", index), "value": "YmVuY2g=" });
            let requests = request("POST", "/v3/kv/put", &body.to_string());
            Work { requests, ..Work::new("\"revision\":", 1, 1) }
        }
        _ => work_of(form, KEPT_ALIVE, row.iter().map(|id| request("POST", path, &message(id)))),
    };
    leases.iter().enumerate().map(work).collect()
}

/// One renewal, or as many requests as are to be on their way at once.
fn work_of(form: Form, words: &'static str, requests: impl Iterator<Item = Vec<u8>>) -> Work {
    let replies = if form == Form::Single { 1 } else { MANY };
    let requests = requests.take(replies).flatten().collect();
    Work { requests, ..Work::new(words, replies, 1) }
}

// === impl Cell ===

impl Cell {
    fn label(self) -> String {
        format!("{}, {}", self.kind.name(), self.label_without_program())
    }

    fn label_without_program(self) -> String {
        let form = match self.form {
            Form::Single => "one a request",
            Form::Pipelined => "16 requests on their way",
            Form::Batch => "16 in one request",
            Form::Put => "durable write",
        };
        format!("{form}, at {}", if self.at_leader { "the leader" } else { "a follower" })
    }
}
