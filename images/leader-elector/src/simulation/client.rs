//! Applications with the part of the sidecar that counts their leases: the rule of [`crate::agent`]
//! and of the backend, in as few lines as it can be said.
//!
//! A lease is believed in for nine tenths of its time to live, from when the last request was sent
//! that is known to have found it, or to have found its candidate in the queue. A client outlives
//! its sidecar, not its machine.

use std::sync::Arc;
use std::time::Duration;

use super::clock::MS;
use super::history::Attempt;
use super::trace::Note;
use super::witness::nanos;
use super::{Event, World};
use crate::Boottime;
use crate::election::{Acquire, Command, Lease, Outcome, Session};

/// An application that wants to lead an election.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) node: usize,
    pub(super) election: usize,
    pub(super) holder: Arc<str>,
    pub(super) state: State,
    /// The sessions of this candidacy: more than one if it was asked for anew with its request id.
    sessions: Vec<Session>,
    request: Option<Acquire>,
    tries: u32,
    token: u64,
    /// When the last confirmed sign of life was sent.
    sign: Option<Boottime>,
    /// Not the leader from here on.
    deadline: Boottime,
    /// Timers of earlier generations are void.
    generation: u64,
    /// The application is stopped until then.
    pub(super) paused_until: u64,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Asking,
    Queued,
    Holding,
    /// The process is gone.
    Dead,
}

// === impl Client ===

impl Client {
    pub(super) fn new(node: usize, election: usize, number: usize) -> Self {
        Self {
            node,
            election,
            holder: format!("app-{number}").into(),
            state: State::Idle,
            sessions: Vec::new(),
            request: None,
            tries: 0,
            token: 0,
            sign: None,
            deadline: Boottime::default(),
            generation: 0,
            paused_until: 0,
        }
    }

    /// Whether it may call itself the leader.
    pub(super) fn is_valid(&self, local: Boottime) -> bool {
        self.state == State::Holding && local < self.deadline
    }

    fn is_asking(&self) -> bool {
        matches!(self.state, State::Asking | State::Queued)
    }

    fn forget(&mut self, state: State) {
        self.state = state;
        self.sessions.clear();
        self.request = None;
        self.tries = 0;
        self.sign = None;
        self.deadline = Boottime::default();
    }
}

fn ttl_of(request: &Acquire) -> Duration {
    request.ttl
}

// === impl World: what clients do ===

impl World {
    fn local(&self, client: usize) -> Boottime {
        self.nodes[self.clients[client].node].clock.shows(self.now)
    }

    /// The client's next turn, after so much time on its own clock.
    fn wake_after(&mut self, client: usize, after: Duration) {
        self.clients[client].generation += 1;
        let generation = self.clients[client].generation;
        let after = self.nodes[self.clients[client].node].clock.truly(after);
        self.schedule(after, Event::Act { client, generation });
    }

    fn wake_within(&mut self, client: usize, low_ms: u64, high_ms: u64) {
        let after = Duration::from_millis(self.dice.between(low_ms, high_ms));
        self.wake_after(client, after);
    }

    /// The turn of a client.
    pub(super) fn act(&mut self, client: usize, generation: u64) {
        if self.clients[client].generation != generation {
            return;
        }
        match self.clients[client].state {
            State::Dead | State::Idle => self.candidate(client),
            State::Asking => self.ask_again(client),
            State::Queued => {
                if !self.ending && self.dice.permille(60) {
                    return self.give_up(client);
                }
                self.renew(client, 0);
            }
            State::Holding => {
                let expired = !self.clients[client].is_valid(self.local(client));
                let leave = if expired { 500 } else { 120 };
                if (expired || !self.ending) && self.dice.permille(leave) {
                    return self.give_up(client);
                }
                self.renew(client, self.clients[client].token);
            }
        }
    }

