//! The thread: waits, reads, gives on.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::errno::Errno;

use super::counters::Protocol;
use super::framing::Framing;
use super::receive::{BATCH, Slab};
use super::relay::Relay;
use super::sockets::{self, Connections, Counts, Datagrams};
use super::{Ingest, IngestConfig};

/// Connections of all listeners together; more are closed at once.
const CONNECTIONS_MAX: usize = if cfg!(test) { 8 } else { 1024 };
/// Connections taken before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Bytes of one read of a stream.
const STREAM_READ_BYTES: usize = 64 << 10;
/// Time between two looks at what expires, waits or has been lost.
const TICK: Duration = Duration::from_secs(1);
/// Time for what is in the sockets, and then for what waits for relays, at the end.
const DRAIN: Duration = Duration::from_secs(1);
/// Ticks between two log lines about datagrams that were lost.
const DROPS_LOG_TICKS: u32 = 10;

/// What is woken for other threads.
const WAKER: Token = Token(0);
/// The first relay; the tokens before belong to listeners.
const RELAYS: usize = 1 << 16;
/// The first connection.
const CONNECTIONS: usize = 1 << 24;

/// Everything that is read from, before it is.
#[derive(Debug)]
pub(super) struct Reader {
    poll: Poll,
    waker: Arc<Waker>,
    datagrams: Vec<Datagrams>,
    listeners: Vec<Connections>,
    relay: Relay,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// What may have something to read, in the order of the turns.
    ready: std::collections::VecDeque<Token>,
}

/// One stream.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    framing: Framing,
    counts: Arc<Counts>,
    /// It stands in the queue.
    ready: bool,
}

/// Room for what is read; stays on the thread.
struct Room {
    slab: Slab,
    stream: Vec<u8>,
    /// The sockets that have not been asked for their drops in this tick.
    ask_drops: Vec<bool>,
}

/// Whether a source may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    More,
    Empty,
}

/// What ended a connection.
enum Ended {
    Well,
    Failed,
    LongLine,
}

// === impl Reader ===

