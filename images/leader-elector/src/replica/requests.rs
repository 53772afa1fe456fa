//! Requests made at this member: held until somebody leads, sent again when the leader changes or
//! stays silent, completed by the log itself.
//!
//! A command may so enter the log twice. Commands bear that: see [`crate::election`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::Proposal;
use crate::Boottime;

/// Commands remembered at once; past it requests are dropped.
const REQUESTS_MAX: usize = 20_000;

/// Each repetition waits twice as long as the last, up to so many times.
const REPEATS_MAX: u32 = 3;

/// One request on its way.
struct Request {
    proposal: Proposal,
    made: Boottime,
    /// When it last went to a leader; none if it never did.
    sent: Option<Boottime>,
    /// How often it was sent again without an answer.
    repeats: u32,
}

/// All requests on their way, by number.
pub(super) struct Requests {
    origin: u64,
    next: u64,
    all: BTreeMap<u64, Request>,
    /// Numbers not sent since the last change of leader.
    unsent: Vec<u64>,
    /// Time after which a request is sent again.
    again: Duration,
}

// === impl Requests ===

impl Requests {
    /// Numbers start at `first`, which is random, so that a restarted member does not take the
    /// outcome of an earlier request for that of a new one.
    pub(super) fn new(origin: u64, first: u64, again: Duration) -> Self {
        Self { origin, next: first, all: BTreeMap::new(), unsent: Vec::new(), again }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// A new request; `Err` with its number if there are too many.
    pub(super) fn add(
        &mut self,
        now: Boottime,
        command: crate::election::Command,
    ) -> Result<u64, u64> {
        let request = self.number();
        if self.all.len() >= REQUESTS_MAX {
            return Err(request);
        }
        let proposal = Proposal { origin: self.origin, request, command };
        self.all.insert(request, Request { proposal, made: now, sent: None, repeats: 0 });
        self.unsent.push(request);
        Ok(request)
    }

    /// What has to go to the leader now.
    pub(super) fn take_unsent(&mut self, now: Boottime) -> Vec<Proposal> {
        let mut unsent = std::mem::take(&mut self.unsent);
        // While nobody led, the same number may have become due several times.
        unsent.sort_unstable();
        unsent.dedup();
        let mut proposals = Vec::with_capacity(unsent.len());
        for number in unsent {
            if let Some(request) = self.all.get_mut(&number) {
                request.sent = Some(now);
                proposals.push(request.proposal.clone());
            }
        }
        proposals
    }

    /// Somebody else leads: what was sent may be lost.
    pub(super) fn leader_changed(&mut self) {
        self.unsent = self.all.keys().copied().collect();
    }

    /// Sends again what got no answer; gives up what is too old. Returns the numbers given up that
    /// never were sent: nothing came of them.
    pub(super) fn tick(&mut self, now: Boottime, held_max: Duration) -> Vec<u64> {
        let mut dropped = Vec::new();
        let again = self.again;
        let unsent = &mut self.unsent;
        self.all.retain(|&number, request| {
            let age = now.since(request.made);
            match request.sent {
                None if age > held_max => {
                    dropped.push(number);
                    false
                }
                Some(_) if age > super::REQUEST_AGE_MAX => false,
                // Less and less often: a group that is slow is not helped by copies.
                Some(sent) if now.since(sent) > again * (1 << request.repeats) => {
                    request.sent = Some(now);
                    request.repeats = (request.repeats + 1).min(REPEATS_MAX);
                    unsent.push(number);
                    true
                }
                _ => true,
            }
        });
        if !dropped.is_empty() {
            // They were found in their order.
            unsent.retain(|number| dropped.binary_search(number).is_err());
        }
        dropped
    }

    /// Whether an applied proposal was one of ours that is still waited for.
    pub(super) fn complete(&mut self, origin: u64, request: u64) -> bool {
        origin == self.origin && self.all.remove(&request).is_some()
    }

    pub(super) fn forget(&mut self, request: u64) {
        self.all.remove(&request);
    }
}
