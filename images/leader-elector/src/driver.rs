//! The thread that owns a replica: its clock, its disk, its peers' frames and its clients' requests.
//!
//! A turn takes everything that came in since the last one, so that whatever waited for the disk
//! goes into one log entry and one transaction: that is the group commit, and nothing else is.

mod founding;
mod shared;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use crate::Boottime;
use crate::bootstrap::{Hello, Identity};
use crate::election::{Command, Outcome, Table};
use crate::replica::{Applied, Completed, Options, Replica};
use crate::store::Store;
use crate::wire::{Frame, Join};
pub use founding::{identity, random};
pub use shared::{Phase, Shared};

/// Inputs waiting for the driver; past it frames are dropped, as a network may, and requests are
/// refused.
const INBOX_MAX: usize = 65_536;
/// Inputs taken in one turn, so that time and disk get theirs under any load.
const TURN_MAX: usize = 8_192;
/// Pause between two requests to be let into the group.
const JOIN_EVERY: Duration = Duration::from_millis(500);
/// The loop turns at least this often, however long the ticks are.
const TURN_EVERY: Duration = Duration::from_millis(500);

/// What came of a request: `None` if it was not carried out and never will be.
pub type Answer = Option<Outcome>;

/// What a driver is told.
pub enum Input {
    /// A member sent a frame.
    Frame {
        /// Its id.
        from: u64,
        /// The frame.
        frame: Frame,
    },
    /// A frame to this member could not be sent.
    Unreachable(u64),
    /// The members that answer, and how many addresses do not.
    Peers {
        /// Their hellos, by id.
        hellos: std::collections::BTreeMap<u64, Hello>,
        /// Addresses at which nobody has answered.
        unanswered: usize,
    },
    /// A command to be done; the answer may never come.
    Request {
        /// The command.
        command: Command,
        /// Who wants to know; nobody for an afterthought.
        reply: Option<oneshot::Sender<Answer>>,
    },
    /// A question that must not be answered from an old state.
    Read {
        /// Told `true` once the state here is new enough, `false` if it cannot be known.
        reply: oneshot::Sender<bool>,
    },
    /// Removes a member for good; whether it will be tried.
    Remove {
        /// Its name.
        name: Arc<str>,
        /// Told whether the member is known.
        reply: oneshot::Sender<bool>,
    },
    /// Looks at the table as applied here.
    Look(Box<dyn FnOnce(&Table) + Send>),
    /// Leadership of the group goes to another member, as this one is about to end.
    Yield,
}

/// How a driver reaches other members.
pub trait Peers: Send {
    /// Sends a frame; false if it cannot be sent.
    fn send(&self, to: u64, frame: Frame) -> bool;

    /// What this member says of itself has changed.
    fn greet(&self, hello: Hello);
}

/// The way to a driver. Cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    sender: Sender<Input>,
    /// Counted here: a bounded channel would take the room for all of them from the start.
    waiting: Arc<AtomicUsize>,
}

/// The driver's end of its mailboxes.
pub struct Inputs {
    receiver: Receiver<Input>,
    waiting: Arc<AtomicUsize>,
}

/// The way to a driver, and its end.
#[must_use]
pub fn mailbox() -> (Mailbox, Inputs) {
    let (sender, receiver) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (Mailbox { sender, waiting: Arc::clone(&waiting) }, Inputs { receiver, waiting })
}

/// A replica with its world.
pub struct Driver {
    inbox: Inputs,
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    peers: Box<dyn Peers>,
    options: Options,
    identity: Identity,
    hello: Hello,
    alone: bool,
    replica: Option<Replica>,
    others: Vec<u64>,
    commands: HashMap<u64, oneshot::Sender<Answer>>,
    reads: HashMap<u64, oneshot::Sender<bool>>,
    joined: Boottime,
    looked: Boottime,
}

// === impl Mailbox ===

impl Mailbox {
    /// Hands an input to the driver; false if the driver cannot keep up or has ended.
    #[must_use]
    pub fn tell(&self, input: Input) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= INBOX_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.sender.send(input).is_ok()
    }
}

// === impl Inputs ===

impl Inputs {
    fn next(&self, wait: Duration) -> Result<Input, RecvTimeoutError> {
        let input = self.receiver.recv_timeout(wait)?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(input)
    }

    fn more(&self) -> Option<Input> {
        let input = self.receiver.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(input)
    }
}

// === impl Driver ===

impl Driver {
    /// A driver that has not started. `alone` says that there never will be another member, so
    /// that nobody needs to be waited for. `identity` comes from [`identity`], `inbox` from [`mailbox`].
    #[must_use]
    pub fn new(
        inbox: Inputs,
        store: Box<dyn Store>,
        peers: Box<dyn Peers>,
        identity: Identity,
        options: Options,
        hello: Hello,
        alone: bool,
    ) -> Self {
        let shared = Arc::new(Shared::new(Arc::clone(&options.name), identity.id));
        Self {
            inbox,
            shared,
            store,
            peers,
            options,
            identity,
            hello,
            alone,
            replica: None,
            others: Vec::new(),
            commands: HashMap::new(),
            reads: HashMap::new(),
            joined: Boottime::default(),
            looked: Boottime::default(),
        }
    }

