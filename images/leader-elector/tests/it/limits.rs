//! What happens past the limits, and with bytes that are none of the API's.

use leader_elector::api::ApiConfig;

use crate::support::{Random, Sidecar, Store, config, wait_until};

async fn limited(api: ApiConfig) -> (Store, Sidecar) {
    let store = Store::start();
    let sidecar = Sidecar::with(store.single.clone(), config("a"), api).await;
    (store, sidecar)
}

#[tokio::test]
async fn one_watcher_too_many_is_refused_and_may_come_later() {
    let (_store, sidecar) = limited(ApiConfig { watchers_max: 2, ..ApiConfig::default() }).await;
    let path = "/v1/elections/jobs/watch";
    let mut watchers = Vec::new();
    for _ in 0..2 {
        let mut events = sidecar.connect().await;
        events.events("GET", path, &[], "").await;
        watchers.push(events);
    }
    let refused = sidecar.get(path).await;
    assert_eq!((refused.status, refused.error().as_str()), (429, "limit"));
    assert!(refused.json()["retry_after_ms"].as_u64().unwrap() > 0);
    let accept = [("Accept", "text/event-stream")];
    let mut bound = sidecar.connect().await;
    let refused = bound.call("POST", "/becomeLeader", &accept, "").await;
    assert_eq!((refused.status, refused.error().as_str()), (429, "limit"));
    assert!(!sidecar.leads("jobs").await, "who was refused a place holds nothing");
    watchers.pop();
    wait_until("there is a place", async || sidecar.api.watchers() == 1).await;
    sidecar.connect().await.events("GET", path, &[], "").await;
}

#[tokio::test]
async fn one_connection_too_many_waits() {
    let (_store, sidecar) = limited(ApiConfig { connections_max: 1, ..ApiConfig::default() }).await;
    let mut first = sidecar.connect().await;
    assert_eq!(first.call("GET", "/", &[], "").await.status, 200);
    let mut second = sidecar.connect().await;
    second.send("GET", "/", &[], "").await;
    assert_eq!(first.call("GET", "/", &[], "").await.status, 200);
    drop(first);
    assert_eq!(second.reply().await.status, 200);
}

#[tokio::test]
async fn a_body_in_chunks_is_limited_like_any_other() {
    let (_store, sidecar) = limited(ApiConfig::default()).await;
    let head = "POST /becomeLeader HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = sidecar.connect().await;
    connection
        .raw(format!("{head}6\r\n{{\"ttl_\r\nd\r\nms\":5000    }}\r\n0\r\n\r\n").as_bytes())
        .await;
    assert_eq!(connection.reply().await.json()["ttl_ms"], 5000);
    let mut connection = sidecar.connect().await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    connection.raw(format!("{head}{chunk}{chunk}{chunk}").as_bytes()).await;
    let refused = connection.reply().await;
    assert_eq!((refused.status, refused.error().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn no_body_gives_a_failure_of_ours_or_another_shape() {
    let (_store, sidecar) = limited(ApiConfig::default()).await;
    let mut random = Random::from_environment();
    let calls = ["acquire", "renew", "resign", "check"];
    let mut paths: Vec<_> = calls.iter().map(|it| format!("/v1/elections/jobs/{it}")).collect();
    for plain in ["/v1/renew", "/becomeLeader", "/renewLeadership", "/resign"] {
        paths.push(plain.to_owned());
    }
    for _ in 0..2000 {
        let path = random.pick(&paths).clone();
        let body = body(&mut random);
        let reply = sidecar.post(&path, &body).await;
        assert!(reply.status < 500, "{path} {body}: {} {}", reply.status, reply.body);
        if reply.status != 200 {
            reply.error();
        }
    }
}

#[tokio::test]
async fn a_witness_never_leads() {
    let store = Store::start();
    let other = Sidecar::start(store.single.clone(), "b").await;
    let mut config = config("w");
    config.witness = true;
    let witness = Sidecar::with(store.single.clone(), config, ApiConfig::default()).await;
    let (_, renewal) = other.lead("mail", "").await;
    let accept = [("Accept", "text/event-stream")];
    for path in ["/v1/elections/jobs/acquire", "/becomeLeader"] {
        for headers in [&[][..], &accept] {
            let refused = witness.connect().await.call("POST", path, headers, "").await;
            assert_eq!((refused.status, refused.error().as_str()), (422, "invalid"), "{path}");
        }
    }
    // Whoever renews here would lead here.
    let refused = witness.post("/v1/elections/mail/renew", &renewal).await;
    assert_eq!((refused.status, refused.error().as_str()), (422, "invalid"));
    assert!(!witness.leads("jobs").await && !witness.leads("mail").await);
    assert!(other.leads("mail").await);
    assert_eq!(witness.post("/v1/elections/mail/resign", &renewal).await.status, 200);
}

/// A body that is nearly one.
fn body(random: &mut Random) -> String {
    let names = [
        "session",
        "token",
        "ttl_ms",
        "wait_ms",
        "holder",
        "metadata",
        "request_id",
        "successor",
        "renewals",
        "election",
        "x",
    ];
    let values = [
        "0",
        "1",
        "-1",
        "1.5",
        "1e999",
        "18446744073709551615",
        "18446744073709551616",
        "null",
        "true",
        "\"\"",
        "\"a\"",
        "\"00000000000000ff\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "[]",
        "{}",
        "[[[[[[]]]]]]",
        "{\"a\":{\"b\":[1,2]}}",
        "5000",
        "\"a/b\"",
        "[{\"election\":\"e\",\"session\":\"0000000000000001\",\"token\":1}]",
        "",
        "\u{e4}",
        "\"",
    ];
    let fields: Vec<_> = (0..random.below(5))
        .map(|_| {
            let name = *random.pick(&names);
            // A long wait would only make the test long.
            let value = if name == "wait_ms" { "1" } else { *random.pick(&values) };
            format!("\"{name}\":{value}")
        })
        .collect();
    let mut text = format!("{{{}}}", fields.join(","));
    if random.below(4) == 0 && !text.is_empty() {
        let mut end = random.below(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    if random.below(8) == 0 {
        text = format!("[{text}]");
    }
    text
}
