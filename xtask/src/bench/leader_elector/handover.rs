//! A holder goes while another waits at another member: it resigns, or its process is killed while
//! it leads by a connection.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Bench;
use super::group::{Group, Kind, MEMBERS, acquire, get};
use super::http::{Client, request};
use crate::bench::machine::pause;
use crate::bench::report::{Report, Section};
use crate::bench::series::quantile;
use crate::bench::until;

/// Rounds of each.
const RESIGNATIONS: usize = 300;
const CRASHES: usize = 100;
/// For somebody who wants to lead to stand in the queue.
const QUEUED_WITHIN: Duration = Duration::from_millis(30);
/// For a connection to be granted what it asked for.
const HELD_WITHIN: Duration = Duration::from_secs(10);
/// A time to live that has no part in what is measured.
const TTL_MS: u64 = 60_000;
/// Bars, in milliseconds.
const RESIGNED_MAX: f64 = 50.0;
const CRASHED_MAX: f64 = 100.0;

/// The application that is killed: another process of this program.
#[derive(clap::Args)]
pub(crate) struct LeadByConnection {
    /// Port of the sidecar.
    port: u16,
    /// Election to lead.
    election: String,
}

/// Measures both.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    if !bench.wants("handover") {
        return Ok(());
    }
    let columns = ["milliseconds", "p50", "p99", "highest", "rounds"];
    let mut section = Section::new("A holder goes, another waits", &columns);
    section.note(
        "To the reply to the one who waits, at another member; of the death of a process: from the \
         signal, with a connection that its kernel closes.",
    );
    let group = Group::start(bench, Kind::Ours)?;
    for (what, rounds, limit, round) in [
        (
            "resignation",
            RESIGNATIONS,
            RESIGNED_MAX,
            resign as fn(&Group, usize) -> Result<Duration>,
        ),
        ("kill -9 of a connected application", CRASHES, CRASHED_MAX, crash),
    ] {
        let mut times = Vec::new();
        for number in 1..=bench.rounds(rounds) {
            let took = round(&group, number)
                .with_context(|| format!("{what}, round {number}; {}", group.last_words()))?;
            times.push(took.as_secs_f64() * 1e3);
        }
        let at = |share: f64| quantile(&times, share);
        println!("{what}: p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99));
        let figures = [0.5, 0.99, 1.0].map(|share| format!("{:.1}", at(share)));
        let cells = [what.to_owned()].into_iter().chain(figures);
        section.row(cells.chain([times.len().to_string()]));
        report.at_most(&format!("A holder goes, {what}: p99"), limit, at(0.99), " ms");
    }
    report.add(section);
    Ok(())
}

/// From the resignation at one member to the grant at another.
fn resign(group: &Group, round: usize) -> Result<Duration> {
    let [here, there] = places(round);
    let election = format!("resigned-{round}");
    let held = acquire(group.api(here), &election, TTL_MS, 0)?;
    let next = await_turn(group.api(there), &election, || held.resign(group.api(here)))?;
    next.1.resign(group.api(there))?;
    Ok(next.0)
}

/// From the signal to a connected process to the grant at another member.
fn crash(group: &Group, round: usize) -> Result<Duration> {
    let [here, there] = places(round);
    let election = format!("crashed-{round}");
    let mut application = Application::start(group.api(here), &election)?;
    let path = format!("/v1/elections/{election}");
    until("an application that leads", HELD_WITHIN, || {
        let (_, state) = get(group.api(here), &path)?;
        Ok((state["is_leader"] == true).then_some(()))
    })?;
    let next = await_turn(group.api(there), &election, || application.kill())?;
    next.1.resign(group.api(there))?;
    Ok(next.0)
}

/// Any two members, in turn.
fn places(round: usize) -> [usize; 2] {
    [round % MEMBERS, (round + 1 + round / MEMBERS % (MEMBERS - 1)) % MEMBERS]
}

/// Waits for an election, frees it, and tells how long the next grant took from there.
fn await_turn(
    port: u16,
    election: &str,
    free: impl FnOnce() -> Result<()>,
) -> Result<(Duration, super::group::Held)> {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| -> Result<_> {
            let held = acquire(port, election, TTL_MS, 30_000)?;
            Ok((Instant::now(), held))
        });
        pause(QUEUED_WITHIN);
        ensure!(!waiting.is_finished(), "{election} was free before its holder went");
        let start = Instant::now();
        free()?;
        let (granted, held) = waiting.join().ok().context("the one who waits panicked")??;
        Ok((granted.saturating_duration_since(start), held))
    })
}

/// A child of this process that leads by a connection.
struct Application(Child);

// === impl Application ===

impl Application {
    fn start(port: u16, election: &str) -> Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(["lead-by-connection", &port.to_string(), election])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start an application")?;
        Ok(Self(child))
    }

    /// SIGKILL.
    fn kill(&mut self) -> Result<()> {
        self.0.kill().context("kill an application")
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Both fail only when it has ended before, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl LeadByConnection ===

impl LeadByConnection {
    /// Leads until it is killed, or loses the lease.
    pub(crate) fn run(&self) -> Result<()> {
        let path = format!("/v1/elections/{}/acquire", self.election);
        let text = String::from_utf8(request("POST", &path, "{}"))?;
        let text = text.replacen("\r\n", "\r\nAccept: text/event-stream\r\n", 1);
        let mut client = Client::connect(self.port, Duration::from_secs(600))?;
        client.send(text.as_bytes())?;
        let seen = client.await_words("event: lost")?;
        std::io::stdout().write_all(seen).context("show the events")
    }
}
