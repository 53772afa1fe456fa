//! A stage for scenarios written as text: one core, named clients, named servers, a clock.
//!
//! A scenario is a list of lines:
//! - `pool KEYS` and `reload KEYS`: the configuration in YAML, `servers: [a, b]` by name
//!   (`reload nothing`: without the pool);
//! - `budget BYTES`: the memory of the proxy (first line only);
//! - `c1 > TEXT`, `c1 < TEXT`, `c1 silent`: what client 1 sends and gets, to the byte (`>>`: the
//!   turn of the worker is not over yet);
//! - `a > TEXT`, `a < TEXT`, `a silent`: what server a gets and says (`a#2`: on its second
//!   connection);
//! - `c1 eof`, `c1 leaves`, `c1 breaks` (the next write to it fails), `c1 stops reading`, `c1 reads`, `c1 closed`, `c1 open`;
//! - `a holds` (connections to it are not made until `a up`), `a refuses`, `a accepts`,
//!   `a closes`, `a resets`, `a stops reading`, `a reads`, `a ejected`, `a live`, `a taken back`;
//! - `wait MS`, `connections N`, `clients N`, `bytes N`, `strays N`.
//!
//! In a text, `~` is CR LF, `[A B]` a Redis request, `@a1` a key that server a owns, `<x*9>` nine
//! times x, `\0` the byte 0.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::config::{PoolConfig, parse_pools};
use crate::health::PoolHealth;
use crate::routing::{Core, Failure, Link, PoolPlan};
use crate::stats::{PoolCounters, WorkerStats};

#[derive(Debug, Default)]
struct Peer {
    index: u32,
    to_proxy: Vec<u8>,
    wants_eof: bool,
    told_to_wait: bool,
    from_proxy: Vec<u8>,
    stopped: bool,
    breaks: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Line {
    label: String,
    from_proxy: Vec<u8>,
    to_proxy: Vec<u8>,
    is_up: bool,
    told_to_wait: bool,
}

pub(super) struct Rig {
    core: Core,
    now_us: u64,
    plan: Option<PoolPlan>,
    keys: BTreeMap<(String, usize), String>,
    stats: Arc<WorkerStats>,
    peers: BTreeMap<String, Peer>,
    lines: BTreeMap<u32, Line>,
    holding: BTreeSet<String>,
    refusing: BTreeSet<String>,
    stopped: BTreeSet<String>,
}

/// Runs one scenario.
pub(super) fn play(name: &str, text: &str) {
    let budget = text.lines().find_map(|line| line.strip_prefix("budget "));
    let mut rig = Rig::new(budget.map_or(1 << 30, |budget| budget.trim().parse().unwrap()));
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("budget ") {
            continue;
        }
        rig.say(line).unwrap_or_else(|wrong| {
            panic!("scenario {name:?}, line {}: {line}\n{wrong}", number + 1)
        });
    }
}

fn expect_bytes(found: &mut Vec<u8>, expected: &[u8]) -> Result<(), String> {
    let taken = std::mem::take(found);
    if taken == expected {
        return Ok(());
    }
    let show = |bytes: &[u8]| match bytes.len() {
        0..400 => bytes.escape_ascii().to_string(),
        long => format!("{}… ({long} bytes)", bytes[..200].escape_ascii()),
    };
    Err(format!("expected {}\n   found {}", show(expected), show(&taken)))
}

fn expect_that(right: bool, found: impl std::fmt::Debug) -> Result<(), String> {
    if right { Ok(()) } else { Err(format!("found {found:?}")) }
}

impl Rig {
    fn new(bytes_max: usize) -> Rig {
        let stats = Arc::<WorkerStats>::default();
        Rig {
            core: Core::new(Vec::new(), bytes_max, 1, Arc::clone(&stats)),
            now_us: 1_000_000,
            plan: None,
            keys: BTreeMap::new(),
            stats,
            peers: BTreeMap::new(),
            lines: BTreeMap::new(),
            holding: BTreeSet::new(),
            refusing: BTreeSet::new(),
            stopped: BTreeSet::new(),
        }
    }

