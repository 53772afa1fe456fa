//! Leadership bound to a connection.

use crate::support::{Connection, Event, Fault, Faulty, Sidecar, Store, wait_until};

const ACQUIRE: &str = "/v1/elections/jobs/acquire";
const ACCEPT: [(&str, &str); 1] = [("Accept", "text/event-stream")];

async fn one() -> (Store, Sidecar) {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "a").await;
    (store, sidecar)
}

async fn bind(sidecar: &Sidecar, body: &str) -> Connection {
    let mut events = sidecar.connect().await;
    events.events("POST", ACQUIRE, &ACCEPT, body).await;
    events
}

async fn next(events: &mut Connection, name: &str) -> Event {
    let event = events.event().await.expect("the stream goes on");
    assert_eq!(event.name, name, "{}", event.data);
    event
}

#[tokio::test]
async fn who_holds_the_connection_leads_and_its_end_is_a_resignation() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut events = bind(&sidecar, "").await;
    let elected = next(&mut events, "elected").await.json();
    assert_eq!((elected["leader"].as_bool(), elected["holder"].as_str()), (Some(true), Some("a")));
    assert!(sidecar.leads("jobs").await);
    let refused = other.post(ACQUIRE, "").await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "held"));
    drop(events);
    wait_until("the other is granted", async || other.post(ACQUIRE, "").await.status == 200).await;
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn the_sidecar_renews_for_it() {
    let (_store, sidecar) = one().await;
    let mut events = bind(&sidecar, r#"{"ttl_ms":2000}"#).await;
    let elected = next(&mut events, "elected").await.json();
    let mut deadline = elected["deadline_boottime_ns"].as_u64();
    for _ in 0..3 {
        let renewed = next(&mut events, "renewed").await.json();
        assert_eq!(renewed["token"], elected["token"]);
        assert!(renewed["deadline_boottime_ns"].as_u64() > deadline);
        deadline = renewed["deadline_boottime_ns"].as_u64();
    }
}

#[tokio::test]
async fn a_connection_that_waits_is_granted_when_the_other_ends() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut first = bind(&sidecar, "").await;
    let token = next(&mut first, "elected").await.json()["token"].as_u64();
    let mut second = bind(&other, "").await;
    drop(first);
    let elected = next(&mut second, "elected").await.json();
    assert_eq!(elected["holder"], "b");
    assert!(elected["token"].as_u64() > token);
}

#[tokio::test]
async fn a_connection_that_ends_while_it_waits_leaves_the_queue() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut first = bind(&sidecar, "").await;
    next(&mut first, "elected").await;
    drop(bind(&other, "").await);
    drop(first);
    wait_until("the election is free", async || sidecar.post(ACQUIRE, "").await.status == 200)
        .await;
}

#[tokio::test]
async fn without_a_wait_a_refusal_is_an_answer_and_with_one_an_event() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    sidecar.lead("jobs", "").await;
    let refused = other.connect().await.call("POST", ACQUIRE, &ACCEPT, r#"{"wait_ms":0}"#).await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "held"));
    let mut events = bind(&other, r#"{"wait_ms":50}"#).await;
    let failed = next(&mut events, "failed").await.json();
    assert_eq!(
        (failed["error"].as_str(), failed["leader"]["holder"].as_str()),
        (Some("held"), Some("a"))
    );
    assert_eq!(events.event().await, None);
}

#[tokio::test]
async fn a_lease_that_is_given_up_elsewhere_is_lost_here() {
    let (_store, sidecar) = one().await;
    let mut events = bind(&sidecar, "").await;
    let lease = next(&mut events, "elected").await.json();
    let renewal = format!(r#"{{"session":{},"token":{}}}"#, lease["session"], lease["token"]);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    let lost = next(&mut events, "lost").await.json();
    assert_eq!(lost["error"], "lost");
    assert_eq!(events.event().await, None);
}

#[tokio::test]
async fn a_holder_that_is_cut_off_is_told_at_its_deadline() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    let mut events = bind(&sidecar, r#"{"ttl_ms":600}"#).await;
    next(&mut events, "elected").await;
    faulty.set(Fault::Unknown);
    loop {
        let event = events.event().await.expect("its end is told");
        if event.name == "lost" {
            break;
        }
        assert_eq!(event.name, "renewed");
    }
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn a_sidecar_that_stops_gives_everything_up_first() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut events = bind(&sidecar, "").await;
    next(&mut events, "elected").await;
    sidecar.lead("mail", "").await;
    sidecar.agent.stop();
    next(&mut events, "lost").await;
    wait_until("nothing is under way", async || sidecar.agent.in_flight() == 0).await;
    for election in ["jobs", "mail"] {
        let granted = other.post(&format!("/v1/elections/{election}/acquire"), "").await;
        assert_eq!(granted.status, 200, "{}", granted.body);
    }
    let refused = sidecar.post("/v1/elections/third/acquire", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "no_quorum"));
    sidecar.agent.resume();
    assert_eq!(sidecar.post("/v1/elections/third/acquire", "").await.status, 200);
}

#[tokio::test]
async fn a_connection_whose_lease_is_resigned_at_another_sidecar_is_told() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut events = bind(&sidecar, "").await;
    let lease = next(&mut events, "elected").await.json();
    let renewal = format!(r#"{{"session":{},"token":{}}}"#, lease["session"], lease["token"]);
    assert_eq!(other.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    assert_eq!(next(&mut events, "lost").await.json()["error"], "lost");
    assert!(!sidecar.leads("jobs").await);
}
