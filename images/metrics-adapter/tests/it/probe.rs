//! `/probe`: targets named by the scraper.

use std::net::SocketAddr;

use crate::support::adapter::{Adapter, get};
use crate::support::server::Server;
use crate::support::wait_until;
use crate::web::accepted_by_promtool;

fn adapter(folder: &std::path::Path, targets: &str, more: &str) -> Adapter {
    let path = folder.join("own.yml");
    let text = format!(
        "modules:\n  stats:\n    type: json\n    path: /stats\n    username: u\n    password: p\n  \
         other:\n    type: json\n    prefix: o\ntargets: [{targets}]\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    Adapter::own(&path)
}

fn server() -> Server {
    Server::start(|path, _| (200, format!(r#"{{"path_bytes": {}}}"#, path.len())))
}

#[test]
fn a_target_on_the_list_is_asked_with_a_module() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let SocketAddr::V4(addr) = server.addr else { panic!("not asked for") };
    let adapter = adapter(folder.path(), &format!("\"127.0.0.0/8:{}\"", addr.port()), "");
    let page = adapter.get(&format!("/probe?target={addr}&module=stats"));
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.text();
    assert!(page.contains("path_bytes 6"), "{page}");
    assert!(page.contains("probe_success 1"), "{page}");
    assert!(page.contains("probe_duration_seconds "), "{page}");
    accepted_by_promtool(&page);
    let encoded = format!("/probe?module=other&target=127.0.0.1%3A{}", addr.port());
    assert!(adapter.get(&encoded).text().contains("o_path_bytes 1"));
    let ours = get(adapter.probe, "/metrics", &[]).text();
    assert!(ours.contains("metrics_adapter_probe_sessions 2"), "{ours}");
}

#[test]
fn what_is_not_on_the_list_is_never_asked() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let port = server.addr.port();
    let adapter = adapter(folder.path(), &format!("\"10.0.0.0/8:{port}\", \"a.test:{port}\""), "");
    let table = [
        (format!("127.0.0.1:{port}"), 403),
        (format!("localhost:{port}"), 403),
        (format!("a.test.:{port}"), 403),
        (format!("b.a.test:{port}"), 403),
        (format!("10.0.0.1:{}", port.wrapping_add(1).max(1)), 403),
        (format!("[::ffff:127.0.0.1]:{port}"), 403),
        (format!("a.test@127.0.0.1:{port}"), 400),
        (format!("a.test:{port}/x"), 400),
        ("127.0.0.1".to_owned(), 400),
        (String::new(), 400),
    ];
    for (target, status) in table {
        let reply = adapter.get(&format!("/probe?target={target}&module=stats"));
        assert_eq!(reply.status, status, "{target}: {}", reply.text());
    }
    assert_eq!(adapter.get(&format!("/probe?target=10.0.0.1:{port}&module=no")).status, 400);
    assert_eq!(server.requests(), 0);
}

#[test]
fn a_target_that_is_down_is_told_and_does_not_fail_the_scrape() {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::support::free_port();
    let adapter = adapter(folder.path(), &format!("\"127.0.0.1:{port}\""), "");
    let page = adapter.get(&format!("/probe?target=127.0.0.1:{port}&module=stats"));
    assert_eq!(page.status, 200);
    assert!(page.text().contains("probe_success 0"), "{}", page.text());
}

#[test]
fn a_target_cannot_say_of_itself_that_it_answered() {
    let server = Server::start(|_, _| (200, r#"{"probe_success": 7, "a": 1}"#.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let adapter = adapter(folder.path(), &format!("\"{}\"", server.addr), "");
    let page = adapter.get(&format!("/probe?target={}", server.addr)).text();
    assert!(page.contains("\nprobe_success 1\n") && page.contains("\na 1\n"), "{page}");
    accepted_by_promtool(&page);
}

#[test]
fn without_modules_there_is_no_probe() {
    let adapter = Adapter::statsd(&[]);
    assert_eq!(adapter.get("/probe?target=127.0.0.1:1").status, 404);
}

#[test]
fn a_target_that_hangs_keeps_its_place_and_its_session() {
    let (hangs, good) = (server(), server());
    let folder = tempfile::tempdir().unwrap();
    let targets = [&hangs, &good].map(|server| format!("\"{}\"", server.addr)).join(", ");
    let path = |server: &Server| format!("/probe?target={}&module=stats", server.addr);
    let brief = [("X-Prometheus-Scrape-Timeout-Seconds", "0.3")];
    for (scrapes, sessions) in [(1, 9), (9, 1)] {
        let limits = format!(
            "limits:\n  target-scrapes-max: {scrapes}\n  target-sessions-max: {sessions}\n"
        );
        let adapter = adapter(folder.path(), &targets, &limits);
        hangs.set_open(false);
        let before = hangs.requests();
        // Who asked goes, and then again; the scrape is the same.
        for _ in 0..2 {
            let page = get(adapter.page, &path(&hangs), &brief).text();
            assert!(page.contains("probe_success 0"), "{page}");
            let other = get(adapter.page, &path(&good), &[]);
            assert_eq!(other.status, 503, "{limits}");
        }
        assert_eq!(hangs.requests(), before + 1, "{limits}");
        hangs.set_open(true);
        wait_until("there is place again", || get(adapter.page, &path(&good), &[]).status == 200);
    }
}

#[test]
fn only_so_many_targets_are_asked_at_a_time_and_kept() {
    let (server, folder) = (server(), tempfile::tempdir().unwrap());
    let other = self::server();
    let targets =
        format!("\"127.0.0.1:{}\", \"127.0.0.1:{}\"", server.addr.port(), other.addr.port());
    let limits = "limits:\n  target-scrapes-max: 1\n  target-sessions-max: 1\n";
    let adapter = adapter(folder.path(), &targets, limits);
    let path = |server: &Server| format!("/probe?target={}&module=stats", server.addr);
    server.set_open(false);
    let (page, first) = (adapter.page, path(&server));
    let waiting = std::thread::spawn(move || get(page, &first, &[]));
    wait_until("the first is asked", || server.requests() == 1);
    assert_eq!(adapter.get(&path(&other)).status, 503);
    server.set_open(true);
    assert!(waiting.join().unwrap().text().contains("probe_success 1"));
    assert!(adapter.get(&path(&other)).text().contains("probe_success 1"));
    let ours = get(adapter.probe, "/metrics", &[]).text();
    assert!(ours.contains("metrics_adapter_probe_sessions 1"), "{ours}");
}
