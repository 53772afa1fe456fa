//! A flood of lines: what the kernel gave is on the page, and what it threw away is counted.

use std::net::UdpSocket;

use rustix::process::Signal;

use crate::support::adapter::Adapter;
use crate::support::wait_until;

/// Lines of a datagram.
const PACKED: u64 = 20;
/// Different names in the flood.
const NAMES: u64 = 30;

/// Who sends.
struct Flood {
    socket: UdpSocket,
    datagrams: Vec<String>,
}

/// What the page says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    packets: u64,
    drops: u64,
    lines: u64,
    /// Sum of all series of the flood.
    counted: u64,
}

fn said(adapter: &Adapter) -> Said {
    let page = adapter.metrics();
    let read = |prefix: &str| -> u64 {
        let rows = page.lines().filter_map(|line| line.strip_prefix(prefix));
        let values = rows.map(|row| row.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.sum::<f64>() as u64
    };
    Said {
        packets: read("statsd_exporter_udp_packets_total "),
        drops: read("statsd_exporter_udp_packet_drops_total "),
        lines: read("statsd_exporter_lines_total "),
        counted: read("flood_"),
    }
}

impl Flood {
    fn new(adapter: &Adapter) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(adapter.listener("statsd-udp")).unwrap();
        let line = |at: u64| match at % 3 {
            0 => format!("flood.requests.{}:1|c", at % NAMES),
            1 => format!("flood.requests:1|c|#route:{},code:200", at % NAMES),
            _ => format!("flood.sampled.{}:0.5|c|@0.5", at % NAMES),
        };
        let datagram = |index| {
            let lines = (0..PACKED).map(|at| line(index * PACKED + at));
            lines.collect::<Vec<_>>().join("\n")
        };
        Self { socket, datagrams: (0..NAMES).map(datagram).collect() }
    }

    fn send(&self, count: usize) {
        for datagram in self.datagrams.iter().cycle().take(count) {
            self.socket.send(datagram.as_bytes()).unwrap();
        }
    }
}

/// Waits until every datagram is accounted for.
fn settled(adapter: &Adapter, sent: u64) -> Said {
    wait_until("every datagram is accounted for", || {
        let said = said(adapter);
        assert!(said.packets + said.drops <= sent, "{said:?} of {sent} datagrams");
        said.packets + said.drops == sent
    });
    // What is said of series is read before them.
    said(adapter)
}

#[test]
fn two_million_lines_are_kept_or_counted_as_dropped() {
    let adapter = Adapter::statsd(&["--statsd.read-buffer=4194304"]);
    let sent = 2_000_000 / PACKED;
    Flood::new(&adapter).send(sent as usize);
    let said = settled(&adapter, sent);
    assert_eq!(said.lines, said.packets * PACKED, "{said:?}");
    assert_eq!(said.counted, said.lines, "{said:?}");
    assert!(said.packets > 0, "{said:?}");
}

#[test]
fn drops_are_exact_when_nobody_reads_for_a_while() {
    let adapter = Adapter::statsd(&["--statsd.read-buffer=65536"]);
    let flood = Flood::new(&adapter);
    flood.send(100);
    settled(&adapter, 100);
    adapter.signal(Signal::STOP);
    flood.send(5_000);
    adapter.signal(Signal::CONT);
    let said = settled(&adapter, 5_100);
    assert!(said.drops > 0 && said.packets > 100, "{said:?}");
    assert_eq!(said.counted, said.packets * PACKED, "{said:?}");
}
