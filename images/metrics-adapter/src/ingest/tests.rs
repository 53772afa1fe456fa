//! The reader over real sockets. Most tests send first, ask for the end, and then let the reader
//! run: it takes what the kernel holds, so that nothing has to be waited for.

mod turns;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Counters, Ingest, IngestConfig, REASONS};
use crate::exposition::{Format, Page};
use crate::line::Dialects;
use crate::mapping::Mapping;
use crate::registry::{Cursor, Limits, Overflow, Registry, Seconds};

/// Longer than any wait that succeeds.
const DEADLINE: Duration = Duration::from_secs(20);

/// All dialects.
pub(super) const DIALECTS: Dialects =
    Dialects { dogstatsd: true, influxdb: true, librato: true, signalfx: true };

/// Bounds that no test meets by accident.
pub(super) const LIMITS: Limits = Limits {
    family_series_max: 10_000,
    series_max: 100_000,
    bytes_max: 1 << 30,
    label_bytes_max: 1024,
    overflow: Overflow::Fold,
};

/// The samples of a registry's page, without comments.
pub(super) fn samples(registry: &Registry, now: Seconds) -> Vec<String> {
    let mut page = Page::new(Format::Text);
    let mut cursor = Cursor::default();
    while !registry.write(&mut page, &mut cursor, 100, now) {}
    let text = String::from_utf8(page.finish()).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

pub(super) fn config() -> IngestConfig {
    IngestConfig {
        udp: Vec::new(),
        tcp: Vec::new(),
        unixgram: None,
        unixgram_mode: 0o755,
        graphite_tcp: Vec::new(),
        graphite_udp: Vec::new(),
        read_buffer: 0,
        dialects: DIALECTS,
        mapping: Arc::new(Mapping::default()),
        graphite_mapping: Arc::new(Mapping::default()),
        graphite_ttl: Duration::from_mins(5),
        limits: LIMITS,
        cache_size: 1000,
        relay: Vec::new(),
        relay_packet_bytes_max: 1400,
    }
}

fn loopback() -> Vec<String> {
    vec!["127.0.0.1:0".to_owned()]
}

fn address(ingest: &Ingest, listener: usize) -> SocketAddr {
    ingest.counters().listeners[listener].address.parse().unwrap()
}

/// Lets the reader take what the kernel holds.
fn finish(ingest: &Ingest) -> Counters {
    ingest.stop();
    ingest.run(|| {}).unwrap();
    ingest.counters()
}

fn page(ingest: &Ingest) -> Vec<String> {
    samples(&ingest.registry().lock().unwrap(), ingest.now())
}

fn sender() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

#[test]
fn reasons_stand_in_the_order_of_their_declaration() {
    for (index, reason) in REASONS.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
    }
    for (index, reason) in super::GRAPHITE_REASONS.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
    }
    for (index, kind) in super::EVENT_KINDS.into_iter().enumerate() {
        assert_eq!(kind as usize, index);
    }
}

#[test]
fn every_transport_feeds_one_registry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    let ingest = Ingest::bind(IngestConfig {
        udp: loopback(),
        tcp: loopback(),
        unixgram: Some(path.clone()),
        ..config()
    })
    .unwrap();
    let (udp, tcp) = (address(&ingest, 0), address(&ingest, 2));
    sender().send_to(b"hits:1|c\nhits:2|c\r\n", udp).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"hits:4|c", &path).unwrap();
    let mut stream = TcpStream::connect(tcp).unwrap();
    stream.write_all(b"hits:8|c\r\nhits:16").unwrap();
    stream.write_all(b"|c\nhits:32|c").unwrap();
    drop(stream);
    let counters = finish(&ingest);
    assert_eq!(page(&ingest), ["hits 63"]);
    assert_eq!((counters.lines, counters.samples), (6, 6));
    let transports: Vec<_> =
        counters.listeners.iter().map(|one| (one.transport.as_str(), one.bytes)).collect();
    assert_eq!(transports, [("udp", 19), ("unixgram", 8), ("tcp", 29)]);
    let tcp = &counters.listeners[2];
    assert_eq!((tcp.connections, tcp.open, tcp.connection_errors), (1, 0, 0));
    assert!(!path.exists(), "the socket file is removed at the end");
}

#[test]
fn graphite_comes_by_both_ways() {
    let ingest = Ingest::bind(IngestConfig {
        graphite_udp: loopback(),
        graphite_tcp: loopback(),
        ..config()
    })
    .unwrap();
    sender().send_to(b"servers.a.load 0.5 -1\nservers.b.load 1.5\n", address(&ingest, 0)).unwrap();
    let mut stream = TcpStream::connect(address(&ingest, 1)).unwrap();
    stream.write_all(b"disk;mount=/ 7 1\ndisk;mount=/x 8 -1\nno value\n").unwrap();
    let counters = finish(&ingest);
    let expected = ["disk{mount=\"/x\"} 8", "servers_a_load 0.5", "servers_b_load 1.5"];
    let mut page = page(&ingest);
    page.sort();
    assert_eq!(page, expected);
    assert_eq!((counters.graphite_lines, counters.graphite_expired, counters.lines), (5, 1, 0));
    assert_eq!(counters.graphite_errors, [0, 0, 1, 0, 0]);
}