    fn candidate(&mut self, client: usize) {
        let session = Session(self.dice.number());
        let wait = self.ending || self.dice.permille(650);
        let number = self.history.attempts.len();
        let request_id = self.dice.permille(500).then(|| format!("request-{number}").into());
        let it = &self.clients[client];
        let request = Acquire {
            election: Arc::clone(&self.elections[it.election]),
            holder: Arc::clone(&it.holder),
            session,
            ttl: Duration::from_millis(1_000 + 500 * self.dice.below(4)),
            priority: self.dice.below(3).cast_signed() - 1,
            wait,
            metadata: None,
            request_id,
        };
        let it = &mut self.clients[client];
        it.forget(State::Asking);
        it.sessions.push(session);
        it.request = Some(request.clone());
        self.ask(client, session, Command::Acquire(request));
        self.wake_within(client, 200, 1_500);
    }

    /// No answer came: the outcome is unknown, and asking again must do no harm.
    fn ask_again(&mut self, client: usize) {
        self.clients[client].tries += 1;
        if self.clients[client].tries > 4 && self.dice.permille(500) {
            return self.give_up(client);
        }
        let Some(mut request) = self.clients[client].request.clone() else { return };
        if request.request_id.is_some() && self.dice.permille(300) {
            request.session = Session(self.dice.number());
            self.clients[client].sessions.push(request.session);
            self.clients[client].request = Some(request.clone());
        }
        self.ask(client, request.session, Command::Acquire(request));
        self.wake_within(client, 200, 1_500);
    }

    fn renew(&mut self, client: usize, token: u64) {
        let it = &self.clients[client];
        let (Some(request), Some(session)) = (&it.request, it.sessions.last().copied()) else {
            return;
        };
        let third = ttl_of(request) / 3;
        let election = Arc::clone(&request.election);
        self.ask(client, session, Command::Renew { election, session, token });
        self.wake_after(client, third);
    }

    /// Stops believing first, then tells.
    fn give_up(&mut self, client: usize) {
        let sessions = std::mem::take(&mut self.clients[client].sessions);
        let election = Arc::clone(&self.elections[self.clients[client].election]);
        self.clients[client].forget(State::Idle);
        for session in sessions {
            let successor = self.dice.permille(200).then(|| {
                let other = self.dice.place(self.clients.len());
                Arc::clone(&self.clients[other].holder)
            });
            let election = Arc::clone(&election);
            self.ask(client, session, Command::Resign { election, session, token: 0, successor });
        }
        self.wake_within(client, 20, 1_500);
    }

    /// The application dies; its sidecar may see that and resign for it.
    pub(super) fn kill_client(&mut self, client: usize, noticed: bool) {
        if noticed {
            self.give_up(client);
        }
        self.clients[client].forget(State::Dead);
        self.wake_within(client, 500, 4_000);
    }

    fn ask(&mut self, client: usize, session: Session, command: Command) {
        let what = match &command {
            Command::Acquire(_) => "acquire",
            Command::Renew { .. } => "renew",
            _ => "resign",
        };
        let (node, election) = (self.clients[client].node, self.clients[client].election);
        let attempt = self.history.attempts.len();
        let note = Note::Ask { client, node, attempt, what, session: session.0 };
        self.trace.note(self.now, note);
        self.history.attempts.push(Attempt {
            client,
            election,
            session,
            command,
            sent: self.now,
            sent_local: self.local(client),
            done: None,
            dropped: false,
        });
        let delay = self.dice.between(MS / 100, MS / 2);
        self.schedule(delay, Event::Ask { node, attempt });
    }

