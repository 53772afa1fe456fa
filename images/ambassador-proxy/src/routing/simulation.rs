//! A deterministic simulation around [`Core`]: clients, servers, sockets and a clock, all moved by
//! one seed.
//!
//! It drives the core as `worker` does, with every choice left to chance: how streams are cut,
//! who is read or written to next, which server dies in the middle of a reply. The oracle is in
//! the clients: each knows what each of its requests may be answered with, and servers name the
//! request in what they answer, so a byte of anybody else's is noticed. At the end everything is
//! let go, and nothing may be left behind.
//!
//! It also serves the fuzz target `core`, where bytes make the choices in place of a seed.

mod client;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Core, Failure, Link, PoolPlan, upstream};
use crate::config::{
    Address, Compat, EjectMode, Listen, PoolConfig, Protocol, Secret, ServerConfig,
};
use crate::health::PoolHealth;
use crate::placement::{Distribution, Rules};
use crate::stats::{PoolCounters, WorkerStats};
use client::{Client, Manners};
use server::{Mode, Server, Session};

/// Turns of a run before everything is let go.
const TURNS: usize = 120;

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Right answers.
    pub good: u64,
    /// Failures where they were allowed.
    pub failed: u64,
    /// Clients that were closed before they had their answers, where that was allowed.
    pub cut_off: u64,
    /// Reloads.
    pub reloads: u64,
}

/// Where choices come from: bytes while there are any, then a generator.
#[derive(Debug)]
pub(super) struct Dice {
    bytes: std::vec::IntoIter<u8>,
    state: u64,
}

impl Dice {
    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        if let Some(byte) = self.bytes.next() {
            let low = usize::from(self.bytes.next().unwrap_or(0));
            return (usize::from(byte) << 8 | low) % limit.max(1);
        }
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A client with its socket.
#[derive(Debug)]
struct Peer {
    client: Client,
    pool: String,
    /// Bytes written by the proxy that the client has not read.
    wire: Vec<u8>,
    /// Room for such bytes.
    window: usize,
    reads: bool,
    /// It has been slow enough to be cut off.
    was_slow: bool,
    /// The proxy has said that it will say when to read on.
    told_to_wait: bool,
    /// It has sent the end of its stream, or is about to.
    half_closes: bool,
    eof: bool,
    /// It has closed the connection without a word.
    is_gone: bool,
    pool_is_gone: bool,
    strict: bool,
}

/// A connection to a server with its socket.
#[derive(Debug, Default)]
struct Line {
    label: String,
    session: Session,
    is_up: bool,
    told_to_wait: bool,
    /// The server dies after so many more bytes.
    doom: Option<usize>,
}

struct World {
    dice: Dice,
    core: Core,
    now_us: u64,
    faults: bool,
    big: bool,
    stats: Arc<WorkerStats>,
    /// Clients that the proxy has cut off for being slow or holding too much.
    cut_off: u64,
    plans: Vec<PoolPlan>,
    /// Place in the core of each pool.
    places: Vec<usize>,
    peers: BTreeMap<u32, Peer>,
    lines: BTreeMap<u32, Line>,
    servers: BTreeMap<String, Server>,
    names: u32,
    /// Bytes moved and other things done, to see when nothing goes on any more.
    activity: u64,
    summary: Summary,
    /// No new requests, no new faults.
    is_ending: bool,
}

/// Runs a simulation with the choices that follow from `seed`.
///
/// # Panics
/// The core has broken a promise.
pub fn run(seed: u64) -> Summary {
    run_with(Dice { bytes: Vec::new().into_iter(), state: seed.wrapping_mul(0x9e37_79b9) | 1 })
}

/// Runs a simulation with the choices that `bytes` make.
///
/// # Panics
/// The core has broken a promise.
pub fn run_bytes(bytes: &[u8]) -> Summary {
    let bytes = bytes.to_vec();
    run_with(Dice { bytes: bytes.into_iter(), state: 1 })
}

fn run_with(dice: Dice) -> Summary {
    let mut world = World::new(dice);
    for _ in 0..TURNS {
        world.turn();
    }
    world.let_go();
    world.summary
}

// === impl World: making ===

impl World {
    fn new(mut dice: Dice) -> World {
        let faults = dice.below(10) < 7;
        let big = dice.once_in(6);
        let bytes_max = match dice.below(8) {
            0 if faults => 300_000,
            _ => 1 << 30,
        };
        let stats = Arc::<WorkerStats>::default();
        let core = Core::new(Vec::new(), bytes_max, 1, Arc::clone(&stats));
        let mut world = World {
            dice,
            core,
            now_us: 1_000_000,
            faults,
            big,
            stats,
            cut_off: 0,
            plans: Vec::new(),
            places: Vec::new(),
            peers: BTreeMap::new(),
            lines: BTreeMap::new(),
            servers: BTreeMap::new(),
            names: 0,
            activity: 0,
            summary: Summary::default(),
            is_ending: false,
        };
        world.core.set_now(world.now_us);
        let pools = (0..=world.dice.below(2)).map(|number| world.make_pool(number)).collect();
        world.serve(pools);
        if world.dice.once_in(2) {
            world.core.preconnect();
        }
        for _ in 0..=world.dice.below(5) {
            world.connect_client();
        }
        world
    }

