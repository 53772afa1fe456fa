//! Who holds a lease, from when, until when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use leader_elector::Boottime;
use leader_elector::backend::{Consistency, Failure};
use tokio::time::sleep;

use super::{LOOK_EVERY, Place, SHORT, asks, renew, resign, take, until};

pub(crate) async fn exclusivity<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut all = tokio::task::JoinSet::new();
    for session in 1..=12 {
        let backend = Arc::clone(if session % 2 == 0 { &a } else { &b });
        let acquire = asks("e", &format!("candidate-{session}"), session);
        all.spawn(async move { take(&backend, acquire).await });
    }
    let results = all.join_all().await;
    let granted: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    let [grant] = granted[..] else { panic!("one of them is granted it: {results:?}") };
    for failure in results.iter().filter_map(|result| result.as_ref().err()) {
        let Failure::Held { leader, .. } = failure else { panic!("{failure:?}") };
        assert_eq!(leader.holder, grant.lease.holder);
        assert_eq!(leader.token, grant.lease.token);
    }
}

pub(crate) async fn tokens_grow<P: Place>(place: &mut P) {
    let sidecars = place.sidecars();
    let mut last = 0;
    for round in 0..8 {
        let backend = &sidecars[round % 2];
        let session = 100 + round as u64;
        let grant = take(backend, asks("e", "a", session)).await.unwrap();
        assert!(grant.lease.token > last, "{} after {last}", grant.lease.token);
        assert!(grant.lease.token < 1 << 53);
        last = grant.lease.token;
        let highest = sidecars[1].token_highest(&"e".into()).await;
        assert_eq!(highest, Ok(last), "while it is held");
        resign(backend, "e", &grant).await.unwrap();
        let highest = sidecars[0].token_highest(&"e".into()).await;
        assert_eq!(highest, Ok(last), "while nobody leads");
    }
}

pub(crate) async fn renewals_keep_a_lease<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    // On a machine that stalls a renewal may come too late; then there is nothing to be seen.
    'tries: for session in 10.. {
        let mut acquire = asks("e", "a", session);
        acquire.ttl = SHORT;
        let first = loop {
            match take(&a, acquire.clone()).await {
                Ok(grant) => break grant,
                Err(failure) => assert!(matches!(failure, Failure::DuplicateId(_)), "{failure:?}"),
            }
            sleep(LOOK_EVERY).await;
        };
        let mut last = first.since;
        while Boottime::now() < first.since + SHORT * 3 {
            let before = Boottime::now();
            match renew(&a, "e", &first).await {
                Ok(grant) => {
                    assert_eq!(grant.lease, first.lease);
                    assert!(grant.since >= before);
                    last = grant.since;
                }
                Err(failure) => {
                    assert!(Boottime::now() >= last + SHORT, "lost early: {failure:?}");
                    continue 'tries;
                }
            }
            let other = take(&b, asks("e", "b", 2)).await;
            if Boottime::now() >= last + SHORT {
                continue 'tries;
            }
            assert!(matches!(other, Err(Failure::Held { .. })), "{other:?}");
            sleep(SHORT / 10).await;
        }
        return;
    }
}

pub(crate) async fn a_lease_runs_out_on_time<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut acquire = asks("e", "a", 1);
    acquire.ttl = SHORT;
    let first = take(&a, acquire).await.unwrap();
    let mut second = None;
    until("the lease runs out", async || {
        second = take(&b, asks("e", "b", 2)).await.ok();
        second.is_some()
    })
    .await;
    let second = second.unwrap();
    assert!(Boottime::now() >= first.since + SHORT, "it was there for its whole time");
    assert!(second.lease.token > first.lease.token);
    assert!(matches!(renew(&a, "e", &first).await, Err(Failure::Lost(_))));
}

pub(crate) async fn a_resignation_frees_at_once<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    assert!(matches!(take(&b, asks("e", "b", 2)).await, Err(Failure::Held { .. })));
    resign(&a, "e", &first).await.unwrap();
    let second = take(&b, asks("e", "b", 2)).await.unwrap();
    assert!(matches!(resign(&a, "e", &first).await, Err(Failure::Lost(_))));
    assert_eq!(renew(&b, "e", &second).await.unwrap().lease, second.lease);
}

