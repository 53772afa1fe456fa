//! What goes wrong in a run, and how it is all made good at the end.

use std::sync::Arc;

use super::clock::{MS, SECOND};
use super::node::{Doom, Input};
use super::trace::Note;
use super::{Event, World};
use crate::store::MemoryStore;
use crate::wire::{Frame, Join};

// === impl World: faults ===

impl World {
    /// Something goes wrong, or gets better.
    pub(super) fn fault(&mut self) {
        if self.ending {
            return;
        }
        let node = self.victim();
        match self.dice.below(if self.setup.churn { 16 } else { 14 }) {
            0 | 1 => self.cut(node),
            2 => self.heal_network("heal"),
            3 => self.lossy(),
            4 | 5 => self.crash(node),
            6 => self.crash_in_a_write(node),
            7 => self.crash_all(),
            8 | 9 => self.pause_node(node),
            10 => self.pause_application(),
            11 => self.kill_application(),
            12 => self.slow_disk(node),
            13 => self.late(),
            14 if self.removals => self.remove_member(),
            14 => self.wipe(node),
            _ => self.add_node(),
        }
        let pause = self.dice.between(100 * MS, 2 * SECOND);
        self.schedule(pause, Event::Fault);
    }

    /// Whom it hits: who leads the group rather than others.
    fn victim(&mut self) -> usize {
        let leads = |node: &super::node::Node| {
            node.replica.as_ref().is_some_and(|replica| replica.status().leads)
        };
        let any = self.dice.place(self.nodes.len());
        let leader = self.nodes.iter().position(leads);
        leader.filter(|_| self.dice.permille(500)).unwrap_or(any)
    }

    fn note_fault(&mut self, what: &'static str, node: usize, value: u64) {
        self.summary.faults += 1;
        self.trace.note(self.now, Note::Fault { what, node, value });
    }

    /// Cuts links: all of a node, half of the nodes from the others, one, and each also one-way.
    fn cut(&mut self, node: usize) {
        let count = self.nodes.len();
        let other = self.dice.place(count);
        let kind = self.dice.below(6);
        self.note_fault("cut", node, kind);
        let half = self.dice.number();
        for from in 0..count {
            for to in 0..count {
                let side = |node: usize| half >> (node % 64) & 1;
                let cut = match kind {
                    0 => from == node || to == node,
                    1 => from == node,
                    2 => to == node,
                    3 => (from == node && to == other) || (from == other && to == node),
                    4 => from == node && to == other,
                    _ => side(from) != side(to),
                };
                if cut {
                    self.network.cut.insert((from, to));
                }
            }
        }
        if self.dice.permille(700) {
            let after = self.dice.between(500 * MS, 5 * SECOND);
            self.schedule(after, Event::Heal);
        }
    }

    /// All links work again.
    pub(super) fn heal_network(&mut self, what: &'static str) {
        self.note_fault(what, 0, 0);
        self.network.cut.clear();
    }

    fn lossy(&mut self) {
        self.network.loss = [0, 0, 30, 200][self.dice.place(4)];
        self.network.doubled = [0, 20, 200][self.dice.place(3)];
        self.note_fault("loss", 0, self.network.loss);
    }

    fn late(&mut self) {
        self.network.late = [0, 50, 300][self.dice.place(3)];
        self.network.late_max = self.dice.between(10 * MS, 1_500 * MS);
        self.note_fault("late", 0, self.network.late_max);
    }

    fn crash(&mut self, node: usize) {
        if self.nodes[node].replica.is_some() {
            self.crash_now(node);
        }
    }

    /// The process dies, or the whole machine.
    pub(super) fn crash_now(&mut self, node: usize) {
        let machine = self.dice.permille(400);
        self.note_fault("crash", node, u64::from(machine));
        self.nodes[node].stop();
        if machine {
            let it = &mut self.nodes[node];
            it.store.crash();
            it.clock.boot(self.now, &mut self.dice);
            self.applications_of(node, |world, client| world.kill_client(client, false));
        }
        let down = self.dice.between(50 * MS, 5 * SECOND);
        self.schedule(down, Event::Start { node });
    }

    fn crash_in_a_write(&mut self, node: usize) {
        let places = [Doom::Sending, Doom::Saving, Doom::Saved];
        let place = self.dice.place(places.len());
        self.note_fault("doom", node, place as u64);
        self.nodes[node].doom = Some(places[place]);
    }

    fn crash_all(&mut self) {
        self.note_fault("crash of all", 0, 0);
        for node in 0..self.nodes.len() {
            self.crash(node);
        }
    }

