//! Pulled inputs: shared scrapes, deadlines, stale answers, joined families; a real JVM.

use std::path::Path;

use crate::support::adapter::{Adapter, command, get};
use crate::support::jvm::{Jdk, Launch};
use crate::support::server::Server;
use crate::support::wait_until;
use crate::web::accepted_by_promtool;

const TIMEOUT: &str = "X-Prometheus-Scrape-Timeout-Seconds";

fn own(folder: &Path, text: &str) -> Adapter {
    let path = folder.join("own.yml");
    std::fs::write(&path, text).unwrap();
    Adapter::own(&path)
}

fn count(adapter: &Adapter, name: &str) -> f64 {
    let text = get(adapter.probe, "/metrics", &[]).text();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn numbers_of_a_document_are_mapped() {
    let server = Server::start(|_, _| {
        (200, r#"{"queue": {"in": {"depth": 3}, "out": {"depth": 4}}, "up": true}"#.to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let mapping =
        "mappings:\n- match: queue.*.depth\n  name: queue_depth\n  labels:\n    queue: $1\n";
    std::fs::write(folder.path().join("map.yml"), mapping).unwrap();
    let text = format!(
        "inputs:\n- type: json\n  url: http://{}/stats\n  mapping: map.yml\n  labels:\n    app: x\n",
        server.addr
    );
    let adapter = own(folder.path(), &text);
    let page = adapter.metrics();
    for line in [
        "queue_depth{queue=\"in\",app=\"x\"} 3",
        "queue_depth{queue=\"out\",app=\"x\"} 4",
        "up{app=\"x\"} 1",
        "# TYPE queue_depth gauge",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    accepted_by_promtool(&page);
}

#[test]
fn of_an_address_no_more_than_host_and_port_is_shown() {
    let server = Server::start(|_, _| (200, r#"{"a": 1}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let origin = format!("http://{}", server.addr);
    let text = format!("inputs:\n- type: json\n  url: {origin}/x/hush7?token=hush7\n");
    let adapter = own(folder.path(), &text);
    assert!(adapter.metrics().contains("a 1"));
    for path in ["/mgmt/v1/config", "/mgmt/v1/network"] {
        let shown = get(adapter.admin, path, &[]).text();
        assert!(shown.contains(&origin), "{path}: {shown}");
        assert!(!shown.contains("hush7"), "{path}: {shown}");
    }
}

#[test]
fn a_pulled_metric_with_the_name_of_a_pushed_one_is_left_out_and_told() {
    let server = Server::start(|_, _| (200, r#"{"hits": 1, "took_sum": 1, "own": 1}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "inputs:\n- type: statsd\n  udp: 127.0.0.1:0\n- type: json\n  url: http://{}/\n",
        server.addr
    );
    let mut adapter = own(folder.path(), &text);
    let page = adapter.metrics();
    assert!(page.contains("\nhits 1\n") && page.contains("took_sum 1"), "{page}");
    let name = "metrics_adapter_page_left_out_total{source=\"pulled\"}";
    assert_eq!(count(&adapter, name), 0.0);
    adapter.send("hits:5|c\ntook:2000|ms");
    let before = count(&adapter, name);
    let page = adapter.metrics();
    for line in ["hits 5", "took_sum 2", "own 1"] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert_eq!(page.matches("# TYPE hits ").count(), 1, "{page}");
    accepted_by_promtool(&page);
    assert_eq!(count(&adapter, name) - before, 2.0);
    let told = [adapter.logged("no place on the page"), adapter.logged("no place on the page")];
    let told = told.map(|line| line.to_string());
    assert!(told[0].contains("hits") && told[1].contains("took_sum"), "{told:?}");
}

#[test]
fn who_waits_shares_a_scrape_and_gets_the_last_answer_when_time_is_up() {
    let server = Server::start(|_, _| (200, r#"{"a": 1}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let text = format!("inputs:\n- type: json\n  url: http://{}/\n  name: slow\n", server.addr);
    let adapter = own(folder.path(), &text);
    assert!(adapter.metrics().contains("a 1"));
    assert_eq!(server.requests(), 1);

    server.set_open(false);
    let page = adapter.page;
    let scrape = move || get(page, "/metrics", &[(TIMEOUT, "0.3")]).text();
    let waiting: Vec<_> = (0..3).map(|_| std::thread::spawn(scrape)).collect();
    for thread in waiting {
        assert!(thread.join().unwrap().contains("a 1"), "an older answer is better than none");
    }
    assert_eq!(server.requests(), 2, "three who wait share one request");
    assert_eq!(count(&adapter, "metrics_adapter_input_stale_total"), 3.0);
    assert_eq!(count(&adapter, "metrics_adapter_input_timeouts_total"), 3.0);
    assert_eq!(count(&adapter, "metrics_adapter_input_shared_total"), 2.0);

    server.set_open(true);
    wait_until("the scrape has ended", || {
        adapter.metrics();
        server.requests() > 2
    });
    assert_eq!(count(&adapter, "metrics_adapter_input_failures_total"), 0.0);
}

#[test]
fn an_input_that_fails_leaves_the_others_on_the_page() {
    let good = Server::start(|_, _| (200, r#"{"good": 1, "both": 1}"#.to_owned()));
    let bad = Server::start(|_, _| (500, String::new()));
    let text = format!(
        "inputs:\n- type: statsd\n  udp: 127.0.0.1:0\n- type: json\n  name: good\n  url: http://{}/\n\
         - type: json\n  name: bad\n  url: http://{}/\n- type: json\n  name: same\n  url: http://{}/\n",
        good.addr, bad.addr, good.addr
    );
    let folder = tempfile::tempdir().unwrap();
    let mut adapter = own(folder.path(), &text);
    adapter.send("pushed:1|c");
    let page = adapter.metrics();
    for line in ["pushed 1", "good{input=\"good\"} 1", "both{input=\"same\"} 1"] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    accepted_by_promtool(&page);
    adapter.logged("scrape failed");
    let ready = get(adapter.probe, "/readyz", &[]);
    assert_eq!(ready.status, 200, "what is pulled is no reason to restart: {}", ready.text());
    wait_until("health tells", || get(adapter.probe, "/readyz", &[]).text().contains("bad"));
    assert_eq!(count(&adapter, "metrics_adapter_input_up{input=\"bad\"}"), 0.0);
    assert_eq!(count(&adapter, "metrics_adapter_input_up{input=\"good\"}"), 1.0);
}

#[test]
fn beans_behind_jolokia_go_through_the_rules() {
    let server = Server::start(|_, body| {
        if body.contains("list") {
            let list = r#"{"status":200,"value":{"app":{"type=Q":{"attr":{"Depth":{"type":"int","desc":"waiting","rw":false}}}}}}"#;
            return (200, list.to_owned());
        }
        assert!(body.contains(r#""mbean":"app:*""#), "{body}");
        let answer = r#"[{"status":200,"request":{"mbean":"app:*"},"value":{"app:type=Q":{"Depth":5,"Name":"x"}}}]"#;
        (200, answer.to_owned())
    });
    let folder = tempfile::tempdir().unwrap();
    let rules = "includeObjectNames: [\"app:*\"]\nrules:\n- pattern: app<type=Q><>Depth\n  name: app_depth\n  type: GAUGE\n";
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let text = format!(
        "inputs:\n- type: jolokia\n  url: http://{}/jolokia\n  rules: rules.yml\n",
        server.addr
    );
    let adapter = own(folder.path(), &text);
    let page = adapter.metrics();
    for line in ["app_depth 5", "# TYPE app_depth gauge", "jmx_scrape_error 0"] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    accepted_by_promtool(&page);
}

#[test]
fn a_jvm_is_read_in_the_place_of_jmx_exporter() {
    let Some(jdk) = Jdk::any("a_jvm_is_read_in_the_place_of_jmx_exporter") else { return };
    let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    let hash = "7646de98281d0f17e9d3745f11ec9a15ccb1bd486dc3008f14a37eb637c9ecd8";
    let text = format!(
        "hostPort: 127.0.0.1:{}\nincludeObjectNames: [\"java.lang:type=Memory\"]\n\
         httpServer:\n  metrics:\n    path: /all\n  authentication:\n    basic:\n      \
         username: prom\n      algorithm: SHA-256\n      salt: sea\n      passwordHash: {hash}\n",
        jvm.port()
    );
    std::fs::write(&rules, &text).unwrap();
    let mut started = command(&["jmx_exporter", "127.0.0.1:0"]);
    started.arg(&rules);
    let adapter = Adapter::start(started);
    let login = ("Authorization", "Basic cHJvbTpwYTpzcw==");
    assert_eq!(get(adapter.page, "/all", &[]).status, 401);
    let page = get(adapter.page, "/all", &[login]).text();
    for part in [
        "java_lang_Memory_HeapMemoryUsage_used ",
        "jmx_scrape_error 0",
        "jmx_scrape_duration_seconds ",
        "jmx_scrape_cached_beans ",
        "jmx_scrape_timeout_total 0",
        "jmx_config_reload_success_total 0",
        "jmx_config_reload_failure_total 0",
        "jmx_exporter_build_info{",
    ] {
        assert!(page.lines().any(|line| line.starts_with(part)), "{part} is not in\n{page}");
    }
    accepted_by_promtool(&page);

    // A file that is newer is in force with the next scrape.
    std::fs::write(&rules, text.replace("type=Memory", "type=Threading")).unwrap();
    let page = get(adapter.page, "/all", &[login]).text();
    assert!(page.contains("java_lang_Threading_ThreadCount "), "{page}");
    assert!(page.contains("jmx_config_reload_success_total 1"), "{page}");

    drop(jvm);
    let page = get(adapter.page, "/all", &[login]).text();
    assert!(page.contains("jmx_scrape_error 1"), "{page}");
}