    fn say(&mut self, line: &str) -> Result<(), String> {
        self.core.set_now(self.now_us);
        let (who, what) = line.split_once(' ').unwrap_or((line, ""));
        match who {
            "pool" | "reload" => self.configure(what),
            "wait" => self.wait(what.parse().unwrap()),
            "connections" => {
                let alive: Vec<&str> = self.lines.values().map(|line| &*line.label).collect();
                return expect_that(alive.len() == what.parse::<usize>().unwrap(), alive);
            }
            "clients" => {
                let clients = self.core.clients();
                return expect_that(clients == what.parse::<usize>().unwrap(), clients);
            }
            "strays" => {
                let strays = self.stats.stray_replies.get();
                return expect_that(strays == what.parse::<u64>().unwrap(), strays);
            }
            "bytes" => {
                let bytes = self.core.fabric.bytes;
                return expect_that(bytes == what.parse::<usize>().unwrap(), bytes);
            }
            _ if who.strip_prefix('c').is_some_and(|rest| rest.parse::<u32>().is_ok()) => {
                return self.client(who, what);
            }
            _ => return self.server(who, what),
        }
        self.run();
        Ok(())
    }

    fn configure(&mut self, keys: &str) {
        if keys == "nothing" {
            self.core.reload(Vec::new(), 1);
            return;
        }
        let mut text = String::from("p:\n  listen: 127.0.0.1:1\n  distribution: modula\n");
        let (before, rest) = keys.split_once("servers: [").unwrap();
        let (servers, after) = rest.split_once(']').unwrap();
        for key in before.split(", ").chain(after.split(", ")).filter(|key| key.contains(':')) {
            writeln!(text, "  {}", key.trim()).unwrap();
        }
        text += "  servers:\n";
        for name in servers.split(", ") {
            writeln!(text, "    - {name}:1:1 {name}").unwrap();
        }
        let mut file = parse_pools(Path::new("scenario"), &text).unwrap();
        let conf: PoolConfig = file.pools.0.remove(0);
        let before = self.plan.as_ref();
        let health = PoolHealth::new(&conf, before.map(|plan| &*plan.health));
        let counters = PoolCounters {
            pool: before.map(|plan| Arc::clone(&plan.counters.pool)).unwrap_or_default(),
            servers: conf.servers.iter().map(|_| Arc::default()).collect(),
        };
        let plan = PoolPlan {
            conf: Arc::new(conf),
            health: Arc::new(health),
            counters: Arc::new(counters),
        };
        self.plan = Some(plan.clone());
        self.core.reload(vec![plan], 1);
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now_us + ms * 1000;
        loop {
            let next = self.core.next_deadline_us();
            if next > until {
                break;
            }
            self.now_us = next.max(self.now_us);
            self.core.set_now(self.now_us);
            // As the worker asks: the deadline must not run away from the clock.
            if self.now_us >= self.core.next_deadline_us() {
                self.core.expire();
            }
            self.run();
        }
        self.now_us = until;
        self.core.set_now(until);
    }

    // === Texts ===

    /// The number-th key that a server owns; the same one throughout a scenario.
    fn key_of(&mut self, name: &str, number: usize) -> String {
        if let Some(key) = self.keys.get(&(name.to_owned(), number)) {
            return key.clone();
        }
        let placement = self.plan.as_ref().unwrap().conf.placement();
        let mut owned = (100_000..200_000).map(|key: u32| format!("k{key}")).filter(|key| {
            let server = placement.locate(key.as_bytes(), || 0).unwrap();
            placement.members()[server as usize].label == name
        });
        let key = owned.nth(number).unwrap();
        self.keys.insert((name.to_owned(), number), key.clone());
        key
    }