    /// The sidecar is stopped, with or without its application.
    fn pause_node(&mut self, node: usize) {
        let until = self.now + self.dice.between(100 * MS, 6 * SECOND);
        self.note_fault("pause", node, until);
        self.nodes[node].paused_until = until;
        self.schedule(until - self.now, Event::Resume { node });
        if self.dice.permille(500) {
            self.applications_of(node, |world, client| world.clients[client].paused_until = until);
        }
    }

    fn pause_application(&mut self) {
        let client = self.dice.place(self.clients.len());
        let until = self.now + self.dice.between(100 * MS, 6 * SECOND);
        self.note_fault("pause of an application", client, until);
        self.clients[client].paused_until = until;
    }

    fn kill_application(&mut self) {
        let client = self.dice.place(self.clients.len());
        let noticed = self.dice.permille(500);
        self.note_fault("death of an application", client, u64::from(noticed));
        self.kill_client(client, noticed);
    }

    fn slow_disk(&mut self, node: usize) {
        let most = [MS, 20 * MS, 300 * MS, 3 * SECOND][self.dice.place(4)];
        self.note_fault("slow disk", node, most);
        self.nodes[node].save_max = most;
    }

    fn applications_of(&mut self, node: usize, act: impl Fn(&mut World, usize)) {
        for client in 0..self.clients.len() {
            if self.clients[client].node == node {
                act(self, client);
            }
        }
    }

    /// Nothing goes wrong from now on.
    pub(super) fn make_good(&mut self) {
        self.ending = true;
        self.ended = self.now;
        self.note_fault("the end of faults", 0, 0);
        self.network = super::network::Network::default();
        for node in 0..self.nodes.len() {
            let it = &mut self.nodes[node];
            it.save_max = 2 * MS;
            it.doom = None;
            if it.paused_until > self.now {
                it.paused_until = self.now;
                self.schedule(0, Event::Resume { node });
            }
            self.start(node);
        }
        for client in &mut self.clients {
            client.paused_until = client.paused_until.min(self.now);
        }
    }
}

// === impl World: the membership ===

impl World {
    /// A member that has no vote asks to be let in, as the driver does.
    pub(super) fn ask_to_join(&mut self, node: usize) {
        let (id, name) = (self.nodes[node].id, Arc::clone(&self.nodes[node].name));
        let frames = self.nodes.iter().filter(|other| other.id != id).map(|other| {
            (other.id, Frame::Join(Join { id, name: Arc::clone(&name), witness: false }))
        });
        let frames = frames.collect();
        self.send(node, frames);
    }

    /// A disk is lost: the node comes back as another member of the same name. Only while the
    /// others are in order, as two disks of three lost at once are a group lost.
    fn wipe(&mut self, node: usize) {
        if !self.is_whole() {
            return;
        }
        self.note_fault("wipe", node, self.nodes[node].id);
        self.summary.wiped += 1;
        self.nodes[node].stop();
        self.nodes[node].store = MemoryStore::default();
        let id = self.dice.number() | 1;
        self.places.remove(&self.nodes[node].id);
        self.places.insert(id, node);
        self.nodes[node].id = id;
        let down = self.dice.between(50 * MS, 3 * SECOND);
        self.schedule(down, Event::Start { node });
    }

    /// Whether the group can lose a disk: all are up, and each node has the vote that it wants.
    fn is_whole(&self) -> bool {
        let ids: Vec<u64> = self.nodes.iter().map(|node| node.id).collect();
        let whole = |node: &super::node::Node| {
            node.replica.as_ref().is_some_and(|replica| {
                let status = replica.status();
                status.members.keys().all(|id| ids.contains(id))
                    && status.voters.contains(&node.id)
                    && status.voters.len() >= 3
            })
        };
        self.nodes.iter().filter(|node| whole(node)).count() >= 3
            && self.nodes.iter().all(|node| node.replica.is_some())
    }

    /// One more sidecar.
    fn add_node(&mut self) {
        if self.nodes.len() >= 7 {
            return;
        }
        let node = self.nodes.len();
        self.note_fault("newcomer", node, 0);
        self.make_node();
        self.make_client(node);
        self.start(node);
    }

    /// The operator removes a member, which asks to be let in again at once.
    fn remove_member(&mut self) {
        let (asked, named) = (self.dice.place(self.nodes.len()), self.dice.place(self.nodes.len()));
        if self.is_whole() {
            self.note_fault("removal", named, self.nodes[named].id);
            let name = Arc::clone(&self.nodes[named].name);
            self.input(asked, Input::Remove(name));
        }
    }
}
