//! What replicas tell, checked and passed on to clients.

use super::clock::MS;
use super::node::Wanted;
use super::trace::Note;
use super::{Event, World};
use crate::codec::{CodecError, Writer};
use crate::election::Change;
use crate::replica::{Applied, Completed};
use crate::wire::{self, Frame};

// === impl World: what replicas tell ===

impl World {
    pub(super) fn take_in(&mut self, node: usize, applied: Applied) {
        self.send(node, applied.frames);
        let mut result = Ok(());
        for change in &applied.changes {
            result = result.and_then(|()| self.changed(node, change));
        }
        result = result.and_then(|()| self.looks_right(node));
        if let Err(text) = result {
            return self.violated(text);
        }
        for change in &applied.changes {
            if let Some(lease) = &change.lease {
                self.observed(node, lease);
            }
        }
        for completed in applied.outcomes {
            self.completed(node, completed);
        }
    }

    /// A change of a lease is told at a node.
    fn changed(&mut self, node: usize, change: &Change) -> Result<(), String> {
        let Some(election) = self.elections.iter().position(|it| *it == change.election) else {
            return Err(format!("a change of an unknown election: {change:?}"));
        };
        let held = change.lease.as_ref().map(|lease| (lease.session, lease.token));
        let (version, token) = (change.version, held.map_or(0, |held| held.1));
        if token > change.token {
            return Err(format!("a change forgets the highest token: {change:?}"));
        }
        self.trace.note(self.now, Note::Change { node, election, version, token });
        if let Some(lease) = &change.lease
            && let Some(granted) = self.witness.grant(self.now, election, version, lease)?
        {
            self.summary.grants += 1;
            if self.history.granted.insert(lease.session, granted).is_some() {
                return Err(format!("{:?} is granted a second lease", lease.session));
            }
        }
        let it = &mut self.nodes[node];
        if version < it.views[election].0 {
            return Err(format!("watch at node {node} goes back to {change:?}"));
        }
        it.views[election] = (version, held);
        if version >= it.watched[election].0 {
            it.watched[election] = (version, held);
        }
        Ok(())
    }

    /// The table is what was told of it, and what others have at the same index.
    fn looks_right(&mut self, node: usize) -> Result<(), String> {
        let it = &self.nodes[node];
        let Some(replica) = &it.replica else { return Ok(()) };
        let table = replica.table();
        for (election, name) in self.elections.iter().enumerate() {
            let held = table.lease(name).map(|lease| (lease.session, lease.token));
            let stands = (table.version(name), held);
            if it.views[election] != stands {
                let told = it.views[election];
                return Err(format!("node {node} told {told:?} of {name}, which is {stands:?}"));
            }
            self.witness.stands(election, stands.0, held)?;
        }
        self.witness.table(replica.status().applied, table)
    }

    fn completed(&mut self, node: usize, completed: Completed) {
        let (Completed::Command { request, .. }
        | Completed::Read { request }
        | Completed::Dropped { request }) = &completed;
        let Some(wanted) = self.nodes[node].pending.remove(request) else {
            return self
                .violated(format!("node {node} completes what nobody wants: {completed:?}"));
        };
        match (wanted, completed) {
            (Wanted::Attempt(attempt), Completed::Command { outcome, .. }) => {
                self.history.attempts[attempt].done = Some((self.now, outcome.clone()));
                self.summary.commands += 1;
                let delay = self.dice.between(MS / 100, MS / 2);
                self.schedule(delay, Event::Answer { attempt, outcome });
            }
            (Wanted::Attempt(attempt), Completed::Dropped { .. }) => {
                self.summary.dropped += 1;
                self.history.attempts[attempt].dropped = true;
            }
            (Wanted::Read(read), Completed::Read { .. }) => {
                let election = self.history.reads[read].election;
                let held = self.nodes[node].views[election].1;
                let token = held.map_or(0, |held| held.1);
                self.trace.note(self.now, Note::Read { node, election, token });
                self.history.reads[read].done = Some((self.now, held));
                self.summary.reads += 1;
            }
            (Wanted::Read(_), Completed::Dropped { .. }) => {}
            (wanted, completed) => {
                self.violated(format!("{wanted:?} is answered with {completed:?}"));
            }
        }
    }

    /// Whether a frame would come over a wire as it is; looked at now and then, as it takes time.
    pub(super) fn is_readable(&mut self, frame: &Frame) -> Result<(), CodecError> {
        if self.dice.permille(950) {
            return Ok(());
        }
        let mut writer = Writer::default();
        wire::encode(frame, &mut writer);
        let same = wire::decode(&writer.bytes)? == *frame;
        same.then_some(()).ok_or(CodecError::Trailing)
    }
}
