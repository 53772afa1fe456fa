//! The page: paths, formats, compression, authentication, TLS, reloads.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;

use flate2::read::GzDecoder;
use rustix::process::Signal;

use crate::support::adapter::{Adapter, Reply, call, get};
use crate::support::wait_until;

const MAPPED: &str =
    "mappings:\n- match: \"web.*.hits\"\n  name: web_hits\n  labels:\n    site: $1\n";

/// Fails unless `promtool` reads the page. What it says about names is for their owners.
pub(crate) fn accepted_by_promtool(page: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = started.expect("promtool is needed (Debian: prometheus; cargo xtask setup)");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // 3 is for what its linter would name otherwise.
    assert!(matches!(output.status.code(), Some(0 | 3)), "promtool: {said}\n{page}");
    assert!(!said.contains("error while linting"), "promtool: {said}\n{page}");
}

#[test]
fn the_page_of_statsd_exporter_has_its_paths_and_metrics() {
    let adapter = Adapter::statsd(&[]);
    adapter.send("hits:3|c\ndepth:7|g\ntook:20|ms\nbad");
    let page = adapter.metrics();
    for line in [
        "hits 3",
        "depth 7",
        "took_count 1",
        "statsd_exporter_lines_total 4",
        "statsd_exporter_events_total{type=\"counter\"} 1",
        "statsd_exporter_sample_errors_total{reason=\"malformed_line\"} 1",
        "statsd_exporter_loaded_mappings 0",
        "statsd_exporter_metrics_total{type=\"gauge\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("metrics_adapter_"), "{page}");
    accepted_by_promtool(&page);
    let ours = get(adapter.probe, "/metrics", &[]).text();
    assert!(ours.contains("metrics_adapter_listener_kernel_drops_total{"), "{ours}");
    accepted_by_promtool(&ours);

    assert_eq!(adapter.get("/-/healthy").text(), "Statsd Exporter is Healthy.\n");
    assert_eq!(adapter.get("/-/ready").text(), "Statsd Exporter is Ready.\n");
    assert!(adapter.get("/").text().contains("<a href=\"/metrics\">"));
    assert_eq!(adapter.get("/nothing").status, 404);
    assert_eq!(call(adapter.page, "POST", "/metrics", &[]).status, 405);
    assert_eq!(call(adapter.page, "HEAD", "/metrics", &[]).status, 200);
    for path in ["/-/reload", "/-/quit"] {
        assert_eq!(call(adapter.page, "POST", path, &[]).status, 404, "{path} is not asked for");
    }
}

#[test]
fn formats_are_negotiated_and_compressed() {
    let adapter = Adapter::statsd(&[]);
    adapter.send("hits:3|c\ntook:1|h");
    let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                    encoding=delimited";
    let table = [
        ("", "text/plain; version=0.0.4"),
        ("text/html", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("text/plain;version=0.0.4,application/openmetrics-text;q=0.1", "text/plain"),
        (protobuf, "application/vnd.google.protobuf"),
    ];
    for (accept, kind) in table {
        let plain = get(adapter.page, "/metrics", &[("Accept", accept)]);
        assert!(
            plain.header("content-type").unwrap().starts_with(kind),
            "{accept}: {}",
            plain.head
        );
        assert_eq!(plain.header("content-encoding"), None);
        let headers = [("Accept", accept), ("Accept-Encoding", "br, gzip;q=0.5")];
        let packed = get(adapter.page, "/metrics", &headers);
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{accept}");
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked.len(), plain.body.len(), "{accept}");
    }
    let open = get(adapter.page, "/metrics", &[("Accept", table[2].0)]).text();
    assert!(open.ends_with("# EOF\n"), "{open}");
    assert!(open.contains("statsd_exporter_lines_total 2.0"), "{open}");
    for (accepted, packed) in [
        ("gzip;q=0", false),
        ("gzip;q=0, *", false),
        ("*, gzip;q=0", false),
        ("*;q=0, GZIP;Q=0.1", true),
        ("*", true),
        ("br", false),
    ] {
        let reply = get(adapter.page, "/metrics", &[("Accept-Encoding", accepted)]);
        assert_eq!(reply.header("content-encoding").is_some(), packed, "{accepted}");
    }
}

#[test]
fn what_is_pushed_takes_no_name_of_the_adapters_own_metrics() {
    let adapter = Adapter::statsd(&[]);
    adapter
        .send("statsd_exporter_udp_packet_drops_total:5|c\nstatsd_exporter_lines:5|ms\nhits:1|c");
    for accept in ["text/plain", "application/openmetrics-text"] {
        let page = get(adapter.page, "/metrics", &[("Accept", accept)]).text();
        let name = "statsd_exporter_udp_packet_drops_total";
        let found: Vec<&str> = page.lines().filter(|line| line.starts_with(name)).collect();
        assert_eq!(found.len(), 1, "{accept}: {page}");
        assert!(found[0].starts_with(&format!("{name} 0")), "{accept}: {page}");
    }
    let page = adapter.metrics();
    assert!(page.contains("hits 1"), "{page}");
    accepted_by_promtool(&page);
    let ours = get(adapter.probe, "/metrics", &[]).text();
    let name = "metrics_adapter_page_left_out_total{source=\"pushed\"} ";
    let count = ours.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert!(count.parse::<f64>().unwrap() >= 3.0, "{ours}");
}

#[test]
fn what_is_cut_refused_or_discarded_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mapping = "mappings:\n- match: noise.*\n  name: noise\n  action: drop\n";
    std::fs::write(folder.path().join("map.yml"), mapping).unwrap();
    let own = folder.path().join("own.yml");
    let text = "limits:\n  label-bytes-max: 16\ninputs:\n- type: statsd\n  udp: 127.0.0.1:0\n\
                - type: graphite\n  udp: 127.0.0.1:0\n  mapping: map.yml\n";
    std::fs::write(&own, text).unwrap();
    let adapter = Adapter::own(&own);
    adapter.send("x:1|c\nx:1|g\ny:1|c|#l:a_value_that_is_too_long");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lines = b"noise.a 1\nnoise.b 2\n";
    socket.send_to(lines, adapter.listener("graphite-udp")).unwrap();
    for line in [
        "metrics_adapter_graphite_dropped_total 2",
        "metrics_adapter_labels_cut_total 1",
        "metrics_adapter_series_conflicts_total 1",
        "metrics_adapter_ingest_batches_total 2",
    ] {
        wait_until(line, || {
            get(adapter.probe, "/metrics", &[]).text().lines().any(|found| found == line)
        });
    }
}

