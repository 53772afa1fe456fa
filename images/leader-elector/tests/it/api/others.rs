//! The calls beside acquire, renew and resign, and what is none.

use std::sync::Arc;

use leader_elector::api::ApiConfig;
use management::Secret;

use super::one;
use crate::support::{Connection, Fault, Faulty, Sidecar, Store, config};

#[tokio::test]
async fn what_is_no_call_has_the_shape_of_an_error_too() {
    let (_store, sidecar) = one().await;
    for path in ["/v2", "/v1/elections/jobs/", "/v1/elections/jobs/renew/x", "/favicon.ico"] {
        let reply = sidecar.get(path).await;
        assert_eq!((reply.status, reply.error().as_str()), (404, "not_found"), "{path}");
    }
    let reply = sidecar.get("/v1/elections/jobs/renew").await;
    assert_eq!((reply.status, reply.error().as_str()), (405, "method_not_allowed"));
    assert_eq!(reply.header("allow"), Some("POST"));
    let reply = sidecar.post("/v1/elections/jobs", "").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")));
    let reply = sidecar.get("/v1/elections/a%2fb").await;
    assert_eq!((reply.status, reply.error().as_str()), (422, "invalid"));
    let body = " ".repeat(9000);
    let reply = sidecar.post("/v1/elections/jobs/acquire", &body).await;
    assert_eq!((reply.status, reply.error().as_str()), (413, "too_large"));
    let origin = [("Origin", "http://evil.example")];
    let reply = sidecar.connect().await.call("POST", "/resign", &origin, "").await;
    assert_eq!((reply.status, reply.error().as_str()), (403, "forbidden"));
}

