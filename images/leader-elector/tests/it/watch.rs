//! Watches: server-sent events with resume, long polls, many watchers, slow ones.

use std::time::Duration;

use crate::support::{Connection, Event, Fault, Faulty, Sidecar, Store, config, wait_until};

const WATCH: &str = "/v1/elections/jobs/watch";

async fn one() -> (Store, Sidecar) {
    let store = Store::start();
    let sidecar = Sidecar::start(store.single.clone(), "a").await;
    (store, sidecar)
}

/// Reads events until one fits, and checks that versions do not go back.
async fn until(events: &mut Connection, fits: impl Fn(&Event) -> bool) -> Event {
    let mut version = 0;
    loop {
        let event = events.event().await.expect("the stream goes on");
        let id = event.id.unwrap();
        assert!(id >= version, "{id} after {version}");
        assert_eq!(event.json()["version"].as_u64(), Some(id));
        version = id;
        if fits(&event) {
            return event;
        }
    }
}

fn holder(event: &Event) -> Option<String> {
    event.json()["leader"]["holder"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_stream_begins_with_the_state_and_shows_its_changes() {
    let (_store, sidecar) = one().await;
    let mut events = sidecar.connect().await;
    events.events("GET", WATCH, &[], "").await;
    let free = events.event().await.unwrap();
    assert_eq!((holder(&free), free.name.as_str()), (None, ""));
    let (lease, renewal) = sidecar
        .lead(
            "jobs",
            r#"{"metadata":{
        "a": 1}}"#,
        )
        .await;
    let led = until(&mut events, |event| event.json()["is_leader"] == true).await;
    assert_eq!(holder(&led).as_deref(), Some("a"));
    assert_eq!(led.json()["leader"]["token"], lease["token"]);
    assert_eq!(led.json()["leader"]["metadata"]["a"], 1, "line ends in metadata break no event");
    assert!(led.json()["valid_for_ms"].as_u64().unwrap() > 0);
    assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    let free = until(&mut events, |event| holder(event).is_none()).await;
    assert_eq!(free.json()["is_leader"], false);
}

#[tokio::test]
async fn a_stream_resumes_by_the_id_of_its_last_event() {
    let (_store, sidecar) = one().await;
    sidecar.lead("jobs", "").await;
    let mut events = sidecar.connect().await;
    events.events("GET", WATCH, &[], "").await;
    let last = events.event().await.unwrap().id.unwrap();
    drop(events);
    let id = last.to_string();
    let mut events = sidecar.connect().await;
    events.events("GET", WATCH, &[("Last-Event-ID", &id)], "").await;
    let resumed = events.event().await.unwrap();
    assert_eq!((resumed.id, holder(&resumed).as_deref()), (Some(last), Some("a")));
    // What the header says is newer than what the query said at the beginning.
    let mut events = sidecar.connect().await;
    let path = format!("{WATCH}?since=0");
    events.events("GET", &path, &[("Last-Event-ID", &id)], "").await;
    assert_eq!(events.event().await.unwrap().id, Some(last));
}

#[tokio::test]
async fn a_client_that_knows_of_a_group_that_is_no_more_is_shown_the_one_there_is() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    sidecar.lead("jobs", "").await;
    let mut events = sidecar.connect().await;
    events.events("GET", WATCH, &[("Last-Event-ID", "1000000")], "").await;
    assert_eq!(holder(&events.event().await.unwrap()).as_deref(), Some("a"));
    // Who cannot ask the group cannot tell whether it knows less than the client.
    faulty.set(Fault::NoQuorum);
    let refused = sidecar.get(&format!("{WATCH}?since=1000000")).await;
    assert_eq!((refused.status, refused.error().as_str()), (503, "no_quorum"));
}

#[tokio::test]
async fn a_long_poll_answers_at_the_next_change() {
    let (_store, sidecar) = one().await;
    let now = sidecar.get(&format!("{WATCH}?wait_ms=60000")).await.json();
    assert!(now["leader"].is_null(), "without a version there is nothing to wait for");
    let version = now["version"].as_u64().unwrap();
    let mut poll = sidecar.connect().await;
    poll.send("GET", &format!("{WATCH}?since={version}&wait_ms=60000"), &[], "").await;
    sidecar.lead("jobs", "").await;
    let changed = poll.reply().await.json();
    assert_eq!(changed["leader"]["holder"], "a");
    let behind = sidecar.get(&format!("{WATCH}?since={version}&wait_ms=60000")).await.json();
    assert_eq!(behind["version"], changed["version"], "a version missed is no reason to wait");
}

