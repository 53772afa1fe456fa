//! Those who wait for a lease.

use std::time::Duration;

use leader_elector::Boottime;
use leader_elector::backend::Failure;
use tokio::time::sleep;

use super::{Beside, Place, SHORT, asks, renew, resign, take, until, until_waiting, waits};

pub(crate) async fn who_waits_is_granted_what_is_resigned<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    let waiting = waits(&b, asks("e", "b", 2));
    until_waiting(place, "e", 1).await;
    resign(&a, "e", &first).await.unwrap();
    let second = waiting.end().await.unwrap();
    assert_eq!(&*second.lease.holder, "b");
    assert!(second.lease.token > first.lease.token);
    renew(&a, "e", &second).await.unwrap();
}

pub(crate) async fn who_waits_is_granted_what_runs_out<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut acquire = asks("e", "a", 1);
    acquire.ttl = SHORT;
    let first = take(&a, acquire).await.unwrap();
    let mut waiting = asks("e", "b", 2);
    // It outlives its own time to live in the queue.
    waiting.ttl = SHORT;
    let mut waiting = waits(&b, waiting);
    let mut last = first.since;
    while Boottime::now() < first.since + SHORT * 2 {
        match renew(&a, "e", &first).await {
            Ok(grant) => last = grant.since,
            // This machine stalled; the rest holds all the same.
            Err(Failure::Lost(_)) => break,
            Err(failure) => panic!("{failure:?}"),
        }
        assert!(!waiting.has_ended() || Boottime::now() >= last + SHORT);
        sleep(SHORT / 10).await;
    }
    if waiting.has_ended() {
        return;
    }
    let second = waiting.end().await.unwrap();
    assert!(Boottime::now() >= last + SHORT, "the lease ran out first");
    assert!(second.lease.token > first.lease.token);
}

pub(crate) async fn who_stops_waiting_is_granted_nothing<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    let waiting = waits(&b, asks("e", "b", 2));
    until_waiting(place, "e", 1).await;
    drop(waiting);
    until_waiting(place, "e", 0).await;
    resign(&a, "e", &first).await.unwrap();
    until("somebody else is granted it", async || take(&a, asks("e", "c", 3)).await.is_ok()).await;
}

pub(crate) async fn waiting_ends_in_time<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    let refused = b.acquire(asks("e", "b", 2), Duration::from_millis(300)).await;
    let Err(Failure::Held { leader, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(leader.token, first.lease.token);
    resign(&a, "e", &first).await.unwrap();
    until("who went away does not stand in the way", async || {
        take(&a, asks("e", "c", 3)).await.is_ok()
    })
    .await;
}

/// Three wait one after the other.
async fn three_wait<P: Place>(
    place: &P,
    priorities: [i64; 3],
) -> [Beside<Result<leader_elector::backend::Grant, Failure>>; 3] {
    let [a, b] = place.sidecars();
    let mut started = Vec::new();
    for (index, priority) in priorities.into_iter().enumerate() {
        let name = ["b", "c", "d"][index];
        let mut acquire = asks("e", name, 2 + index as u64);
        acquire.priority = priority;
        started.push(waits(if index == 1 { &b } else { &a }, acquire));
        until_waiting(place, "e", index + 1).await;
    }
    started.try_into().ok().unwrap()
}

pub(crate) async fn the_first_goes_first<P: Place>(place: &mut P) {
    if !place.features().queue || place.waiting("e").await.is_none() {
        return;
    }
    let [a, _] = place.sidecars();
    let mut holder = take(&a, asks("e", "a", 1)).await.unwrap();
    for waiting in three_wait(place, [0; 3]).await {
        resign(&a, "e", &holder).await.unwrap();
        let next = waiting.end().await.unwrap();
        assert!(next.lease.token > holder.lease.token);
        holder = next;
    }
}

pub(crate) async fn priority_goes_before_patience<P: Place>(place: &mut P) {
    if !place.features().queue || place.waiting("e").await.is_none() {
        return;
    }
    let [a, _] = place.sidecars();
    let mut holder = take(&a, asks("e", "a", 1)).await.unwrap();
    let [b, c, d] = three_wait(place, [-1, 7, 0]).await;
    for (waiting, name) in [(c, "c"), (d, "d"), (b, "b")] {
        resign(&a, "e", &holder).await.unwrap();
        holder = waiting.end().await.unwrap();
        assert_eq!(&*holder.lease.holder, name);
    }
}

pub(crate) async fn a_successor_is_chosen<P: Place>(place: &mut P) {
    if !place.features().queue || place.waiting("e").await.is_none() {
        return;
    }
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    let [before, chosen, _after] = three_wait(place, [0; 3]).await;
    let (session, token) = (first.lease.session, first.lease.token);
    a.resign(&"e".into(), session, token, Some("c".into())).await.unwrap();
    let second = chosen.end().await.unwrap();
    assert_eq!(&*second.lease.holder, "c");
    resign(&b, "e", &second).await.unwrap();
    assert_eq!(&*before.end().await.unwrap().lease.holder, "b");
}
