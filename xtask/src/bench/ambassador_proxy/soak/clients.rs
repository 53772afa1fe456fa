//! The load of the soak: clients that send batches of mixed requests, wait for all replies, and send
//! the next. One thread.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use super::super::workload::{Protocol, command, store};
use super::replies::{Asked, Verdict, judge, value};
use crate::bench::random::Random;

/// Clients of each protocol.
pub(super) const PER_PROTOCOL: usize = 32;
/// Most requests a client sends at once.
pub(super) const BATCH_MAX: u64 = 16;
/// How often a client hangs up in place of waiting for its replies, so that replies come for
/// clients that are gone and whose place others have taken.
pub(super) const HANG_UP_ONE_IN: u64 = 256;
/// Keys of each client.
const KEYS: u64 = 64;
/// A client whose requests have no reply for this long counts as stuck. It is far above the
/// proxy's timeout, so that a slow server alone is not enough.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// Between two looks at the clock and reports of progress.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };

/// What came of all requests.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    /// Values read and found right.
    pub(super) values: u64,
    /// Keys without a value.
    pub(super) missing: u64,
    pub(super) foreign: u64,
    pub(super) malformed: u64,
    pub(super) stuck: u64,
    /// Connections the proxy closed.
    pub(super) closed: u64,
    /// Connections that a client closed with requests under way.
    pub(super) hung_up: u64,
    /// Error replies by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// The beginning of the first wrong reply.
    pub(super) example: Option<String>,
}

struct Client {
    protocol: Protocol,
    number: usize,
    port: u16,
    stream: TcpStream,
    random: Random,
    output: Vec<u8>,
    input: Vec<u8>,
    asked: VecDeque<Asked>,
    /// The last time that it sent a batch or got bytes.
    moved: Instant,
}

/// How a connection stands after its events were handled.
enum State {
    Fine,
    /// It must be opened anew, for a reason that was counted.
    Broken,
}

/// Runs until it is over; sends the numbers of requests and errors so far now and then.
pub(super) fn run(
    ports: [u16; 2],
    seed: u64,
    over: &AtomicBool,
    progress: &Sender<(u64, u64)>,
) -> Result<Counts> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut counts = Counts::default();
    let mut clients = Vec::new();
    for (protocol, port) in [Protocol::Redis, Protocol::Memcached].into_iter().zip(ports) {
        for _ in 0..PER_PROTOCOL {
            let number = clients.len();
            let random = Random::new(seed.wrapping_add(number as u64 * 7919));
            let mut client = Client::connect(protocol, number, port, random)?;
            client.watch(&poll)?;
            client.send()?;
            clients.push(client);
        }
    }
    let mut events: Vec<Event> = Vec::with_capacity(clients.len());
    let mut looked = Instant::now();
    while !over.load(Ordering::Relaxed) {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for replies"),
        }
        for event in &events {
            let client = &mut clients[usize::try_from(event.data.u64())?];
            if matches!(client.turn(&mut counts)?, State::Broken) {
                client.renew(&poll)?;
            }
        }
        if looked.elapsed() >= Duration::from_millis(250) {
            looked = Instant::now();
            renew_stuck(&mut clients, &poll, &mut counts)?;
            // Nobody listens any more when the run has failed elsewhere, and then it is over.
            let _ = progress.send((counts.requests, counts.errors.values().sum()));
        }
    }
    Ok(counts)
}

fn renew_stuck(clients: &mut [Client], poll: &OwnedFd, counts: &mut Counts) -> Result<()> {
    for client in clients {
        if client.moved.elapsed() > STUCK_AFTER {
            counts.stuck += client.asked.len() as u64;
            client.renew(poll)?;
        }
    }
    Ok(())
}

// === impl Client ===

impl Client {
    fn connect(protocol: Protocol, number: usize, port: u16, random: Random) -> Result<Self> {
        Ok(Self {
            protocol,
            number,
            port,
            stream: open(port)?,
            random,
            output: Vec::new(),
            input: Vec::new(),
            asked: VecDeque::new(),
            moved: Instant::now(),
        })
    }

    /// Edge-triggered, for both directions: each turn goes on until the socket has no more.
    fn watch(&self, poll: &OwnedFd) -> Result<()> {
        let data = EventData::new_u64(self.number as u64);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(poll, &self.stream, data, flags).context("watch a client")
    }