#[test]
fn the_longest_datagram_is_taken_whole() {
    let ingest = Ingest::bind(IngestConfig { udp: loopback(), ..config() }).unwrap();
    let mut datagram = b"first:1|c\n".repeat(6549);
    datagram.extend_from_slice(b"last:1|c\n\n\n\n\n\n\n\n\n");
    assert_eq!(datagram.len(), 65_507);
    sender().send_to(&datagram, address(&ingest, 0)).unwrap();
    let counters = finish(&ingest);
    assert_eq!(page(&ingest), ["first 6549", "last 1"]);
    assert_eq!((counters.lines, counters.listeners[0].packets), (6550, 1));
}

#[test]
fn a_unix_datagram_that_is_too_long_loses_its_cut_line_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    // Nobody connects to it, so that what is passed on waits.
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = vec![format!("tcp://{}", target.local_addr().unwrap())];
    let config = IngestConfig { unixgram: Some(path.clone()), relay, ..config() };
    let ingest = Ingest::bind(config).unwrap();
    // The cut falls between the digits of a number.
    let mut datagram = b"first:1|c\n".repeat(6552);
    datagram.extend_from_slice(b"padding:123456789|c\n");
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(&datagram, &path).unwrap();
    sender.send_to(b"next:1|c", &path).unwrap();
    let counters = finish(&ingest);
    assert_eq!(page(&ingest), ["first 6552", "next 1"]);
    assert_eq!((counters.listeners[0].truncated, counters.listeners[0].packets), (1, 2));
    assert_eq!(counters.listeners[0].bytes, 65_535 + 8);
    assert_eq!(counters.relays[0].lines, 6553, "a cut line is not passed on");
}

#[test]
fn what_arrived_and_what_was_dropped_is_what_was_sent() {
    let config = IngestConfig { udp: loopback(), read_buffer: 16 << 10, ..config() };
    let ingest = Ingest::bind(config).unwrap();
    let (sender, to) = (sender(), address(&ingest, 0));
    let mut sent = 0;
    for round in 0..3 {
        for _ in 0..400 * round + 20 {
            sender.send_to(b"a:1|c\nb:1|c", to).unwrap();
            sent += 1;
        }
    }
    let counters = finish(&ingest);
    let listener = &counters.listeners[0];
    assert!(listener.kernel_drops > 0 && listener.packets > 0, "{listener:?}");
    assert_eq!(listener.packets + listener.kernel_drops, sent);
    assert_eq!(counters.lines, 2 * listener.packets);
}

#[test]
fn a_line_without_end_closes_its_connection_and_no_other() {
    let ingest = Ingest::bind(IngestConfig { tcp: loopback(), ..config() }).unwrap();
    let to = address(&ingest, 0);
    let (mut bad, mut good) = (TcpStream::connect(to).unwrap(), TcpStream::connect(to).unwrap());
    bad.write_all(b"before:1|c\n").unwrap();
    bad.write_all(&[b'x'; 5000]).unwrap();
    good.write_all(b"good:1|c\n").unwrap();
    let counters = finish(&ingest);
    assert_eq!(page(&ingest), ["before 1", "good 1"]);
    assert_eq!((counters.listeners[0].long_lines, counters.listeners[0].connections), (1, 2));
}

#[test]
fn connections_past_the_limit_are_closed_and_counted() {
    let ingest = Ingest::bind(IngestConfig { tcp: loopback(), ..config() }).unwrap();
    let to = address(&ingest, 0);
    let mut streams: Vec<_> = (0..20).map(|_| TcpStream::connect(to).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(b"a:1|c\n").unwrap();
    }
    let counters = finish(&ingest);
    let listener = &counters.listeners[0];
    assert_eq!((listener.connections, listener.connections_refused), (8, 12));
    assert_eq!(page(&ingest), ["a 8"]);
}

