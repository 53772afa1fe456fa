//! A group of sidecars with their applications in a world where everything fails, all of it moved by
//! one seed.
//!
//! Machines have clocks of different rates, disks that are slow and forget, and processes that die
//! anywhere or stop for a while; the network delays, loses, doubles and overtakes, and is cut in
//! every way; applications acquire, renew, resign, die, and send again what got no answer. The code
//! under test is [`Replica`](crate::replica::Replica) as the driver drives it; there are no threads,
//! no sleeps and no other source of chance, so a seed replays exactly.
//!
//! Promised and checked in true time, which nobody in the simulated world can see:
//! - no two applications may call themselves the leader of an election at once;
//! - tokens grow with the log and belong to one session each;
//! - what clients were told is linearizable ([`linearizability`]);
//! - a watch never goes back, and ends with the final state;
//! - tables are equal at equal indexes;
//! - when faults end, every election has a leader within [`LIVELY_WITHIN`].

mod client;
mod clock;
mod dice;
mod faults;
mod history;
pub mod linearizability;
mod network;
mod node;
mod rest;
#[cfg(test)]
mod tests;
mod told;
mod trace;
mod witness;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::bootstrap::{Founder, Group, GroupId};
use crate::election::Outcome;
use crate::replica::{Options, PlantedBugs};
use crate::wire::Frame;
use client::Client;
use clock::{Clock, MS, SECOND};
use dice::Dice;
use history::{History, Read};
use network::Network;
use node::{Input, Node};
use trace::Trace;
use witness::Witness;

/// Length of a tick of the replicas.
const TICK: Duration = Duration::from_millis(100);
/// How long things go wrong.
const FAULTS_FOR: (u64, u64) = (15 * SECOND, 45 * SECOND);
/// When faults end, every election has a leader and all agree within this time.
pub const LIVELY_WITHIN: Duration = Duration::from_secs(20);

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Founders of the group.
    pub nodes: usize,
    /// Disks are wiped, nodes added, members removed.
    pub churn: bool,
    /// Wall clock seconds at the beginning.
    pub wall_seconds: u64,
    /// Bugs for the simulation to find.
    pub planted: PlantedBugs,
    /// Another: a lease is counted from when its confirmation came.
    pub deadline_after_send: bool,
    /// Keep the whole trace.
    pub whole_trace: bool,
}

/// What a run has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Hash of everything that happened.
    pub trace: u64,
    /// Leases granted.
    pub grants: u64,
    /// Commands answered.
    pub commands: u64,
    /// Requests that were refused.
    pub dropped: u64,
    /// Linearizable reads answered.
    pub reads: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Things that went wrong on purpose.
    pub faults: u64,
    /// Disks lost.
    pub wiped: u64,
    /// Simulated milliseconds.
    pub millis: u64,
    /// The lowest token.
    pub token_first: u64,
    /// The highest token.
    pub token_last: u64,
}

/// A promise was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// How.
    pub text: String,
    /// The end of what happened before.
    pub trace: String,
}

/// What is due at some time.
#[derive(Debug)]
enum Event {
    Frame { from: usize, from_id: u64, to: usize, id: u64, frame: Frame },
    Tick { node: usize, epoch: u64 },
    WriteEnded { node: usize, epoch: u64 },
    Resume { node: usize },
    Start { node: usize },
    Act { client: usize, generation: u64 },
    Ask { node: usize, attempt: usize },
    Answer { attempt: usize, outcome: Outcome },
    Read,
    Fault,
    Heal,
    MakeGood,
    Look,
}

/// The whole world.
struct World {
    setup: Setup,
    dice: Dice,
    trace: Trace,
    summary: Summary,
    /// True time in nanoseconds.
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    group: Group,
    nodes: Vec<Node>,
    /// Which node has an id.
    places: BTreeMap<u64, usize>,
    network: Network,
    elections: Vec<Arc<str>>,
    clients: Vec<Client>,
    history: History,
    witness: Witness,
    violation: Option<String>,
    /// The operator removes members. Then no disk is lost: of two voters that are left neither may.
    removals: bool,
    /// Nothing goes wrong any more, since when.
    ending: bool,
    ended: u64,
    done: bool,
}

/// Runs the simulation that follows from a seed.
///
/// # Errors
/// A promise was broken.
pub fn run(seed: u64, setup: Setup) -> Result<Summary, Box<Violation>> {
    let mut world = World::new(seed, setup);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let outcome = outcome.unwrap_or_else(|_| Err("a panic".into()));
    match outcome {
        Ok(()) => Ok(Summary {
            trace: world.trace.hash(),
            millis: world.now / MS,
            token_first: world.witness.tokens().0,
            token_last: world.witness.tokens().1,
            ..world.summary
        }),
        Err(text) => Err(Box::new(Violation { text, trace: world.trace.text() })),
    }
}

// === impl Setup ===

impl Setup {
    /// So many founders and no bugs.
    #[must_use]
    pub fn of(nodes: usize) -> Self {
        Self {
            nodes,
            churn: false,
            wall_seconds: 1_700_000_000,
            planted: PlantedBugs::default(),
            deadline_after_send: false,
            whole_trace: false,
        }
    }
}

// === impl World: making ===

