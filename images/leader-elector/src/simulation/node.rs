//! Nodes: a machine with a clock and a disk, and a replica on it that is driven as `driver` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::{Clock, MS};
use super::history::Holder;
use super::trace::Note;
use super::{Event, World};
use crate::replica::Replica;
use crate::store::{MemoryStore, Store};
use crate::wire::Frame;

/// A machine.
pub(super) struct Node {
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    pub(super) clock: Clock,
    pub(super) store: MemoryStore,
    /// None while the process is down.
    pub(super) replica: Option<Replica>,
    /// Counts processes; events of earlier ones are void.
    pub(super) epoch: u64,
    /// What came in while it could not be handled.
    inbox: Vec<Input>,
    /// Time for a tick.
    tick_due: bool,
    /// A write is under way, and whether it has ended.
    saving: Option<bool>,
    /// The process is stopped until then.
    pub(super) paused_until: u64,
    /// Slowest write.
    pub(super) save_max: u64,
    /// Where in its next write it dies.
    pub(super) doom: Option<Doom>,
    /// What requests of this process are for.
    pub(super) pending: BTreeMap<u64, Wanted>,
    /// The elections as a watcher of this process was last told.
    pub(super) views: Vec<(u64, Option<Holder>)>,
    /// The same for a watcher that goes on after a restart.
    pub(super) watched: Vec<(u64, Option<Holder>)>,
    /// When it last asked to be let in, in ticks.
    pub(super) ticks: u64,
}

/// Before what a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    Sending,
    Saving,
    Saved,
}

/// What comes in at a node.
#[derive(Debug)]
pub(super) enum Input {
    Frame(u64, Frame),
    Ask(usize),
    Read(usize),
    Remove(Arc<str>),
}

/// Who waits for a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Attempt(usize),
    Read(usize),
}

// === impl Node ===

impl Node {
    pub(super) fn new(id: u64, name: Arc<str>, clock: Clock, elections: usize) -> Self {
        Self {
            id,
            name,
            clock,
            store: MemoryStore::default(),
            replica: None,
            epoch: 0,
            inbox: Vec::new(),
            tick_due: false,
            saving: None,
            paused_until: 0,
            save_max: MS,
            doom: None,
            pending: BTreeMap::new(),
            views: vec![(0, None); elections],
            watched: vec![(0, None); elections],
            ticks: 0,
        }
    }

    /// The process is gone.
    pub(super) fn stop(&mut self) {
        self.replica = None;
        self.epoch += 1;
        self.inbox.clear();
        self.pending.clear();
        self.tick_due = false;
        self.saving = None;
        self.doom = None;
        self.paused_until = 0;
    }
}

// === impl World: driving replicas ===

