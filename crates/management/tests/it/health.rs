//! Probes, checks, heartbeats, metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use management::{Critical, METRICS, Network, Traffic, TrafficKind};
use prometheus::{IntCounter, Registry};

use crate::support::{ask, builder, get, shared, start, until};

const MOMENT: Duration = Duration::from_millis(10);

#[test]
fn a_heartbeat_that_stops_ends_liveness_and_one_that_returns_restores_it() {
    let (handle, _signals) = start(builder(&shared()).live_stall(Duration::from_millis(200)));
    let addr = handle.probe_addr();
    assert_eq!(get(addr, "/livez").json(), serde_json::json!({"status": "pass"}));
    let beating = Arc::new(AtomicBool::new(true));
    let (beat, on) = (handle.heartbeat("worker-0"), Arc::clone(&beating));
    std::thread::spawn(move || {
        loop {
            if on.load(Ordering::SeqCst) {
                beat.beat();
            }
            std::thread::park_timeout(MOMENT);
        }
    });
    until("live", || get(addr, "/livez").status == 200);
    beating.store(false, Ordering::SeqCst);
    until("stalled", || get(addr, "/livez").status == 503);
    let answer = get(addr, "/healthz");
    assert!(answer.body.contains("no heartbeat of worker-0 for"), "{answer:?}");
    assert!(get(addr, "/metrics").body.contains("\nmgmt_live 0\n"));
    beating.store(true, Ordering::SeqCst);
    until("live again", || get(addr, "/livez").status == 200);
}

#[test]
fn readiness_follows_the_image_and_its_critical_checks() {
    let (upstream, cache) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let check = |flag: &Arc<AtomicBool>| {
        let flag = Arc::clone(flag);
        move || {
            let up = flag.load(Ordering::SeqCst);
            async move { if up { Ok(()) } else { Err("redis://u:canary@h refused".to_owned()) } }
        }
    };
    let hour = Duration::from_hours(1);
    let (handle, _signals) = start(
        builder(&shared())
            .check("upstream", Critical::Yes, MOMENT, MOMENT * 100, check(&upstream))
            .check("cache", Critical::No, MOMENT, MOMENT * 100, check(&cache))
            .check("hangs", Critical::No, MOMENT, hour, std::future::pending),
    );
    let addr = handle.probe_addr();
    let starting = get(addr, "/readyz");
    assert_eq!(starting.status, 503);
    assert_eq!(starting.json()["state"], "starting");
    assert_eq!(get(addr, "/startupz").status, 503);
    handle.set_ready(true);
    until("ready", || get(addr, "/readyz").status == 200);
    assert_eq!(get(addr, "/startupz").status, 200);
    cache.store(false, Ordering::SeqCst);
    until("warns", || get(addr, "/readyz").json()["status"] == "warn");
    let answer = get(addr, "/readyz");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["checks"]["cache"]["error"], "redis://***@h refused");
    assert_eq!(answer.json()["checks"]["hangs"]["status"], "unknown");
    upstream.store(false, Ordering::SeqCst);
    until("fails", || get(addr, "/readyz").status == 503);
    assert_eq!(get(addr, "/livez").status, 200, "a dependency is no matter of life");
    assert_eq!(get(addr, "/startupz").status, 200, "started once is started");
    upstream.store(true, Ordering::SeqCst);
    until("ready again", || get(addr, "/readyz").status == 200);
    handle.set_ready(false);
    assert_eq!(get(addr, "/readyz").status, 503);
}

#[test]
fn the_probe_listener_serves_probes_only() {
    let (handle, _signals) = start(builder(&shared()));
    let addr = handle.probe_addr();
    for path in ["/mgmt/v1", "/mgmt/v1/config", "/quitquitquit", "/"] {
        let answer = get(addr, path);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type").unwrap(), "application/problem+json");
    }
    let answer = ask(addr, "POST", "/livez", &["X-Mgmt: 1"], "");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow").unwrap(), "GET,HEAD");
}

struct Counters;

impl Network for Counters {
    fn snapshot(&self) -> Vec<Traffic> {
        vec![Traffic {
            kind: TrafficKind::Listener,
            name: "alpha".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            open: 2,
            connections: 9,
            bytes_in: 100,
            bytes_out: 200,
            messages_in: 3,
            messages_out: 4,
            errors: 1,
        }]
    }
}

#[test]
fn metrics_join_the_images_own_and_list_every_name() {
    let registry = Registry::new();
    let own = IntCounter::new("example_things_total", "Things").unwrap();
    registry.register(Box::new(own.clone())).unwrap();
    own.inc_by(7);
    let (handle, _signals) =
        start(builder(&shared()).registry(registry).network(Arc::new(Counters)));
    let _beat = handle.heartbeat("worker");
    let page = get(handle.probe_addr(), "/metrics");
    assert_eq!(page.header("content-type").unwrap(), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "example_things_total 7",
        "net_bytes_total{kind=\"listener\",name=\"alpha\",direction=\"out\"} 200",
        "net_connections_open{kind=\"listener\",name=\"alpha\"} 2",
        "mgmt_state{state=\"starting\"} 1",
        "mgmt_ready 0",
    ] {
        assert!(page.body.lines().any(|l| l == line), "{line} not in {}", page.body);
    }
    for metric in METRICS {
        let line = format!("# TYPE {} {}", metric.name, metric.kind);
        assert_eq!(page.body.lines().filter(|l| **l == line).count(), 1, "{line}");
    }
    let rss = page.body.lines().find_map(|l| l.strip_prefix("process_resident_memory_bytes "));
    assert!(rss.unwrap().parse::<f64>().unwrap() > 100_000.0);
    let network = get(handle.admin_addr(), "/mgmt/v1/network").json();
    assert_eq!(network["traffic"][0]["messages_in"], 3);
    assert!(network["host"]["listen_overflows"].is_u64(), "{network}");
}