    fn make_pool(&mut self, number: usize) -> PoolConfig {
        let dice = &mut self.dice;
        let protocol = if dice.once_in(2) { Protocol::Redis } else { Protocol::Memcache };
        let is_redis = protocol == Protocol::Redis;
        let locked = is_redis && dice.once_in(4);
        let timeout_ms = [None, Some(40), Some(400)][dice.below(3)].filter(|_| self.faults);
        let servers = (0..=dice.below(3)).map(|server| make_server(number, server)).collect();
        PoolConfig {
            name: format!("p{number}"),
            line: 1,
            listen: Listen::Tcp { host: "localhost".into(), port: 1 + number as u16 },
            protocol,
            rules: Rules {
                hash_tag: Some(*b"{}"),
                distribution: [Distribution::Modula, Distribution::Random][dice.below(12) / 11],
                ..Rules::default()
            },
            timeout: timeout_ms.map(Duration::from_millis),
            backlog: 1,
            client_connections: 0,
            tcpkeepalive: false,
            reuseport: false,
            preconnect: dice.once_in(4),
            redis_auth: locked.then(|| Secret::new(server::PASSWORD)),
            redis_user: None,
            redis_db: if is_redis && dice.once_in(4) { 3 } else { 0 },
            server_connections: if dice.once_in(4) { 2 } else { 1 },
            auto_eject_hosts: dice.once_in(2),
            server_retry_timeout: Duration::from_millis(50),
            server_failure_limit: 1 + dice.below(2) as u32,
            servers,
            compat: if dice.once_in(4) { Compat::Strict } else { Compat::Friendly },
            eject_mode: if dice.once_in(3) { EjectMode::FailFast } else { EjectMode::Remap },
            resp3: is_redis && dice.once_in(2),
            flush_all: dice.once_in(2),
            request_max: 1 << 30,
        }
    }

    /// Puts pools in service, as `fleet` does.
    fn serve(&mut self, pools: Vec<PoolConfig>) {
        let before = std::mem::take(&mut self.plans);
        for conf in pools {
            let old = before.iter().find(|old| old.conf.name == conf.name);
            let health = PoolHealth::new(&conf, old.map(|old| &*old.health));
            let counters = PoolCounters {
                pool: old.map(|old| Arc::clone(&old.counters.pool)).unwrap_or_default(),
                servers: health
                    .servers
                    .iter()
                    .map(|server| {
                        let same = |old: &Arc<_>| Arc::ptr_eq(old, server);
                        let kept = old.and_then(|old| {
                            let at = old.health.servers.iter().position(same)?;
                            Some(Arc::clone(&old.counters.servers[at]))
                        });
                        kept.unwrap_or_default()
                    })
                    .collect(),
            };
            for server in &conf.servers {
                let is_redis = conf.protocol == Protocol::Redis;
                let locked = conf.redis_auth.is_some();
                let new = || Server::new(is_redis, locked, conf.redis_db);
                self.servers.entry(server.label.clone()).or_insert_with(new);
            }
            self.plans.push(PoolPlan {
                conf: Arc::new(conf),
                health: Arc::new(health),
                counters: Arc::new(counters),
            });
        }
        self.places = self.core.reload(self.plans.clone(), 7);
    }