impl World {
    /// Starts the process of a node that is down.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() {
            return;
        }
        let options = self.options(node);
        let saved = match self.nodes[node].store.load() {
            Ok(saved) => saved,
            Err(error) => return self.violated(format!("node {node} cannot load: {error:#}")),
        };
        let local = self.nodes[node].clock.shows(self.now);
        self.trace.note(self.now, Note::Fault { what: "start", node, value: options.id });
        let replica = match Replica::new(options, &self.group, saved, local) {
            Ok(replica) => replica,
            Err(error) => return self.violated(format!("node {node} cannot start: {error:#}")),
        };
        let it = &mut self.nodes[node];
        let table = replica.table();
        for (number, name) in self.elections.iter().enumerate() {
            let held = table.lease(name).map(|lease| (lease.session, lease.token));
            it.views[number] = (table.version(name), held);
            if it.views[number].0 > it.watched[number].0 {
                it.watched[number] = it.views[number];
            }
        }
        it.replica = Some(replica);
        let epoch = it.epoch;
        self.schedule(0, Event::Tick { node, epoch });
    }

    /// Something comes in.
    pub(super) fn input(&mut self, node: usize, input: Input) {
        if self.nodes[node].replica.is_some() {
            self.nodes[node].inbox.push(input);
            self.turn(node);
        }
    }

    /// Time for a tick.
    pub(super) fn tick(&mut self, node: usize, epoch: u64) {
        let it = &mut self.nodes[node];
        if it.epoch != epoch {
            return;
        }
        it.tick_due = true;
        let next = it.clock.truly(super::TICK);
        self.schedule(next, Event::Tick { node, epoch });
        self.turn(node);
    }

    /// A write is done.
    pub(super) fn write_ended(&mut self, node: usize, epoch: u64) {
        if self.nodes[node].epoch == epoch {
            self.nodes[node].saving = Some(true);
            self.turn(node);
        }
    }

    /// One turn of the driver, if it is neither stopped nor waiting for its disk.
    pub(super) fn turn(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if it.paused_until > self.now || it.saving == Some(false) {
            return;
        }
        if it.saving.take() == Some(true) && !self.saved(node) {
            return;
        }
        if !self.settle(node) {
            return;
        }
        let it = &mut self.nodes[node];
        let local = it.clock.shows(self.now);
        let Some(replica) = &mut it.replica else { return };
        let mut passed_on = Vec::new();
        for input in it.inbox.drain(..) {
            match input {
                Input::Frame(from, frame) => replica.frame(local, from, frame),
                Input::Remove(name) => {
                    if !replica.remove(&name) {
                        passed_on.push((replica.status().leader, Frame::Remove(name)));
                    }
                }
                Input::Ask(attempt) => {
                    let command = self.history.attempts[attempt].command.clone();
                    let request = replica.request(local, command);
                    it.pending.insert(request, Wanted::Attempt(attempt));
                }
                Input::Read(read) => {
                    let request = replica.read(local);
                    it.pending.insert(request, Wanted::Read(read));
                }
            }
        }
        if std::mem::take(&mut it.tick_due) {
            it.ticks += 1;
            replica.tick(local);
            let status = replica.status();
            let (term, leads, applied) = (status.term, status.leads, status.applied);
            let asks = replica.wants_in(local) && it.ticks.is_multiple_of(5);
            self.trace.note(self.now, Note::Tick { node, term, leads, applied });
            if asks {
                self.ask_to_join(node);
            }
        }
        self.send(node, passed_on);
        self.settle(node);
    }

    /// Sends, saves and applies until nothing is left; false if it has to wait or died.
    fn settle(&mut self, node: usize) -> bool {
        // Far more than a replica that does not go round in circles needs.
        for _ in 0..10_000 {
            let it = &mut self.nodes[node];
            let local = it.clock.shows(self.now);
            let Some(ready) = it.replica.as_mut().and_then(|replica| replica.ready(local)) else {
                return it.replica.is_some();
            };
            let dies = it.doom.filter(|_| !ready.write.entries.is_empty());
            if dies == Some(Doom::Sending) {
                self.crash_now(node);
                return false;
            }
            self.send(node, ready.frames);
            self.take_in(node, ready.applied);
            if dies == Some(Doom::Saving) {
                self.crash_now(node);
                return false;
            }
            let write = &ready.write;
            let (entries, sync) = (write.entries.len(), write.sync);
            let snapshot = write.snapshot.is_some();
            self.trace.note(self.now, Note::Save { node, entries, sync, snapshot });
            if let Err(error) = self.nodes[node].store.save(write) {
                self.violated(format!("node {node} cannot save: {error:#}"));
                return false;
            }
            self.summary.snapshots += u64::from(snapshot);
            if dies == Some(Doom::Saved) {
                self.crash_now(node);
                return false;
            }
            if sync {
                let it = &mut self.nodes[node];
                it.saving = Some(false);
                let (epoch, most) = (it.epoch, it.save_max);
                let delay = self.dice.between(MS / 20, most);
                self.schedule(delay, Event::WriteEnded { node, epoch });
                return false;
            }
            if !self.saved(node) {
                return false;
            }
        }
        self.violated(format!("node {node} is never done"));
        false
    }

    fn saved(&mut self, node: usize) -> bool {
        let it = &mut self.nodes[node];
        let local = it.clock.shows(self.now);
        let Some(replica) = &mut it.replica else { return false };
        let applied = replica.saved(local);
        self.take_in(node, applied);
        self.nodes[node].replica.is_some()
    }

    pub(super) fn send(&mut self, node: usize, frames: Vec<(u64, Frame)>) {
        for (id, frame) in frames {
            let Some(&to) = self.places.get(&id) else { continue };
            if self.nodes[to].replica.is_none() && self.dice.permille(500) {
                if let Some(replica) = &mut self.nodes[node].replica {
                    replica.unreachable(id);
                }
                continue;
            }
            if let Err(error) = self.is_readable(&frame) {
                return self.violated(format!("{error} in {frame:?}"));
            }
            let [first, second] = self.network.delays(node, to, &mut self.dice);
            let from_id = self.nodes[node].id;
            if let Some(delay) = second {
                let frame = frame.clone();
                self.schedule(delay, Event::Frame { from: node, from_id, to, id, frame });
            }
            if let Some(delay) = first {
                self.schedule(delay, Event::Frame { from: node, from_id, to, id, frame });
            }
        }
    }
}