#[tokio::test]
async fn without_a_quorum_everything_but_local_reads_fails() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    let (_, renewal) = sidecar.lead("jobs", "").await;
    faulty.set(Fault::NoQuorum);
    let refused = sidecar.post("/v1/elections/mail/acquire", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "no_quorum"));
    let refused = sidecar.get("/v1/elections/jobs?consistency=linearizable").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "no_quorum"));
    assert_eq!(sidecar.get("/v1/elections/jobs?consistency=local").await.status, 200);
    let refused = sidecar.get("/readyz").await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "no_quorum"));
    faulty.set(Fault::Unknown);
    let refused = sidecar.post("/v1/elections/mail/acquire", "").await;
    assert_eq!((refused.status, refused.error().as_str()), (504, "unknown"));
    let refused = sidecar.post("/v1/elections/jobs/resign", &renewal).await;
    assert_eq!((refused.status, refused.error().as_str()), (504, "unknown"));
    assert!(!sidecar.leads("jobs").await, "whoever wants to resign leads no more");
    faulty.set(Fault::None);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    assert_eq!(sidecar.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_token_is_checked_against_the_lease() {
    let (_store, sidecar) = one().await;
    let (lease, renewal) = sidecar.lead("jobs", "").await;
    let token = lease["token"].as_u64().unwrap();
    let body = format!(r#"{{"token":{token}}}"#);
    let current = sidecar.post("/v1/elections/jobs/check", &body).await;
    assert_eq!((current.status, current.body.as_str()), (200, r#"{"current":true}"#));
    let older = format!(r#"{{"token":{}}}"#, token - 1);
    let stale = sidecar.post("/v1/elections/jobs/check", &older).await;
    assert_eq!((stale.status, stale.error().as_str()), (409, "stale"));
    assert_eq!(stale.json()["highest"].as_u64(), Some(token));
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    assert_eq!(sidecar.post("/v1/elections/jobs/check", &body).await.status, 409);
}

#[tokio::test]
async fn reads_say_who_leads_and_how_old_that_is() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let free = sidecar.get("/v1/elections/jobs").await.json();
    assert!(free["leader"].is_null());
    assert_eq!((free["is_leader"].as_bool(), free["version"].as_u64()), (Some(false), Some(0)));
    let (lease, _) = sidecar.lead("jobs", "").await;
    let here = sidecar.get("/v1/elections/jobs?consistency=linearizable").await.json();
    assert_eq!(here["leader"]["holder"], "a");
    assert_eq!(here["leader"]["token"], lease["token"]);
    assert_eq!(here["consistency"], "linearizable");
    assert_eq!(here["is_leader"], true);
    assert!(here["valid_for_ms"].as_u64().unwrap() > 0);
    assert!(here["age_ms"].is_u64());
    let there = other.get("/v1/elections/jobs").await.json();
    assert_eq!(
        (there["is_leader"].as_bool(), there["valid_for_ms"].as_u64()),
        (Some(false), Some(0))
    );
    assert_eq!(there["leader"]["holder"], "a");
    assert_eq!(there["version"], here["version"]);
    let wrong = sidecar.get("/v1/elections/jobs?consistency=best").await;
    assert_eq!((wrong.status, wrong.error().as_str()), (400, "bad_request"));
    let list = other.get("/v1/elections").await.json();
    assert_eq!(list["elections"][0]["election"], "jobs");
    assert_eq!(list["elections"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn is_leader_serves_as_a_probe() {
    let (store, sidecar) = one().await;
    let other = Sidecar::start(store.single.clone(), "b").await;
    let none = sidecar.get("/v1/elections/jobs/is-leader").await;
    assert_eq!((none.status, none.error().as_str()), (503, "not_leader"));
    assert!(none.json().get("leader").is_none());
    sidecar.lead("jobs", "").await;
    let yes = sidecar.get("/v1/elections/jobs/is-leader").await;
    assert_eq!((yes.status, yes.json()["is_leader"].as_bool()), (200, Some(true)));
    assert!(!yes.body.contains("session"), "the session is the holder's alone");
    let not = other.get("/v1/elections/jobs/is-leader").await;
    assert_eq!((not.status, not.json()["leader"]["holder"].as_str()), (503, Some("a")));
    let mut connection = sidecar.connect().await;
    connection.send("HEAD", "/v1/elections/jobs/is-leader", &[], "").await;
    assert_eq!(connection.head().await.status, 200);
}

#[tokio::test]
async fn many_are_renewed_in_one_call() {
    let (_store, sidecar) = one().await;
    let mut renewals = Vec::new();
    for number in 0..50 {
        let election = format!("e{number}");
        let (lease, _) = sidecar.lead(&election, "").await;
        renewals.push(format!(
            r#"{{"election":"{election}","session":{},"token":{}}}"#,
            lease["session"], lease["token"]
        ));
    }
    renewals.insert(7, r#"{"election":"e3","session":"0000000000000001","token":1}"#.to_owned());
    let body = format!(r#"{{"renewals":[{}]}}"#, renewals.join(","));
    let renewed = sidecar.post("/v1/renew", &body).await;
    assert_eq!(renewed.status, 200);
    let results = renewed.json()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 51);
    assert_eq!(results[7]["error"], "lost");
    assert_eq!(results[7]["leader"]["holder"], "a");
    assert_eq!(results[6]["election"], "e6");
    assert_eq!(results[8]["election"], "e7");
    assert_eq!(results.iter().filter(|it| it["leader"] == true).count(), 50);

    assert_eq!(sidecar.post("/v1/renew", r#"{"renewals":[]}"#).await.body, r#"{"results":[]}"#);
    let one = r#"{"election":"e","session":"0000000000000001","token":1}"#;
    let most = format!(r#"{{"renewals":[{}]}}"#, vec![one; 1000].join(","));
    assert_eq!(sidecar.post("/v1/renew", &most).await.status, 200);
    let more = format!(r#"{{"renewals":[{}]}}"#, vec![one; 1001].join(","));
    let refused = sidecar.post("/v1/renew", &more).await;
    assert_eq!((refused.status, refused.error().as_str()), (422, "invalid"));
    let named = r#"{"renewals":[{"election":"a/b","session":"0000000000000001","token":1}]}"#;
    assert_eq!(sidecar.post("/v1/renew", named).await.status, 422);
}

#[tokio::test]
async fn the_plain_names_of_the_paper_mean_the_default_election() {
    let (_store, sidecar) = one().await;
    let none = sidecar.post("/renewLeadership", "").await;
    assert_eq!((none.status, none.error().as_str()), (409, "not_holder"));
    let lease = sidecar.post("/becomeLeader", "").await;
    assert_eq!((lease.status, lease.json()["election"].as_str()), (200, Some("jobs")));
    assert_eq!(sidecar.post("/renewLeadership", "").await.json()["leader"], true);
    let renewal =
        format!(r#"{{"session":{},"token":{}}}"#, lease.json()["session"], lease.json()["token"]);
    assert_eq!(sidecar.post("/renewLeadership", &renewal).await.status, 200);
    assert_eq!(sidecar.post("/resign", "").await.status, 200);
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn a_token_is_demanded_by_all_but_the_probes() {
    let store = Store::start();
    let token = Some(Secret::from("open sesame".to_owned()));
    let api = ApiConfig { token, ..ApiConfig::default() };
    let sidecar = Sidecar::with(store.single.clone(), config("a"), api).await;
    for header in
        [&[][..], &[("Authorization", "Bearer open")], &[("Authorization", "open sesame")]]
    {
        let refused = sidecar.connect().await.call("GET", "/v1/elections", header, "").await;
        assert_eq!((refused.status, refused.error().as_str()), (401, "unauthorized"));
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    let header = [("authorization", "bearer open sesame")];
    assert_eq!(sidecar.connect().await.call("GET", "/v1/elections", &header, "").await.status, 200);
    assert_eq!(sidecar.get("/healthz").await.status, 200);
    assert_eq!(sidecar.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn health_is_that_of_the_rest_of_the_process_too() {
    let store = Store::start();
    let api = ApiConfig {
        live: Arc::new(|| Err("the driver stands still".to_owned())),
        ..ApiConfig::default()
    };
    let sidecar = Sidecar::with(store.single.clone(), config("a"), api).await;
    let sick = sidecar.get("/healthz").await;
    assert_eq!((sick.status, sick.error().as_str()), (503, "not_live"));
    assert_eq!(sidecar.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn requests_sent_without_waiting_are_answered_in_order() {
    let (_store, sidecar) = one().await;
    let (_, renewal) = sidecar.lead("jobs", "").await;
    let mut connection: Connection = sidecar.connect().await;
    for _ in 0..10 {
        connection.send("POST", "/v1/elections/jobs/renew", &[], &renewal).await;
        connection.send("GET", "/isLeader", &[], "").await;
    }
    for _ in 0..10 {
        assert_eq!(connection.reply().await.json()["leader"], true);
        assert_eq!(connection.reply().await.json()["isLeader"], true);
    }
}
