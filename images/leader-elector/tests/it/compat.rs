//! The answers that clients of the Kubernetes leader-elector and of its successors parse.
//!
//! Forms as published: `kubernetes-retired/contrib` `election/example/main.go` (`/`, `/isLeader`),
//! `nais/elector` `pkg/election/official/official.go` (`/sse`).

use expect_test::expect;

use crate::support::{Fault, Faulty, Sidecar, Store, wait_until};

#[tokio::test]
async fn the_name_and_whether_it_is_ours() {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "app-0").await;
    let other = Sidecar::start(store.single.clone(), "app-1").await;
    expect![[r#"{"name":""}"#]].assert_eq(&sidecar.get("/").await.body);
    expect![[r#"{"isLeader": false}"#]].assert_eq(&sidecar.get("/isLeader").await.body);
    let (_, renewal) = sidecar.lead("jobs", "").await;
    for each in [&sidecar, &other] {
        let reply = each.get("/").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        expect![[r#"{"name":"app-0"}"#]].assert_eq(&reply.body);
    }
    expect![[r#"{"isLeader": true}"#]].assert_eq(&sidecar.get("/isLeader").await.body);
    expect![[r#"{"isLeader": false}"#]].assert_eq(&other.get("/isLeader").await.body);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    expect![[r#"{"name":""}"#]].assert_eq(&other.get("/").await.body);
}

#[tokio::test]
async fn a_leader_that_nobody_can_confirm_has_no_name() {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "app-0").await;
    let faulty = Faulty::new(store.single.clone());
    let cut_off = Sidecar::start(faulty.clone(), "app-1").await;
    let (_, renewal) = sidecar.lead("jobs", r#"{"ttl_ms":2000}"#).await;
    faulty.set(Fault::NoQuorum);
    // The other side goes on renewing, which this one cannot know.
    wait_until("the name is gone", async || {
        assert_eq!(sidecar.post("/v1/elections/jobs/renew", &renewal).await.status, 200);
        cut_off.get("/").await.body == r#"{"name":""}"#
    })
    .await;
    expect![[r#"{"name":"app-0"}"#]].assert_eq(&sidecar.get("/").await.body);
    faulty.set(Fault::None);
    expect![[r#"{"name":"app-0"}"#]].assert_eq(&cut_off.get("/").await.body);
}

#[tokio::test]
async fn a_leader_cut_off_past_its_deadline_does_not_name_itself() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "app-0").await;
    sidecar.lead("jobs", r#"{"ttl_ms":1000}"#).await;
    faulty.set(Fault::NoQuorum);
    wait_until("its time is over", async || !sidecar.leads("jobs").await).await;
    expect![[r#"{"name":""}"#]].assert_eq(&sidecar.get("/").await.body);
    expect![[r#"{"isLeader": false}"#]].assert_eq(&sidecar.get("/isLeader").await.body);
}

#[tokio::test]
async fn names_are_streamed_with_the_time_they_were_known() {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "app-0").await;
    let mut events = sidecar.connect().await;
    events.events("GET", "/sse", &[], "").await;
    let mut names = Vec::new();
    let first = events.event().await.unwrap();
    // As `2024-08-21T00:00:00Z`; the value is that of the wall clock.
    let form: String = first.json()["last_update"]
        .as_str()
        .unwrap()
        .chars()
        .map(|it| if it.is_ascii_digit() { '0' } else { it })
        .collect();
    assert_eq!(form, "0000-00-00T00:00:00Z");
    let shown = first.data.replace(first.json()["last_update"].as_str().unwrap(), "TIME");
    expect![[r#"{"name":"","last_update":"TIME"}"#]].assert_eq(&shown);
    assert_eq!((first.name.as_str(), first.id), ("", None));
    let (_, renewal) = sidecar.lead("jobs", "").await;
    names.push(events.event().await.unwrap().json()["name"].clone());
    assert_eq!(sidecar.post("/v1/elections/jobs/renew", &renewal).await.status, 200);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    names.push(events.event().await.unwrap().json()["name"].clone());
    assert_eq!(names, ["app-0", ""]);
}
