//! Turns: who waits for whom, and for how long.

use std::cell::{Cell, RefCell};

use super::super::streams::TURN_BYTES;
use super::super::{Protocol, cut};
use super::*;

#[test]
fn lines_are_cut_at_their_ends() {
    let table = [
        ("", 0, ""),
        ("", 5, ""),
        ("ab", 0, "ab"),
        ("a\nb", 0, "a\n"),
        ("a\nb", 1, "a\n"),
        ("a\nb", 2, "a\nb"),
        ("a\nb\n", 3, "a\nb\n"),
        ("a\nbc\nd", 2, "a\nbc\n"),
        ("\n\n\n", 1, "\n\n"),
    ];
    for (lines, bytes, first) in table {
        let (now, later) = cut(lines.as_bytes(), bytes);
        assert_eq!(now, first.as_bytes(), "{lines:?} {bytes}");
        assert_eq!([now, later].concat(), lines.as_bytes());
    }
}

#[test]
fn the_locks_are_given_up_again_and_again_in_a_flood() {
    let ingest = Ingest::bind(config()).unwrap();
    let lines = b"x:1|c\n".repeat(100_000);
    let beats = Cell::new(0);
    let beat = || {
        assert!(ingest.registry.is_free() && ingest.core.is_free());
        beats.set(beats.get() + 1);
    };
    let mut hold = ingest.hold(&beat);
    hold.begin();
    assert!(!ingest.registry.is_free() && !ingest.core.is_free());
    hold.take(Protocol::Statsd, &lines);
    drop(hold);
    assert!(beats.get() >= lines.len() / (64 << 10), "{}", beats.get());
    assert_eq!(ingest.counters().lines, 100_000);
    assert_eq!(page(&ingest), ["x 100000"]);
}

#[test]
fn the_beat_goes_on_within_a_batch() {
    let ingest = Ingest::bind(IngestConfig { udp: loopback(), ..config() }).unwrap();
    let datagram = b"x:1|c\n".repeat(10_900);
    for _ in 0..2 {
        sender().send_to(&datagram, address(&ingest, 0)).unwrap();
    }
    let beats = Cell::new(0);
    ingest.stop();
    ingest.run(|| beats.set(beats.get() + 1)).unwrap();
    assert_eq!(ingest.counters().batches, 1);
    assert_eq!(page(&ingest), ["x 21800"]);
    // Once for each turn of the end, of which there is one, and the others within.
    assert!(beats.get() > 2 * datagram.len() / (64 << 10), "{}", beats.get());
}

#[test]
fn a_busy_connection_loses_nothing_at_the_end() {
    let ingest = Ingest::bind(IngestConfig { tcp: loopback(), ..config() }).unwrap();
    let stream = RefCell::new(TcpStream::connect(address(&ingest, 0)).unwrap());
    // Many reads.
    let lines = b"a:1|c\n".repeat(4_000);
    stream.borrow_mut().write_all(&lines).unwrap();
    let beat = || {
        // It has been read once, and waits for its next turn.
        if ingest.counters().listeners[0].packets > 0 && !ingest.is_stopping() {
            stream.borrow_mut().write_all(&lines).unwrap();
            ingest.stop();
        }
    };
    ingest.run(beat).unwrap();
    assert_eq!(page(&ingest), ["a 8000"]);
    let listener = &ingest.counters().listeners[0];
    assert_eq!((listener.connections_cut, listener.open), (0, 0));
}

#[test]
fn half_a_line_at_our_end_is_no_line() {
    let ingest = Ingest::bind(IngestConfig { tcp: loopback(), ..config() }).unwrap();
    let to = address(&ingest, 0);
    let mut open = TcpStream::connect(to).unwrap();
    open.write_all(b"whole:1|c\nsampled:1|c|@0.2").unwrap();
    let mut ended = TcpStream::connect(to).unwrap();
    ended.write_all(b"last:1|c|@0.5").unwrap();
    drop(ended);
    let counters = finish(&ingest);
    assert_eq!(page(&ingest), ["last 2", "whole 1"]);
    let listener = &counters.listeners[0];
    assert_eq!((listener.connections_cut, listener.connection_errors), (1, 0));
}

#[test]
fn busy_streams_hold_up_no_datagram() {
    let config = IngestConfig { udp: loopback(), tcp: loopback(), ..config() };
    let ingest = Ingest::bind(config).unwrap();
    let lines = b"tcp:1|c\n".repeat(3_000);
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(address(&ingest, 1)).unwrap();
        stream.write_all(&lines).unwrap();
        streams.push(stream);
    }
    let sender = sender();
    for _ in 0..150 {
        sender.send_to(b"udp:1|c", address(&ingest, 0)).unwrap();
    }
    // Bytes of streams before the last datagram, and the most of one turn.
    let (before, most, last) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let beat = || {
        let counters = ingest.counters();
        let [udp, tcp] = &counters.listeners[..] else { panic!("{counters:?}") };
        if udp.packets < 150 {
            before.set(tcp.bytes);
        }
        most.set(most.get().max(tcp.bytes - last.replace(tcp.bytes)));
    };
    ingest.stop();
    ingest.run(beat).unwrap();
    assert_eq!(page(&ingest), ["tcp 24000", "udp 150"]);
    let (before, most) = (before.get() as usize, most.get() as usize);
    // Connections are taken in the first turn, and read from there.
    assert!(before <= TURN_BYTES, "{before} bytes of streams came before datagrams");
    assert!(most <= 2 * TURN_BYTES, "{most} bytes in a turn");
}
