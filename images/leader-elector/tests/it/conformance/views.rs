//! What others see.

use std::sync::Arc;

use leader_elector::Boottime;
use leader_elector::backend::{Consistency, View};

use super::{Beside, Place, asks, renew, resign, take, until};

pub(crate) async fn reads_see_writes<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let name: Arc<str> = "e".into();
    let mut version = b.read(&name, Consistency::Linearizable).await.unwrap().version;
    for session in 1..=5 {
        let grant = take(&a, asks("e", "a", session)).await.unwrap();
        let before = Boottime::now();
        let view = b.read(&name, Consistency::Linearizable).await.unwrap();
        let lease = view.lease.expect("it is seen");
        assert_eq!((lease.token, &*lease.holder), (grant.lease.token, "a"));
        assert!(view.version > version, "{} after {version}", view.version);
        assert!(view.observed >= before, "it was so after the question");
        version = view.version;
        renew(&a, "e", &grant).await.unwrap();
        let same = b.read(&name, Consistency::Linearizable).await.unwrap();
        assert_eq!(same.version, version, "a renewal is no change");
        resign(&a, "e", &grant).await.unwrap();
        let view = b.read(&name, Consistency::Linearizable).await.unwrap();
        assert_eq!(view.lease, None);
        assert!(view.version > version);
        version = view.version;
    }
    let mut local = View::default();
    until("a local read comes to see it", async || {
        local = b.read(&name, Consistency::Local).await.unwrap();
        local.version >= version
    })
    .await;
    assert_eq!(local.lease, None);
}

pub(crate) async fn a_watch_never_goes_back<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let name: Arc<str> = "e".into();
    let mut watch = b.watch(&name).await.unwrap();
    let mut again = a.watch(&name).await.unwrap();
    let watcher = Beside::start(async move {
        let mut last = watch.borrow_and_update().clone();
        let mut token = 0;
        let is_last = |view: &View| {
            let metadata = view.lease.as_ref().and_then(|lease| lease.metadata.as_deref());
            metadata == Some("\"last\"")
        };
        while !is_last(&last) {
            watch.changed().await.unwrap();
            let view = watch.borrow_and_update().clone();
            assert!(view.version > last.version, "{view:?} after {last:?}");
            if let Some(lease) = &view.lease {
                assert!(lease.token > token);
                token = lease.token;
            }
            last = view;
        }
        last
    });
    for session in 1..=20 {
        let grant = take(&a, asks("e", "a", session)).await.unwrap();
        resign(&a, "e", &grant).await.unwrap();
    }
    let mut acquire = asks("e", "a", 21);
    acquire.metadata = Some("\"last\"".into());
    let grant = take(&a, acquire).await.unwrap();
    let last = watcher.end().await;
    assert_eq!(last.lease.map(|lease| lease.token), Some(grant.lease.token));
    let read = a.read(&name, Consistency::Linearizable).await.unwrap();
    let seen = again.wait_for(|view| view.version >= read.version).await.unwrap().clone();
    assert_eq!(seen.lease, read.lease);
}

pub(crate) async fn elections_are_listed<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    for number in 1..=3 {
        take(&a, asks(&format!("e-{number}"), "a", number)).await.unwrap();
    }
    until("all are listed", async || {
        let all = b.list().await.unwrap();
        all.iter().filter(|(_, view)| view.lease.is_some()).count() == 3
    })
    .await;
    let names: Vec<_> = b.list().await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| &**name == "e-2"));
}
