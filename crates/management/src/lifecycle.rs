//! The states of a process and the one shutdown sequence, as a pure machine.
//!
//! It is asked what to do next and told what time it is, so every order of drain, signal and
//! deadline is a test without a clock. States for pausing and saving join [`State`] with the
//! endpoints that need them; [`Request`] and [`Step`] have room likewise.

use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// How often in-flight work is counted while waiting for it to end.
const POLL: Duration = Duration::from_millis(20);

/// What an image can be asked while it stops. Called on the management thread: must not block.
pub trait Drain: Send + Sync {
    /// Requests under way. The wait ends early when this is 0.
    fn in_flight(&self) -> u64;
    /// Stop accepting work and finish what is under way. May be said twice.
    fn stop_accepting(&self);
    /// Close what is left; the process ends next.
    fn close(&self);
    /// Accept work again.
    fn undrain(&self);
}

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Not ready for the first time yet.
    Starting,
    /// Serving.
    Running,
    /// Not ready; finishing what is under way. May be undone unless the process is exiting.
    Draining,
    /// The sequence is through.
    Stopped,
    /// Something the process cannot do without has ended.
    Failed,
}

/// How the grace is spent: a readable plan, from one number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Still accepting after readiness went, because endpoints vanish late. Seconds.
    pub pre_drain_s: f64,
    /// At most this long for what is under way. Seconds.
    pub drain_s: f64,
    /// Kept back for closing and flushing. Seconds.
    pub margin_s: f64,
    #[serde(skip)]
    pre_drain: Duration,
    #[serde(skip)]
    budget: Duration,
}

/// How the process ended, or is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// As asked; `in_flight` requests were abandoned at the end of the grace.
    Stopped {
        /// What was still under way.
        in_flight: u64,
    },
    /// A third signal, or a forced shutdown.
    Aborted,
    /// A watched task or thread ended, or the image gave up; says which.
    Failed(String),
}

/// What the machine is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The image is ready for the first time.
    Started,
    /// Stop serving, without exiting.
    Drain,
    /// Serve again.
    Undrain,
    /// Drain, then exit.
    Shutdown,
    /// Exit now, with 1.
    Force,
    /// SIGTERM or SIGINT: the first is a shutdown, the second skips the pre-drain, the third
    /// aborts.
    StopSignal,
    /// Something ended that must not.
    Fail(String),
}

/// A request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It changed something.
    Now,
    /// It was so already.
    Already,
}

/// A request that makes no sense in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {wanted} while {state}")]
pub struct Conflict {
    state: State,
    wanted: &'static str,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until a request comes or this much time has passed since the start.
    Wait(Option<Duration>),
    /// Tell the image to stop accepting.
    StopAccepting,
    /// Tell the image to accept again.
    Undrain,
    /// Tell the image to close; this many requests are still under way.
    Close {
        /// What is abandoned.
        in_flight: u64,
    },
    /// The end.
    Finish(ExitReason),
}

/// The machine. Times are since the start of the process.
#[derive(Debug)]
pub struct Machine {
    plan: Plan,
    state: State,
    since: Duration,
    /// The state to go back to when a drain is undone.
    before: State,
    accepting: bool,
    draining_since: Duration,
    exiting_since: Option<Duration>,
    skip_pre_drain: bool,
    stop_signals: u32,
    closed: Option<u64>,
    end: Option<ExitReason>,
}

// === impl Plan ===

impl Plan {
    /// Derives the plan. In Kubernetes a removed endpoint is still sent traffic for some seconds;
    /// elsewhere waiting for that would only be slow.
    #[must_use]
    pub fn new(grace: Duration, kubernetes: bool) -> Self {
        let margin = (grace / 10).min(Duration::from_secs(2));
        let pre_drain = match kubernetes {
            true => (grace / 4).min(Duration::from_secs(5)),
            false => Duration::ZERO,
        };
        let budget = grace - margin;
        Self {
            pre_drain_s: pre_drain.as_secs_f64(),
            drain_s: (budget - pre_drain).as_secs_f64(),
            margin_s: margin.as_secs_f64(),
            pre_drain,
            budget,
        }
    }

    /// What is kept back for the end.
    #[must_use]
    pub fn margin(&self) -> Duration {
        Duration::from_secs_f64(self.margin_s)
    }

    /// The whole, from the request to the end.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.budget + self.margin()
    }
}

// === impl State ===

impl State {
    /// As shown by the interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ExitReason ===

impl ExitReason {
    /// 0 when asked to stop, 1 otherwise.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Stopped { .. } => 0,
            Self::Aborted | Self::Failed(_) => 1,
        }
    }
}

impl From<ExitReason> for ExitCode {
    fn from(reason: ExitReason) -> Self {
        Self::from(reason.code())
    }
}

// === impl Machine ===

