//! The recipe `sharded-cache`: what the ambassador promises, seen from the application.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use e2e::docker::inspect;
use e2e::http::{self, Response};
use e2e::sharded_cache::{Filled, Read, ShardedCache, Store};
use e2e::wait;

/// Keys of one pass: with three servers each has so many that a share of zero is no accident.
const KEYS: u32 = 300;
/// Longest wait for the ambassador to notice that a server went or came back.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

const ALL_READ: Read =
    Read { hits: KEYS as u64, misses: 0, wrong: 0, errors: 0, error_texts: BTreeMap::new() };
const ALL_STORED: Filled = Filled { stored: KEYS as u64, errors: 0, error_texts: BTreeMap::new() };

#[test]
fn the_application_works_through_it_and_it_stops_cleanly() {
    on_a_copy(|recipe| {
        crate::has_least_privileges(&recipe.compose.container("ambassador-proxy")?)?;
        for store in [Store::Cache, Store::Db] {
            values_come_back_whole(recipe, store)?;
            keys_are_spread(recipe, store)?;
        }
        assert_eq!(http::get(recipe.probe(), "/readyz")?.status, 200);
        assert!(http::get(recipe.probe(), "/metrics")?.body.contains("ambassador_proxy_"));
        stops_cleanly(recipe)
    });
}

#[test]
fn a_killed_memcached_is_ejected_and_taken_back() {
    on_a_copy(|recipe| {
        assert_eq!(recipe.fill(Store::Cache, KEYS)?, ALL_STORED);
        recipe.tell("kill", "memcached-1")?;

        // Two failures in a row eject the server; connections under way may add a few.
        let first = recipe.read(Store::Cache, KEYS)?;
        assert!(first.errors <= 10, "errors are bounded: {first:?}");
        assert_eq!(first.wrong, 0);
        all_served(recipe, Store::Cache)?;
        // The statistics may be summed up at intervals, as nutcracker does it.
        wait::until("an ejection in the statistics", NOTICED_WITHIN, || {
            Ok((recipe.ejections(Store::Cache)? > 0).then_some(()))
        })?;
        for survivor in ["memcached-0", "memcached-2"] {
            assert!(recipe.items(survivor)? > u64::from(KEYS) / 5, "{survivor} took its part over");
        }

        recipe.tell("start", "memcached-1")?;
        wait::until("keys on the revived memcached-1", NOTICED_WITHIN, || {
            recipe.fill(Store::Cache, KEYS)?;
            // Started is not yet listening, so the question may fail at first.
            Ok(recipe.items("memcached-1").ok().filter(|&items| items > 0))
        })?;
        all_served(recipe, Store::Cache)
    });
}

#[test]
fn a_stalled_redis_costs_only_its_own_keys() {
    on_a_copy(|recipe| {
        // Few, as each key of the stalled server may cost a whole timeout.
        const FEW: u32 = 30;
        assert_eq!(recipe.fill(Store::Db, KEYS)?, ALL_STORED);
        recipe.tell("pause", "redis-1")?;
        let stalled = recipe.read(Store::Db, FEW);
        recipe.tell("unpause", "redis-1")?;

        let stalled = stalled?;
        assert_eq!((stalled.wrong, stalled.misses), (0, 0), "no key moved: {stalled:?}");
        assert!(stalled.hits > 0, "the others go on: {stalled:?}");
        assert!(stalled.errors > 0, "its own keys fail: {stalled:?}");
        wait::until("every key to be read again", NOTICED_WITHIN, || {
            Ok((recipe.read(Store::Db, KEYS)? == ALL_READ).then_some(()))
        })?;
        assert_eq!(recipe.ejections(Store::Db)?, 0);
        Ok(())
    });
}

/// Starts the recipe for one test; a failure ends the test while the recipe is up, so that its
/// logs are shown.
fn on_a_copy(test: impl FnOnce(&ShardedCache) -> Result<()>) {
    let recipe = ShardedCache::start().unwrap_or_else(|error| panic!("{error:#}"));
    test(&recipe).unwrap_or_else(|error| panic!("{error:#}"));
}

fn values_come_back_whole(recipe: &ShardedCache, store: Store) -> Result<()> {
    let [empty, long] = [String::new(), "0123456789abcdef".repeat(4096)];
    for (name, value) in [("empty", &empty), ("long", &long)] {
        let path = format!("/{}/{name}", store.pool());
        assert_eq!(http::get(recipe.app(), &path)?.status, 404, "{path} before");
        assert_eq!(http::request(recipe.app(), "PUT", &path, value)?.status, 204, "{path}");
        let expected = Response { status: 200, body: value.clone() };
        assert_eq!(http::get(recipe.app(), &path)?, expected, "{path}");
    }
    Ok(())
}

fn keys_are_spread(recipe: &ShardedCache, store: Store) -> Result<()> {
    assert_eq!(recipe.fill(store, KEYS)?, ALL_STORED);
    assert_eq!(recipe.read(store, KEYS)?, ALL_READ);
    for server in store.servers() {
        let items = recipe.items(server)?;
        assert!(items > u64::from(KEYS) / 6, "{server} holds {items} of {KEYS}");
    }
    Ok(())
}

/// Waits until every key is written without an error, and all are read back.
fn all_served(recipe: &ShardedCache, store: Store) -> Result<()> {
    wait::until("a pass without errors", NOTICED_WITHIN, || {
        let passed = recipe.fill(store, KEYS)? == ALL_STORED;
        Ok((passed && recipe.read(store, KEYS)? == ALL_READ).then_some(()))
    })
}

fn stops_cleanly(recipe: &ShardedCache) -> Result<()> {
    recipe.tell("stop", "ambassador-proxy")?;
    let container = recipe.compose.container("ambassador-proxy")?;
    // After ten seconds the engine would have killed it, and the code would be 137.
    assert_eq!(inspect(&container, "{{.State.ExitCode}}")?, "0");
    Ok(())
}