    fn connect_client(&mut self) {
        let pool = self.dice.below(self.plans.len());
        let conf = Arc::clone(&self.plans[pool].conf);
        let Ok(id) = self.core.accept(self.places[pool]) else { panic!("there is no limit") };
        self.names += 1;
        let manners = Manners {
            is_redis: conf.protocol == Protocol::Redis,
            strict: conf.compat == Compat::Strict,
            resp3: conf.resp3,
            big: self.big,
            faults: self.faults || conf.rules.distribution == Distribution::Random,
            locked: conf.redis_auth.is_some(),
            flush_all: conf.flush_all,
        };
        let peer = Peer {
            client: Client::new(self.names, manners),
            pool: conf.name.clone(),
            wire: Vec::new(),
            window: [1, 1_000, 100_000, 3_000_000][self.dice.below(4)].max(1),
            reads: true,
            was_slow: false,
            told_to_wait: false,
            half_closes: false,
            eof: false,
            is_gone: false,
            pool_is_gone: false,
            strict: manners.strict,
        };
        assert!(self.peers.insert(id.index, peer).is_none(), "a place is used twice");
    }
}

fn make_server(pool: usize, number: usize) -> ServerConfig {
    let label = format!("p{pool}s{number}");
    ServerConfig {
        name_given: true,
        address: Address::Tcp { host: label.clone(), port: 1 },
        label,
        weight: 1,
        line: 1,
    }
}

// === impl World: turns ===

impl World {
    fn turn(&mut self) {
        self.now_us += match self.dice.below(40) {
            0 if self.faults && !self.is_ending => 45_000,
            _ => self.dice.below(300) as u64,
        };
        self.core.set_now(self.now_us);
        for _ in 0..=self.dice.below(6) {
            self.event();
        }
        if self.now_us >= self.core.next_deadline_us() {
            self.core.expire();
        }
        self.flush();
        self.look();
    }

    fn event(&mut self) {
        let choice = self.dice.below(100);
        match choice {
            0..20 => self.with_peer(World::ask),
            20..40 => self.with_peer(World::read_client),
            40..58 => self.with_peer(World::client_reads),
            58..75 => self.with_line(World::server_works),
            75..95 => self.with_line(World::read_upstream),
            _ if self.is_ending => {}
            95 => self.manners_of_clients(),
            96 if self.peers.len() < 8 => self.connect_client(),
            97 if self.dice.once_in(3) => self.reload(),
            _ if self.faults => self.fault(),
            _ => {}
        }
    }

    fn with_peer(&mut self, act: fn(&mut World, u32)) {
        let at = self.dice.below(self.peers.len());
        if let Some(&index) = self.peers.keys().nth(at) {
            act(self, index);
        }
    }

    fn with_line(&mut self, act: fn(&mut World, u32)) {
        let at = self.dice.below(self.lines.len());
        if let Some(&index) = self.lines.keys().nth(at) {
            act(self, index);
        }
    }

    /// What must hold at any time.
    fn look(&mut self) {
        let core = &self.core;
        let clients: usize = core.clients.iter().map(|(_, client)| client.accounted).sum();
        let ups: usize = core.fabric.upstreams.iter().map(|(_, up)| up.accounted).sum();
        assert_eq!(core.fabric.bytes, clients + ups, "the account of bytes");
        let blocking = core.clients.iter().filter(|(_, client)| !client.blocks.is_empty()).count();
        assert_eq!(core.blocking, blocking, "clients that block");
        for (index, up) in &core.fabric.upstreams {
            let blocked =
                core.clients.iter().filter(|(_, client)| client.blocks.contains(&(index as u32)));
            assert_eq!(up.blocked_by as usize, blocked.count(), "clients that block {index}");
            assert!(up.expired <= up.fifo.len(), "more expired than expected");
        }
        for (index, client) in &core.clients {
            assert_eq!(client.accounted, client.footprint(), "account of client {index}");
        }
    }
}

// === impl World: clients ===

impl World {
    fn peer(&mut self, index: u32) -> &mut Peer {
        self.peers.get_mut(&index).expect("the peer is there")
    }

    fn ask(&mut self, index: u32) {
        if self.is_ending {
            return;
        }
        let requests = 1 + self.dice.below(4);
        for _ in 0..requests {
            let dice = &mut self.dice;
            let Some(peer) = self.peers.get_mut(&index) else { return };
            if !peer.half_closes {
                peer.client.ask(dice);
            }
        }
    }

