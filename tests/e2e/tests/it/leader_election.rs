//! The recipe `leader-election` under faults: somebody leads again, never two at once, and nothing
//! that was acknowledged is lost.
//!
//! Times to the next leader are told (`failover CASE MILLISECONDS` on stderr) and not asserted.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::docker::inspect;
use e2e::fleet::Fleet;
use e2e::leader_election::{Hold, INSTANCES, LeaderElection, NEXT_LEADER_WITHIN, app, sidecar};
use e2e::{http, wait};

#[test]
fn somebody_leads_after_each_kill() {
    on_a_copy(Hold::Renew, |recipe| {
        tell("application killed", recipe.follow(|it| recipe.kill_application(it.member))?.2);
        recipe.settle()?;

        let (old, _, took) = recipe.follow(|it| recipe.tell("kill", &sidecar(it.member)))?;
        tell("sidecar killed", took);
        recipe.tell("start", &sidecar(old.member))?;
        recipe.settle()?;

        let (old, _, took) = recipe.follow(|it| {
            recipe.tell("kill", &app(it.member))?;
            recipe.tell("kill", &sidecar(it.member))
        })?;
        tell("both killed", took);
        start_pod(recipe, old.member)?;
        recipe.settle()?;

        leader_of_the_group_dies(recipe)
    });
}

#[test]
fn somebody_leads_while_the_leader_is_frozen_or_cut_off() {
    on_a_copy(Hold::Renew, |recipe| {
        // The network of both lives on, only they do not.
        let (old, _, took) = recipe.follow(|it| {
            recipe.tell("pause", &app(it.member))?;
            recipe.tell("pause", &sidecar(it.member))
        })?;
        tell("both stopped (SIGSTOP)", took);
        recipe.tell("unpause", &sidecar(old.member))?;
        recipe.tell("unpause", &app(old.member))?;
        recipe.settle()?;

        let (old, _, took) = recipe.follow(|it| recipe.tell("pause", &sidecar(it.member)))?;
        tell("sidecar stopped (SIGSTOP)", took);
        recipe.tell("unpause", &sidecar(old.member))?;
        recipe.settle()?;

        let (old, _, took) = recipe.follow(|it| recipe.cut(it.member))?;
        tell("network cut", took);
        // The other side has a leader, so its lease is over on any clock.
        ensure!(!recipe.leads_within(old.member)?, "{} leads cut off from all", old.member);
        recipe.mend(old.member)?;
        recipe.settle()
    });
}

#[test]
fn the_group_survives_restarts_new_addresses_and_a_lost_disk() {
    on_a_copy(Hold::Renew, |recipe| {
        everything_moves(recipe)?;
        a_disk_is_lost(recipe)?;

        let before = recipe.observer.turns().len();
        for instance in 0..INSTANCES {
            recipe.tell("stop", &sidecar(instance))?;
            recipe.tell("start", &sidecar(instance))?;
            recipe.settle()?;
        }
        let turns = recipe.observer.turns().len() - before;
        told(&format!("rolling restart of 3: {turns} changes of leader"));
        Ok(())
    });
}

#[test]
fn a_dead_application_frees_its_connection_and_sidecars_stop_cleanly() {
    on_a_copy(Hold::Connection, |recipe| {
        runs_with_least_privileges(recipe)?;
        tell(
            "connected application killed",
            recipe.follow(|it| recipe.kill_application(it.member))?.2,
        );
        recipe.settle()?;

        let (old, _, took) = recipe.follow(|it| recipe.tell("stop", &sidecar(it.member)))?;
        tell("sidecar told to stop", took);
        let code =
            inspect(&recipe.compose.container(&sidecar(old.member))?, "{{.State.ExitCode}}")?;
        // After ten seconds the engine would have killed it, and the code would be 137.
        assert_eq!(code, "0");
        Ok(())
    });
}

#[test]
fn paused_holders_lose_updates_without_the_token_and_none_with_it() {
    on_a_copy(Hold::Renew, |recipe| {
        let before = recipe.report()?.refused;
        paused_while_others_write(recipe)?;
        let with = recipe.report()?;
        ensure!(with.refused > before && with.lost == 0, "with the token: {with:?}");
        recipe.verdict()?;

        recipe.fencing(false)?;
        paused_while_others_write(recipe)?;
        let without = recipe.report()?;
        ensure!(without.backwards >= 1, "the old token was taken: {without:?}");
        // All that others wrote meanwhile; or only the late write itself, if the holder of now had
        // read the set just before it, and wrote it back just after.
        ensure!(without.lost >= 1, "an update was overwritten: {without:?}");
        told(&format!("paused holder: 0 updates lost with the token, {} without", without.lost));
        Ok(())
    });
}

#[test]
fn ten_sidecars_are_restarted_one_by_one() {
    on_a_fleet(10, 0, |fleet| {
        let first = fleet.observer.after(0, NEXT_LEADER_WITHIN)?;
        let mut last = first;
        for member in 0..10 {
            fleet.restart(member)?;
            last = fleet.observer.after(last.token - 1, NEXT_LEADER_WITHIN)?;
        }
        let turns = fleet.observer.turns();
        told(&format!("rolling restart of 10: {} changes of leader", turns.len() - 1));
        Ok(())
    });
}

#[test]
fn two_and_a_witness_lead_on_after_one_is_killed() {
    on_a_fleet(3, 1, |fleet| {
        let old = fleet.observer.after(0, NEXT_LEADER_WITHIN)?;
        fleet.kill(old.member)?;
        let new = fleet.observer.after(old.token, NEXT_LEADER_WITHIN)?;
        tell("one of two killed, with a witness", new.seen - old.seen);
        ensure!(new.member == 1 - old.member, "the witness never leads: {new:?}");
        fleet.start_again(old.member)
    });
}

