//! Cut off from where leases live.

use std::sync::Arc;

use leader_elector::backend::{Consistency, Failure};

use super::{Place, asks, renew, take, until};

/// What may be said when nobody answers.
fn is_honest(failure: &Failure) -> bool {
    matches!(failure, Failure::NoQuorum(_) | Failure::Unknown(_))
}

pub(crate) async fn an_outage_is_told_and_survived<P: Place>(place: &mut P) {
    if !place.features().outage {
        return;
    }
    let [a, b] = place.sidecars();
    let name: Arc<str> = "e".into();
    let grant = take(&a, asks("e", "a", 1)).await.unwrap();
    until("it is ready", async || a.ready().is_ok() && b.ready().is_ok()).await;
    a.watch(&name).await.unwrap();
    place.cut(true).await;
    let taken = take(&b, asks("free", "b", 2)).await.unwrap_err();
    assert!(is_honest(&taken), "{taken:?}");
    let renewed = renew(&a, "e", &grant).await.unwrap_err();
    assert!(is_honest(&renewed), "{renewed:?}");
    let read = a.read(&name, Consistency::Linearizable).await.unwrap_err();
    assert!(matches!(read, Failure::NoQuorum(_)), "a question changes nothing: {read:?}");
    until("it is not ready", async || a.ready().is_err()).await;
    let local = a.read(&name, Consistency::Local).await.unwrap();
    assert!(local.observed >= grant.since, "what was known is told, with its age");
    place.cut(false).await;
    until("it is ready again", async || a.ready().is_ok() && b.ready().is_ok()).await;
    until("elections can be taken", async || take(&b, asks("after", "b", 3)).await.is_ok()).await;
    let mut watch = a.watch(&"after".into()).await.unwrap();
    watch.wait_for(|view| view.lease.is_some()).await.unwrap();
}

pub(crate) async fn a_lease_survives_a_short_outage<P: Place>(place: &mut P) {
    if !place.features().outage {
        return;
    }
    let [a, b] = place.sidecars();
    let grant = take(&a, asks("e", "a", 1)).await.unwrap();
    place.cut(true).await;
    assert!(is_honest(&renew(&b, "e", &grant).await.unwrap_err()));
    place.cut(false).await;
    let mut again = None;
    until("it is renewed", async || {
        match renew(&a, "e", &grant).await {
            Ok(grant) => again = Some(grant),
            Err(failure) => assert!(is_honest(&failure), "{failure:?}"),
        }
        again.is_some()
    })
    .await;
    assert_eq!(again.unwrap().lease, grant.lease);
}
