//! A cache and a store, each sharded over three servers, of which one is killed and one stalled.
//!
//! Everything told is read from the running containers: the application's own counts, the servers'
//! key counts, the ambassador's statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::sharded_cache::{ShardedCache, Store};
use e2e::wait;

use super::{Args, hint, step};

/// Keys written and read in a pass.
const KEYS: u32 = 300;
/// Keys read while a server is stalled: each that it holds may cost a whole timeout.
const FEW_KEYS: u32 = 30;
/// Longest wait for the ambassador to notice what was done to a server.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// Tells the story.
pub(super) fn run(args: &Args) -> Result<()> {
    super::prepare("ambassador-proxy", args)?;
    step("Start one application, its ambassador, three memcached and three Redis servers");
    println!("compose/sharded-cache.yml, until all eight containers are healthy …");
    let recipe = ShardedCache::start()?;
    println!("Look yourself:  {} ps", recipe.compose.hint());
    println!("Clean up, should this be interrupted:  {} down", recipe.compose.hint());
    if let Err(error) = story(&recipe) {
        println!("{}", recipe.compose.logs());
        return Err(error);
    }
    finish(&recipe, args.keep)
}

fn story(recipe: &ShardedCache) -> Result<()> {
    spread(recipe)?;
    kill(recipe)?;
    revive(recipe)?;
    stall(recipe)
}

fn spread(recipe: &ShardedCache) -> Result<()> {
    step("The application knows one memcached and one Redis on localhost; its keys are spread");
    for store in [Store::Cache, Store::Db] {
        let filled = recipe.fill(store, KEYS)?;
        let pool = store.pool();
        println!("{pool}: {} of {KEYS} keys written", filled.stored);
        errors(&filled.error_texts);
        ensure!(filled.errors == 0, "{pool} refused keys while nothing was broken");
        holdings(recipe, store);
    }
    hint(&format!("curl -X POST 'http://{}/fill/cache?count={KEYS}'", recipe.app()));
    Ok(())
}

fn kill(recipe: &ShardedCache) -> Result<()> {
    step("Kill memcached-1: a few errors, then it is ejected and its keys move to the others");
    recipe.tell("kill", "memcached-1")?;
    hint(&format!("{} kill memcached-1", recipe.compose.hint()));
    let mut pass = 0;
    wait::until("a pass without errors", NOTICED_WITHIN, || {
        pass += 1;
        let read = recipe.read(Store::Cache, KEYS)?;
        println!(
            "pass {pass} over {KEYS} keys: {} hits, {} misses, {} errors, ejections so far: {}",
            read.hits,
            read.misses,
            read.errors,
            recipe.ejections(Store::Cache)?
        );
        errors(&read.error_texts);
        Ok((read.errors == 0).then_some(()))
    })?;
    println!("The misses are the dead server's keys: a cache may forget, the application refills.");
    let refilled = recipe.fill(Store::Cache, KEYS)?;
    println!("refilled: {} keys written, {} errors", refilled.stored, refilled.errors);
    holdings(recipe, Store::Cache);
    hint(&format!("curl http://{}/stats", recipe.stats_address()));
    Ok(())
}

fn revive(recipe: &ShardedCache) -> Result<()> {
    step("Start memcached-1 again: it is taken back, empty, and gets its keys again");
    recipe.tell("start", "memcached-1")?;
    hint(&format!("{} start memcached-1", recipe.compose.hint()));
    let mut passes = 0;
    let mut errors = 0;
    let items = wait::until("keys on memcached-1", NOTICED_WITHIN, || {
        passes += 1;
        errors += recipe.fill(Store::Cache, KEYS)?.errors;
        // Started is not yet listening, so the question may fail at first.
        Ok(recipe.items("memcached-1").ok().filter(|&items| items > 0))
    })?;
    println!("after {passes} passes and {errors} errors memcached-1 holds {items} keys again");
    holdings(recipe, Store::Cache);
    Ok(())
}

fn stall(recipe: &ShardedCache) -> Result<()> {
    step("Stall redis-1: this pool does not eject, as a store must not look empty");
    recipe.tell("pause", "redis-1")?;
    hint(&format!("{} pause redis-1", recipe.compose.hint()));
    let read = recipe.read(Store::Db, FEW_KEYS);
    recipe.tell("unpause", "redis-1")?;
    let read = read?;
    println!(
        "{FEW_KEYS} keys: {} read from the other two, {} errors, {} misses: no key moved",
        read.hits, read.errors, read.misses
    );
    errors(&read.error_texts);
    println!("redis-1 goes on …");
    let read = wait::until("a pass without errors", NOTICED_WITHIN, || {
        let read = recipe.read(Store::Db, KEYS)?;
        Ok((read.errors == 0).then_some(read))
    })?;
    println!("{KEYS} keys: {} read, {} errors, nothing lost", read.hits, read.errors);
    Ok(())
}

fn finish(recipe: &ShardedCache, keep: bool) -> Result<()> {
    if !keep {
        step("Done: the containers are removed (`--keep` leaves them up)");
        return Ok(());
    }
    recipe.compose.keep();
    // The stall has left its mark on the health check of redis-1.
    recipe.compose.wait_healthy()?;
    step("Done: the containers are up");
    println!("application  http://{}/", recipe.app());
    println!("metrics      http://{}/metrics", recipe.probe());
    println!("statistics   http://{}/stats", recipe.stats_address());
    println!("remove       {} down", recipe.compose.hint());
    Ok(())
}

/// Keys per server, as a bar each.
fn holdings(recipe: &ShardedCache, store: Store) {
    for server in store.servers() {
        match recipe.items(server) {
            Ok(items) => {
                let bar = "#".repeat(usize::try_from(items / 5).unwrap_or(0).min(80));
                println!("  {server:<12}{items:>4}  {bar}");
            }
            Err(_) => println!("  {server:<12}   -  not running"),
        }
    }
}

/// What the application was told, so that nobody has to guess.
fn errors(texts: &BTreeMap<String, u64>) {
    for (text, times) in texts {
        println!("  {times} times: {text}");
    }
}