    /// Opens a new connection and forgets what was asked on the old one.
    fn renew(&mut self, poll: &OwnedFd) -> Result<()> {
        self.stream = open(self.port)?;
        self.output.clear();
        self.input.clear();
        self.asked.clear();
        self.watch(poll)?;
        self.send()
    }

    /// Prepares a batch and sends what the socket takes.
    fn send(&mut self) -> Result<()> {
        for _ in 0..=self.random.below(BATCH_MAX) {
            self.ask();
        }
        self.moved = Instant::now();
        // An error shows at the next reading.
        let _ = self.flush();
        Ok(())
    }

    fn ask(&mut self) {
        let choice = self.random.below(10);
        let mut key = || format!("c{:02}:{:02}", self.number, self.random.below(KEYS));
        let asked = match choice {
            0..4 => Asked::Set,
            4..8 => Asked::Get(key()),
            _ => {
                let first = self.number;
                let mut keys: Vec<String> = (0..3).map(|_| key()).collect();
                keys.sort();
                keys.dedup();
                debug_assert!(keys.iter().all(|key| key.starts_with(&format!("c{first:02}"))));
                Asked::Gets(keys)
            }
        };
        match (self.protocol, &asked) {
            (protocol, Asked::Set) => {
                let key = key();
                let value = value(&key, self.random.next() as u32);
                match protocol {
                    Protocol::Redis => {
                        command(&mut self.output, &[b"SET", key.as_bytes(), &value]);
                    }
                    Protocol::Memcached => store(&mut self.output, &key, &value),
                }
            }
            (Protocol::Redis, Asked::Get(key)) => {
                command(&mut self.output, &[b"GET", key.as_bytes()]);
            }
            (Protocol::Redis, Asked::Gets(keys)) => {
                let keys = keys.iter().map(String::as_bytes);
                let words: Vec<&[u8]> = [&b"MGET"[..]].into_iter().chain(keys).collect();
                command(&mut self.output, &words);
            }
            (Protocol::Memcached, Asked::Get(key)) => {
                self.output.extend_from_slice(format!("get {key}\r\n").as_bytes());
            }
            (Protocol::Memcached, Asked::Gets(keys)) => {
                let line = format!("get {}\r\n", keys.join(" "));
                self.output.extend_from_slice(line.as_bytes());
            }
        }
        self.asked.push_back(asked);
    }

    fn flush(&mut self) -> std::io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => {
                    self.output.drain(..sent);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes and reads until the socket has no more, and judges what came.
    fn turn(&mut self, counts: &mut Counts) -> Result<State> {
        let mut chunk = [0; 64 * 1024];
        loop {
            if self.flush().is_err() {
                counts.closed += 1;
                return Ok(State::Broken);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    counts.closed += 1;
                    return Ok(State::Broken);
                }
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(State::Fine),
                Err(_) => {
                    counts.closed += 1;
                    return Ok(State::Broken);
                }
            }
            self.moved = Instant::now();
            if matches!(self.judge(counts), State::Broken) {
                return Ok(State::Broken);
            }
            if self.asked.is_empty() {
                self.send()?;
                if self.random.below(HANG_UP_ONE_IN) == 0 {
                    counts.hung_up += 1;
                    return Ok(State::Broken);
                }
            }
        }
    }

    /// Judges all replies that are there in full.
    fn judge(&mut self, counts: &mut Counts) -> State {
        let mut at = 0;
        while at < self.input.len() {
            let bytes = &self.input[at..];
            let judged = match self.asked.front() {
                Some(asked) => judge(self.protocol, asked, bytes),
                // One reply too many is somebody else's.
                None => Some((bytes.len(), Verdict::Foreign)),
            };
            let Some((length, verdict)) = judged else {
                break;
            };
            counts.requests += 1;
            match verdict {
                Verdict::Stored => {}
                Verdict::Values { found, missing } => {
                    counts.values += found;
                    counts.missing += missing;
                }
                Verdict::Error(kind) => *counts.errors.entry(kind).or_default() += 1,
                wrong @ (Verdict::Foreign | Verdict::Malformed) => {
                    match wrong {
                        Verdict::Foreign => counts.foreign += 1,
                        _ => counts.malformed += 1,
                    }
                    let shown = bytes[..bytes.len().min(100)].escape_ascii();
                    let asked = self.asked.front();
                    counts.example.get_or_insert_with(|| format!("{shown} for {asked:?}"));
                    return State::Broken;
                }
            }
            self.asked.pop_front();
            at += length;
        }
        self.input.drain(..at);
        State::Fine
    }
}

fn open(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect a client")?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
