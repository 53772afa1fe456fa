//! The thread: waits, reads, gives on.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use mio::event::Event;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::errno::Errno;

use super::counters::{Protocol, Transport};
use super::receive::{BATCH, Slab};
use super::relay::Relay;
use super::sockets::{self, Connections, Counts, Datagrams};
use super::streams::{Streams, TURN_BYTES, Turn};
use super::{Ingest, IngestConfig};

/// Time between two looks at what expires, waits or has been lost.
const TICK: Duration = Duration::from_secs(1);
/// Time for what is in the sockets, and then for what waits for relays, at the end.
const DRAIN: Duration = Duration::from_secs(1);
/// Longest wait for more to come, when much comes. Waking for each datagram costs more than taking it.
const PAUSE_MAX: Duration = Duration::from_millis(1);
/// A shorter pause is not worth its timer.
const PAUSE_MIN: Duration = Duration::from_micros(200);
/// Part of a receive buffer that may fill in a pause ...
const PAUSE_SHARE: u64 = 8;
/// ... at a rate that loopback hardly gives: a datagram a microsecond, of a packet's overhead in
/// the kernel.
const PAUSE_BYTES_PER_MICROSECOND: u64 = 1300;
/// Batches of one socket in a turn, where streams are read too.
const BATCHES: usize = 16;
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
    streams: Streams,
    relay: Relay,
    /// Sockets of datagrams, and listeners, that may have something to read, in the order of their
    /// turns.
    ready: VecDeque<Token>,
}

/// Room for what is read; stays on the thread.
struct Room {
    slab: Slab,
    /// The sockets that have not been asked for their drops in this tick.
    ask_drops: Vec<bool>,
}

/// Says in the log that datagrams were lost, now and then.
#[derive(Debug, Default)]
struct Drops {
    logged: u64,
    quiet_ticks: u32,
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
            streams: Streams::new(listeners, CONNECTIONS),
            relay,
            ready: VecDeque::new(),
        })
    }

    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(super) fn counts(&self) -> Vec<Arc<Counts>> {
        let datagrams = self.datagrams.iter().map(|socket| &socket.counts);
        datagrams
            .chain(self.streams.listeners.iter().map(|socket| &socket.counts))
            .cloned()
            .collect()
    }

    pub(super) fn relay_counts(&self) -> Vec<Arc<super::relay::Counts>> {
        self.relay.counts().cloned().collect()
    }

    /// Reads until the end is asked for, and then what is there already.
    pub(super) fn run(mut self, ingest: &Ingest, beat: &dyn Fn()) -> io::Result<()> {
        let mut room = Room { slab: Slab::new(), ask_drops: vec![true; self.datagrams.len()] };
        let mut events = Events::with_capacity(256);
        let mut next_tick = Instant::now();
        let mut drops = Drops::default();
        let pause = self.pause();
        while !ingest.is_stopping() {
            beat();
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                room.ask_drops.fill(true);
                self.tick(ingest);
                drops.look(&self.datagrams);
            }
            let idle = if self.is_idle() { next_tick - now } else { Duration::ZERO };
            self.wait(&mut events, idle)?;
            let is_busy = now.elapsed() < pause;
            self.turn(ingest, &mut room, beat);
            if is_busy && self.is_idle() {
                std::thread::park_timeout(pause);
            }
        }
        self.finish(ingest, &mut room, &mut events, beat)
    }

    /// How long to wait for more before asking the system again: as long as no buffer can fill.
    fn pause(&self) -> Duration {
        let buffers = self.datagrams.iter().map(|socket| match socket.counts.transport {
            Transport::Udp | Transport::Tcp => socket.counts.receive_buffer_bytes,
            // Its queue holds few datagrams, by the system's settings ten, whatever their size.
            Transport::Unixgram => 0,
        });
        let pause = buffers.min().map_or(PAUSE_MAX, |bytes| {
            Duration::from_micros(bytes / PAUSE_SHARE / PAUSE_BYTES_PER_MICROSECOND)
        });
        if pause < PAUSE_MIN { Duration::ZERO } else { pause.min(PAUSE_MAX) }
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
            token @ Token(CONNECTIONS..) => self.streams.queue(token),
            token @ Token(RELAYS..) => self.relay.ready(token),
            // There are few, and the queue has one place for each.
            token if !self.ready.contains(&token) => self.ready.push_back(token),
            _ => {}
        }
    }

    /// Nothing is known to be there to read.
    fn is_idle(&self) -> bool {
        self.ready.is_empty() && !self.streams.are_ready()
    }

    /// Gives every socket of datagrams that is ready a turn, and all streams together one.
    fn turn(&mut self, ingest: &Ingest, room: &mut Room, beat: &dyn Fn()) {
        for _ in 0..self.ready.len() {
            let Some(token) = self.ready.pop_front() else { break };
            let index = token.0 - WAKER.0 - 1;
            let turn = match index.checked_sub(self.datagrams.len()) {
                None => self.read_datagrams(ingest, room, index, beat),
                Some(index) => self.streams.accept(index, self.poll.registry()),
            };
            if turn == Turn::More {
                self.ready.push_back(token);
            }
        }
        self.streams.turn(ingest, &mut self.relay, beat);
        self.relay.turn();
    }

    /// Datagrams cannot wait, so where there are streams too, which can, they have much of the time.
    fn read_datagrams(
        &mut self,
        ingest: &Ingest,
        room: &mut Room,
        index: usize,
        beat: &dyn Fn(),
    ) -> Turn {
        let batches = if self.streams.are_ready() { BATCHES } else { 1 };
        let before = self.datagrams[index].counts.bytes.get();
        for _ in 0..batches {
            if self.read_batch(ingest, room, index, beat) == Turn::Empty {
                return Turn::Empty;
            }
            if self.datagrams[index].counts.bytes.get() - before > TURN_BYTES as u64 {
                break;
            }
        }
        Turn::More
    }

    fn read_batch(
        &mut self,
        ingest: &Ingest,
        room: &mut Room,
        index: usize,
        beat: &dyn Fn(),
    ) -> Turn {
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
        let mut hold = ingest.hold(beat);
        hold.begin();
        for index in 0..received.count {
            let (lines, read) = room.slab.get(index);
            bytes += read;
            hold.take(counts.protocol, lines);
        }
        drop(hold);
        if !self.relay.is_empty() && counts.protocol == Protocol::Statsd {
            for index in 0..received.count {
                self.relay.lines(room.slab.get(index).0);
            }
        }
        counts.packets.add(received.count as u64);
        counts.bytes.add(bytes as u64);
        counts.truncated.add(received.truncated);
        if received.count == BATCH { Turn::More } else { Turn::Empty }
    }

    /// What is due every second.
    fn tick(&mut self, ingest: &Ingest) {
        ingest.lock().sweep();
        self.relay.tick();
        self.streams.tick();
        // One that could not take a connection for want of descriptors hears of it no more.
        for index in 0..self.streams.listeners.len() {
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
        self.ready.extend((1..=self.datagrams.len() + self.streams.listeners.len()).map(Token));
        self.streams.queue_all();
        while !self.is_idle() && Instant::now() < until {
            beat();
            self.turn(ingest, room, beat);
        }
        self.streams.close_all();
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