    /// The proxy reads from a client, unless it has said that it will say when.
    fn read_client(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        if peer.told_to_wait || peer.eof {
            return;
        }
        if !self.core.client_wants_read(index) {
            peer.told_to_wait = true;
            return;
        }
        let left = peer.client.outbox.len() - peer.client.sent;
        if left == 0 {
            if peer.half_closes {
                peer.eof = true;
                self.activity += 1;
                self.core.client_eof(index);
            }
            return;
        }
        let most = [1, 10, 300, 65_536, 65_536][self.dice.below(5)];
        let length = if most == 1 { 1 } else { 1 + self.dice.below(most.min(left)) };
        let bytes = &peer.client.outbox[peer.client.sent..][..length];
        self.activity += 1;
        self.core.client_input(index, bytes);
        peer.client.sent += length;
    }

    /// The client reads what is on the wire.
    fn client_reads(&mut self, index: u32) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        if peer.reads && !peer.wire.is_empty() {
            self.activity += 1;
            let length = match self.dice.below(3) {
                0 => 1 + self.dice.below(peer.wire.len()),
                _ => peer.wire.len(),
            };
            let taken = peer.client.take(&peer.wire[..length]);
            taken.unwrap_or_else(|wrong| panic!("{wrong}"));
            peer.wire.drain(..length);
            // There is room again: the event of a writable socket.
            self.flush_client(index);
        }
    }

    fn manners_of_clients(&mut self) {
        let at = self.dice.below(self.peers.len());
        let Some(&index) = self.peers.keys().nth(at) else { return };
        if self.peer(index).is_gone {
            return;
        }
        match self.dice.below(6) {
            0 => self.peer(index).half_closes = true,
            1 | 2 => {
                let peer = self.peer(index);
                peer.reads = !peer.reads;
                peer.was_slow = true;
            }
            _ if !self.faults => {}
            3 => {
                // It goes without a word, wherever it is in a request.
                self.core.client_failed(index);
                self.drop_client(index);
            }
            4 => {
                let peer = self.peer(index);
                peer.half_closes = true;
                peer.client.is_leaving = true;
                // The end of the stream comes in the middle of a request.
                let left = peer.client.outbox.len() - peer.client.sent;
                if left > 0 {
                    peer.client.outbox.pop();
                    peer.client.wants.clear();
                    peer.was_slow = true;
                    self.core.client_failed(index);
                    self.drop_client(index);
                }
            }
            _ => {}
        }
    }

    /// The client is gone before the proxy has noticed; the driver closes it later.
    fn drop_client(&mut self, index: u32) {
        let peer = self.peer(index);
        peer.client.wants.clear();
        peer.reads = false;
        peer.wire.clear();
        peer.eof = true;
        peer.is_gone = true;
        peer.was_slow = true;
    }

    fn flush_client(&mut self, index: u32) {
        if !self.core.has_client(index) {
            return;
        }
        let peer = self.peers.get_mut(&index).expect("the core has it");
        loop {
            let output = self.core.client_output(index);
            let length = output.len().min(peer.window.saturating_sub(peer.wire.len()));
            if length == 0 {
                break;
            }
            peer.wire.extend_from_slice(&output[..length]);
            self.activity += 1;
            self.core.client_sent(index, length);
        }
        if self.core.client_is_finished(index) {
            let state = self.state();
            self.core.remove_client(index);
            self.closed(index, &state);
        }
    }

    /// The proxy has closed the connection: was that right?
    fn closed(&mut self, index: u32, state: &str) {
        let mut peer = self.peers.remove(&index).expect("the core had it");
        self.activity += 1;
        if peer.reads {
            let taken = peer.client.take(&peer.wire);
            taken.unwrap_or_else(|wrong| panic!("{wrong}"));
        }
        peer.client.settle();
        self.summary.good += peer.client.good;
        self.summary.failed += peer.client.failed;
        if peer.client.wants.is_empty() && !peer.client.has_partial_answer() {
            let said_so = peer.client.is_leaving || peer.eof || peer.pool_is_gone;
            assert!(said_so || peer.was_slow || peer.strict, "closed for no reason");
            return;
        }
        self.summary.cut_off += 1;
        let cut_off = self.stats.slow_clients.get() + self.stats.over_memory.get();
        let excused = peer.was_slow
            || cut_off > std::mem::replace(&mut self.cut_off, cut_off)
            || peer.pool_is_gone
            || (self.faults && (peer.strict || peer.client.has_partial_answer()));
        let wants = &peer.client.wants;
        assert!(excused, "client {index} closed without its answers: {wants:?}{state}");
    }
}

