//! The load: one thread, as many connections as asked for, in a closed loop: each sends its
//! requests in one write, waits for all replies, sends them again. Every reply is checked.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::http::{Client, parse};
use crate::bench::histogram::Histogram;

/// Connecting.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// Without any reply for this long, a run has failed.
const STALLED_AFTER: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// When to count.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// Load before the first count.
    pub(super) warm: Duration,
    pub(super) measured: Duration,
}

/// What a connection sends, and what must come back.
pub(super) struct Work {
    /// Requests, as they are written at once.
    pub(super) requests: Vec<u8>,
    /// How many they are.
    pub(super) replies: usize,
    /// Words that each reply must contain, and how often.
    pub(super) words: &'static str,
    pub(super) times: usize,
}

/// What was counted.
pub(super) struct Outcome {
    /// How often the words were found: one for each renewal.
    pub(super) renewals: u64,
    pub(super) elapsed: Duration,
    /// From a write to its last reply.
    pub(super) latency: Histogram,
}

struct Connection<'a> {
    stream: TcpStream,
    work: &'a Work,
    received: Vec<u8>,
    outstanding: usize,
    since: Instant,
}

/// Runs `work`, a connection for each, against a loopback port. `edge` is called when counting
/// begins and when it ends.
pub(super) fn closed(
    port: u16,
    work: &[Work],
    window: Window,
    mut edge: impl FnMut() -> Result<()>,
) -> Result<Outcome> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = connect(&poll, port, work)?;
    let mut outcome = Outcome::new();
    let mut begin = Instant::now() + window.warm;
    let mut end = None;
    for connection in &mut connections {
        connection.send()?;
    }
    let mut events: Vec<Event> = Vec::with_capacity(connections.len());
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&STALLED_AFTER))
        {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for replies"),
        }
        ensure!(!events.is_empty(), "no reply for ten seconds");
        for event in &events {
            let connection = &mut connections[usize::try_from(event.data.u64())?];
            outcome.renewals += connection.receive()?;
            if connection.outstanding == 0 {
                outcome.latency.record(connection.since.elapsed());
                connection.send()?;
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

fn connect<'a>(poll: &OwnedFd, port: u16, work: &'a [Work]) -> Result<Vec<Connection<'a>>> {
    let mut connections = Vec::with_capacity(work.len());
    for (index, work) in work.iter().enumerate() {
        let stream = Client::connect(port, CONNECTED_WITHIN)?.into_stream();
        stream.set_nonblocking(true)?;
        epoll::add(poll, &stream, EventData::new_u64(index as u64), EventFlags::IN)?;
        let since = Instant::now();
        connections.push(Connection { stream, work, received: Vec::new(), outstanding: 0, since });
    }
    Ok(connections)
}

// === impl Work ===

impl Work {
    /// Replies to expect, each with `words` in it so many times; the requests are still to be set.
    pub(super) fn new(words: &'static str, replies: usize, times: usize) -> Self {
        Self { requests: Vec::new(), replies, words, times }
    }
}

// === impl Outcome ===

impl Outcome {
    fn new() -> Self {
        Self { renewals: 0, elapsed: Duration::ZERO, latency: Histogram::new() }
    }

    /// Renewals per second.
    pub(super) fn rate(&self) -> f64 {
        self.renewals as f64 / self.elapsed.as_secs_f64()
    }
}

// === impl Connection ===

impl Connection<'_> {
    fn send(&mut self) -> Result<()> {
        // Some kilobytes after all earlier ones were answered: the socket takes them whole.
        self.stream.write_all(&self.work.requests).context("send requests")?;
        self.since = Instant::now();
        self.outstanding = self.work.replies;
        Ok(())
    }

    /// Reads what has come; how many renewals that confirms.
    fn receive(&mut self) -> Result<u64> {
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(read) => self.received.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error).context("read replies"),
        }
        let mut renewals = 0;
        let mut taken = 0;
        while self.outstanding > 0 {
            let Some(reply) = parse(&self.received[taken..])? else {
                break;
            };
            let found = count(&reply.body, self.work.words.as_bytes());
            ensure!(
                reply.status == 200 && found == self.work.times,
                "a reply of status {}: {}",
                reply.status,
                reply.body[..reply.body.len().min(200)].escape_ascii()
            );
            taken += reply.length;
            renewals += found as u64;
            self.outstanding -= 1;
        }
        self.received.drain(..taken);
        Ok(renewals)
    }
}

/// How often `words` stand in `text`.
fn count(text: &[u8], words: &[u8]) -> usize {
    text.windows(words.len()).filter(|it| *it == words).count()
}
