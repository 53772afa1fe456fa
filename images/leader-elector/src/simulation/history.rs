//! What clients asked for and were told, as a history for the checker of linearizability.
//!
//! The model is one election: who holds it and the highest token. A lease that ends by itself is an
//! operation too, that nobody asked for: it may take effect from one time to live after the last
//! confirmed sign of life on, counted on the fastest clock, or never.

use std::collections::BTreeMap;

use super::clock::DRIFT_PPM_MAX;
use super::linearizability::{Call, Model, Refusal, check};
use crate::Boottime;
use crate::election::{Command, Outcome, Session};

/// A session with its token.
pub(super) type Holder = (Session, u64);

/// A command that a client sent.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) client: usize,
    pub(super) election: usize,
    pub(super) session: Session,
    pub(super) command: Command,
    pub(super) sent: u64,
    /// The same on the clock of the client's machine.
    pub(super) sent_local: Boottime,
    /// When the member that was asked knew the outcome.
    pub(super) done: Option<(u64, Outcome)>,
    /// That member said that nothing was done and nothing will be.
    pub(super) dropped: bool,
}

/// A linearizable read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) election: usize,
    pub(super) sent: u64,
    pub(super) done: Option<(u64, Option<Holder>)>,
}

/// A lease that was granted, as the replicas tell.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub(super) election: usize,
    pub(super) token: u64,
    /// In nanoseconds.
    pub(super) ttl: u64,
    /// When the first replica applied it.
    pub(super) seen: u64,
}

/// What can happen to an election.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// It was free; now it is held under a new token.
    Grant(Holder),
    /// It is held so.
    Sees(Option<Holder>),
    /// It is held by another session.
    Busy(Session),
    /// The session held it and gives it up.
    Release(Session),
    /// The lease ends by itself.
    Expire(u64),
}

/// One election.
struct Election;

impl Model for Election {
    type State = (u64, Option<Holder>);
    type Operation = Operation;

    fn initial(&self) -> Self::State {
        (0, None)
    }

    fn step(&self, state: &Self::State, operation: &Operation) -> Option<Self::State> {
        let (token_last, held) = *state;
        match operation {
            Operation::Grant(holder) => {
                (held.is_none() && holder.1 > token_last).then_some((holder.1, Some(*holder)))
            }
            Operation::Sees(seen) => (held == *seen).then_some(*state),
            Operation::Busy(session) => held.is_some_and(|it| it.0 != *session).then_some(*state),
            Operation::Release(session) => {
                held.is_some_and(|it| it.0 == *session).then_some((token_last, None))
            }
            Operation::Expire(token) => {
                held.is_some_and(|it| it.1 == *token).then_some((token_last, None))
            }
        }
    }

    fn only_observes(&self, operation: &Operation) -> bool {
        matches!(operation, Operation::Sees(_) | Operation::Busy(_))
    }
}

/// Everything that is known of a run's elections.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) attempts: Vec<Attempt>,
    pub(super) reads: Vec<Read>,
    pub(super) granted: BTreeMap<Session, Granted>,
}

// === impl History ===

impl History {
    /// Checks one election.
    pub(super) fn check(&self, election: usize) -> Result<(), String> {
        let mut calls = Vec::new();
        for (session, granted) in self.granted.iter().filter(|it| it.1.election == election) {
            self.lease(*session, granted, &mut calls)?;
        }
        for attempt in self.attempts.iter().filter(|it| it.election == election && !it.dropped) {
            self.attempt(attempt, &mut calls);
        }
        for read in self.reads.iter().filter(|it| it.election == election) {
            if let Some((at, seen)) = read.done {
                let operation = Operation::Sees(seen);
                calls.push(Call { operation, invoked: read.sent, returned: Some(at) });
            }
        }
        check(&Election, &calls).map_err(|refusal| match refusal {
            Refusal::Impossible(text) => format!("not linearizable: {text}"),
            Refusal::Undecided => "the history is too hard to check".into(),
        })
    }

    /// The beginning and the possible end of a lease.
    fn lease(
        &self,
        session: Session,
        granted: &Granted,
        calls: &mut Vec<Call<Operation>>,
    ) -> Result<(), String> {
        let asked = self.attempts.iter().filter(|attempt| {
            let acquires = matches!(attempt.command, Command::Acquire(_));
            attempt.session == session && acquires && !attempt.dropped
        });
        let Some(first) = asked.map(|attempt| attempt.sent).min() else {
            return Err(format!("a lease for {session:?}, which nobody asked for: {granted:?}"));
        };
        let confirmed = self.attempts.iter().filter(|attempt| match &attempt.done {
            Some((_, Outcome::Holds(lease))) => lease.session == session,
            Some((_, Outcome::Queued(queued))) => *queued == session,
            _ => false,
        });
        let sign = confirmed.map(|attempt| attempt.sent).max().unwrap_or(first).max(first);
        let fast = 1_000_000 + DRIFT_PPM_MAX;
        calls.push(Call {
            operation: Operation::Grant((session, granted.token)),
            invoked: first,
            returned: Some(granted.seen),
        });
        calls.push(Call {
            operation: Operation::Expire(granted.token),
            invoked: sign + granted.ttl * 1_000_000 / fast,
            returned: None,
        });
        Ok(())
    }

    fn attempt(&self, attempt: &Attempt, calls: &mut Vec<Call<Operation>>) {
        let Attempt { session, sent, command, done, .. } = attempt;
        let mut push = |operation, returned| {
            calls.push(Call { operation, invoked: *sent, returned });
        };
        let was_granted = self.granted.contains_key(session);
        let is_resign = matches!(command, Command::Resign { .. });
        let Some((at, outcome)) = done else {
            // Others change nothing that the model knows of, or are in it as a lease.
            if is_resign && was_granted {
                push(Operation::Release(*session), None);
            }
            return;
        };
        let holder = |lease: &crate::election::Lease| (lease.session, lease.token);
        let operation = match outcome {
            Outcome::Holds(lease) | Outcome::Held(lease) | Outcome::Duplicate(lease) => {
                Operation::Sees(Some(holder(lease)))
            }
            Outcome::Gone(lease) => Operation::Sees(lease.as_ref().map(holder)),
            Outcome::Queued(queued) => Operation::Busy(*queued),
            Outcome::Done if is_resign && was_granted => Operation::Release(*session),
            Outcome::Done | Outcome::Full => return,
        };
        push(operation, Some(*at));
    }
}