// === impl World: servers ===

impl World {
    fn flush(&mut self) {
        loop {
            let mut list = Vec::new();
            let mut done = 0;
            self.core.touched_upstreams(&mut list);
            assert_unique(&list);
            done += list.len();
            for index in list.drain(..) {
                self.flush_upstream(index);
            }
            self.core.touched_clients(&mut list);
            assert_unique(&list);
            done += list.len();
            for index in list.drain(..) {
                self.flush_client(index);
            }
            self.core.resumed_clients(&mut list);
            assert_unique(&list);
            done += list.len();
            for index in list.drain(..) {
                if self.core.has_client(index) {
                    self.core.client_resume(index);
                    self.peer(index).told_to_wait = false;
                    self.read_client(index);
                }
            }
            self.core.resumed_upstreams(&mut list);
            assert_unique(&list);
            done += list.len();
            for index in list.drain(..) {
                if let Some(line) = self.lines.get_mut(&index) {
                    line.told_to_wait = false;
                    self.read_upstream(index);
                }
            }
            if done == 0 {
                return;
            }
        }
    }

    fn flush_upstream(&mut self, index: u32) {
        if !self.core.has_upstream(index) {
            return;
        }
        match self.core.link(index) {
            None => {
                self.lines.remove(&index);
                self.activity += 1;
                return self.core.remove_upstream(index);
            }
            Some(Link::Down) => return self.connect(index),
            Some(Link::Connecting) => return,
            Some(Link::Up) => {}
        }
        let output = self.core.upstream_output(index);
        let Some(line) = self.lines.get_mut(&index) else { panic!("up, but not connected") };
        let room = if self.is_ending { usize::MAX } else { 600_000 };
        let length = output.len().min(room - line.session.inbox.len().min(room));
        if length > 0 {
            line.session.inbox.extend_from_slice(&output[..length]);
            self.activity += 1;
            self.core.upstream_sent(index, length);
        }
    }

    fn connect(&mut self, index: u32) {
        let label = self.core.server(index).label.clone();
        let mode = self.servers[&label].mode;
        self.activity += 1;
        if mode == Mode::Refuses && self.dice.once_in(3) {
            return self.core.upstream_gone(index, Failure::HostDown);
        }
        self.core.upstream_connecting(index);
        assert!(!self.lines.contains_key(&index), "a place is used twice");
        self.lines.insert(index, Line { label, ..Line::default() });
    }

    /// A server accepts, refuses, or answers a request.
    fn server_works(&mut self, index: u32) {
        let Some(line) = self.lines.get_mut(&index) else { return };
        let server = self.servers.get_mut(&line.label).expect("all servers are there");
        if self.core.link(index).is_none() || server.mode == Mode::Stalls {
            return;
        }
        if !line.is_up {
            self.activity += 1;
            if server.mode == Mode::Refuses {
                return self.core.upstream_gone(index, Failure::Refused);
            }
            line.is_up = true;
            return self.core.upstream_up(index);
        }
        let faulty = self.faults && !self.is_ending;
        for _ in 0..1 + self.dice.below(5) {
            let out_of_memory = faulty && self.dice.once_in(60);
            if !server.answer(&mut line.session, out_of_memory) {
                break;
            }
            self.activity += 1;
        }
        // There is room again: the event of a writable socket.
        self.flush_upstream(index);
    }

    /// The proxy reads from a server.
    fn read_upstream(&mut self, index: u32) {
        let Some(line) = self.lines.get_mut(&index) else { return };
        if line.told_to_wait || !line.is_up || self.core.link(index).is_none() {
            return;
        }
        if !self.core.upstream_wants_read(index) {
            line.told_to_wait = true;
            return;
        }
        let left = line.session.outbox.len();
        let mut length = match self.dice.below(4) {
            0 => 1,
            1 => 1 + self.dice.below(left.clamp(1, 500)),
            _ => left.min(65_536),
        };
        length = length.min(left);
        if let Some(doom) = &mut line.doom {
            length = length.min(*doom);
            *doom -= length;
            if length == 0 {
                let failure = [Failure::Closed, Failure::Reset][self.dice.below(2)];
                self.activity += 1;
                return self.core.upstream_gone(index, failure);
            }
        }
        if length > 0 {
            self.activity += 1;
            self.core.upstream_input(index, &line.session.outbox[..length]);
            line.session.outbox.drain(..length);
        }
    }