pub(crate) async fn a_session_is_resumed_elsewhere<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut acquire = asks("e", "a", 0xfedc_ba98_7654_3210);
    acquire.metadata = Some(r#"{"url":"http://a"}"#.into());
    let first = take(&a, acquire).await.unwrap();
    let renewed = renew(&b, "e", &first).await.unwrap();
    assert_eq!(renewed.lease, first.lease);
    assert_eq!(renewed.lease.metadata.as_deref(), Some(r#"{"url":"http://a"}"#));
    let wrong = b.renew(&"e".into(), first.lease.session, first.lease.token + 1).await;
    assert!(matches!(wrong, Err(Failure::Lost(_))), "{wrong:?}");
    resign(&b, "e", &first).await.unwrap();
    assert!(matches!(renew(&a, "e", &first).await, Err(Failure::Lost(_))));
}

pub(crate) async fn a_request_sent_again_finds_its_lease<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut acquire = asks("e", "a", 1);
    acquire.request_id = Some("request".into());
    let first = take(&a, acquire.clone()).await.unwrap();
    assert_eq!(take(&a, acquire.clone()).await.unwrap().lease, first.lease, "the same session");
    acquire.session.0 = 2;
    assert_eq!(take(&b, acquire.clone()).await.unwrap().lease, first.lease, "the same request");
    acquire.holder = "b".into();
    let other = take(&b, acquire).await;
    assert!(matches!(other, Err(Failure::Held { .. })), "another's request: {other:?}");
}

pub(crate) async fn a_lost_lease_stays_lost<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let mut acquire = asks("e", "a", 1);
    acquire.ttl = SHORT;
    let first = take(&a, acquire).await.unwrap();
    // A local read may not know of the lease yet.
    let seen = b.read(&"e".into(), Consistency::Linearizable).await.unwrap();
    assert_eq!(seen.lease.as_ref(), Some(&first.lease));
    until("the lease runs out", async || {
        let now = Boottime::now();
        let free = b.read(&"e".into(), Default::default()).await.unwrap().lease.is_none();
        assert!(!free || now >= first.since + SHORT.mul_f64(0.9), "it ran out early");
        free
    })
    .await;
    let lost = renew(&a, "e", &first).await;
    assert!(matches!(lost, Err(Failure::Lost(None))), "{lost:?}");
    assert!(matches!(resign(&a, "e", &first).await, Err(Failure::Lost(None))));
    let second = take(&b, asks("e", "b", 2)).await.unwrap();
    let Err(Failure::Lost(Some(leader))) = renew(&a, "e", &first).await else { panic!() };
    assert_eq!(leader.holder, second.lease.holder);
}

pub(crate) async fn a_name_led_twice<P: Place>(place: &mut P) {
    let [a, b] = place.sidecars();
    let first = take(&a, asks("e", "a", 1)).await.unwrap();
    let Err(Failure::DuplicateId(leader)) = take(&b, asks("e", "a", 2)).await else { panic!() };
    assert_eq!(leader.token, first.lease.token);
}

pub(crate) async fn many_elections<P: Place>(place: &mut P) {
    let sidecars = place.sidecars();
    let mut all = tokio::task::JoinSet::new();
    for number in 0..40_u64 {
        let backend = Arc::clone(&sidecars[number as usize % 2]);
        all.spawn(async move {
            let name = format!("e-{number}");
            let grant = take(&backend, asks(&name, "a", 1000 + number)).await.unwrap();
            renew(&backend, &name, &grant).await.unwrap();
            (name, grant)
        });
    }
    let granted = all.join_all().await;
    let sessions: BTreeSet<_> = granted.iter().map(|(_, grant)| grant.lease.session).collect();
    assert_eq!(sessions.len(), 40);
    resign(&sidecars[0], "e-0", &granted.iter().find(|it| it.0 == "e-0").unwrap().1).await.unwrap();
    let (name, grant) = granted.iter().find(|it| it.0 == "e-1").unwrap();
    renew(&sidecars[1], name, grant).await.expect("each stands for itself");
    assert!(Duration::ZERO < grant.lease.ttl);
}