#[test]
fn a_reload_takes_a_good_mapping_and_keeps_the_old_one_for_a_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.yml");
    std::fs::write(&path, MAPPED).unwrap();
    let file = path.display().to_string();
    let flags = ["--statsd.mapping-config", &file, "--web.enable-lifecycle"];
    let mut adapter = Adapter::statsd(&flags);
    adapter.send("web.a.hits:1|c");
    assert!(adapter.metrics().contains("web_hits{site=\"a\"} 1"));

    std::fs::write(&path, "mappings: 7").unwrap();
    let reply = call(adapter.page, "POST", "/-/reload", &[]);
    assert_eq!(reply.status, 500);
    assert!(reply.text().contains("map.yml"), "{}", reply.text());
    adapter.send("web.b.hits:1|c");
    let page = adapter.metrics();
    assert!(page.contains("web_hits{site=\"b\"} 1"), "{page}");
    assert!(page.contains("statsd_exporter_config_reloads_total{outcome=\"failure\"} 1"), "{page}");

    std::fs::write(&path, MAPPED.replace("web_hits", "site_hits")).unwrap();
    assert_eq!(call(adapter.page, "PUT", "/-/reload", &[]).status, 200);
    adapter.send("web.b.hits:1|c");
    let page = adapter.metrics();
    assert!(page.contains("site_hits{site=\"b\"} 1"), "{page}");
    assert!(page.contains("web_hits{site=\"a\"} 1"), "series stay: {page}");

    std::fs::write(&path, MAPPED.replace("web_hits", "hup_hits")).unwrap();
    adapter.signal(Signal::HUP);
    wait_until("the signal is followed", || {
        let name = "statsd_exporter_config_reloads_total{outcome=\"success\"} 2";
        adapter.metrics().contains(name)
    });
    adapter.send("web.c.hits:1|c");
    assert!(adapter.metrics().contains("hup_hits{site=\"c\"} 1"));

    let admin = [("X-Mgmt", "1")];
    assert_eq!(call(adapter.admin, "POST", "/mgmt/v1/reload", &admin).status, 200);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(call(adapter.admin, "POST", "/mgmt/v1/reload", &admin).status, 422);

    assert_eq!(call(adapter.page, "POST", "/-/quit", &[]).status, 200);
    assert_eq!(adapter.wait(), Some(0));
}

