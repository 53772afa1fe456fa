//! Who is let in.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use management::{ConfigError, Endpoint, StartError};

use crate::support::{ask, builder, exchange, get, post, shared, start, until};

#[test]
fn browsers_and_foreign_hosts_are_refused() {
    let (handle, _signals) = start(builder(&shared()));
    let addr = handle.admin_addr();
    let with = |header: &str| ask(addr, "GET", "/mgmt/v1/info", &[header], "").status;
    assert_eq!(with("Origin: http://localhost"), 403);
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9602", "127.9.9.9:1"] {
        assert_eq!(with(&format!("Host: {host}")), 200, "{host}");
    }
    for host in ["evil.example", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io", "a b"] {
        let status = with(&format!("Host: {host}"));
        assert!(status == 403 || status == 400, "{host}: {status}");
    }
}

#[test]
fn a_change_needs_a_sign_of_intent() {
    let (handle, _signals) = start(builder(&shared()));
    let addr = handle.admin_addr();
    let drain = |headers: &[&str]| ask(addr, "POST", "/mgmt/v1/lifecycle/drain", headers, "");
    assert_eq!(drain(&[]).status, 415);
    assert_eq!(drain(&["Content-Type: text/plain"]).status, 415);
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(drain(&[form]).status, 415);
    assert_eq!(drain(&["X-Mgmt: 1", "Origin: null"]).status, 403);
    assert_eq!(handle.state().as_str(), "starting");
    assert_eq!(drain(&["Content-Type: application/json; charset=utf-8"]).status, 202);
    let answer = ask(addr, "GET", "/mgmt/v1/lifecycle/drain", &[], "");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow").unwrap(), "POST");
    assert_eq!(answer.header("content-type").unwrap(), "application/problem+json");
    assert_eq!(answer.json()["status"], 405);
}

#[test]
fn bodies_and_headers_are_bounded() {
    let (handle, _signals) = start(builder(&shared()));
    let addr = handle.admin_addr();
    let long = format!("{{\"force\":false{}}}", " ".repeat(64 * 1024));
    assert_eq!(post(addr, "/mgmt/v1/lifecycle/shutdown", &long).status, 413);
    let header = format!("X-Long: {}", "x".repeat(20 * 1024));
    assert_eq!(ask(addr, "GET", "/livez", &[&header], "").status, 431);
    assert_eq!(handle.state().as_str(), "starting");
}

#[test]
fn a_token_is_needed_for_all_but_the_probes_and_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let mut shared = shared();
    shared.admin_token_file = Some(file.clone());
    let (handle, _signals) = start(builder(&shared));
    let addr = handle.admin_addr();
    let with = |header: &str| ask(addr, "GET", "/mgmt/v1/info", &[header], "").status;
    let refused = get(addr, "/mgmt/v1/info");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate").unwrap(), "Bearer");
    assert_eq!(get(addr, "/livez").status, 200);
    assert_eq!(get(addr, "/metrics").status, 200);
    assert_eq!(ask(addr, "POST", "/quitquitquit", &[], "").status, 401);
    assert_eq!(with("Authorization: Bearer first"), 200);
    for wrong in ["Bearer firs", "Bearer firstx", "Bearer ", "Basic first", "first"] {
        assert_eq!(with(&format!("Authorization: {wrong}")), 401, "{wrong}");
    }
    std::fs::write(&file, "the second").unwrap();
    assert_eq!(with("Authorization: Bearer first"), 401);
    assert_eq!(with("Authorization: Bearer the second"), 200);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(with("Authorization: Bearer the second"), 401);
    assert_eq!(handle.state().as_str(), "starting");
}

#[test]
fn an_open_admin_address_needs_a_token() {
    let mut shared = shared();
    shared.admin_addr = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = builder(&shared).bind().err().unwrap();
    assert!(matches!(refused, StartError::Config(ConfigError { .. })), "{refused}");
    shared.admin_token_file = Some("/nonexistent/token".into());
    let refused = builder(&shared).bind().err().unwrap();
    assert!(refused.to_string().contains("/nonexistent/token"), "{refused}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "\n").unwrap();
    shared.admin_token_file = Some(file.clone());
    assert!(builder(&shared).bind().err().unwrap().to_string().contains("empty"));
    std::fs::write(&file, "secret").unwrap();
    let (handle, _signals) = start(builder(&shared));
    let addr = SocketAddr::from(([127, 0, 0, 1], handle.admin_addr().port()));
    let headers = ["Host: pod.example:9602", "Authorization: Bearer secret"];
    assert_eq!(ask(addr, "GET", "/mgmt/v1/info", &headers, "").status, 200);
    assert_eq!(get(addr, "/mgmt/v1/info").status, 401);
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mgmt.sock");
    let mut shared = shared();
    shared.admin_socket = Some(path.clone());
    let (handle, _signals) = start(builder(&shared));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let stream = UnixStream::connect(&path).unwrap();
    let answer = exchange(stream, "localhost", "GET", "/mgmt/v1/info", &[], "");
    assert_eq!(answer.json()["admin"], handle.admin_addr().to_string());
    let taken = builder(&shared).bind().err().unwrap();
    assert!(taken.to_string().starts_with("binding the admin listener to"), "{taken}");
    // What a dead process left is no obstacle.
    let stale = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    shared.admin_socket = Some(stale.clone());
    let (_second, _signals) = start(builder(&shared));
    let stream = UnixStream::connect(&stale).unwrap();
    assert_eq!(exchange(stream, "localhost", "GET", "/livez", &[], "").status, 200);
}

#[test]
fn a_port_in_use_fails_before_anything_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut shared = shared();
    shared.probe_addr = taken.local_addr().unwrap();
    let error = builder(&shared).bind().err().unwrap();
    let start = format!("binding the probe listener to {}", shared.probe_addr);
    assert!(error.to_string().starts_with(&start), "{error}");
}

#[test]
fn an_images_endpoints_are_listed_and_under_the_same_rules() {
    let routes = axum::Router::new().route("/reload", axum::routing::post(async || "done"));
    let reload = Endpoint { method: "POST", path: "/mgmt/v1/reload", about: "Reload" };
    let (handle, _signals) = start(builder(&shared()).admin_routes(routes, &[reload]));
    let addr = handle.admin_addr();
    assert_eq!(post(addr, "/mgmt/v1/reload", "").body, "done");
    assert_eq!(ask(addr, "POST", "/mgmt/v1/reload", &[], "").status, 415);
    let list = get(addr, "/mgmt/v1").json();
    let endpoints = list["endpoints"].as_array().unwrap();
    assert!(endpoints.iter().any(|e| e["path"] == "/mgmt/v1/reload"), "{list}");
    for endpoint in endpoints {
        let path = endpoint["path"].as_str().unwrap();
        let status = ask(addr, "TRACE", path, &["X-Mgmt: 1"], "").status;
        assert_eq!(status, 405, "{path} is listed and served");
    }
    assert_eq!(get(handle.probe_addr(), "/mgmt/v1/reload").status, 404);
}

#[test]
fn idle_connections_do_not_keep_probes_from_answering() {
    let (handle, _signals) = start(builder(&shared()));
    let idle: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(handle.probe_addr()).unwrap()).collect();
    let mut half = TcpStream::connect(handle.probe_addr()).unwrap();
    half.write_all(b"GET /livez HT").unwrap();
    until("answers", || get(handle.probe_addr(), "/livez").status == 200);
    half.write_all(b"TP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    half.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    drop(idle);
}