    /// The answer to a command reaches the client.
    pub(super) fn answer(&mut self, attempt: usize, outcome: &Outcome) {
        let Attempt { client, session, sent_local, .. } = self.history.attempts[attempt];
        let (what, token) = match outcome {
            Outcome::Done => ("done", 0),
            Outcome::Holds(lease) => ("holds", lease.token),
            Outcome::Queued(_) => ("queued", 0),
            Outcome::Held(lease) => ("held", lease.token),
            Outcome::Duplicate(lease) => ("duplicate", lease.token),
            Outcome::Gone(lease) => ("gone", lease.as_ref().map_or(0, |lease| lease.token)),
            Outcome::Full => ("full", 0),
        };
        self.trace.note(self.now, Note::Answer { client, attempt, what, token });
        if !self.clients[client].sessions.contains(&session) {
            return;
        }
        let since = match self.setup.deadline_after_send {
            true => self.local(client),
            false => sent_local,
        };
        match outcome {
            Outcome::Holds(lease) => self.holds(client, lease, Some(since)),
            Outcome::Queued(queued) => self.queued(client, *queued, since),
            Outcome::Held(_) | Outcome::Duplicate(_) | Outcome::Full => {
                self.clients[client].forget(State::Idle);
                self.wake_within(client, 50, 1_000);
            }
            Outcome::Gone(_) => self.give_up(client),
            Outcome::Done => {}
        }
    }

    fn queued(&mut self, client: usize, session: Session, since: Boottime) {
        let it = &mut self.clients[client];
        it.sign = it.sign.max(Some(since));
        match it.state {
            State::Holding if it.sessions.last() == Some(&session) => {
                let Some(request) = &it.request else { return };
                let deadline = since + ttl_of(request) * 9 / 10;
                self.believe(client, deadline);
            }
            State::Asking => {
                it.state = State::Queued;
                adopt(it, session);
                let third = it.request.as_ref().map_or(Duration::ZERO, ttl_of) / 3;
                self.wake_after(client, third);
            }
            _ => {}
        }
    }

    /// The client is told, by an answer or by the table, that it holds a lease; `since` is none if
    /// only its earlier signs of life count.
    fn holds(&mut self, client: usize, lease: &Lease, since: Option<Boottime>) {
        let it = &mut self.clients[client];
        if !it.sessions.contains(&lease.session) {
            let text = format!("client {client} is told to hold {lease:?}, which is not its own");
            return self.violated(text);
        }
        let was_holding = it.state == State::Holding;
        it.state = State::Holding;
        it.token = lease.token;
        adopt(it, lease.session);
        let since = since.max(it.sign);
        if !was_holding {
            let third = nanos(lease.ttl) / 3;
            // A candidate without a confirmed sign of life may not believe in anything yet.
            let wait = if since.is_some() { self.dice.below(third) } else { 0 };
            self.wake_after(client, Duration::from_nanos(wait));
        }
        if let Some(since) = since {
            self.believe(client, since + lease.ttl * 9 / 10);
        }
    }

    /// The client may call itself the leader until `deadline`: nobody else may now.
    fn believe(&mut self, client: usize, deadline: Boottime) {
        let local = self.local(client);
        let it = &mut self.clients[client];
        it.deadline = it.deadline.max(deadline);
        let (election, token) = (it.election, it.token);
        if !it.is_valid(local) {
            return;
        }
        let micros = u64::try_from(it.deadline.since(local).as_micros()).unwrap_or(u64::MAX);
        self.trace.note(self.now, Note::Valid { client, token, micros });
        for other in 0..self.clients.len() {
            let it = &self.clients[other];
            if other != client && it.election == election && it.is_valid(self.local(other)) {
                let text = format!(
                    "clients {client} (token {token}) and {other} (token {}) both lead",
                    it.token
                );
                self.violated(text);
            }
        }
    }

    /// The sidecar at a node sees a lease granted to one of its candidates.
    pub(super) fn observed(&mut self, node: usize, lease: &Lease) {
        for client in 0..self.clients.len() {
            let it = &self.clients[client];
            let own = it.node == node && it.is_asking() && it.sessions.contains(&lease.session);
            if own && it.paused_until <= self.now {
                self.holds(client, lease, None);
            }
        }
    }
}

/// Goes on in the session that the group knows.
fn adopt(client: &mut Client, session: Session) {
    client.sessions.retain(|it| *it != session);
    client.sessions.push(session);
}
