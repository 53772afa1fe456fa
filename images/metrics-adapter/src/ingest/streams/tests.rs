use std::io::Write as _;
use std::net::TcpStream as Peer;

use mio::{Poll, Waker};

use super::super::Ingest;
use super::super::tests::{config, samples};
use super::*;

/// Streams without a reader, so that time is what a test says.
struct Bench {
    poll: Poll,
    streams: Streams,
    relay: Relay,
    ingest: Arc<Ingest>,
}

impl Bench {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let registry = poll.registry().try_clone().unwrap();
        let relay = Relay::new(&[], 1400, registry, waker, 1).unwrap();
        let listener = Connections::tcp("127.0.0.1:0", Protocol::Statsd).unwrap();
        let ingest = Ingest::bind(config()).unwrap();
        Self { poll, streams: Streams::new(vec![listener], 1 << 24), relay, ingest }
    }

    fn connect(&mut self) -> Peer {
        let peer = Peer::connect(self.streams.listeners[0].socket.local_addr().unwrap()).unwrap();
        while self.streams.accept(0, self.poll.registry()) == Turn::More {}
        self.read();
        peer
    }

    /// Reads everything there is.
    fn read(&mut self) {
        while self.streams.are_ready() {
            self.streams.turn(&self.ingest, &mut self.relay, &|| {});
        }
    }

    fn wait(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.streams.tick());
    }

    /// Connections closed for being idle, refused, and cut.
    fn closed(&self) -> [u64; 3] {
        let reading = self.streams.listeners[0].counts.reading();
        [reading.connections_idle, reading.connections_refused, reading.connections_cut]
    }
}

#[test]
fn who_has_been_idle_longest_goes_for_another() {
    let mut bench = Bench::new();
    let mut peers: Vec<Peer> = (0..CONNECTIONS_MAX).map(|_| bench.connect()).collect();
    peers[3].write_all(b"first:1|c\nhalf:1|c|@0.2").unwrap();
    bench.streams.queue_all();
    bench.read();
    bench.wait(IDLE_TICKS - 1);
    for (index, peer) in peers.iter_mut().enumerate() {
        if index != 3 {
            peer.write_all(b"again:1|c\n").unwrap();
        }
    }
    bench.streams.queue_all();
    bench.read();
    peers.push(bench.connect());
    assert_eq!(bench.closed(), [0, 1, 0], "nobody is idle for long");
    bench.wait(1);
    peers.push(bench.connect());
    assert_eq!(bench.closed(), [1, 1, 1]);
    peers.push(bench.connect());
    assert_eq!(bench.closed(), [1, 2, 1], "the others have spoken");
    let page = samples(&bench.ingest.registry().lock().unwrap(), 0);
    assert_eq!(page, ["again 7", "first 1"]);
}

#[test]
fn who_has_begun_to_speak_stays() {
    let mut bench = Bench::new();
    let mut peers: Vec<Peer> = (0..CONNECTIONS_MAX).map(|_| bench.connect()).collect();
    bench.wait(IDLE_TICKS);
    for peer in &mut peers {
        peer.write_all(b"a:1|c\n").unwrap();
    }
    // Nobody has told the streams.
    peers.push(bench.connect());
    assert_eq!(bench.closed(), [0, 1, 0]);
    let page = samples(&bench.ingest.registry().lock().unwrap(), 0);
    assert_eq!(page, ["a 1"]);
}
