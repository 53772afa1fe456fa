//! Pulled inputs: shared scrapes, deadlines, stale answers, joined families; a real JVM.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::support::adapter::{Adapter, call, command, get};
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
fn a_scraper_cannot_ask_for_more_time_than_is_configured() {
    let server = Server::start(|_, _| (200, r#"{"a": 1}"#.to_owned()));
    server.set_open(false);
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "scrape-timeout: 200ms\nscrape-timeout-max: 300ms\ninputs:\n- type: json\n  url: http://{}/\n",
        server.addr
    );
    let adapter = own(folder.path(), &text);
    // Fails when there is no answer within a minute.
    let reply = get(adapter.page, "/metrics", &[(TIMEOUT, "600")]);
    assert_eq!(reply.status, 200);
    assert_eq!(count(&adapter, "metrics_adapter_input_timeouts_total"), 1.0);
}

#[test]
fn a_scrape_that_nobody_waits_for_is_given_up() {
    let server = Server::start(|_, _| (200, r#"{"a": 1}"#.to_owned()));
    server.set_open(false);
    // Connections are made, and nothing is ever said.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "scrape-timeout: 300ms\nscrape-timeout-max: 10m\ninputs:\n\
         - type: json\n  name: web\n  url: http://{}/\n\
         - type: jmx\n  name: jvm\n  target: {}\n",
        server.addr,
        silent.local_addr().unwrap()
    );
    let adapter = own(folder.path(), &text);
    let mut client = TcpStream::connect(adapter.page).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{TIMEOUT}: 600\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let (_jvm, _) = silent.accept().unwrap();
    wait_until("both are asked", || server.requests() == 1);
    let failures = |name| {
        count(&adapter, &format!("metrics_adapter_input_failures_total{{input=\"{name}\"}}"))
    };
    assert_eq!((failures("web"), failures("jvm")), (0.0, 0.0));
    drop(client);
    wait_until("both are given up", || failures("web") + failures("jvm") == 2.0);
}

#[test]
fn a_reload_keeps_the_inputs_that_are_the_same() {
    let kept = Server::start(|_, _| (200, r#"{"kept": 1}"#.to_owned()));
    let other = Server::start(|_, _| (200, r#"{"x": 1}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.yml");
    let mapping = "mappings:\n- match: x\n  name: before\n";
    std::fs::write(&map, mapping).unwrap();
    let text = format!(
        "inputs:\n- type: statsd\n  udp: 127.0.0.1:0\n\
         - type: json\n  name: kept\n  url: http://{}/\n\
         - type: json\n  name: other\n  url: http://{}/\n  mapping: map.yml\n  start-delay: 500ms\n",
        kept.addr, other.addr
    );
    let mut adapter = own(folder.path(), &text);
    wait_until("the delay is over", || adapter.metrics().contains("before{input=\"other\"} 1"));
    let scrapes =
        |name| count(&adapter, &format!("metrics_adapter_input_scrapes_total{{input=\"{name}\"}}"));
    let before = (scrapes("kept"), scrapes("other"));
    assert!(before.0 > 0.0 && before.1 > 0.0);

    std::fs::write(&map, mapping.replace("before", "after")).unwrap();
    let more = text.replace("127.0.0.1:0\n", "127.0.0.1:0\n  cache-size: 5\n");
    let path = folder.path().join("own.yml");
    std::fs::write(path, format!("# moved\nlimits:\n  series-max: 7\n{more}")).unwrap();
    let reload = call(adapter.admin, "POST", "/mgmt/v1/reload", &[("X-Mgmt", "1")]);
    assert_eq!(reload.status, 200, "{}", reload.text());
    assert_eq!((scrapes("kept"), scrapes("other")), before, "what was counted stays");

    // The last answer of the one is there still; the other is asked at once, with the new mapping.
    kept.set_open(false);
    let page = get(adapter.page, "/metrics", &[(TIMEOUT, "1")]).text();
    assert!(page.contains("kept{input=\"kept\"} 1"), "{page}");
    assert!(page.contains("after{input=\"other\"} 1"), "{page}");
    let told = adapter.logged("needs a restart").to_string();
    assert!(told.contains("cache-size, series-max"), "{told}");
}

#[test]
fn a_file_that_was_wrong_is_tried_again_but_not_for_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    let authority = folder.path().join("ca.pem");
    let port = crate::support::free_port();
    let text = format!(
        "hostPort: 127.0.0.1:{port}\nhttpServer:\n  authentication:\n    basic:\n      \
         username: a\n      password: b\n"
    );
    std::fs::write(&rules, &text).unwrap();
    let mut started = command(&["jmx_exporter", "127.0.0.1:0"]);
    started.arg(&rules);
    let adapter = Adapter::start(started);
    let page = |login: &str| get(adapter.page, "/metrics", &[("Authorization", login)]);
    // a:b, a:c
    let (first, second) = ("Basic YTpi", "Basic YTpj");
    let reloads = |outcome: &str| {
        count(&adapter, &format!("metrics_adapter_reloads_total{{outcome=\"{outcome}\"}}"))
    };
    assert_eq!(page(first).status, 200);

    // A store that is not there yet.
    let wrong = format!(
        "{}ssl:\n  enabled: true\n  trustStore:\n    filename: {}\n    type: PEM\n",
        text.replace("password: b", "password: c"),
        authority.display()
    );
    std::fs::write(&rules, wrong).unwrap();
    for _ in 0..3 {
        assert_eq!(page("").status, 401);
    }
    assert_eq!(reloads("failure"), 1.0, "strangers make it be read once");
    assert_eq!(page(first).status, 200);
    assert_eq!(reloads("failure"), 2.0);
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&authority, own.cert.pem()).unwrap();
    // The rules file is as it was; with what it names it is good, and has another password.
    assert_eq!(page(first).status, 401);
    assert_eq!((reloads("success"), page(second).status), (1.0, 200));

    // A user whom the file names only now need not know the one before.
    std::fs::write(&rules, &text).unwrap();
    assert_eq!(page(first).status, 200);
    assert_eq!(reloads("success"), 2.0);
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