    fn fault(&mut self) {
        match self.dice.below(7) {
            0 | 1 => {
                let at = self.dice.below(self.servers.len());
                let mode = [Mode::Serves, Mode::Refuses, Mode::Stalls][self.dice.below(3)];
                if let Some((label, server)) = self.servers.iter_mut().nth(at) {
                    server.mode = mode;
                    if mode == Mode::Refuses {
                        let lines = self.lines.values_mut().filter(|line| line.label == *label);
                        lines.for_each(|line| line.doom = Some(0));
                    }
                }
            }
            2 => {
                // It dies in the middle of what it has to say.
                let limit = [3, 100, 100_000][self.dice.below(3)];
                let doom = self.dice.below(limit);
                let at = self.dice.below(self.lines.len());
                if let Some(line) = self.lines.values_mut().nth(at) {
                    line.doom = Some(doom);
                }
            }
            3 => self.with_line(World::say_what_nobody_asked),
            4 => self.with_line(|world, index| {
                let line = world.lines.get_mut(&index).expect("chosen from the list");
                if line.is_up && world.core.link(index).is_some() {
                    world.activity += 1;
                    world.core.upstream_gone(index, Failure::BrokenPipe);
                }
            }),
            5 => {
                // Probes are somebody else's work; here they always succeed.
                for plan in &self.plans {
                    for server in 0..plan.health.servers.len() {
                        plan.health.take_back(server);
                    }
                }
            }
            _ => {
                let at = self.dice.below(self.servers.len());
                if let Some(server) = self.servers.values_mut().nth(at) {
                    server.mode = Mode::Serves;
                }
            }
        }
    }

    /// A reply out of nowhere. While one is expected it could not be told from that one.
    fn say_what_nobody_asked(&mut self, index: u32) {
        let Some(line) = self.lines.get_mut(&index) else { return };
        let quiet = line.session.outbox.is_empty() && line.session.inbox.is_empty();
        let up = &self.core.fabric.upstreams[index as usize];
        if line.is_up && quiet && !up.dead && up.fifo.is_empty() && up.blocked_by == 0 {
            self.activity += 1;
            self.core.upstream_input(index, b"+STRAY\r\n");
        }
    }

    /// Takes a server away or adds one, or changes what the pool is like, or takes it away.
    fn reload(&mut self) {
        self.summary.reloads += 1;
        let mut pools: Vec<PoolConfig> =
            self.plans.iter().map(|plan| PoolConfig::clone(&plan.conf)).collect();
        if self.faults {
            let at = self.dice.below(pools.len());
            let several = pools.len() > 1;
            let number: usize = pools[at].name[1..].parse().expect("names are numbers");
            let pool = &mut pools[at];
            match self.dice.below(6) {
                0 if pool.servers.len() > 1 => drop(pool.servers.remove(0)),
                1 => {
                    let new = make_server(number, 4 + self.dice.below(3));
                    if pool.servers.iter().all(|server| server.label != new.label) {
                        pool.servers.push(new);
                    }
                }
                2 => pool.server_connections = if pool.server_connections == 1 { 2 } else { 1 },
                3 => pool.timeout = Some(Duration::from_millis(60)),
                4 if several => {
                    let gone = pools.remove(at).name;
                    for peer in self.peers.values_mut().filter(|peer| peer.pool == gone) {
                        peer.pool_is_gone = true;
                    }
                }
                _ => pool.auto_eject_hosts = !pool.auto_eject_hosts,
            }
        }
        self.serve(pools);
    }
}

// === impl World: the end ===

