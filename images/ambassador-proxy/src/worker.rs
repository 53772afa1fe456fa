//! One worker: a thread, its sockets, its share of the clients, its own connections to servers.
//!
//! Workers share nothing on the data path, so there is no lock and no message there; the kernel
//! spreads the clients over them (`SO_REUSEPORT`). A turn of the loop reads everything that has
//! arrived, lets the [`Core`] decide, and then writes once to each server and once to each client
//! that has something coming: requests of many clients leave in one write.
//!
//! The loop stands on `mio` and not on a tokio runtime: the order of a turn is the point, and
//! tasks would hide it (see `docs/decisions/0002-event-loop.md`). Each socket is registered once,
//! edge-triggered, for both directions, so a turn costs no call but the wait, the reads and the
//! writes.

mod connection;
mod gather;
mod listener;
mod socket;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use connection::{Connection, list, put};
use gather::Gather;
pub use listener::{Listener, bind};
use socket::Socket;

use crate::config::Address;
use crate::routing::{Core, Failure, Link, PoolPlan};
use crate::stats::WorkerStats;

/// Bytes read from a socket in one go.
const READ_BYTES: usize = 64 * 1024;
/// Reads from one socket in one turn, so that one busy peer leaves room for the others.
const READS_PER_TURN: usize = 4;
/// Longest wait for an event: the worker shows that it lives at least this often.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// Pause after a failed accept (no file descriptors left, for one).
const ACCEPT_PAUSE_US: u64 = 100_000;
/// How often gauges are brought up to date, in µs.
const GAUGES_US: u64 = 100_000;
/// A client that has been quiet for so long may be closed when the proxy is to stop, in µs.
const QUIET_US: u64 = 1_000_000;
/// How often the worker looks for quiet clients then, in µs.
const QUIET_LOOK_US: u64 = 50_000;

/// The kind of a socket stands in the two lowest bits of its token.
const KIND_CLIENT: usize = 0;
const KIND_UPSTREAM: usize = 1;
const KIND_LISTENER: usize = 2;
const WAKER: Token = Token(usize::MAX);

/// What the control side asks of a worker.
#[derive(Debug)]
pub enum Command {
    /// Serve these pools; a pool with a listener accepts on it from now on.
    Reload {
        /// Every pool, with a listener where there is not one already.
        pools: Vec<(PoolPlan, Option<Listener>)>,
        /// Told when it is done.
        done: mpsc::SyncSender<()>,
    },
    /// Close the listeners and, one by one, clients that are quiet.
    Drain,
    /// Accept again, on these listeners, in the order of the pools of the last reload.
    Undrain(Vec<Listener>),
    /// Close every client as soon as it has its replies, then end.
    Close,
    /// End now.
    Stop,
}

/// The control side's end of a worker.
#[derive(Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    waker: Arc<mio::Waker>,
    /// What the worker counts.
    pub stats: Arc<WorkerStats>,
    /// Clients and their unanswered requests, for those who wait for the end.
    pub load: Arc<Load>,
}

/// How much a worker has to do.
#[derive(Debug, Default)]
pub struct Load {
    /// Connected clients.
    pub clients: crate::stats::Counter,
    /// Unanswered requests.
    pub in_flight: crate::stats::Counter,
}

impl Handle {
    /// Sends a command; a worker that is gone does not mind.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
        let _ = self.waker.wake();
    }
}

/// See the module.
pub struct Worker {
    poll: Poll,
    core: Core,
    clients: Vec<Option<Connection>>,
    upstreams: Vec<Option<Connection>>,
    listeners: Vec<Option<Accepting>>,
    /// Place in the core of each pool, in the order of the configuration.
    places: Vec<usize>,
    commands: mpsc::Receiver<Command>,
    scratch: Box<[u8]>,
    /// Sockets with bytes left from the last turn.
    unread_clients: Vec<u32>,
    unread_upstreams: Vec<u32>,
    list: Vec<u32>,
    clock: Instant,
    now_us: u64,
    gauges_at_us: u64,
    quiet_at_us: u64,
    phase: Phase,
    load: Arc<Load>,
    stats: Arc<WorkerStats>,
    alive: Box<dyn Fn() + Send>,
}

#[derive(Debug)]
struct Accepting {
    listener: Listener,
    place: usize,
    keepalive: bool,
    /// Connections may wait.
    ready: bool,
    retry_at_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Closing,
    Stopped,
}