#[test]
fn users_are_asked_for_their_password() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.yml");
    // SHA-256 of `sea:pa:ss`.
    let hash = "7646de98281d0f17e9d3745f11ec9a15ccb1bd486dc3008f14a37eb637c9ecd8";
    let text = format!(
        "inputs:\n- type: statsd\n  udp: 127.0.0.1:0\nweb:\n  users:\n  - name: a\n    \
         password: b\n  - name: prom\n    algorithm: SHA-256\n    salt: sea\n    \
         password-hash: {hash}\n"
    );
    std::fs::write(&own, text).unwrap();
    let adapter = Adapter::own(&own);
    let ask = |authorization: &str| -> Reply {
        get(adapter.page, "/metrics", &[("Authorization", authorization)])
    };
    // a:b, prom:pa:ss
    for good in ["Basic YTpi", "Basic cHJvbTpwYTpzcw=="] {
        assert_eq!(ask(good).status, 200, "{good}");
    }
    for bad in ["", "Basic", "Basic YTpj", "Bearer YTpi", "Basic cHJvbTpi"] {
        let reply = ask(bad);
        assert_eq!(reply.status, 401, "{bad}");
        assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"/\""));
    }
    assert_eq!(get(adapter.page, "/-/healthy", &[]).status, 401);
    let ours = get(adapter.probe, "/metrics", &[]).text();
    assert!(ours.contains("metrics_adapter_page_unauthorized_total 6"), "{ours}");
    // Neither users nor their passwords are shown to anybody.
    let config = get(adapter.admin, "/mgmt/v1/config", &[]).text();
    assert!(!config.contains(hash), "{config}");
}

#[test]
fn the_page_can_be_had_over_tls_with_certificates_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let client = rcgen::generate_simple_self_signed(vec!["scraper".to_owned()]).unwrap();
    file("cert.pem", &own.cert.pem());
    file("key.pem", &own.signing_key.serialize_pem());
    file("client.pem", &client.cert.pem());
    let text = "inputs:\n- type: statsd\n  udp: 127.0.0.1:0\nweb:\n  tls:\n    \
                cert-file: cert.pem\n    key-file: key.pem\n    ca-file: client.pem\n";
    file("own.yml", text);
    let adapter = Adapter::own(&folder.path().join("own.yml"));
    let ask = |shows: bool| -> std::io::Result<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if shows {
            let key =
                rustls::pki_types::PrivateKeyDer::try_from(client.signing_key.serialize_der());
            builder.with_client_auth_cert(vec![client.cert.der().clone()], key.unwrap()).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let name = "localhost".try_into().unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let socket = TcpStream::connect(adapter.page).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, socket);
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        // With TLS 1.3 a client hears of its refusal when it reads.
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    assert_eq!(ask(true).unwrap(), b'H');
    assert!(ask(false).is_err());
    wait_until("the failure is counted", || {
        let ours = get(adapter.probe, "/metrics", &[]).text();
        ours.contains("metrics_adapter_page_tls_failures_total 1")
    });
}

#[test]
fn the_path_of_the_page_is_chosen() {
    let adapter = Adapter::statsd(&["--web.telemetry-path=/all/of{it}"]);
    assert_eq!(adapter.get("/all/of{it}").status, 200);
    assert_eq!(adapter.get("/metrics").status, 404);
}