impl World {
    /// Heals everything, waits for all answers, then lets everyone go.
    fn let_go(&mut self) {
        self.is_ending = true;
        for server in self.servers.values_mut() {
            server.mode = Mode::Serves;
        }
        for peer in self.peers.values_mut().filter(|peer| !peer.is_gone) {
            peer.reads = true;
            peer.window = 3_000_000;
        }
        self.settle();
        let state = self.state();
        for (index, peer) in &mut self.peers {
            peer.client.settle();
            let wants = &peer.client.wants;
            assert!(wants.is_empty(), "client {index} never got its answers: {wants:?} {state}");
            assert!(!peer.client.has_partial_answer(), "client {index} got half an answer");
            assert_eq!(peer.client.sent, peer.client.outbox.len(), "{index} was not read");
        }
        assert_eq!(self.core.in_flight(), 0, "slots without a reply");
        for (index, up) in &self.core.fabric.upstreams {
            assert!(up.fifo.is_empty() && up.out.is_empty(), "server {index} owes something");
            assert!(up.server.is_some(), "connection {index} belongs to no server");
            assert!(up.owner.is_none(), "connection {index} is kept for nobody");
        }
        for peer in self.peers.values_mut() {
            peer.half_closes = true;
        }
        self.settle();
        assert!(self.peers.is_empty(), "clients that should be gone");
        assert_eq!(self.core.clients(), 0);
        let ups: Vec<u32> = self.lines.keys().copied().collect();
        for index in ups {
            self.core.upstream_gone(index, Failure::Closed);
        }
        self.settle();
        let core = &mut self.core;
        assert!(core.fabric.upstreams.is_empty(), "connections that should be gone");
        assert_eq!((core.fabric.bytes, core.blocking), (0, 0), "bytes that nobody holds");
        core.refresh_gauges();
        let pools = core.fabric.pools.iter().flatten().count();
        assert_eq!(pools, self.plans.len(), "pools that should be gone");
        for plan in &self.plans {
            assert_eq!(plan.counters.pool.client_connections.get(), 0);
            assert_eq!(plan.health.clients.load(std::sync::atomic::Ordering::Relaxed), 0);
            for server in &plan.counters.servers {
                assert_eq!(server.server_connections.get(), 0, "a gauge of connections");
                assert_eq!((server.in_queue.get(), server.out_queue.get()), (0, 0));
            }
        }
    }

    /// Where everything stands, for a message.
    fn state(&self) -> String {
        let mut text = format!("\nnow {} next {}\n", self.now_us, self.core.next_deadline_us());
        for (index, client) in &self.core.clients {
            text += &format!(
                "client {index}: {:?}, in flight {}, out {}, remainder {}, paused {}, resumed {}, \
                 barrier {}, blocks {:?}, eof {}, passing {}\n",
                client.ending,
                client.in_flight(),
                client.out.len(),
                client.remainder.len(),
                client.paused,
                client.resumed,
                client.barrier,
                client.blocks,
                client.eof,
                client.passing.is_some(),
            );
        }
        for (index, up) in &self.core.fabric.upstreams {
            let line = self.lines.get(&(index as u32));
            text += &format!(
                "connection {index}: {:?}, dead {}, server {:?}, out {}, fifo {:?}, expired {}, \
                 remainder {}, blocked by {}, owner {:?}, handshake {}, {:?}, waits {:?}\n",
                up.link,
                up.dead,
                up.server,
                up.out.len(),
                up.fifo.front(),
                up.expired,
                up.remainder.len(),
                up.blocked_by,
                up.owner,
                up.handshake_replies,
                line.map(|line| (line.session.inbox.len(), line.session.outbox.len(), line.doom)),
                line.map(|line| line.told_to_wait),
            );
        }
        text
    }

    /// Goes on until nothing happens any more, whatever time passes.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let before = self.activity;
            self.core.set_now(self.now_us);
            for index in self.peers.keys().copied().collect::<Vec<_>>() {
                self.read_client(index);
                self.client_reads(index);
            }
            for index in self.lines.keys().copied().collect::<Vec<_>>() {
                self.server_works(index);
                self.read_upstream(index);
            }
            if self.now_us >= self.core.next_deadline_us() {
                self.core.expire();
            }
            self.flush();
            self.look();
            if self.activity != before {
                self.now_us += 10;
                continue;
            }
            match self.core.next_deadline_us() {
                upstream::NEVER => return,
                next_us => self.now_us = self.now_us.max(next_us),
            }
        }
        panic!("something goes on for ever: {}", self.state());
    }
}

fn assert_unique(list: &[u32]) {
    let mut sorted = list.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), list.len(), "listed twice: {list:?}");
}
