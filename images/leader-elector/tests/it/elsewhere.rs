//! What becomes of a lease that is held here while others touch it: other sidecars, requests that
//! name its session and are broken off, and the end of the process.

use std::sync::Arc;
use std::time::Duration;

use leader_elector::agent::{Action, Candidacy};
use leader_elector::backend::{Backend, Session};
use serde_json::Value;

use crate::support::{Fault, Faulty, Sidecar, Store, config, wait_until};

const ACQUIRE: &str = "/v1/elections/jobs/acquire";

fn session(lease: &Value) -> Session {
    Session(u64::from_str_radix(lease["session"].as_str().unwrap(), 16).unwrap())
}

async fn holds(store: &Store, lease: &Value) -> bool {
    let election = "jobs".into();
    let view = store.single.read(&election, Default::default()).await.unwrap();
    view.lease.is_some_and(|it| Some(it.token) == lease["token"].as_u64())
}

#[tokio::test]
async fn a_lease_that_is_renewed_and_resigned_at_another_sidecar_is_lost_here_at_once() {
    let store = Store::start();
    let a = Sidecar::start(store.single.clone(), "a").await;
    let b = Sidecar::start(store.single.clone(), "b").await;
    // Far longer than a test waits.
    let (_, renewal) = a.lead("jobs", r#"{"ttl_ms":3600000}"#).await;
    assert_eq!(b.post("/v1/elections/jobs/renew", &renewal).await.status, 200);
    assert!(a.leads("jobs").await && b.leads("jobs").await, "the session leads, wherever it asks");
    assert_eq!(b.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    assert!(!b.leads("jobs").await);
    wait_until("the other knows", async || !a.leads("jobs").await).await;
    assert_eq!(a.agent.held(), 0);
    assert_eq!(a.agent.counters().lost.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(a.post("/v1/elections/jobs/renew", &renewal).await.status, 409);
    assert_eq!(b.post(ACQUIRE, "").await.status, 200);
}

#[tokio::test]
async fn a_request_with_a_session_that_leads_can_be_broken_off() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    let (lease, _) = sidecar.lead("jobs", "").await;
    faulty.set(Fault::Stuck);
    for (headers, wait) in [(&[][..], 0), (&[], 10_000), (&[("Accept", "text/event-stream")], 0)] {
        let body = format!(r#"{{"session":{},"wait_ms":{wait}}}"#, lease["session"]);
        let before = sidecar.agent.in_flight();
        let mut connection = sidecar.connect().await;
        connection.send("POST", ACQUIRE, headers, &body).await;
        wait_until("it is under way", async || sidecar.agent.in_flight() > before).await;
        drop(connection);
    }
    // Nor is it taken back when nobody knows what came of it.
    faulty.set(Fault::Unknown);
    let body = format!(r#"{{"session":{}}}"#, lease["session"]);
    assert_eq!(sidecar.post(ACQUIRE, &body).await.status, 504);
    faulty.set(Fault::None);
    assert_eq!(sidecar.post(ACQUIRE, &body).await.status, 200);
    assert!(sidecar.leads("jobs").await && holds(&store, &lease).await);
}

#[tokio::test]
async fn what_is_held_is_kept_for_the_margin_at_the_end_whatever_is_under_way() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let mut config = config("a");
    // Far longer than the test.
    config.stop_margin = Duration::from_secs(3600);
    config.on_lost = Action::None;
    let sidecar = Sidecar::with(faulty.clone(), config, Default::default()).await;
    let (lease, _) = sidecar.lead("jobs", r#"{"ttl_ms":3600000}"#).await;
    faulty.set(Fault::Stuck);
    let mut running = tokio::task::JoinSet::new();
    for wait in [Duration::ZERO, Duration::from_secs(3600)] {
        let (agent, session) = (Arc::clone(&sidecar.agent), Some(session(&lease)));
        let candidacy = Candidacy { election: "jobs".into(), session, wait, ..Default::default() };
        running.spawn(async move { agent.acquire(candidacy).await });
    }
    wait_until("both are under way", async || sidecar.agent.in_flight() == 3).await;
    // One that holds nothing, and is taken back at once.
    let mut other = sidecar.connect().await;
    other.send("POST", "/v1/elections/mail/acquire", &[], "").await;
    let mail = "mail".into();
    let taken = async || store.single.read(&mail, Default::default()).await.unwrap().lease;
    wait_until("it is granted", async || taken().await.is_some()).await;
    sidecar.agent.stop();
    assert_eq!(other.reply().await.status, 503);
    wait_until("it is given back", async || taken().await.is_none()).await;
    assert!(sidecar.leads("jobs").await && holds(&store, &lease).await);
}
