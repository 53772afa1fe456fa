//! Whether all is as it should be some time after the last fault.

use std::time::Duration;

use super::client::Client;
use super::clock::SECOND;
use super::{Event, LIVELY_WITHIN, World};

// === impl World: coming to rest ===

impl World {
    /// Ends the run if everything is as it should be.
    pub(super) fn look(&mut self) {
        match self.unrest() {
            None => self.done = true,
            Some(_) if Duration::from_nanos(self.now - self.ended) < LIVELY_WITHIN => {
                self.schedule(SECOND / 2, Event::Look);
            }
            Some(text) => self.violated(format!("not at rest long after the last fault: {text}")),
        }
    }

    /// What is not yet as it should be some time after the last fault.
    fn unrest(&self) -> Option<String> {
        let first = self.nodes.first()?;
        for (number, node) in self.nodes.iter().enumerate() {
            let Some(replica) = &node.replica else { return Some(format!("{number} is down")) };
            let status = replica.status();
            if status.leader == 0 {
                return Some(format!("node {number} knows no leader: {status:?}"));
            }
            if node.views != first.views || node.watched != first.views {
                return Some(format!(
                    "node {number} sees {:?} and {:?}, not {:?}",
                    node.views, node.watched, first.views
                ));
            }
            let expected: Vec<u64> = self.places.keys().copied().collect();
            let members: Vec<u64> = status.members.keys().copied().collect();
            if members != expected || status.voters.len() < 3 {
                return Some(format!("node {number} has {status:?}, not members {expected:?}"));
            }
        }
        (0..self.elections.len()).find_map(|election| self.unrest_in(election))
    }

    fn unrest_in(&self, election: usize) -> Option<String> {
        let mut candidates = self.clients.iter().filter(|it| it.election == election).peekable();
        candidates.peek()?;
        let valid =
            |client: &Client| client.is_valid(self.nodes[client.node].clock.shows(self.now));
        let leads = candidates.any(valid);
        (!leads).then(|| format!("nobody leads election {election}: {:?}", self.clients))
    }
}