impl Reader {
    /// Binds and registers everything.
    pub(super) fn bind(config: &IngestConfig) -> anyhow::Result<Self> {
        let poll = Poll::new().context("making an epoll")?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).context("making a waker")?);
        let buffer = config.read_buffer;
        let mut datagrams = Vec::new();
        for (addresses, protocol) in
            [(&config.udp, Protocol::Statsd), (&config.graphite_udp, Protocol::Graphite)]
        {
            for address in addresses {
                datagrams.push(Datagrams::udp(address, protocol, buffer)?);
            }
        }
        if let Some(path) = &config.unixgram {
            let mode = config.unixgram_mode;
            datagrams.push(Datagrams::unix(path, mode, Protocol::Statsd, buffer)?);
        }
        let mut listeners = Vec::new();
        for (addresses, protocol) in
            [(&config.tcp, Protocol::Statsd), (&config.graphite_tcp, Protocol::Graphite)]
        {
            for address in addresses {
                listeners.push(Connections::tcp(address, protocol)?);
            }
        }
        let mut token = WAKER.0;
        let mut next = || {
            token += 1;
            Token(token)
        };
        let registry = poll.registry();
        for socket in &mut datagrams {
            socket.register(registry, next()).context("registering a socket")?;
        }
        for listener in &mut listeners {
            let socket = &mut listener.socket;
            registry
                .register(socket, next(), Interest::READABLE)
                .context("registering a socket")?;
        }
        let relay_registry = registry.try_clone().context("sharing an epoll")?;
        let relay = Relay::new(
            &config.relay,
            config.relay_packet_bytes_max,
            relay_registry,
            Arc::clone(&waker),
            RELAYS,
        )?;
        Ok(Self {
            poll,
            waker,
            datagrams,
            listeners,
            relay,
            connections: Vec::new(),
            free: Vec::new(),
            ready: std::collections::VecDeque::new(),
        })
    }

    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(super) fn counts(&self) -> Vec<Arc<Counts>> {
        let datagrams = self.datagrams.iter().map(|socket| &socket.counts);
        datagrams.chain(self.listeners.iter().map(|socket| &socket.counts)).cloned().collect()
    }

    pub(super) fn relay_counts(&self) -> Vec<Arc<super::relay::Counts>> {
        self.relay.counts().cloned().collect()
    }

    /// Reads until the end is asked for, and then what is there already.
    pub(super) fn run(mut self, ingest: &Ingest, beat: &dyn Fn()) -> io::Result<()> {
        let mut room = Room {
            slab: Slab::new(),
            stream: vec![0; STREAM_READ_BYTES],
            ask_drops: vec![true; self.datagrams.len()],
        };
        let mut events = Events::with_capacity(256);
        let mut next_tick = Instant::now();
        let mut drops = Drops::default();
        while !ingest.is_stopping() {
            beat();
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                room.ask_drops.fill(true);
                self.tick(ingest);
                drops.look(&self.datagrams);
            }
            let idle = if self.ready.is_empty() { next_tick - now } else { Duration::ZERO };
            self.wait(&mut events, idle)?;
            self.turn(ingest, &mut room);
        }
        self.finish(ingest, &mut room, &mut events, beat)
    }

    /// Waits for the system to say what is ready.
    fn wait(&mut self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            waited => waited?,
        }
        for event in events.iter() {
            self.note(event);
        }
        Ok(())
    }

    fn note(&mut self, event: &Event) {
        match event.token() {
            WAKER => self.relay.woken(),
            token @ Token(CONNECTIONS..) => self.queue_connection(token),
            token @ Token(RELAYS..) => self.relay.ready(token),
            // There are few, and the queue has one place for each.
            token if !self.ready.contains(&token) => self.ready.push_back(token),
            _ => {}
        }
    }

    fn queue_connection(&mut self, token: Token) {
        if let Some(Some(connection)) = self.connections.get_mut(token.0 - CONNECTIONS)
            && !std::mem::replace(&mut connection.ready, true)
        {
            self.ready.push_back(token);
        }
    }

    /// Gives everything that is ready one turn.
    fn turn(&mut self, ingest: &Ingest, room: &mut Room) {
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { return };
            let turn = match token.0 {
                CONNECTIONS.. => self.read_connection(ingest, room, token.0 - CONNECTIONS),
                token if token <= self.datagrams.len() => {
                    self.read_datagrams(ingest, room, token - 1)
                }
                token => self.accept(token - 1 - self.datagrams.len()),
            };
            if turn == Turn::More {
                self.ready.push_back(token);
            }
        }
    }

    fn read_datagrams(&mut self, ingest: &Ingest, room: &mut Room, index: usize) -> Turn {
        let Datagrams { counts, .. } = &self.datagrams[index];
        let ask_drops = std::mem::take(&mut room.ask_drops[index]);
        let received = match room.slab.receive(self.datagrams[index].fd(), ask_drops) {
            Ok(received) => received,
            Err(Errno::EINTR) => return Turn::More,
            Err(Errno::EAGAIN) => return Turn::Empty,
            Err(error) => {
                tracing::debug!(address = counts.address, %error, "receiving failed");
                return Turn::Empty;
            }
        };
        if let Some(drops) = received.drops {
            counts.saw_drops(drops);
        }
        let mut bytes = 0;
        let mut locked = ingest.lock();
        for index in 0..received.count {
            let (mut datagram, truncated) = room.slab.get(index);
            bytes += datagram.len();
            if truncated {
                // Where a line stops in the middle, its number might be another.
                counts.truncated.add(1);
                let whole = memchr::memrchr(b'\n', datagram);
                datagram = &datagram[..whole.unwrap_or(0)];
            }
            locked.take(counts.protocol, datagram);
        }
        drop(locked);
        if !self.relay.is_empty() && counts.protocol == Protocol::Statsd {
            for index in 0..received.count {
                self.relay.lines(room.slab.get(index).0);
            }
        }
        counts.packets.add(received.count as u64);
        counts.bytes.add(bytes as u64);
        if received.count == BATCH { Turn::More } else { Turn::Empty }
    }

    fn accept(&mut self, index: usize) -> Turn {
        let Some(listener) = self.listeners.get(index) else { return Turn::Empty };
        for _ in 0..ACCEPT_BATCH {
            let mut stream = match listener.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Out of descriptors, perhaps: the next tick tries again.
                    listener.counts.connection_errors.add(1);
                    tracing::debug!(%error, "accepting failed");
                    return Turn::Empty;
                }
            };
            let open = self.connections.len() - self.free.len();
            if open >= CONNECTIONS_MAX {
                listener.counts.connections_refused.add(1);
                continue;
            }
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let token = Token(CONNECTIONS + slot);
            let registry = self.poll.registry();
            if registry.register(&mut stream, token, Interest::READABLE).is_err() {
                listener.counts.connection_errors.add(1);
                self.free.push(slot);
                continue;
            }
            // A peer that has gone without a word must not keep its place for ever.
            let _ = socket2::SockRef::from(&stream).set_keepalive(true);
            let counts = Arc::clone(&listener.counts);
            counts.connections.add(1);
            counts.open.add(1);
            let framing = Framing::default();
            // Who connects has something to say.
            self.connections[slot] = Some(Connection { stream, framing, counts, ready: true });
            self.ready.push_back(token);
        }
        Turn::More
    }

    fn read_connection(&mut self, ingest: &Ingest, room: &mut Room, slot: usize) -> Turn {
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return Turn::Empty };
        let ended = match connection.stream.read(&mut room.stream) {
            Ok(0) => Ended::Well,
            Ok(read) => {
                let bytes = &room.stream[..read];
                match connection.take(ingest, &mut self.relay, bytes) {
                    Ok(()) => return Turn::More,
                    Err(ended) => ended,
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Turn::More,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.ready = false;
                return Turn::Empty;
            }
            Err(_) => Ended::Failed,
        };
        self.close(ingest, slot, &ended);
        Turn::Empty
    }

    /// Closes a connection; what has no line feed yet is its last line.
    fn close(&mut self, ingest: &Ingest, slot: usize, ended: &Ended) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.free.push(slot);
        let Connection { framing, counts, stream, .. } = connection;
        drop(stream);
        counts.open.set(counts.open.get() - 1);
        match ended {
            Ended::LongLine => counts.long_lines.add(1),
            Ended::Failed => counts.connection_errors.add(1),
            Ended::Well => framing.finish(|line| {
                ingest.lock().take(counts.protocol, line);
                if counts.protocol == Protocol::Statsd {
                    self.relay.lines(line);
                }
            }),
        }
    }

    /// What is due every second.
    fn tick(&mut self, ingest: &Ingest) {
        ingest.lock().sweep();
        self.relay.tick();
        // One that could not take a connection for want of descriptors hears of it no more.
        for index in 0..self.listeners.len() {
            let token = Token(WAKER.0 + 1 + self.datagrams.len() + index);
            if !self.ready.contains(&token) {
                self.ready.push_back(token);
            }
        }
    }

    /// Reads what the kernel holds, ends the streams, and lets relays send what waits.
    fn finish(
        mut self,
        ingest: &Ingest,
        room: &mut Room,
        events: &mut Events,
        beat: &dyn Fn(),
    ) -> io::Result<()> {
        let until = Instant::now() + DRAIN;
        self.ready.clear();
        self.ready.extend((1..=self.datagrams.len() + self.listeners.len()).map(Token));
        for (slot, connection) in self.connections.iter_mut().enumerate() {
            if let Some(connection) = connection {
                connection.ready = true;
                self.ready.push_back(Token(CONNECTIONS + slot));
            }
        }
        while !self.ready.is_empty() && Instant::now() < until {
            beat();
            self.turn(ingest, room);
        }
        for slot in 0..self.connections.len() {
            self.close(ingest, slot, &Ended::Well);
        }
        sockets::read_kernel_drops(self.datagrams.iter().map(|socket| &*socket.counts));
        self.relay.flush();
        let until = Instant::now() + DRAIN;
        while self.relay.is_busy() && Instant::now() < until {
            beat();
            self.wait(events, Duration::from_millis(100))?;
        }
        Ok(())
    }
}

