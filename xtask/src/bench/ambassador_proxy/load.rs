//! The load: one thread, as many connections as there are clients, every reply compared with the
//! bytes it must have.
//!
//! Closed loop: each client sends a batch, waits for its replies, sends the next. Open loop:
//! requests fall due at a fixed rate whether or not earlier ones were answered, and latency counts
//! from the time due, so that a stall is charged to every request it delayed and not only to the
//! one that met it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::workload::Batch;
use crate::bench::histogram::Histogram;

/// Without any reply for this long, a run has failed.
const STALLED_AFTER: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// To answer what is outstanding when an open loop has sent its last request.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// One read takes at most this much.
const CHUNK: usize = 64 * 1024;
/// Token of the timer; clients have smaller ones.
const TIMER: u64 = u64::MAX;

/// When to count.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Load before the first count.
    pub(super) warm: Duration,
    pub(super) measured: Duration,
}

/// What was counted.
pub(super) struct Outcome {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    pub(super) latency: Histogram,
    /// How late requests were sent, in an open loop: below it no latency can be told.
    pub(super) lag: Histogram,
}

/// A batch that was sent or is about to be.
struct Pending {
    batch: usize,
    since: Instant,
}

struct Client<'a> {
    stream: TcpStream,
    batches: &'a [Batch],
    /// The batch to send next.
    next: usize,
    /// Bytes that the socket would not take.
    unsent: Vec<u8>,
    pending: VecDeque<Pending>,
    /// Bytes and replies of the first pending batch that have come.
    received: usize,
    answered: usize,
}

struct Clients<'a> {
    poll: OwnedFd,
    clients: Vec<Client<'a>>,
    chunk: Vec<u8>,
    events: Vec<Event>,
}

/// Runs a closed loop. `edge` is called when counting begins and when it ends.
pub(super) fn closed(
    port: u16,
    clients: usize,
    batches: &[Batch],
    window: Window,
    mut edge: impl FnMut() -> Result<()>,
) -> Result<Outcome> {
    let mut all = Clients::connect(port, clients, batches)?;
    let mut outcome = Outcome::new();
    let mut begin = Instant::now() + window.warm;
    let mut end = None;
    for index in 0..clients {
        all.send(index, Instant::now())?;
    }
    loop {
        all.wait(&STALLED_AFTER)?;
        ensure!(!all.events.is_empty(), "no reply for five seconds");
        for at in 0..all.events.len() {
            let index = usize::try_from(all.events[at].data.u64())?;
            all.receive(index, |since, now| {
                outcome.requests += 1;
                outcome.latency.record(now - since);
            })?;
            if all.clients[index].pending.is_empty() {
                all.send(index, Instant::now())?;
            }
        }
        let now = Instant::now();
        match end {
            None if now >= begin => {
                edge()?;
                outcome = Outcome::new();
                begin = Instant::now();
                end = Some(begin + window.measured);
            }
            Some(end) if now >= end => {
                outcome.elapsed = now - begin;
                edge()?;
                return Ok(outcome);
            }
            _ => {}
        }
    }
}

/// Runs an open loop at `rate` requests a second; every batch must be one request.
pub(super) fn open(
    port: u16,
    clients: usize,
    batches: &[Batch],
    rate: f64,
    window: Window,
) -> Result<Outcome> {
    let mut all = Clients::connect(port, clients, batches)?;
    let timer = all.tick_every(Duration::from_secs_f64(1.0 / rate))?;
    let mut outcome = Outcome::new();
    let start = Instant::now();
    let begin = start + window.warm;
    let end = begin + window.measured;
    let (mut sent, mut done) = (0_u32, 0_u32);
    loop {
        all.wait(&STALLED_AFTER)?;
        ensure!(!all.events.is_empty(), "no reply for five seconds");
        for at in 0..all.events.len() {
            let token = all.events[at].data.u64();
            if token == TIMER {
                rustix::io::read(&timer, &mut [0_u8; 8])?;
                continue;
            }
            all.receive(usize::try_from(token)?, |due, now| {
                done += 1;
                if (begin..end).contains(&due) {
                    outcome.requests += 1;
                    outcome.latency.record(now - due);
                }
            })?;
        }
        let now = Instant::now();
        loop {
            let due = start + Duration::from_secs_f64(f64::from(sent) / rate);
            if due > now || due >= end {
                break;
            }
            all.send(sent as usize % clients, due)?;
            outcome.lag.record(Instant::now() - due);
            sent += 1;
        }
        if now >= end && done == sent {
            outcome.elapsed = window.measured;
            return Ok(outcome);
        }
        ensure!(now < end + ANSWERED_WITHIN, "the proxy fell behind {rate:.0} requests a second");
    }
}

