//! When leases end, without a clock.

use std::time::Duration;

use super::*;
use crate::backend::Acquire;

const TTL: Duration = Duration::from_secs(5);

fn at(ms: u64) -> Boottime {
    Boottime(Duration::from_millis(ms))
}

fn acquire(holder: &str, session: u64) -> Command {
    Command::Acquire(Acquire {
        election: "e".into(),
        holder: holder.into(),
        session: Session(session),
        ttl: TTL,
        priority: 0,
        wait: true,
        metadata: None,
        request_id: None,
    })
}

fn renew(session: u64) -> Command {
    Command::Renew { election: "e".into(), session: Session(session), token: 0 }
}

fn holder(core: &Core) -> Option<String> {
    core.lease("e").map(|lease| lease.holder.to_string())
}

#[test]
fn a_lease_ends_a_whole_time_to_live_after_its_last_sign_of_life() {
    let mut core = Core::new(1 << 20);
    core.apply(at(0), acquire("a", 1));
    core.apply(at(3000), renew(1));
    assert_eq!(core.next_expiry(), Some(at(8000)));
    core.expire(at(7999));
    assert_eq!(holder(&core).as_deref(), Some("a"));
    core.expire(at(8000));
    assert_eq!(holder(&core), None);
    assert_eq!(core.next_expiry(), None);
}

#[test]
fn whoever_waits_follows_with_a_larger_token_and_a_whole_time_to_live() {
    let mut core = Core::new(1 << 20);
    core.apply(at(0), acquire("a", 1));
    core.apply(at(1000), acquire("b", 2));
    core.apply(at(4000), renew(2));
    let first = core.lease("e").unwrap();
    core.expire(at(5000));
    let second = core.lease("e").unwrap();
    assert_eq!(&*second.holder, "b");
    assert!(first.token > 1 << 20 && second.token > first.token);
    assert_eq!(core.ends(&second), Some(at(10_000)));
}

#[test]
fn whoever_dies_in_the_queue_is_not_granted_the_lease() {
    let mut core = Core::new(0);
    core.apply(at(0), acquire("a", 1));
    core.apply(at(1000), acquire("b", 2));
    core.apply(at(1000), acquire("c", 3));
    core.apply(at(4000), renew(1));
    core.apply(at(5900), renew(3));
    // At 6000 the wait of b ends, at 9000 the lease of a.
    core.expire(at(9000));
    assert_eq!(holder(&core).as_deref(), Some("c"));
}

#[test]
fn a_command_finds_what_has_ended_before_it() {
    let mut core = Core::new(0);
    core.apply(at(0), acquire("a", 1));
    assert!(matches!(core.apply(at(5000), acquire("b", 2)), Outcome::Holds(_)));
    assert!(matches!(core.apply(at(5000), renew(1)), Outcome::Gone(Some(_))));
}

#[test]
fn watchers_see_every_change_of_the_lease_and_no_renewal() {
    let mut core = Core::new(0);
    let mut watcher = core.subscribe(&"e".into(), at(0));
    core.apply(at(0), acquire("a", 1));
    assert!(watcher.has_changed().unwrap());
    let version = watcher.borrow_and_update().version;
    core.apply(at(1000), renew(1));
    assert!(!watcher.has_changed().unwrap());
    core.expire(at(6000));
    let view = watcher.borrow_and_update().clone();
    assert!(view.lease.is_none() && view.version > version);
}
