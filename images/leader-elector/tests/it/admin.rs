//! What operators may do on the admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use leader_elector::api::admin;
use leader_elector::backend::Backend;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{Connection, Reply, Sidecar, Store, WAIT_MAX, candidate};

/// The routes as `management` serves them, without its own.
async fn administered(sidecar: &mut Sidecar) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let router = admin::routes(sidecar.agent.clone(), runtime);
    sidecar.tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(management::serve_connection(stream, router.clone(), WAIT_MAX));
        }
    });
    addr
}

async fn call(addr: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    let headers = [("Content-Type", "application/json")];
    Connection::open(addr).await.call(method, path, &headers, body).await
}

#[tokio::test]
async fn the_group_is_shown_and_members_are_listed() {
    let store = Store::start();
    let mut sidecar = Sidecar::start(store.single.clone(), "a").await;
    let addr = administered(&mut sidecar).await;
    let cluster = call(addr, "GET", "/cluster", "").await;
    assert_eq!((cluster.status, cluster.json()["backend"].as_str()), (200, Some("single")));
    assert_eq!(cluster.json()["quorum"], true);
    let members = call(addr, "GET", "/cluster/members", "").await;
    assert_eq!(members.json()[0]["name"], "solo");
    let refused = call(addr, "DELETE", "/cluster/members/solo", "").await;
    assert_eq!(refused.status, 501, "{}", refused.body);
    assert_eq!(call(addr, "DELETE", "/cluster/members/a%20b", "").await.status, 422);
}

#[tokio::test]
async fn a_lease_is_given_to_who_waits_for_it() {
    let store = Store::start();
    let mut sidecar = Sidecar::start(store.single.clone(), "a").await;
    let addr = administered(&mut sidecar).await;
    sidecar.lead("jobs", "").await;
    let mut waiting = JoinSet::new();
    for (name, session) in [("b", 1), ("c", 2)] {
        let single = store.single.clone();
        waiting.spawn(async move { single.acquire(candidate(name, session), WAIT_MAX).await });
        // It stands in the queue once it has run for the first time.
        tokio::task::yield_now().await;
    }
    let path = "/elections/jobs/transfer";
    let moved = call(addr, "POST", path, r#"{"to":"c"}"#).await;
    assert_eq!((moved.status, moved.json()["leader"]["holder"].as_str()), (200, Some("c")));
    assert!(!sidecar.leads("jobs").await);
    // It is not held here any more: who leads now is not asked to go.
    let refused = call(addr, "POST", path, r#"{"to":"b"}"#).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.contains("not held here but by c"), "{}", refused.body);
    for (status, body) in [(400, "x"), (400, "{}"), (422, r#"{"to":"a b"}"#)] {
        assert_eq!(call(addr, "POST", path, body).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_transfer_to_nobody_says_so() {
    let store = Store::start();
    let mut sidecar = Sidecar::start(store.single.clone(), "a").await;
    let addr = administered(&mut sidecar).await;
    sidecar.lead("jobs", &format!(r#"{{"ttl_ms":{}}}"#, Duration::from_secs(60).as_millis())).await;
    let same = call(addr, "POST", "/elections/jobs/transfer", r#"{"to":"a"}"#).await;
    assert_eq!(same.status, 200, "it is there already");
    assert!(sidecar.leads("jobs").await);
    let refused = call(addr, "POST", "/elections/jobs/transfer", r#"{"to":"ghost"}"#).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}