impl Machine {
    /// A process that is starting.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            state: State::Starting,
            since: Duration::ZERO,
            before: State::Starting,
            accepting: true,
            draining_since: Duration::ZERO,
            exiting_since: None,
            skip_pre_drain: false,
            stop_signals: 0,
            closed: None,
            end: None,
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Since when the state is what it is.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Whether the image was told to stop accepting and not told otherwise since.
    #[must_use]
    pub fn accepting(&self) -> bool {
        self.accepting
    }

    /// Whether the end was asked for or has come, so that a task may end too.
    #[must_use]
    pub fn ending(&self) -> bool {
        self.exiting_since.is_some() || self.end.is_some()
    }

    /// Takes a request.
    ///
    /// # Errors
    /// [`Conflict`] when it makes no sense now.
    pub fn apply(&mut self, now: Duration, request: Request) -> Result<Taken, Conflict> {
        let conflict = |wanted| Err(Conflict { state: self.state, wanted });
        match request {
            Request::Started => Ok(self.started(now)),
            Request::Drain if self.ending() => conflict("drain"),
            Request::Drain if self.state == State::Draining => Ok(Taken::Already),
            Request::Drain => Ok(self.drain(now)),
            Request::Undrain if self.ending() || self.state != State::Draining => {
                conflict("undrain")
            }
            Request::Undrain => {
                self.enter(self.before, now);
                self.skip_pre_drain = false;
                Ok(Taken::Now)
            }
            Request::Shutdown => Ok(self.shutdown(now)),
            Request::Force => Ok(self.finish(ExitReason::Aborted, State::Stopped, now)),
            Request::StopSignal => {
                self.stop_signals += 1;
                match self.stop_signals {
                    1 => return Ok(self.shutdown(now)),
                    2 => self.skip_pre_drain = true,
                    _ => return Ok(self.finish(ExitReason::Aborted, State::Stopped, now)),
                }
                Ok(Taken::Now)
            }
            Request::Fail(reason) => {
                Ok(self.finish(ExitReason::Failed(reason), State::Failed, now))
            }
        }
    }

    /// What to do at `now` with this many requests under way. A step is given once.
    pub fn next(&mut self, now: Duration, in_flight: u64) -> Step {
        if let Some(reason) = &self.end {
            return Step::Finish(reason.clone());
        }
        if self.state != State::Draining {
            if self.accepting {
                return Step::Wait(None);
            }
            self.accepting = true;
            return Step::Undrain;
        }
        if self.accepting {
            let until = self.draining_since + self.plan.pre_drain;
            if now < until && !self.skip_pre_drain && !self.overdue(now) {
                return Step::Wait(Some(until));
            }
            self.accepting = false;
            return Step::StopAccepting;
        }
        self.next_exiting(now, in_flight)
    }

    /// The state as JSON, without what only the process knows.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "state": self.state.as_str(),
            "exiting": self.ending(),
            "accepting": self.accepting,
            "grace_s": self.plan.grace().as_secs_f64(),
            "plan": self.plan,
        })
    }

    fn next_exiting(&mut self, now: Duration, in_flight: u64) -> Step {
        let Some(exiting_since) = self.exiting_since else {
            return Step::Wait(None);
        };
        if let Some(in_flight) = self.closed {
            self.finish(ExitReason::Stopped { in_flight }, State::Stopped, now);
            return Step::Finish(ExitReason::Stopped { in_flight });
        }
        if in_flight == 0 || self.overdue(now) {
            self.closed = Some(in_flight);
            return Step::Close { in_flight };
        }
        Step::Wait(Some((now + POLL).min(exiting_since + self.plan.budget)))
    }

    fn overdue(&self, now: Duration) -> bool {
        self.exiting_since.is_some_and(|since| now >= since + self.plan.budget)
    }

    fn started(&mut self, now: Duration) -> Taken {
        match (self.state, self.before) {
            (State::Starting, _) => self.enter(State::Running, now),
            (State::Draining, State::Starting) => self.before = State::Running,
            _ => return Taken::Already,
        }
        Taken::Now
    }

    fn drain(&mut self, now: Duration) -> Taken {
        self.before = self.state;
        // Nobody was sent here yet, so nobody needs time to notice.
        self.skip_pre_drain = self.state == State::Starting;
        self.draining_since = now;
        self.enter(State::Draining, now);
        Taken::Now
    }

    fn shutdown(&mut self, now: Duration) -> Taken {
        if self.ending() {
            return Taken::Already;
        }
        if self.state != State::Draining {
            self.drain(now);
        }
        self.exiting_since = Some(now);
        Taken::Now
    }

    fn finish(&mut self, reason: ExitReason, state: State, now: Duration) -> Taken {
        if self.end.is_some() {
            return Taken::Already;
        }
        self.end = Some(reason);
        self.enter(state, now);
        Taken::Now
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.since = now;
    }
}