impl Worker {
    /// A worker that serves nothing yet. `clock` is the clock of the process; `alive` is called
    /// at least twice a second.
    ///
    /// # Errors
    /// The kernel gives no event queue.
    pub fn new(
        bytes_max: usize,
        seed: u64,
        clock: Instant,
        alive: Box<dyn Fn() + Send>,
    ) -> io::Result<(Worker, Handle)> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        let (sender, commands) = mpsc::channel();
        let stats = Arc::<WorkerStats>::default();
        let load = Arc::<Load>::default();
        let handle =
            Handle { commands: sender, waker, stats: Arc::clone(&stats), load: Arc::clone(&load) };
        let worker = Worker {
            poll,
            core: Core::new(Vec::new(), bytes_max, seed, Arc::clone(&stats)),
            clients: Vec::new(),
            upstreams: Vec::new(),
            listeners: Vec::new(),
            places: Vec::new(),
            commands,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            unread_clients: Vec::new(),
            unread_upstreams: Vec::new(),
            list: Vec::new(),
            clock,
            now_us: 0,
            gauges_at_us: 0,
            quiet_at_us: 0,
            phase: Phase::Serving,
            load,
            stats,
            alive,
        };
        Ok((worker, handle))
    }

    /// Runs until told to end.
    ///
    /// # Errors
    /// The event queue fails, which it does not while the process is sound.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        gather::prepare_thread();
        let mut gather = Gather::default();
        let mut handled = 0;
        while self.phase != Phase::Stopped {
            let worked_us = self.clock_us();
            let mut wait = self.wait(worked_us);
            let pause = gather.length(self.core.active(), handled);
            if !pause.is_zero() && pause < wait {
                gather::pause(pause);
                wait -= pause;
            }
            let asked_us = self.clock_us();
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => result?,
            }
            (self.alive)();
            let before_us = self.now_us;
            self.now_us = self.clock_us();
            self.core.set_now(self.now_us);
            let (busy_us, idle_us) = (worked_us - before_us, self.now_us - worked_us);
            gather.observe(busy_us, idle_us, self.now_us - asked_us);
            handled = events.iter().count();
            self.turn(&events);
        }
        Ok(())
    }

    fn clock_us(&self) -> u64 {
        self.clock.elapsed().as_micros() as u64
    }

    /// How long to wait for the next event.
    fn wait(&self, now_us: u64) -> Duration {
        if !self.unread_clients.is_empty() || !self.unread_upstreams.is_empty() {
            return Duration::ZERO;
        }
        let mut next_us = self.core.next_deadline_us();
        if matches!(self.phase, Phase::Draining | Phase::Closing) {
            next_us = next_us.min(self.now_us + QUIET_LOOK_US);
        }
        for accepting in self.listeners.iter().flatten() {
            if accepting.ready {
                next_us = next_us.min(accepting.retry_at_us);
            }
        }
        let left_us = next_us.saturating_sub(now_us);
        // A timer of the kernel counts in ms; a wait of 0 would only burn time.
        Duration::from_micros(left_us.div_ceil(1000).saturating_mul(1000)).min(WAIT_MAX)
    }

    fn turn(&mut self, events: &Events) {
        self.stats.turns.add(1);
        let mut unread = std::mem::take(&mut self.unread_clients);
        for index in unread.drain(..) {
            self.read_listed_client(index);
        }
        let mut unread = std::mem::take(&mut self.unread_upstreams);
        for index in unread.drain(..) {
            self.read_listed_upstream(index);
        }
        for event in events {
            let token = event.token();
            let index = (token.0 >> 2) as u32;
            match token {
                WAKER => self.obey(),
                Token(token) if token & 3 == KIND_CLIENT => self.client_event(index, event),
                Token(token) if token & 3 == KIND_UPSTREAM => self.upstream_event(index, event),
                Token(_) => self.listener_event(index as usize),
            }
        }
        self.retry_listeners();
        if self.now_us >= self.core.next_deadline_us() {
            self.core.expire();
        }
        if matches!(self.phase, Phase::Draining | Phase::Closing) {
            self.wind_down();
        }
        self.flush();
        if self.now_us >= self.gauges_at_us {
            self.gauges_at_us = self.now_us + GAUGES_US;
            // Looked at time and again, because the clock on the wall may be set.
            let wall_us = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            self.core.set_wall_offset((wall_us.as_micros() as u64).wrapping_sub(self.now_us));
            self.core.refresh_gauges();
            self.load.clients.set(self.core.clients() as u64);
            self.load.in_flight.set(self.core.in_flight() as u64);
        }
    }

    // === Control ===

    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Reload { pools, done } => {
                    self.reload(pools);
                    let _ = done.send(());
                }
                Command::Drain => {
                    self.phase = self.phase.max_with(Phase::Draining);
                    self.listeners.clear();
                }
                Command::Undrain(listeners) => {
                    self.phase = Phase::Serving;
                    for (place, listener) in self.places.clone().into_iter().zip(listeners) {
                        self.listen(place, listener);
                    }
                }
                Command::Close => self.phase = self.phase.max_with(Phase::Closing),
                Command::Stop => self.phase = Phase::Stopped,
            }
        }
    }

    fn reload(&mut self, pools: Vec<(PoolPlan, Option<Listener>)>) {
        let (plans, listeners): (Vec<_>, Vec<_>) = pools.into_iter().unzip();
        let first = self.places.is_empty();
        let keepalive: Vec<bool> = plans.iter().map(|plan| plan.conf.tcpkeepalive).collect();
        let seed = self.now_us.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ self.clock.elapsed().as_nanos() as u64;
        self.places = self.core.reload(plans, seed);
        let places = self.places.clone();
        for slot in &mut self.listeners {
            // A pool that is gone, or listens anew, must not accept on its old socket.
            if slot.as_ref().is_some_and(|accepting| !places.contains(&accepting.place)) {
                *slot = None;
            }
        }
        for ((place, listener), keepalive) in places.into_iter().zip(listeners).zip(keepalive) {
            for accepting in self.listeners.iter_mut().flatten() {
                if accepting.place == place {
                    accepting.keepalive = keepalive;
                }
            }
            if let Some(listener) = listener {
                self.listen(place, listener);
            }
        }
        if first {
            self.core.preconnect();
        }
    }

    fn listen(&mut self, place: usize, mut listener: Listener) {
        let index = self.listeners.len();
        let token = Token(index << 2 | KIND_LISTENER);
        if let Err(error) = listener.register(self.poll.registry(), token) {
            tracing::error!(%error, "cannot accept connections");
            return;
        }
        let accepting =
            Accepting { listener, place, keepalive: false, ready: true, retry_at_us: 0 };
        self.listeners.push(Some(accepting));
    }

    /// Lets clients go on the way to the end.
    fn wind_down(&mut self) {
        if self.now_us < self.quiet_at_us {
            return;
        }
        self.quiet_at_us = self.now_us + QUIET_LOOK_US;
        let quiet_us = if self.phase == Phase::Closing { 0 } else { QUIET_US };
        let left = self.core.close_quiet(quiet_us);
        if self.phase == Phase::Closing && left == 0 {
            self.phase = Phase::Stopped;
        }
    }

    // === Accepting ===

    fn listener_event(&mut self, index: usize) {
        if let Some(Some(accepting)) = self.listeners.get_mut(index) {
            accepting.ready = true;
            self.accept(index);
        }
    }

    fn retry_listeners(&mut self) {
        for index in 0..self.listeners.len() {
            let now_us = self.now_us;
            let due = |a: &Accepting| a.ready && a.retry_at_us <= now_us;
            if self.listeners[index].as_ref().is_some_and(due) {
                self.accept(index);
            }
        }
    }

    fn accept(&mut self, index: usize) {
        while let Some(accepting) = &mut self.listeners[index] {
            match accepting.listener.accept(accepting.keepalive) {
                Ok(socket) => {
                    let place = accepting.place;
                    self.add_client(place, socket);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    accepting.ready = false;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    accepting.retry_at_us = self.now_us + ACCEPT_PAUSE_US;
                    return;
                }
            }
        }
    }

    fn add_client(&mut self, place: usize, mut socket: Socket) {
        let id = match self.core.accept(place) {
            Ok(id) => id,
            Err(refusal) => {
                // The socket is new, so its buffer has room for one line.
                let _ = socket.write(refusal);
                return;
            }
        };
        let token = Token((id.index as usize) << 2 | KIND_CLIENT);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, token, interest) {
            tracing::warn!(%error, "cannot watch a connection");
            self.core.remove_client(id.index);
            return;
        }
        let connection = Connection::new(socket, true);
        put(&mut self.clients, id.index, connection);
    }

    // === Reading ===

    fn client_event(&mut self, index: u32, event: &mio::event::Event) {
        let Some(Some(connection)) = self.clients.get_mut(index as usize) else { return };
        connection.note(event);
        if event.is_writable() && !self.core.client_output(index).is_empty() {
            self.flush_client(index);
        }
        self.read_client(index);
    }

    fn read_listed_client(&mut self, index: u32) {
        if let Some(Some(connection)) = self.clients.get_mut(index as usize) {
            connection.listed = false;
            self.read_client(index);
        }
    }

    fn read_client(&mut self, index: u32) {
        for _ in 0..READS_PER_TURN {
            let Some(Some(connection)) = self.clients.get_mut(index as usize) else { return };
            if !connection.readable || !self.core.client_wants_read(index) {
                return;
            }
            match connection.read(&mut self.scratch) {
                Ok(0) => return self.core.client_eof(index),
                Ok(length) => self.core.client_input(index, &self.scratch[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.core.client_failed(index),
            }
        }
        list(&mut self.clients, &mut self.unread_clients, index);
    }

    fn upstream_event(&mut self, index: u32, event: &mio::event::Event) {
        let Some(Some(connection)) = self.upstreams.get_mut(index as usize) else { return };
        connection.note(event);
        match self.core.link(index) {
            None | Some(Link::Down) => return,
            Some(Link::Connecting) => {
                if !(event.is_writable() || event.is_error() || event.is_read_closed()) {
                    return;
                }
                match connection.socket.connected() {
                    Ok(true) => self.core.upstream_up(index),
                    Ok(false) => return,
                    Err(error) => return self.core.upstream_gone(index, Failure::from(&error)),
                }
            }
            Some(Link::Up) => {}
        }
        if event.is_writable() && !self.core.upstream_output(index).is_empty() {
            self.flush_upstream(index);
        }
        self.read_upstream(index);
    }

    fn read_listed_upstream(&mut self, index: u32) {
        if let Some(Some(connection)) = self.upstreams.get_mut(index as usize) {
            connection.listed = false;
            self.read_upstream(index);
        }
    }

    fn read_upstream(&mut self, index: u32) {
        for _ in 0..READS_PER_TURN {
            let Some(Some(connection)) = self.upstreams.get_mut(index as usize) else { return };
            if !connection.readable || !self.core.upstream_wants_read(index) {
                return;
            }
            match connection.read(&mut self.scratch) {
                Ok(0) => return self.core.upstream_gone(index, Failure::Closed),
                Ok(length) => self.core.upstream_input(index, &self.scratch[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.core.upstream_gone(index, Failure::from(&error)),
            }
        }
        list(&mut self.upstreams, &mut self.unread_upstreams, index);
    }

    // === Writing ===

    /// Writes everything that the turn has brought, then lets those go on who waited for room.
    fn flush(&mut self) {
        loop {
            let mut list = std::mem::take(&mut self.list);
            self.core.touched_upstreams(&mut list);
            let upstreams = list.len();
            for index in list.drain(..) {
                self.flush_upstream(index);
            }
            self.core.touched_clients(&mut list);
            let clients = list.len();
            for index in list.drain(..) {
                self.flush_client(index);
            }
            self.core.resumed_clients(&mut list);
            for index in list.drain(..) {
                if self.core.has_client(index) {
                    self.core.client_resume(index);
                    self.read_client(index);
                }
            }
            self.core.resumed_upstreams(&mut list);
            for index in list.drain(..) {
                self.read_upstream(index);
            }
            self.list = list;
            if upstreams == 0 && clients == 0 {
                return;
            }
        }
    }

    fn flush_client(&mut self, index: u32) {
        if !self.core.has_client(index) {
            return;
        }
        let Some(Some(connection)) = self.clients.get_mut(index as usize) else { return };
        while connection.writable && !self.core.client_output(index).is_empty() {
            match connection.write(self.core.client_output(index)) {
                Ok(sent) => self.core.client_sent(index, sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.core.client_failed(index);
                    break;
                }
            }
        }
        if self.core.client_is_finished(index) {
            // Dropping the socket also takes it out of the event queue.
            self.clients[index as usize] = None;
            self.core.remove_client(index);
        }
    }

    fn flush_upstream(&mut self, index: u32) {
        if !self.core.has_upstream(index) {
            return;
        }
        match self.core.link(index) {
            None => {
                if let Some(slot) = self.upstreams.get_mut(index as usize) {
                    *slot = None;
                }
                return self.core.remove_upstream(index);
            }
            Some(Link::Down) => return self.connect(index),
            Some(Link::Connecting) => return,
            Some(Link::Up) => {}
        }
        let Some(Some(connection)) = self.upstreams.get_mut(index as usize) else { return };
        while connection.writable && !self.core.upstream_output(index).is_empty() {
            match connection.write(self.core.upstream_output(index)) {
                Ok(sent) => self.core.upstream_sent(index, sent),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.core.upstream_gone(index, Failure::from(&error)),
            }
        }
    }

    /// Begins to connect to a server.
    fn connect(&mut self, index: u32) {
        let server = self.core.server(index);
        let socket = match &server.address {
            Address::Unix(path) => Socket::connect_unix(path),
            Address::Tcp { .. } => match server.resolved() {
                Some(address) => Socket::connect_tcp(address),
                None => {
                    server.ask_for_lookup();
                    return self.core.upstream_gone(index, Failure::HostDown);
                }
            },
        };
        let registered = socket.and_then(|mut socket| {
            let token = Token((index as usize) << 2 | KIND_UPSTREAM);
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, token, interest)?;
            Ok(socket)
        });
        match registered {
            Ok(socket) => {
                put(&mut self.upstreams, index, Connection::new(socket, false));
                self.core.upstream_connecting(index);
            }
            Err(error) => self.core.upstream_gone(index, Failure::from(&error)),
        }
    }
}

// === impl Phase ===

impl Phase {
    fn max_with(self, other: Phase) -> Phase {
        if (other as u8) > (self as u8) { other } else { self }
    }
}