/// Starts the recipe for one test; a failure ends the test while the recipe is up, so that its
/// logs are shown.
fn on_a_copy(hold: Hold, test: impl FnOnce(&LeaderElection) -> Result<()>) {
    let recipe = LeaderElection::start(hold).unwrap_or_else(|error| panic!("{error:#}"));
    let result = recipe.settle().and_then(|()| test(&recipe)).and_then(|()| recipe.verdict());
    result.unwrap_or_else(|error| panic!("{error:#}"));
}

fn on_a_fleet(count: usize, witnesses: usize, test: impl FnOnce(&Fleet) -> Result<()>) {
    let fleet = Fleet::start(count, witnesses).unwrap_or_else(|error| panic!("{error:#}"));
    let result = test(&fleet).and_then(|()| fleet.observer.verdict());
    result.unwrap_or_else(|error| panic!("{error:#}\n{}", fleet.logs()));
}

/// The application first: the network is its container's.
fn start_pod(recipe: &LeaderElection, instance: usize) -> Result<()> {
    recipe.tell("start", &app(instance))?;
    recipe.tell("start", &sidecar(instance))
}

fn leader_of_the_group_dies(recipe: &LeaderElection) -> Result<()> {
    let leader = recipe.group_leader()?;
    let held = recipe.leader()?;
    recipe.tell("kill", &sidecar(leader))?;
    let start = std::time::Instant::now();
    if held.member == leader {
        let next = recipe.observer.after(held.token, NEXT_LEADER_WITHIN)?;
        ensure!(next.member != leader, "a dead sidecar leads: {next:?}");
    }
    // Whoever holds the lease goes on: it must be renewed through another leader of the group.
    let before = recipe.report()?.accepted;
    wait::until("another leader of the group, and work", NEXT_LEADER_WITHIN, || {
        let moved = recipe.group_leader()? != leader;
        Ok((moved && recipe.report()?.accepted > before).then_some(()))
    })?;
    tell("leader of the group killed, work goes on", start.elapsed());
    recipe.tell("start", &sidecar(leader))?;
    recipe.settle()
}

fn everything_moves(recipe: &LeaderElection) -> Result<()> {
    let addresses =
        || (0..INSTANCES).map(|it| recipe.inner_address(it)).collect::<Result<Vec<_>>>();
    let before = addresses()?;
    let old = recipe.leader()?;
    for instance in 0..INSTANCES {
        recipe.tell("kill", &sidecar(instance))?;
        recipe.tell("kill", &app(instance))?;
    }
    let start = std::time::Instant::now();
    // The lowest free address is given first: so each is given that of the one before it.
    let mut order: Vec<usize> = (0..INSTANCES).collect();
    order.sort_by_key(|&it| before[it].parse::<std::net::Ipv4Addr>().ok());
    order.rotate_left(1);
    for instance in order {
        start_pod(recipe, instance)?;
    }
    let new = recipe.observer.after(old.token, NEXT_LEADER_WITHIN)?;
    tell("all restarted with new addresses", new.seen - start);
    let after = addresses()?;
    ensure!(before.iter().zip(&after).all(|(b, a)| b != a), "{before:?} became {after:?}");
    recipe.settle()
}

fn a_disk_is_lost(recipe: &LeaderElection) -> Result<()> {
    let ids = |viewer: usize| -> Result<Vec<String>> {
        Ok(recipe.cluster(viewer)?.members.into_iter().map(|it| it.id).collect())
    };
    let victim = recipe.leader()?.member;
    let before = ids(victim)?;
    let (_, _, took) = recipe.follow(|_| recipe.tell("kill", &sidecar(victim)))?;
    recipe.wipe(victim)?;
    recipe.tell("start", &sidecar(victim))?;
    // Three voters again, one of them with another id.
    recipe.settle()?;
    let after = ids(victim)?;
    let kept = after.iter().filter(|it| before.contains(it)).count();
    ensure!(kept == INSTANCES - 1 && after.len() == INSTANCES, "{before:?} became {after:?}");
    tell("sidecar killed, disk wiped", took);
    Ok(())
}

/// A holder stops between reading and writing, others write, it goes on; how many they wrote.
fn paused_while_others_write(recipe: &LeaderElection) -> Result<()> {
    let (old, new, _) = recipe.follow(|it| recipe.pause(it.member))?;
    let start = recipe.report()?.accepted;
    wait::until("writes of the next leader", NEXT_LEADER_WITHIN, || {
        let report = recipe.report()?;
        Ok((report.token >= new.token && report.accepted > start + 3).then_some(()))
    })?;
    let before = recipe.instance(old.member)?;
    ensure!(before.paused, "the old holder stands between its read and its write: {before:?}");
    recipe.resume(old.member)?;
    wait::until("the write of the paused holder", NEXT_LEADER_WITHIN, || {
        let after = recipe.instance(old.member)?;
        let wrote = after.accepted + after.refused > before.accepted + before.refused;
        Ok((!after.paused && wrote).then_some(()))
    })
}

fn runs_with_least_privileges(recipe: &LeaderElection) -> Result<()> {
    let container = recipe.compose.container(&sidecar(0))?;
    crate::has_least_privileges(&container)?;
    assert_eq!(http::get(recipe.probe(0)?, "/readyz")?.status, 200);
    assert!(http::get(recipe.probe(0)?, "/metrics")?.body.contains("leader_elector_"));
    Ok(())
}

fn tell(case: &str, took: Duration) {
    told(&format!("failover {case:<40} {:>6} ms", took.as_millis()));
}

/// A line for the record, also of a test that passes: the harness keeps what is printed otherwise.
fn told(line: &str) {
    // Nobody reads it where there is no stderr.
    let _ = writeln!(std::io::stderr(), "{line}");
}
