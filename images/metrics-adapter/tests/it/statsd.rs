//! statsd as its senders see it: every transport, hostile lines, relays, the end.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::adapter::{Adapter, run};
use crate::support::{WAIT_MAX, wait_until};
use crate::web::accepted_by_promtool;

fn has(page: &str, line: &str) -> bool {
    page.lines().any(|found| found == line)
}

#[test]
fn every_transport_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    let flag = format!("--statsd.listen-unixgram={}", path.display());
    let mut adapter = Adapter::statsd(&[&flag, "--statsd.unixsocket-mode=722"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o722);
    UnixDatagram::unbound().unwrap().send_to(b"hits:1|c\nhits:2|c\n", &path).unwrap();
    let mut stream = TcpStream::connect(adapter.listener("statsd-tcp")).unwrap();
    stream.write_all(b"hits:4|c\nhits:").unwrap();
    adapter.send("hits:8|c");
    stream.write_all(b"16|c\n").unwrap();
    wait_until("all lines are on the page", || has(&adapter.metrics(), "hits 31"));
    let page = adapter.metrics();
    for line in [
        "statsd_exporter_udp_packets_total 1",
        "statsd_exporter_unixgram_packets_total 1",
        "statsd_exporter_tcp_connections_total 1",
        "statsd_exporter_lines_total 5",
    ] {
        assert!(has(&page, line), "{line} is not in\n{page}");
    }
    // The file is somebody's while the adapter runs.
    let second = run(&["statsd_exporter", "--statsd.listen-udp=", "--statsd.listen-tcp=", &flag]);
    assert_ne!(second.status.code(), Some(0));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("exists already"), "{said}");
    adapter.signal(Signal::TERM);
    assert_eq!(adapter.wait(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_tcp_line_without_end_is_cut_off() {
    let adapter = Adapter::statsd(&[]);
    let mut stream = TcpStream::connect(adapter.listener("statsd-tcp")).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    stream.write_all(&[b'x'; 5000]).unwrap();
    // Closed with bytes unread, it may say so in either way.
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    let page = adapter.metrics();
    assert!(has(&page, "statsd_exporter_tcp_too_long_lines_total 1"), "{page}");
}

/// Lines that end `statsd_exporter`, spoil its page, or cost it seconds.
#[test]
fn no_line_harms_the_page() {
    let adapter = Adapter::statsd(&[]);
    adapter.send("fine:1|c\nx:1|ms|#quantile:5\ny:1|c|#__name__:z,le:1\nn:1|c\nn:nan|c\nn:inf|c");
    adapter.send("w:1|ms|@0.0000002\na]b[c:1|c\n,a=b:1|c\nlast:1|c\nn:1|c");
    let page = adapter.metrics();
    accepted_by_promtool(&page);
    for line in [
        "fine 1",
        "n 2",
        "last 1",
        "x_count{exported_quantile=\"5\"} 1",
        "y{exported___name__=\"z\",le=\"1\"} 1",
        "w_count 5000000",
        "statsd_exporter_sample_errors_total{reason=\"not_finite\"} 2",
    ] {
        assert!(has(&page, line), "{line} is not in\n{page}");
    }
}

/// What has arrived when the adapter is asked to end is taken and passed on before it does.
#[test]
fn the_end_loses_nothing_that_has_arrived() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(WAIT_MAX)).unwrap();
    let flag = format!("--statsd.relay.address={}", target.local_addr().unwrap());
    let mut adapter = Adapter::statsd(&[&flag, "--statsd.relay.packet-length=100"]);
    let to = adapter.listener("statsd-udp");
    adapter.send("first:1|c");
    let mut room = [0; 200];
    assert_eq!(target.recv(&mut room).map(|bytes| room[..bytes].to_vec()).unwrap(), b"first:1|c\n");
    adapter.signal(Signal::STOP);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for index in 0..50 {
        sender.send_to(format!("late.{index}:1|c").as_bytes(), to).unwrap();
    }
    adapter.signal(Signal::TERM);
    adapter.signal(Signal::CONT);
    assert_eq!(adapter.wait(), Some(0));
    target.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut passed = String::new();
    while let Ok(bytes) = target.recv(&mut room) {
        assert!(bytes <= 100);
        passed += std::str::from_utf8(&room[..bytes]).unwrap();
    }
    let expected: String = (0..50).map(|index| format!("late.{index}:1|c\n")).collect();
    assert_eq!(passed, expected);
}
