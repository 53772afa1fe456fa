//! Three instances of an application of which one works, while leaders are killed and paused.
//!
//! Everything told is read from the running containers: what the instances say of themselves, and
//! what the store took, refused and lost.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::leader_election::{
    Hold, INSTANCES, LeaderElection, NEXT_LEADER_WITHIN, Report, app, sidecar,
};
use e2e::wait;

use super::{Args, hint, step};

/// Writes of others while a holder is paused.
const WRITES: u64 = 5;

/// Tells the story.
pub(super) fn run(args: &Args) -> Result<()> {
    super::prepare("leader-elector", args)?;
    step("Start three instances of an application, a sidecar beside each, and a store");
    println!("compose/leader-election.yml, until all seven containers are healthy …");
    let recipe = LeaderElection::start(Hold::Renew)?;
    println!("Look yourself:  {} ps", recipe.compose.hint());
    println!("Clean up, should this be interrupted:  {} down --volumes", recipe.compose.hint());
    let told = recipe.settle().and_then(|()| story(&recipe));
    if let Err(error) = told {
        println!("{}", recipe.compose.logs());
        return Err(error);
    }
    finish(&recipe, args.keep)
}

fn story(recipe: &LeaderElection) -> Result<()> {
    works(recipe)?;
    kill(recipe)?;
    kill_sidecar(recipe)?;
    pause(recipe)?;
    without_token(recipe)
}

fn works(recipe: &LeaderElection) -> Result<()> {
    step("Each asks its sidecar on localhost to lead; one does, and works; the others wait");
    instances(recipe);
    println!("store: {}", told(&recipe.report()?));
    hint(&format!("curl http://{}/", recipe.app(0)?));
    hint(&format!("curl http://{}/report", recipe.store()));
    Ok(())
}

fn kill(recipe: &LeaderElection) -> Result<()> {
    step("Kill the leader's process with SIGKILL: its lease ends, another leads");
    let (old, _, took) = recipe.follow(|it| recipe.kill_application(it.member))?;
    followed(recipe, old.member, took)?;
    println!("The time to live is 3 s. By a connection (HOLD=connection) it takes milliseconds.");
    hint(&format!("curl -X POST http://{}/kill", recipe.app(old.member)?));
    recipe.settle()
}

fn kill_sidecar(recipe: &LeaderElection) -> Result<()> {
    step("Kill the leader's sidecar: its application stops working in time, another leads");
    let (old, _, took) = recipe.follow(|it| recipe.tell("kill", &sidecar(it.member)))?;
    followed(recipe, old.member, took)?;
    hint(&format!("{} kill {}", recipe.compose.hint(), sidecar(old.member)));
    recipe.tell("start", &sidecar(old.member))?;
    recipe.settle()?;
    println!("{} is back and votes again", sidecar(old.member));
    Ok(())
}

fn pause(recipe: &LeaderElection) -> Result<()> {
    step("Pause the leader between a read and a write, as a garbage collector might");
    let before = recipe.report()?;
    paused(recipe)?;
    let after = recipe.report()?;
    println!("store: {}", told(&after));
    println!(
        "Its write came with a token that the store had seen a later one of: {} refused, {} lost",
        after.refused - before.refused,
        after.lost
    );
    ensure!(after.refused > before.refused && after.lost == 0, "the token has not helped");
    recipe.verdict()
}

fn without_token(recipe: &LeaderElection) -> Result<()> {
    step("The same while the store does not look at tokens: no lease can prevent this");
    recipe.fencing(false)?;
    hint(&format!("curl -X POST 'http://{}/fencing?on=false'", recipe.store()));
    paused(recipe)?;
    let after = recipe.report()?;
    println!("store: {}", told(&after));
    println!("{} writes that others were told were taken are gone", after.lost);
    ensure!(after.lost > 0, "the demonstration has lost nothing");
    recipe.fencing(true)
}

/// A holder stops between reading and writing, others write, it goes on.
fn paused(recipe: &LeaderElection) -> Result<()> {
    let (old, new, took) = recipe.follow(|it| recipe.pause(it.member))?;
    hint(&format!("curl -X POST http://{}/pause", recipe.app(old.member)?));
    followed(recipe, old.member, took)?;
    let start = recipe.report()?.accepted;
    wait::until("writes of the next leader", NEXT_LEADER_WITHIN, || {
        let report = recipe.report()?;
        Ok((report.token >= new.token && report.accepted >= start + WRITES).then_some(()))
    })?;
    let before = recipe.instance(old.member)?;
    recipe.resume(old.member)?;
    println!("{} goes on, and writes what it had in mind …", app(old.member));
    wait::until("the write of the paused holder", NEXT_LEADER_WITHIN, || {
        let after = recipe.instance(old.member)?;
        let wrote = after.accepted + after.refused > before.accepted + before.refused;
        Ok((!after.paused && wrote).then_some(()))
    })
}

fn finish(recipe: &LeaderElection, keep: bool) -> Result<()> {
    if !keep {
        step("Done: the containers are removed (`--keep` leaves them up)");
        return Ok(());
    }
    recipe.compose.keep();
    recipe.compose.wait_healthy()?;
    step("Done: the containers are up");
    for instance in 0..INSTANCES {
        println!("{}        http://{}/", app(instance), recipe.app(instance)?);
    }
    println!("store        http://{}/report", recipe.store());
    println!("metrics      http://{}/metrics", recipe.probe(0)?);
    println!("remove       {} down --volumes", recipe.compose.hint());
    Ok(())
}

/// Who leads after a fault, and how long that took.
fn followed(recipe: &LeaderElection, old: usize, took: Duration) -> Result<()> {
    let next = recipe.leader()?;
    println!(
        "{} followed {} after {:.1} s, with token {}",
        app(next.member),
        app(old),
        took.as_secs_f64(),
        next.token
    );
    instances(recipe);
    Ok(())
}

/// What each instance says of itself.
fn instances(recipe: &LeaderElection) {
    for number in 0..INSTANCES {
        let name = app(number);
        match recipe.instance(number) {
            Ok(it) if it.leading => println!(
                "  {name}  leads for {:>4} ms more, token {}, {} writes",
                it.valid_for_ms,
                it.token.unwrap_or_default(),
                it.accepted
            ),
            Ok(it) if it.paused => println!("  {name}  stands between a read and a write"),
            Ok(it) => println!("  {name}  stands by, {} writes so far", it.accepted),
            Err(_) => println!("  {name}  does not answer"),
        }
    }
}

fn told(report: &Report) -> String {
    format!(
        "{} writes taken, {} refused, {} lost; last by {} with token {}",
        report.accepted,
        report.refused,
        report.lost,
        report.writer.as_deref().unwrap_or("nobody"),
        report.token
    )
}
