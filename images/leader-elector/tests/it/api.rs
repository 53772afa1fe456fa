//! The calls and every code they answer with.

mod others;

use std::time::Duration;

use leader_elector::Boottime;
use leader_elector::backend::Backend;
use leader_elector::election::METADATA_BYTES_MAX;
use tokio::task::JoinSet;

use crate::support::{Fault, Faulty, Sidecar, Store, TOKEN_BASE, WAIT_MAX, candidate, wait_until};

async fn one() -> (Store, Sidecar) {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "a").await;
    (store, sidecar)
}

#[tokio::test]
async fn acquire_answers_the_lease_and_its_deadline() {
    let (_store, sidecar) = one().await;
    let before = Boottime::now();
    let (lease, _) = sidecar.lead("jobs", r#"{"ttl_ms":9000}"#).await;
    let after = Boottime::now();
    let fields: Vec<_> = lease.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "deadline_boottime_ns",
        "election",
        "holder",
        "leader",
        "renew_after_ms",
        "session",
        "token",
        "ttl_ms",
        "valid_for_ms",
    ];
    assert_eq!(fields, expected);
    assert_eq!(lease["leader"], true);
    assert_eq!(lease["election"], "jobs");
    assert_eq!(lease["holder"], "a");
    assert_eq!(lease["ttl_ms"], 9000);
    assert_eq!(lease["renew_after_ms"], 3000);
    let session = lease["session"].as_str().unwrap();
    assert!(session.len() == 16 && session.bytes().all(|b| b"0123456789abcdef".contains(&b)));
    let token = lease["token"].as_u64().unwrap();
    assert!(token > TOKEN_BASE && token < 1 << 53, "{token}");
    assert!(lease["valid_for_ms"].as_u64().unwrap() <= 8100);
    let share = Duration::from_millis(8100);
    let deadline = lease["deadline_boottime_ns"].as_u64().unwrap();
    let range = (before + share).as_nanos()..=(after + share).as_nanos();
    assert!(range.contains(&deadline), "{deadline} is not in {range:?}");
}

#[tokio::test]
async fn acquire_takes_what_the_application_gives() {
    let (_store, sidecar) = one().await;
    let body = r#"{"holder":"ns/app-0","ttl_ms":5000,"metadata":{"zone":"b", "port":1},
        "request_id":"r-1","session":"00000000000000ff","wait_ms":0}"#;
    let (lease, _) = sidecar.lead("jobs", body).await;
    assert_eq!(lease["holder"], "ns/app-0");
    assert_eq!(lease["session"], "00000000000000ff");
    let state = sidecar.get("/v1/elections/jobs").await;
    assert_eq!(state.json()["leader"]["metadata"]["zone"], "b");
    assert!(state.body.contains(r#""metadata":{"zone":"b", "port":1}"#), "kept as it was given");
    assert!(!state.body.contains("session"), "the session is the holder's alone");
}

#[tokio::test]
async fn a_held_election_is_refused_with_its_leader() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let (lease, _) = sidecar.lead("jobs", "").await;
    let refused = other.post("/v1/elections/jobs/acquire", "{}").await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "held"));
    let json = refused.json();
    assert_eq!(json["leader"]["holder"], "a");
    assert_eq!(json["leader"]["token"], lease["token"]);
    let retry = json["retry_after_ms"].as_u64().unwrap();
    assert!((1..=30_000).contains(&retry), "{retry}");

    let again = sidecar.post("/v1/elections/jobs/acquire", "").await;
    assert_eq!((again.status, again.error().as_str()), (409, "duplicate_id"));
}