    fn bytes(&mut self, text: &str) -> Vec<u8> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            out += &rest[..at];
            let name = &rest[at + 1..at + 2];
            let digits = &rest[at + 2..];
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            out += &self.key_of(name, digits[..end].parse().unwrap_or(0));
            rest = &digits[end..];
        }
        out += rest;
        let mut bytes = Vec::new();
        let mut rest = out.as_str();
        while let Some(first) = rest.chars().next() {
            let (piece, after) = match first {
                '~' => (b"\r\n".to_vec(), &rest[1..]),
                '\\' => (vec![0], &rest[2..]),
                '[' => {
                    let (inside, after) = rest[1..].split_once(']').unwrap();
                    let args: Vec<&[u8]> = inside.split(' ').map(str::as_bytes).collect();
                    let mut request = Vec::new();
                    crate::protocol::resp::push_request(&mut request, &args);
                    (request, after)
                }
                '<' => {
                    let (inside, after) = rest[1..].split_once('>').unwrap();
                    let (what, times) = inside.split_once('*').unwrap();
                    (what.repeat(times.parse().unwrap()).into_bytes(), after)
                }
                _ => (vec![first as u8], &rest[1..]),
            };
            bytes.extend(piece);
            rest = after;
        }
        bytes
    }

    // === Clients ===

    fn client(&mut self, who: &str, what: &str) -> Result<(), String> {
        if !self.peers.contains_key(who) {
            let (index, closed) = match self.core.accept(0) {
                Ok(id) => (id.index, false),
                Err(refusal) => {
                    let from_proxy = refusal.to_vec();
                    let peer = Peer { from_proxy, closed: true, ..Peer::default() };
                    self.peers.insert(who.to_owned(), peer);
                    (u32::MAX, true)
                }
            };
            if !closed {
                self.peers.insert(who.to_owned(), Peer { index, ..Peer::default() });
            }
        }
        let (verb, text) = what.split_once(' ').unwrap_or((what, ""));
        let bytes = if matches!(verb, "<" | ">" | ">>") { self.bytes(text) } else { Vec::new() };
        let peer = self.peers.get_mut(who).unwrap();
        let index = peer.index;
        match what {
            "connects" => {}
            "silent" => return expect_bytes(&mut peer.from_proxy, b""),
            "closed" => return expect_that(peer.closed, "open"),
            "open" => return expect_that(!peer.closed, "closed"),
            "eof" => peer.wants_eof = true,
            "leaves" => self.core.client_failed(index),
            "stops reading" => peer.stopped = true,
            "reads" => peer.stopped = false,
            "breaks" => peer.breaks = true,
            _ if verb == "<" => return expect_bytes(&mut peer.from_proxy, &bytes),
            _ if verb == ">" || verb == ">>" => peer.to_proxy.extend(bytes),
            _ => return Err("no such line".to_owned()),
        }
        if what == "reads" {
            self.flush_client(index);
        }
        self.read_client(index);
        if verb != ">>" {
            self.run();
        }
        Ok(())
    }

    fn read_client(&mut self, index: u32) {
        loop {
            let peer = self.peers.values_mut().find(|peer| peer.index == index && !peer.closed);
            let Some(peer) = peer.filter(|peer| !peer.told_to_wait) else { return };
            if !self.core.client_wants_read(index) {
                peer.told_to_wait = true;
                return;
            }
            if peer.to_proxy.is_empty() {
                if std::mem::take(&mut peer.wants_eof) {
                    self.core.client_eof(index);
                }
                return;
            }
            let length = peer.to_proxy.len().min(65_536);
            let bytes: Vec<u8> = peer.to_proxy.drain(..length).collect();
            self.core.client_input(index, &bytes);
        }
    }

    fn flush_client(&mut self, index: u32) {
        if !self.core.has_client(index) {
            return;
        }
        let peer = self.peers.values_mut().find(|peer| peer.index == index && !peer.closed);
        let peer = peer.unwrap();
        let output = self.core.client_output(index);
        let length = output.len();
        if peer.breaks && length > 0 {
            self.core.client_failed(index);
        } else if !peer.stopped && length > 0 {
            peer.from_proxy.extend_from_slice(output);
            self.core.client_sent(index, length);
        }
        if self.core.client_is_finished(index) {
            peer.closed = true;
            self.core.remove_client(index);
        }
    }

    // === Servers ===

    fn server(&mut self, who: &str, what: &str) -> Result<(), String> {
        let (label, number) = who.split_once('#').unwrap_or((who, "1"));
        let number: usize = number.parse().unwrap();
        let (verb, text) = what.split_once(' ').unwrap_or((what, ""));
        let bytes = if matches!(verb, "<" | ">") { self.bytes(text) } else { Vec::new() };
        let health = &self.plan.as_ref().unwrap().health;
        let place = health.servers.iter().position(|server| server.label == label);
        let connected = self.lines.iter().filter(|(_, line)| line.label == label);
        let index = connected.map(|(&index, _)| index).nth(number - 1);
        let line = index.and_then(|index| self.lines.get_mut(&index));
        match (what, index, line) {
            ("holds", ..) => drop(self.holding.insert(label.to_owned())),
            ("refuses", ..) => drop(self.refusing.insert(label.to_owned())),
            ("accepts", ..) => drop(self.refusing.remove(label)),
            ("stops reading", ..) => drop(self.stopped.insert(label.to_owned())),
            ("reads", ..) => {
                self.stopped.remove(label);
                for index in self.lines.keys().copied().collect::<Vec<_>>() {
                    self.flush_upstream(index);
                }
            }
            ("ejected", ..) => {
                return expect_that(!health.servers[place.unwrap()].is_live(), "live");
            }
            ("live", ..) => {
                return expect_that(health.servers[place.unwrap()].is_live(), "ejected");
            }
            ("taken back", ..) => health.take_back(place.unwrap()),
            ("silent", _, None) => return Ok(()),
            ("silent", _, Some(line)) => return expect_bytes(&mut line.from_proxy, b""),
            ("up", Some(index), Some(line)) => {
                line.is_up = true;
                self.holding.remove(label);
                self.core.upstream_up(index);
            }
            ("closes", Some(index), _) => self.core.upstream_gone(index, Failure::Closed),
            ("resets", Some(index), _) => self.core.upstream_gone(index, Failure::Reset),
            (_, Some(_), Some(line)) if verb == ">" => {
                return expect_bytes(&mut line.from_proxy, &bytes);
            }
            (_, Some(index), Some(line)) if verb == "<" => {
                line.to_proxy.extend(bytes);
                self.read_upstream(index);
            }
            _ => return Err("no such line, or no such connection".to_owned()),
        }
        self.run();
        Ok(())
    }

    fn read_upstream(&mut self, index: u32) {
        loop {
            let Some(line) = self.lines.get_mut(&index) else { return };
            if line.told_to_wait || line.to_proxy.is_empty() {
                return;
            }
            if !self.core.upstream_wants_read(index) {
                line.told_to_wait = true;
                return;
            }
            let length = line.to_proxy.len().min(65_536);
            let bytes: Vec<u8> = line.to_proxy.drain(..length).collect();
            self.core.upstream_input(index, &bytes);
        }
    }

    fn flush_upstream(&mut self, index: u32) {
        if !self.core.has_upstream(index) {
            return;
        }
        match self.core.link(index) {
            None => {
                self.lines.remove(&index);
                return self.core.remove_upstream(index);
            }
            Some(Link::Connecting) => return,
            Some(Link::Down) => {
                let label = self.core.server(index).label.clone();
                if self.refusing.contains(&label) {
                    return self.core.upstream_gone(index, Failure::Refused);
                }
                self.core.upstream_connecting(index);
                let is_up = !self.holding.contains(&label);
                self.lines.insert(index, Line { label, is_up, ..Line::default() });
                if is_up {
                    self.core.upstream_up(index);
                }
                return;
            }
            Some(Link::Up) => {}
        }
        let line = self.lines.get_mut(&index).unwrap();
        let output = self.core.upstream_output(index);
        let length = output.len();
        if length > 0 && !self.stopped.contains(&line.label) {
            line.from_proxy.extend_from_slice(output);
            self.core.upstream_sent(index, length);
        }
    }

    /// What a turn of the worker ends with, until nothing is left to do.
    fn run(&mut self) {
        loop {
            let mut list = Vec::new();
            let mut done = 0;
            self.core.touched_upstreams(&mut list);
            done += list.len();
            list.drain(..).for_each(|index| self.flush_upstream(index));
            self.core.touched_clients(&mut list);
            done += list.len();
            list.drain(..).for_each(|index| self.flush_client(index));
            self.core.resumed_clients(&mut list);
            done += list.len();
            for index in list.drain(..) {
                if self.core.has_client(index) {
                    self.core.client_resume(index);
                    let mut peers = self.peers.values_mut();
                    if let Some(peer) = peers.find(|peer| peer.index == index && !peer.closed) {
                        peer.told_to_wait = false;
                    }
                    self.read_client(index);
                }
            }
            self.core.resumed_upstreams(&mut list);
            done += list.len();
            for index in list.drain(..) {
                if let Some(line) = self.lines.get_mut(&index) {
                    line.told_to_wait = false;
                }
                self.read_upstream(index);
            }
            if done == 0 {
                return;
            }
        }
    }
}