// === impl Connection ===

impl Connection {
    fn take(&mut self, ingest: &Ingest, relay: &mut Relay, bytes: &[u8]) -> Result<(), Ended> {
        let counts = &self.counts;
        counts.packets.add(1);
        counts.bytes.add(bytes.len() as u64);
        let mut locked = ingest.lock();
        let framed = self.framing.read(bytes, |lines| {
            locked.take(counts.protocol, lines);
            if counts.protocol == Protocol::Statsd && !relay.is_empty() {
                relay.lines(lines);
            }
        });
        framed.map_err(|_| Ended::LongLine)
    }
}

/// Says in the log that datagrams were lost, now and then.
#[derive(Debug, Default)]
struct Drops {
    logged: u64,
    quiet_ticks: u32,
}

// === impl Drops ===

impl Drops {
    fn look(&mut self, sockets: &[Datagrams]) {
        let drops: u64 = sockets.iter().map(|socket| socket.counts.kernel_drops()).sum();
        self.quiet_ticks = self.quiet_ticks.saturating_sub(1);
        if drops > self.logged && self.quiet_ticks == 0 {
            let lost = drops - self.logged;
            tracing::warn!(lost, total = drops, "the kernel dropped datagrams");
            self.logged = drops;
            self.quiet_ticks = DROPS_LOG_TICKS;
        }
    }
}