#[tokio::test]
async fn values_past_their_limits_are_refused() {
    let (_store, sidecar) = one().await;
    let metadata = format!(r#"{{"metadata":"{}"}}"#, "x".repeat(METADATA_BYTES_MAX));
    let request_id = format!(r#"{{"request_id":"{}"}}"#, "x".repeat(129));
    let holder = format!(r#"{{"holder":"{}"}}"#, "x".repeat(254));
    let invalid = [
        r#"{"ttl_ms":199}"#,
        r#"{"ttl_ms":3600001}"#,
        r#"{"ttl_ms":-1}"#,
        r#"{"wait_ms":3600001}"#,
        r#"{"session":"00000000000000FF"}"#,
        r#"{"session":"ff"}"#,
        r#"{"session":255}"#,
        r#"{"holder":""}"#,
        r#"{"holder":"a b"}"#,
        r#"{"request_id":""}"#,
        r#"{"request_id":"a b"}"#,
        r#"{"surprise":1}"#,
        r#"[1]"#,
        "null",
        &metadata,
        &request_id,
        &holder,
    ];
    for body in invalid {
        let reply = sidecar.post("/v1/elections/jobs/acquire", body).await;
        assert_eq!((reply.status, reply.error().as_str()), (422, "invalid"), "{body}");
    }
    for body in ["{", "x", "{}{}", "{\"ttl_ms\":}", "\u{0}"] {
        let reply = sidecar.post("/v1/elections/jobs/acquire", body).await;
        assert_eq!((reply.status, reply.error().as_str()), (400, "bad_request"), "{body}");
    }
    for call in ["renew", "resign", "check"] {
        let reply = sidecar.post(&format!("/v1/elections/jobs/{call}"), "{}").await;
        assert_eq!((reply.status, reply.error().as_str()), (422, "invalid"), "{call}");
        let reply = sidecar.post(&format!("/v1/elections/jobs/{call}"), "").await;
        assert_eq!((reply.status, reply.error().as_str()), (422, "invalid"), "{call}");
    }
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn a_request_sent_again_finds_what_it_got() {
    let (_store, sidecar) = one().await;
    let body = r#"{"request_id":"once"}"#;
    let (first, _) = sidecar.lead("jobs", body).await;
    let (second, _) = sidecar.lead("jobs", body).await;
    assert_eq!(first["token"], second["token"]);
    assert_eq!(first["session"], second["session"]);
}

#[tokio::test]
async fn who_waits_follows_a_resignation() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let (lease, renewal) = sidecar.lead("jobs", "").await;
    let mut waiting = other.connect().await;
    waiting.send("POST", "/v1/elections/jobs/acquire", &[], r#"{"wait_ms":60000}"#).await;
    // Whether it stands in the queue yet is known to nobody, and makes no difference.
    let resigned = sidecar.post("/v1/elections/jobs/resign", &renewal).await;
    assert_eq!((resigned.status, resigned.body.as_str()), (200, r#"{"leader":false}"#));
    let granted = waiting.reply().await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    assert_eq!(granted.json()["holder"], "b");
    assert!(granted.json()["token"].as_u64() > lease["token"].as_u64());
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn a_wait_in_vain_ends_as_a_refusal() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    sidecar.lead("jobs", "").await;
    let refused = other.post("/v1/elections/jobs/acquire", r#"{"wait_ms":50}"#).await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "held"));
}

#[tokio::test]
async fn who_goes_away_while_waiting_leaves_the_queue() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let (_, renewal) = sidecar.lead("jobs", "").await;
    let mut waiting = other.connect().await;
    waiting.send("POST", "/v1/elections/jobs/acquire", &[], r#"{"wait_ms":60000}"#).await;
    drop(waiting);
    let resigned = sidecar.post("/v1/elections/jobs/resign", &renewal).await;
    assert_eq!(resigned.status, 200);
    wait_until("the election is free", async || {
        sidecar.post("/v1/elections/jobs/acquire", "").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn who_goes_away_before_the_answer_leaves_no_lease_behind() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    faulty.set(Fault::Stuck);
    let leader = async || other.get("/v1/elections/jobs").await.json()["leader"].clone();
    for headers in [&[][..], &[("Accept", "text/event-stream")]] {
        let mut asking = sidecar.connect().await;
        asking.send("POST", "/v1/elections/jobs/acquire", headers, "").await;
        wait_until("it is granted", async || !leader().await.is_null()).await;
        drop(asking);
        wait_until("the election is free", async || leader().await.is_null()).await;
    }
    // Who names the request may come back for what it got.
    let named = r#"{"request_id":"once"}"#;
    let mut asking = sidecar.connect().await;
    asking.send("POST", "/v1/elections/jobs/acquire", &[], named).await;
    wait_until("it is granted", async || !leader().await.is_null()).await;
    let token = leader().await["token"].clone();
    drop(asking);
    faulty.set(Fault::None);
    assert_eq!(sidecar.lead("jobs", named).await.0["token"], token);
}

#[tokio::test]
async fn renew_goes_on_and_says_when_it_is_over() {
    let (_store, sidecar) = one().await;
    let (lease, renewal) = sidecar.lead("jobs", "").await;
    let renewed = sidecar.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!(renewed.status, 200);
    assert_eq!(renewed.json()["token"], lease["token"]);
    let deadline = |json: &serde_json::Value| json["deadline_boottime_ns"].as_u64().unwrap();
    assert!(deadline(&renewed.json()) > deadline(&lease));

    let wrong = r#"{"session":"0000000000000001","token":1}"#;
    let lost = sidecar.post("/v1/elections/jobs/renew", wrong).await;
    assert_eq!((lost.status, lost.error().as_str()), (409, "lost"));
    assert_eq!(lost.json()["leader"]["holder"], "a");
    let wrong_token = format!(r#"{{"session":{},"token":1}}"#, lease["session"]);
    let lost = sidecar.post("/v1/elections/jobs/renew", &wrong_token).await;
    assert_eq!((lost.status, lost.error().as_str()), (409, "lost"));
    let lost = sidecar.post("/v1/elections/mail/renew", wrong).await;
    assert_eq!((lost.status, lost.error().as_str()), (409, "lost"));
    assert!(sidecar.leads("jobs").await, "another's failure changes nothing");
}

#[tokio::test]
async fn a_lease_that_expired_is_lost() {
    let (_store, sidecar) = one().await;
    let (_, renewal) = sidecar.lead("jobs", r#"{"ttl_ms":200}"#).await;
    wait_until("the election is free", async || {
        sidecar.get("/v1/elections/jobs").await.json()["leader"].is_null()
    })
    .await;
    let lost = sidecar.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!((lost.status, lost.error().as_str()), (409, "lost"));
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn whoever_is_cut_off_leads_until_its_deadline_and_not_longer() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    let (lease, renewal) = sidecar.lead("jobs", r#"{"ttl_ms":1000}"#).await;
    faulty.set(Fault::NoQuorum);
    let failed = sidecar.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!((failed.status, failed.error().as_str()), (503, "not_renewed"));
    assert!(failed.json()["valid_for_ms"].as_u64().unwrap() <= 900);
    wait_until("it stops leading", async || !sidecar.leads("jobs").await).await;
    assert!(Boottime::now().as_nanos() >= lease["deadline_boottime_ns"].as_u64().unwrap());
    let failed = sidecar.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!((failed.status, failed.json()["valid_for_ms"].as_u64()), (503, Some(0)));
    let state = sidecar.get("/v1/elections/jobs").await.json();
    assert_eq!(
        (state["is_leader"].as_bool(), state["valid_for_ms"].as_u64()),
        (Some(false), Some(0))
    );
}

#[tokio::test]
async fn resign_can_be_repeated_and_is_the_holders_alone() {
    let (_store, sidecar) = one().await;
    let (lease, renewal) = sidecar.lead("jobs", "").await;
    let session = r#"{"session":"0000000000000001","token":1}"#;
    let refused = sidecar.post("/v1/elections/jobs/resign", session).await;
    assert_eq!((refused.status, refused.error().as_str()), (409, "not_holder"));
    assert_eq!(refused.json()["leader"]["token"], lease["token"]);
    for _ in 0..2 {
        assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    }
    let lost = sidecar.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!((lost.status, lost.error().as_str()), (409, "lost"));
}

#[tokio::test]
async fn a_successor_goes_before_who_waited_longer() {
    let (store, sidecar) = one().await;
    let (_, renewal) = sidecar.lead("jobs", "").await;
    let mut waiting = JoinSet::new();
    for (name, session) in [("b", 1), ("c", 2)] {
        let single = store.single.clone();
        waiting.spawn(async move { single.acquire(candidate(name, session), WAIT_MAX).await });
        // It stands in the queue once it has run for the first time.
        tokio::task::yield_now().await;
    }
    let body = renewal.replace('}', r#","successor":"c"}"#);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &body).await.status, 200);
    let first = waiting.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(&*first.lease.holder, "c");
}

#[tokio::test]
async fn an_application_goes_on_after_its_sidecar_was_restarted() {
    let store = Store::start();
    let before = Sidecar::start(store.single.clone(), "a").await;
    let (lease, renewal) = before.lead("jobs", "").await;
    drop(before);
    let after = Sidecar::start(store.single.clone(), "a").await;
    assert!(!after.leads("jobs").await, "it knows nothing of the lease yet");
    let renewed = after.post("/v1/elections/jobs/renew", &renewal).await;
    assert_eq!((renewed.status, &renewed.json()["token"]), (200, &lease["token"]));
    assert!(after.leads("jobs").await);
    assert_eq!(after.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
}