#[test]
fn lines_are_passed_on_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.sock");
    let (udp, tcp, unix) =
        (sender(), TcpListener::bind("127.0.0.1:0").unwrap(), UnixDatagram::bind(&path).unwrap());
    let relay = vec![
        udp.local_addr().unwrap().to_string(),
        format!("tcp://{}", tcp.local_addr().unwrap()),
        format!("unix://{}", path.display()),
    ];
    let config = IngestConfig { udp: loopback(), relay, relay_packet_bytes_max: 24, ..config() };
    let ingest = Ingest::bind(config).unwrap();
    let reader = Running::start(&ingest);
    reader.until(|counters| counters.relays.iter().all(|relay| relay.connected));
    let long = "x".repeat(24);
    let lines = format!("a:1|c\n\nb.c:0.5|ms|@0.1\r\nno line\n{long}\nlast:1|g");
    sender().send_to(lines.as_bytes(), address(&ingest, 0)).unwrap();
    let counters = reader.until(|counters| counters.relays.iter().all(|relay| relay.lines == 4));
    reader.end();
    let packets = [b"a:1|c\nb.c:0.5|ms|@0.1\n".as_slice(), b"no line\nlast:1|g\n"];
    let mut room = [0; 100];
    for packet in packets {
        let bytes = udp.recv(&mut room).unwrap();
        assert_eq!(&room[..bytes], packet);
        let bytes = unix.recv(&mut room).unwrap();
        assert_eq!(&room[..bytes], packet);
    }
    let mut stream = Vec::new();
    tcp.accept().unwrap().0.read_to_end(&mut stream).unwrap();
    assert_eq!(stream, packets.concat());
    for relay in counters.relays {
        assert_eq!((relay.packets, relay.long_lines, relay.dropped_lines), (2, 1, 0), "{relay:?}");
    }
}

#[test]
fn a_target_that_takes_nothing_holds_up_nobody() {
    // It is connected to by the kernel, and never read from.
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = vec![
        format!("tcp://{}", slow.local_addr().unwrap()),
        format!("tcp://{gone}"),
        "unix:///nowhere/at/all".to_owned(),
    ];
    let config = IngestConfig { tcp: loopback(), relay, ..config() };
    let ingest = Ingest::bind(config).unwrap();
    let reader = Running::start(&ingest);
    let mut stream = TcpStream::connect(address(&ingest, 0)).unwrap();
    let lines = b"some.name.of.a.metric:1|c|#with:a,few:tags\n".repeat(1000);
    let mut sent = 0;
    // More than the buffers of the kernel and ours take.
    let counters = loop {
        stream.write_all(&lines).unwrap();
        sent += 1000;
        let counters = reader.until(|counters| counters.lines == sent);
        if counters.relays.iter().all(|relay| relay.dropped_lines > 0) {
            break counters;
        }
        assert!(sent < 10_000_000, "{counters:?}");
    };
    assert!(counters.relays[0].connected && counters.relays[0].lines > 0);
    assert!(!counters.relays[2].connected && counters.relays[2].errors > 0);
    reader.end();
}

#[test]
fn a_target_that_comes_back_gets_whole_lines() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let relay = vec![format!("tcp://localhost:{}", to.port())];
    let config = IngestConfig { udp: loopback(), relay, ..config() };
    let ingest = Ingest::bind(config).unwrap();
    let reader = Running::start(&ingest);
    let first = listener.accept().unwrap().0;
    reader.until(|counters| counters.relays[0].connected);
    drop(first);
    reader.until(|counters| !counters.relays[0].connected);
    sender().send_to(b"while:1|c\nit:1|c\nwas:1|c\naway:1|c", address(&ingest, 0)).unwrap();
    let mut second = listener.accept().unwrap().0;
    reader.until(|counters| counters.relays[0].lines == 4);
    reader.end();
    let mut text = String::new();
    second.read_to_string(&mut text).unwrap();
    assert_eq!(text, "while:1|c\nit:1|c\nwas:1|c\naway:1|c\n");
}

#[test]
fn another_mapping_is_used_from_the_next_line_on() {
    let ingest = Ingest::bind(IngestConfig { udp: loopback(), ..config() }).unwrap();
    let reader = Running::start(&ingest);
    let to = address(&ingest, 0);
    for _ in 0..3 {
        sender().send_to(b"a.b:1|c", to).unwrap();
    }
    reader.until(|counters| counters.lines == 3);
    let mapping = "mappings: [{match: 'a.*', name: mapped, labels: {which: $1}}]";
    ingest.remap(Mapping::parse(mapping).unwrap());
    sender().send_to(b"a.b:1|c", to).unwrap();
    reader.until(|counters| counters.lines == 4);
    reader.end();
    assert_eq!(page(&ingest), ["a_b 3", "mapped{which=\"b\"} 1"]);
}

/// A reader on its thread.
struct Running<'a> {
    ingest: &'a Arc<Ingest>,
    thread: std::thread::JoinHandle<()>,
}

impl<'a> Running<'a> {
    fn start(ingest: &'a Arc<Ingest>) -> Self {
        let thread = Arc::clone(ingest);
        Self { ingest, thread: std::thread::spawn(move || thread.run(|| {}).unwrap()) }
    }

    /// Waits for a condition.
    fn until(&self, condition: impl Fn(&Counters) -> bool) -> Counters {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let counters = self.ingest.counters();
            if condition(&counters) {
                return counters;
            }
            assert!(Instant::now() < deadline, "{counters:#?}");
            std::thread::yield_now();
        }
    }

    fn end(self) {
        self.ingest.stop();
        self.ingest.join();
        self.thread.join().unwrap();
    }
}