impl World {
    fn new(seed: u64, setup: Setup) -> Self {
        let mut dice = Dice::new(seed);
        let elections = 1 + dice.place(2);
        let mut world = Self {
            setup,
            dice,
            trace: Trace::new(setup.whole_trace),
            summary: Summary::default(),
            now: 0,
            events: BTreeMap::new(),
            sequence: 0,
            group: Group { id: GroupId(u128::from(seed)), founders: Vec::new() },
            nodes: Vec::new(),
            places: BTreeMap::new(),
            network: Network::default(),
            elections: (0..elections).map(|it| format!("election-{it}").into()).collect(),
            clients: Vec::new(),
            history: History::default(),
            witness: Witness::default(),
            violation: None,
            removals: seed.is_multiple_of(2),
            ending: false,
            ended: 0,
            done: false,
        };
        for node in 0..setup.nodes {
            world.make_node();
            world.make_client(node);
        }
        let founder =
            |node: &Node| Founder { id: node.id, name: Arc::clone(&node.name), witness: false };
        world.group.founders = world.nodes.iter().map(founder).collect();
        world.group.founders.sort();
        for _ in 0..world.dice.below(5) {
            let node = world.dice.place(setup.nodes);
            world.make_client(node);
        }
        world
    }

    fn make_node(&mut self) {
        let place = self.nodes.len();
        let id = self.dice.number() | 1;
        let clock = Clock::any(&mut self.dice);
        self.nodes.push(Node::new(id, format!("node-{place}").into(), clock, self.elections.len()));
        self.places.insert(id, place);
    }

    fn make_client(&mut self, node: usize) {
        let client = self.clients.len();
        let election = self.dice.place(self.elections.len());
        self.clients.push(Client::new(node, election, client));
        let wait = self.dice.between(0, 3 * SECOND);
        self.schedule(wait, Event::Act { client, generation: 0 });
    }

    fn options(&mut self, node: usize) -> Options {
        Options {
            id: self.nodes[node].id,
            name: Arc::clone(&self.nodes[node].name),
            witness: false,
            tick: TICK,
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_voters: 5,
            min_voters: 3,
            dead_after: Duration::from_secs(if self.setup.churn { 12 } else { 0 }),
            seed: self.dice.number(),
            wall_seconds: self.setup.wall_seconds + self.now / SECOND,
            token_floor: 0,
            snapshot_every: 10 + self.dice.below(100),
            planted: self.setup.planted,
        }
    }
}

// === impl World: time ===

impl World {
    fn schedule(&mut self, after: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + after, self.sequence), event);
    }

    fn violated(&mut self, text: String) {
        self.violation.get_or_insert(text);
    }

    fn run(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            let late = self.dice.between(0, 2 * SECOND);
            self.schedule(late, Event::Start { node });
        }
        let faults = self.dice.between(FAULTS_FOR.0, FAULTS_FOR.1);
        self.schedule(3 * SECOND, Event::Fault);
        self.schedule(3 * SECOND + faults, Event::MakeGood);
        self.schedule(SECOND, Event::Read);
        while let Some(((at, _), event)) = self.events.pop_first() {
            self.now = at;
            self.happen(event);
            if let Some(text) = self.violation.take() {
                return Err(text);
            }
            if self.done {
                break;
            }
        }
        for election in 0..self.elections.len() {
            self.history.check(election)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Frame { from, from_id, to, id, frame } => {
                self.deliver(from, from_id, to, id, frame);
            }
            Event::Tick { node, epoch } => self.tick(node, epoch),
            Event::WriteEnded { node, epoch } => self.write_ended(node, epoch),
            Event::Resume { node } => self.turn(node),
            Event::Start { node } => self.start(node),
            Event::Act { client, generation } => match self.clients[client].paused_until {
                until if until > self.now => {
                    self.schedule(until - self.now, Event::Act { client, generation });
                }
                _ => self.act(client, generation),
            },
            Event::Ask { node, attempt } => self.input(node, Input::Ask(attempt)),
            Event::Answer { attempt, outcome } => {
                let client = self.history.attempts[attempt].client;
                match self.clients[client].paused_until {
                    until if until > self.now => {
                        self.schedule(until - self.now, Event::Answer { attempt, outcome });
                    }
                    _ => self.answer(attempt, &outcome),
                }
            }
            Event::Read => self.read(),
            Event::Fault => self.fault(),
            Event::Heal => {
                if !self.ending {
                    self.heal_network("heal");
                }
            }
            Event::MakeGood => {
                self.make_good();
                self.schedule(SECOND, Event::Look);
            }
            Event::Look => self.look(),
        }
    }

    fn deliver(&mut self, from: usize, from_id: u64, to: usize, id: u64, frame: Frame) {
        if self.nodes[to].id != id || self.network.cut.contains(&(from, to)) {
            return;
        }
        let note = match &frame {
            Frame::Raft(message) => trace::Note::Raft {
                from,
                to,
                kind: message.get_msg_type() as i32,
                term: message.term,
                index: message.index,
                commit: message.commit,
                entries: message.entries.len(),
            },
            Frame::Propose(_) => trace::Note::Frame { from, to, kind: "propose" },
            Frame::Join(_) => trace::Note::Frame { from, to, kind: "join" },
            Frame::Remove(_) => trace::Note::Frame { from, to, kind: "remove" },
        };
        self.trace.note(self.now, note);
        self.input(to, Input::Frame(from_id, frame));
    }

    /// Somebody asks somewhere for what is true now.
    fn read(&mut self) {
        let node = self.dice.place(self.nodes.len());
        let election = self.dice.place(self.elections.len());
        let number = self.history.reads.len();
        self.history.reads.push(Read { election, sent: self.now, done: None });
        self.input(node, Input::Read(number));
        let pause = self.dice.between(10 * MS, 200 * MS);
        self.schedule(pause, Event::Read);
    }
}