#[tokio::test]
async fn a_long_poll_in_vain_answers_the_state_as_it_is() {
    let (_store, sidecar) = one().await;
    sidecar.lead("jobs", "").await;
    let version = sidecar.get("/v1/elections/jobs").await.json()["version"].clone();
    let same = sidecar.get(&format!("{WATCH}?since={version}&wait_ms=20")).await;
    assert_eq!((same.status, same.json()["version"].clone()), (200, version));
}

#[tokio::test]
async fn what_is_no_version_is_refused() {
    let (_store, sidecar) = one().await;
    for query in
        ["since=x", "since=-1", "since=", "since=+1", "wait_ms=x", "since=99999999999999999999"]
    {
        let refused = sidecar.get(&format!("{WATCH}?{query}")).await;
        assert_eq!((refused.status, refused.error().as_str()), (400, "bad_request"), "{query}");
    }
    let header = [("Last-Event-ID", "x")];
    let refused = sidecar.connect().await.call("GET", WATCH, &header, "").await;
    assert_eq!((refused.status, refused.error().as_str()), (400, "bad_request"));
    let refused = sidecar.get(&format!("{WATCH}?wait_ms=3600001")).await;
    assert_eq!((refused.status, refused.error().as_str()), (422, "invalid"));
}

#[tokio::test]
async fn a_holder_that_is_cut_off_tells_its_watchers_that_it_leads_no_more() {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let sidecar = Sidecar::start(faulty.clone(), "a").await;
    sidecar.lead("jobs", r#"{"ttl_ms":2000}"#).await;
    let mut events = sidecar.connect().await;
    events.events("GET", WATCH, &[], "").await;
    assert_eq!(events.event().await.unwrap().json()["is_leader"], true);
    faulty.set(Fault::Unknown);
    until(&mut events, |event| event.json()["is_leader"] == false).await;
}

#[tokio::test]
async fn a_thousand_watchers_see_the_last_state() {
    raise_file_limit();
    let (_store, sidecar) = one().await;
    let mut watchers = Vec::new();
    for _ in 0..1000 {
        let mut events = sidecar.connect().await;
        events.events("GET", WATCH, &[], "").await;
        watchers.push(events);
    }
    assert_eq!(sidecar.api.watchers(), 1000);
    for _ in 0..5 {
        let (_, renewal) = sidecar.lead("jobs", "").await;
        assert_eq!(sidecar.post("/v1/elections/jobs/resign", &renewal).await.status, 200);
    }
    let (lease, _) = sidecar.lead("jobs", "").await;
    let token = &lease["token"];
    for events in &mut watchers {
        let last = |event: &Event| {
            event.json()["leader"]["token"] == *token && event.json()["is_leader"] == true
        };
        until(events, last).await;
    }
    drop(watchers);
    wait_until("all places are free", async || sidecar.api.watchers() == 0).await;
}

/// Both ends of every connection are in this process.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test]
async fn a_slow_reader_holds_back_nobody_and_finds_the_last_state() {
    let store = Store::start();
    let mut narrow = config("a");
    narrow.ttl = Duration::from_secs(60);
    let sidecar = Sidecar::with(store.single.clone(), narrow, Default::default()).await;
    let mut slow = Connection::open_narrow(sidecar.addr).await;
    slow.events("GET", WATCH, &[], "").await;
    let metadata = format!(r#"{{"metadata":"{}"}}"#, "x".repeat(3000));
    let mut connection = sidecar.connect().await;
    for _ in 0..500 {
        let lease = connection.call("POST", "/becomeLeader", &[], &metadata).await;
        assert_eq!(lease.status, 200);
        assert_eq!(connection.call("POST", "/resign", &[], "").await.status, 200);
    }
    let (lease, _) = sidecar.lead("jobs", "").await;
    let token = &lease["token"];
    until(&mut slow, |event| event.json()["leader"]["token"] == *token).await;
}
