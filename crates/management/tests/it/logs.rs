//! The ring over HTTP, and the level.

use crate::support::{Lines, ask, builder, get, shared, start, until};

const JSON: &[&str] = &["Content-Type: application/json"];

#[test]
fn tail_and_filter_choose_lines() {
    let builder = builder(&shared());
    let log = builder.dispatch();
    let (handle, _signals) = start(builder);
    tracing::dispatcher::with_default(&log, || {
        for number in 0..5 {
            tracing::info!(target: "test", number, "counted");
        }
        tracing::warn!(target: "test", "warned");
    });
    let answer = get(handle.admin_addr(), "/mgmt/v1/logs?tail=2&filter=test=info");
    assert_eq!(answer.header("content-type").unwrap(), "application/x-ndjson");
    let lines: Vec<serde_json::Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["number"], 4);
    assert_eq!(lines[1]["message"], "warned");
    let answer = get(handle.admin_addr(), "/mgmt/v1/logs?filter=warn");
    assert_eq!(answer.body.lines().count(), 1);
    for bad in ["filter=a=loud", "follow=maybe", "tail=x"] {
        assert_eq!(get(handle.admin_addr(), &format!("/mgmt/v1/logs?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn followers_get_new_lines_and_the_ninth_is_refused() {
    let builder = builder(&shared());
    let log = builder.dispatch();
    let (handle, _signals) = start(builder);
    let addr = handle.admin_addr();
    let open = |accept| {
        let (status, lines) = Lines::open(addr, "follow=1&tail=0&filter=test=info", accept);
        assert_eq!(status, 200);
        lines
    };
    let mut streams: Vec<Lines> = (0..7).map(|_| open("*/*")).collect();
    let mut events = open("text/event-stream");
    tracing::dispatcher::with_default(&log, || tracing::info!(target: "test", "news"));
    assert!(events.next().starts_with("data: {"));
    for stream in &mut streams {
        assert!(stream.next().contains("\"news\""));
    }
    let refused = get(addr, "/mgmt/v1/logs?follow=1");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after").unwrap(), "5");
    assert_eq!(get(addr, "/mgmt/v1/logs").status, 200, "reading once is no stream");
    drop(streams);
    until("a place is free", || Lines::open(addr, "follow=1", "*/*").0 == 200);
}

#[test]
fn a_slow_reader_is_told_what_it_lost() {
    let builder = builder(&shared());
    let log = builder.dispatch();
    let (handle, _signals) = start(builder);
    let (_, mut lines) = Lines::open(handle.admin_addr(), "follow=1&tail=0", "*/*");
    // More than the ring and what the sockets of both sides may hold.
    let padding = "x".repeat(16 * 1024);
    tracing::dispatcher::with_default(&log, || {
        for number in 0..2_000 {
            tracing::info!(number, padding, "long");
        }
    });
    let mut seen = 0;
    loop {
        let line = lines.next();
        if let Some(dropped) = line.strip_prefix("{\"dropped\":") {
            assert!(dropped.trim_end_matches('}').parse::<u64>().unwrap() > 100, "{line}");
            break;
        }
        seen += 1;
        assert!(seen < 2_000, "nothing was lost");
    }
    let page = get(handle.probe_addr(), "/metrics").body;
    assert!(!page.contains("\nmgmt_log_dropped_total 0\n"));
}

#[test]
fn the_level_is_set_for_a_time_and_reset() {
    let builder = builder(&shared());
    let log = builder.dispatch();
    let (handle, signals) = start(builder);
    let addr = handle.admin_addr();
    let level = || get(addr, "/mgmt/v1/log-level").json();
    let debugged = || {
        tracing::dispatcher::with_default(&log, || tracing::debug!(target: "test", "seen"));
        !get(addr, "/mgmt/v1/logs?filter=test=debug").body.is_empty()
    };
    assert_eq!(level()["filter"], "info");
    assert!(!debugged());
    let set = |body: &str| ask(addr, "PUT", "/mgmt/v1/log-level", JSON, body);
    let answer = set(r#"{"filter":"debug","for":"10m"}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["filter"], "debug");
    assert!(answer.json()["expires_in"].is_string());
    assert!(debugged());
    assert_eq!(set(r#"{"filter":"trace","for":"50ms"}"#).status, 200);
    until("reverted", || level()["filter"] == "info" && level()["expires_in"].is_null());
    let text = ask(addr, "PUT", "/mgmt/v1/log-level", &["X-Mgmt: 1"], "warn,test=debug\n");
    assert_eq!(text.json()["filter"], "warn,test=debug");
    let reset = ask(addr, "DELETE", "/mgmt/v1/log-level", &["X-Mgmt: 1"], "");
    assert_eq!(reset.json()["filter"], "info");
    for bad in [
        r#"{"filter":"loud"}"#,
        r#"{"filter":"debug","for":"5"}"#,
        r#"{"filter":"debug","for":"25h"}"#,
        r#"{"filter":"debug","until":"x"}"#,
        "{",
    ] {
        let answer = set(bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert_eq!(answer.header("content-type").unwrap(), "application/problem+json");
    }
    signals.send(management::Signal::Ttin).unwrap();
    until("raised", || level()["filter"] == "debug");
    signals.send(management::Signal::Ttou).unwrap();
    signals.send(management::Signal::Ttou).unwrap();
    until("lowered", || level()["filter"] == "warn");
}

#[test]
fn changes_are_audited() {
    let (handle, _signals) = start(builder(&shared()));
    let addr = handle.admin_addr();
    ask(addr, "PUT", "/mgmt/v1/log-level", JSON, r#"{"filter":"info,x=warn"}"#);
    ask(addr, "POST", "/mgmt/v1/lifecycle/undrain", &[], "");
    until("audited", || {
        let page = get(addr, "/mgmt/v1/logs?filter=management::audit=info").body;
        let statuses: Vec<u64> = page
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|line| line["status"].as_u64())
            .collect();
        statuses == [200, 415]
    });
}