    /// What others may see of it.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Runs until every [`Mailbox`] is gone. `beat` is called at least every second.
    ///
    /// # Errors
    /// The store fails: what is on the disk is unknown then, and the process must end.
    pub fn run(mut self, beat: impl Fn()) -> anyhow::Result<()> {
        if self.identity.group.is_some() {
            self.start()?;
        } else if self.alone {
            self.found(&std::collections::BTreeMap::new(), 0)?;
        }
        let wait = self.options.tick.min(TURN_EVERY);
        loop {
            beat();
            match self.inbox.next(wait) {
                Ok(input) => self.take(input)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            for _ in 1..TURN_MAX {
                let Some(input) = self.inbox.more() else { break };
                self.take(input)?;
            }
            self.turn()?;
        }
    }

    fn take(&mut self, input: Input) -> anyhow::Result<()> {
        let now = Boottime::now();
        let Some(replica) = &mut self.replica else {
            // Who asked learns from the closed channel that nothing was done.
            if let Input::Peers { hellos, unanswered } = input {
                self.others = hellos.keys().copied().collect();
                self.found(&hellos, unanswered)?;
            }
            return Ok(());
        };
        match input {
            Input::Frame { from, frame } => {
                if from == replica.leader() {
                    self.shared.set_contact(now);
                }
                replica.frame(now, from, frame);
            }
            Input::Unreachable(id) => replica.unreachable(id),
            Input::Peers { hellos, .. } => {
                self.others = hellos.keys().copied().collect();
                self.shared.set_reachable(&self.others);
                self.look_for_stranding(&hellos);
            }
            Input::Request { command, reply } => {
                let number = replica.request(now, command);
                if let Some(reply) = reply {
                    self.commands.insert(number, reply);
                }
            }
            Input::Read { reply } => {
                let number = replica.read(now);
                self.reads.insert(number, reply);
            }
            Input::Remove { name, reply } => {
                let known = replica.status().members.values().any(|member| member.name == name);
                if known && !replica.remove(&name) {
                    let sent = self.peers.send(replica.leader(), Frame::Remove(name));
                    if !sent {
                        // Who asked learns from the closed channel that nothing was done.
                        return Ok(());
                    }
                }
                let _ = reply.send(known);
            }
            Input::Look(look) => look(replica.table()),
            Input::Yield => replica.yield_leadership(),
        }
        Ok(())
    }

    /// One turn: time passes, and all that is ready is sent, saved and told.
    fn turn(&mut self) -> anyhow::Result<()> {
        let Some(replica) = &mut self.replica else { return Ok(()) };
        replica.tick(Boottime::now());
        while let Some(replica) = &mut self.replica
            && let Some(ready) = replica.ready(Boottime::now())
        {
            self.send(ready.frames);
            self.publish(ready.applied);
            if !ready.write.is_empty() {
                let started = Boottime::now();
                self.store.save(&ready.write).context("save the group's state")?;
                self.shared.saved(Boottime::now().since(started));
            }
            if let Some(replica) = &mut self.replica {
                let applied = replica.saved(Boottime::now());
                self.publish(applied);
            }
        }
        self.forget();
        self.tell_status();
        Ok(())
    }

    fn send(&mut self, frames: Vec<(u64, Frame)>) {
        for (to, frame) in frames {
            if !self.peers.send(to, frame)
                && let Some(replica) = &mut self.replica
            {
                replica.unreachable(to);
            }
        }
    }

    /// Tells changes first, so that who hears of an outcome sees what came of it.
    fn publish(&mut self, applied: Applied) {
        self.send(applied.frames);
        if let Some(replica) = &self.replica {
            self.shared.set_forgotten(replica.table().version_forgotten());
        }
        self.shared.publish(applied.changes);
        for completed in applied.outcomes {
            match completed {
                Completed::Command { request, outcome } => {
                    if let Some(reply) = self.commands.remove(&request) {
                        let _ = reply.send(Some(outcome));
                    }
                }
                Completed::Read { request } => {
                    if let Some(reply) = self.reads.remove(&request) {
                        let _ = reply.send(true);
                    }
                }
                Completed::Dropped { request } => {
                    if let Some(reply) = self.commands.remove(&request) {
                        let _ = reply.send(None);
                    }
                    if let Some(reply) = self.reads.remove(&request) {
                        let _ = reply.send(false);
                    }
                }
            }
        }
    }

    /// Drops requests whose askers have given up.
    fn forget(&mut self) {
        let Some(replica) = &mut self.replica else { return };
        // A look at all of them costs as much as serving one, so it is taken once a tick.
        let now = Boottime::now();
        if now.since(self.looked) < self.options.tick {
            return;
        }
        self.looked = now;
        self.commands.retain(|&number, reply| {
            let closed = reply.is_closed();
            if closed {
                replica.forget(number);
            }
            !closed
        });
        self.reads.retain(|&number, reply| {
            let closed = reply.is_closed();
            if closed {
                replica.forget(number);
            }
            !closed
        });
    }

    fn tell_status(&mut self) {
        let Some(replica) = &self.replica else { return };
        let status = replica.status();
        let now = Boottime::now();
        if status.leads {
            self.shared.set_contact(now);
        }
        if replica.wants_in(now) && now.since(self.joined) >= JOIN_EVERY {
            self.joined = now;
            let Options { id, name, witness, .. } = &self.options;
            for &peer in &self.others {
                let join = Join { id: *id, name: Arc::clone(name), witness: *witness };
                self.peers.send(peer, Frame::Join(join));
            }
        }
        self.shared.set_status(status);
    }
}