// === impl Outcome ===

impl Outcome {
    fn new() -> Self {
        Self {
            requests: 0,
            elapsed: Duration::ZERO,
            latency: Histogram::new(),
            lag: Histogram::new(),
        }
    }

    /// Requests answered per second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

// === impl Clients ===

impl<'a> Clients<'a> {
    fn connect(port: u16, count: usize, batches: &'a [Batch]) -> Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
            clients.push(Client {
                stream,
                batches,
                // Apart, so that clients do not ask for the same keys at the same time.
                next: index * batches.len() / count,
                unsent: Vec::new(),
                pending: VecDeque::new(),
                received: 0,
                answered: 0,
            });
        }
        Ok(Self { poll, clients, chunk: vec![0; CHUNK], events: Vec::with_capacity(count + 1) })
    }

    /// A timer that fires every `interval`, yet not more often than 20,000 times a second: what is
    /// due by then is sent together, and the delay counts as latency.
    fn tick_every(&self, interval: Duration) -> Result<OwnedFd> {
        let interval = interval.clamp(Duration::from_micros(50), Duration::from_millis(10));
        let interval = Timespec { tv_sec: 0, tv_nsec: interval.subsec_nanos().into() };
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let setting = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &setting)?;
        epoll::add(&self.poll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        Ok(timer)
    }

    fn wait(&mut self, timeout: &Timespec) -> Result<()> {
        self.events.clear();
        let space = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.poll, space, Some(timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("wait for replies"),
        }
    }

    /// Sends a client's next batch, as one that was due at `since`.
    fn send(&mut self, index: usize, since: Instant) -> Result<()> {
        let client = &mut self.clients[index];
        let batch = client.next;
        client.next = (batch + 1) % client.batches.len();
        client.pending.push_back(Pending { batch, since });
        let request = client.batches[batch].request.as_slice();
        let sent = if client.unsent.is_empty() { write(&mut client.stream, request)? } else { 0 };
        if sent < request.len() {
            client.unsent.extend_from_slice(&request[sent..]);
            self.watch(index, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    /// Reads and writes what a client can, and reports each reply: when its request was due, and
    /// when it came.
    fn receive(&mut self, index: usize, reply: impl FnMut(Instant, Instant)) -> Result<()> {
        let client = &mut self.clients[index];
        if !client.unsent.is_empty() {
            let sent = write(&mut client.stream, &client.unsent)?;
            client.unsent.drain(..sent);
            if client.unsent.is_empty() {
                self.watch(index, EventFlags::IN)?;
            }
        }
        let client = &mut self.clients[index];
        match client.stream.read(&mut self.chunk) {
            Ok(0) => bail!("the proxy closed a connection"),
            Ok(read) => client.compare(&self.chunk[..read], reply),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error).context("read replies"),
        }
    }

    fn watch(&self, index: usize, flags: EventFlags) -> Result<()> {
        let data = EventData::new_u64(index as u64);
        epoll::modify(&self.poll, &self.clients[index].stream, data, flags)?;
        Ok(())
    }
}

// === impl Client ===

impl Client<'_> {
    fn compare(&mut self, mut bytes: &[u8], mut reply: impl FnMut(Instant, Instant)) -> Result<()> {
        let now = Instant::now();
        while !bytes.is_empty() {
            let Some(pending) = self.pending.front() else {
                bail!("a reply that nobody asked for: {}", shown(bytes));
            };
            let batch = &self.batches[pending.batch];
            let wanted = &batch.expected[self.received..];
            let (found, rest) = bytes.split_at(bytes.len().min(wanted.len()));
            if found != &wanted[..found.len()] {
                bail!("expected {}, found {}", shown(wanted), shown(found));
            }
            bytes = rest;
            self.received += found.len();
            while batch.ends.get(self.answered).is_some_and(|end| *end <= self.received) {
                self.answered += 1;
                reply(pending.since, now);
            }
            if self.received == batch.expected.len() {
                (self.received, self.answered) = (0, 0);
                self.pending.pop_front();
            }
        }
        Ok(())
    }
}

/// Writes what the socket takes.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    match stream.write(bytes) {
        Ok(sent) => Ok(sent),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error).context("send requests"),
    }
}

/// The beginning of a reply, for a message.
fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes[..bytes.len().min(120)].escape_ascii())
}
