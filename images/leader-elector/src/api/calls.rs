//! The calls, each from its body to its answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use hyper::Response;
use hyper::body::{Bytes, Incoming};

use super::body::{self, Body};
use super::bound::{Bound, Waiting};
use super::compat::{self, Name, Names};
use super::events::{Source, Stream};
use super::message::{
    AcquireBody, BODY_BYTES_MAX, CheckBody, Held, Leads, OneRenewed, RENEWALS_BYTES_MAX, RenewBody,
    Renewal, RenewalsBody, Renewed, ResignBody, SessionText, State, States, WAIT_MAX, parse,
    to_json,
};
use super::problem::Problem;
use super::route::{Call, Scope, parameter};
use super::watching::Watcher;
use super::{Api, json};
use crate::Boottime;
use crate::agent::{Agent, Candidacy, Seen, Standing};
use crate::backend::{Consistency, Failure, Session};

type Answer = Result<Response<Body>, Problem>;

/// How long a stream waits for its lease if the client does not say: as long as it is open.
const WAIT_OPEN: Duration = Duration::from_secs(365 * 24 * 3600);
const EVENT_STREAM: &str = "text/event-stream";

// === impl Api ===

impl Api {
    /// Carries a call out.
    pub(super) async fn call(&self, call: Call, parts: &Parts, body: Incoming) -> Answer {
        match call {
            Call::Renew(scope) => self.renew(scope, body).await,
            // Boxed, as every connection keeps room for the largest of its futures.
            other => Box::pin(self.rare(other, parts, body)).await,
        }
    }

    async fn rare(&self, call: Call, parts: &Parts, body: Incoming) -> Answer {
        match call {
            Call::Renew(scope) => self.renew(scope, body).await,
            Call::RenewAll => self.renew_all(body).await,
            Call::Acquire(scope) => self.acquire(scope, parts, body).await,
            Call::Resign(scope) => self.resign(scope, body).await,
            Call::Check(election) => self.check(&election, body).await,
            Call::Read(election) => self.read(&election, parts).await,
            Call::Watch(election) => self.watch(election, parts).await,
            Call::IsLeader(election) => self.is_leader(&election).await,
            Call::List => self.list().await,
            Call::Name => self.name().await,
            Call::IsLeaderCompat => {
                let leads = self.agent.standing(&self.agent.default_election()).is_some();
                Ok(json(StatusCode::OK, compat::is_leader(leads)))
            }
            Call::Sse => self.sse().await,
            Call::Health => self.health(),
            Call::Ready => match self.agent.ready() {
                Ok(()) => Ok(json(StatusCode::OK, r#"{"ready":true}"#)),
                Err(reason) => Err(Failure::NoQuorum(reason).into()),
            },
        }
    }

    async fn renew(&self, scope: Scope, body: Incoming) -> Answer {
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let (election, session, token) = self.candidacy(scope, &bytes, |bytes| {
            let RenewBody { session, token } = parse(bytes)?;
            Ok((session.0, token))
        })?;
        match self.agent.renew(&election, session, token).await {
            Ok(standing) => Ok(held(&election, &standing)),
            Err(failure) => Err(not_renewed(&self.agent, &election, token, failure)),
        }
    }

    async fn renew_all(&self, body: Incoming) -> Answer {
        let bytes = body::read(body, RENEWALS_BYTES_MAX).await?;
        let body: RenewalsBody = parse(&bytes)?;
        body.check()?;
        let outcomes = renew_together(&self.agent, &body.renewals).await;
        let now = Boottime::now();
        let both = body.renewals.iter().zip(&outcomes);
        let results = both.map(|(renewal, outcome)| one(&self.agent, renewal, outcome, now));
        Ok(json(StatusCode::OK, to_json(&Renewed { results: results.collect() })))
    }

    async fn acquire(&self, scope: Scope, parts: &Parts, body: Incoming) -> Answer {
        let election = self.election(scope);
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let body: AcquireBody = parse(&bytes)?;
        let ttl_min = self.agent.config().ttl_min;
        let (candidacy, wait) = body.candidacy(Arc::clone(&election), ttl_min)?;
        // An application that stands for election is not the one that was to end.
        self.agent.application_lives();
        if !wants_events(&parts.headers) {
            let standing = self.agent.acquire(candidacy).await?;
            return Ok(held(&election, &standing));
        }
        self.bind(candidacy, wait).await
    }

    /// Binds the lease to the connection. What can be said at once is an answer with a status; who
    /// waits is shown an open stream.
    async fn bind(&self, mut candidacy: Candidacy, wait: Option<Duration>) -> Answer {
        let place = self.place()?;
        let election = Arc::clone(&candidacy.election);
        candidacy.wait = Duration::ZERO;
        candidacy.bound = true;
        let acquired = self.agent.acquire(candidacy.clone()).await;
        let wait = wait.unwrap_or(WAIT_OPEN);
        let bound = match acquired {
            Ok(standing) => Bound::elected(&self.agent, election, standing, place),
            Err(Failure::Held { .. } | Failure::DuplicateId(_)) if !wait.is_zero() => {
                candidacy.wait = wait;
                let agent = Arc::clone(&self.agent);
                let waiting: Waiting = Box::pin(async move { agent.acquire(candidacy).await });
                Bound::waiting(&self.agent, election, waiting, place)
            }
            Err(failure) => return Err(failure.into()),
        };
        Ok(events(Source::Bound(Box::new(bound))))
    }

    async fn resign(&self, scope: Scope, body: Incoming) -> Answer {
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let mut successor = None;
        let (election, session, token) = self.candidacy(scope, &bytes, |bytes| {
            let body: ResignBody = parse(bytes)?;
            body.check()?;
            successor = body.successor.map(Arc::from);
            Ok((body.session.0, body.token))
        })?;
        match self.agent.resign(&election, session, token, successor).await {
            Ok(()) => Ok(json(StatusCode::OK, r#"{"leader":false}"#)),
            Err(Failure::Lost(leader)) => Err(Problem::not_holder(leader.as_ref())),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn check(&self, election: &Arc<str>, body: Incoming) -> Answer {
        let bytes = body::read(body, BODY_BYTES_MAX).await?;
        let CheckBody { token } = parse(&bytes)?;
        match self.agent.check(election, token).await? {
            (_, None) => Ok(json(StatusCode::OK, r#"{"current":true}"#)),
            (view, Some(highest)) => Err(Problem::stale(view.lease.as_ref(), highest)),
        }
    }

    async fn read(&self, election: &Arc<str>, parts: &Parts) -> Answer {
        let consistency = match parameter(parts.uri.query(), "consistency") {
            None | Some("local") => Consistency::Local,
            Some("linearizable") => Consistency::Linearizable,
            Some(_) => return Err(Problem::bad_request("consistency is local or linearizable")),
        };
        let view = self.agent.read(election, consistency).await?;
        let standing = self.agent.standing(election);
        let state = State::new(election, &view, standing.as_ref(), consistency);
        Ok(json(StatusCode::OK, to_json(&state)))
    }

    async fn watch(&self, election: Arc<str>, parts: &Parts) -> Answer {
        let query = parts.uri.query();
        let wait = number(parameter(query, "wait_ms"), "wait_ms")?.map(Duration::from_millis);
        if wait.is_some_and(|wait| wait > WAIT_MAX) {
            return Err(Problem::invalid(format!("wait_ms is at most {}", WAIT_MAX.as_millis())));
        }
        // A client that comes back says where it was; the query is where it began.
        let last = parts.headers.get("last-event-id").map(|value| value.to_str());
        let last = match last {
            Some(Ok(text)) => number(Some(text), "Last-Event-ID")?,
            Some(Err(_)) => return Err(Problem::bad_request("Last-Event-ID is no number")),
            None => None,
        };
        let since = match last {
            Some(last) => Some(last),
            None => number(parameter(query, "since"), "since")?,
        };
        let place = self.place()?;
        let watcher = Watcher::new(&self.agent, election, since, place).await?;
        let Some(wait) = wait else { return Ok(events(Source::Watch(watcher))) };
        let wait = if since.is_none() { Duration::ZERO } else { wait };
        let (election, seen) = watcher.poll(wait).await;
        let standing = self.agent.standing(&election);
        let state = State::seen(&election, &seen, standing.as_ref());
        Ok(json(StatusCode::OK, to_json(&state)))
    }

    async fn is_leader(&self, election: &Arc<str>) -> Answer {
        if let Some(standing) = self.agent.standing(election) {
            let leads = Leads::new(election, &standing, Boottime::now());
            return Ok(json(StatusCode::OK, to_json(&leads)));
        }
        let view = self.agent.read(election, Consistency::Local).await.unwrap_or_default();
        let seen = Seen::new(&self.agent, election, view);
        Err(Problem::not_leader(seen.leader()))
    }

    async fn list(&self) -> Answer {
        let all = self.agent.list().await?;
        let elections = all.iter().map(|(election, view)| {
            let standing = self.agent.standing(election);
            State::new(election, view, standing.as_ref(), Consistency::Local)
        });
        let states = States { elections: elections.collect() };
        Ok(json(StatusCode::OK, to_json(&states)))
    }

    async fn name(&self) -> Answer {
        let election = self.agent.default_election();
        // Whatever is wrong, who asks in this form knows no errors: the name is unknown.
        let view = self.agent.read(&election, Consistency::Local).await.unwrap_or_default();
        let seen = Seen::new(&self.agent, &election, view);
        Ok(json(StatusCode::OK, to_json(&Name::of(&seen))))
    }

    async fn sse(&self) -> Answer {
        let place = self.place()?;
        let seen = self.agent.watch(&self.agent.default_election()).await?;
        Ok(events(Source::Names(Names::new(seen, place))))
    }

    fn health(&self) -> Answer {
        let alive = (self.config.live)().and_then(|()| self.agent.liveness());
        match alive {
            Ok(()) => Ok(json(StatusCode::OK, r#"{"live":true}"#)),
            Err(reason) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_live", reason)),
        }
    }

    fn election(&self, scope: Scope) -> Arc<str> {
        match scope {
            Scope::Named(election) => election,
            Scope::Plain => self.agent.default_election(),
        }
    }

    /// The candidacy that a body names. The paper's plain calls know none: there it may be missing,
    /// and what this sidecar holds is meant.
    fn candidacy(
        &self,
        scope: Scope,
        bytes: &Bytes,
        read: impl FnOnce(&[u8]) -> Result<(Session, u64), Problem>,
    ) -> Result<(Arc<str>, Session, u64), Problem> {
        let plain = scope == Scope::Plain;
        let election = self.election(scope);
        if plain && bytes.is_empty() {
            let standing = self.agent.standing(&election);
            let Standing { lease, .. } = standing.ok_or_else(|| Problem::not_holder(None))?;
            return Ok((election, lease.session, lease.token));
        }
        let (session, token) = read(bytes)?;
        Ok((election, session, token))
    }
}

/// Renews all at once, so that they can share an entry of the log.
async fn renew_together(
    agent: &Arc<Agent>,
    renewals: &[Renewal],
) -> Vec<Result<Standing, Failure>> {
    let mut running: Vec<_> = renewals
        .iter()
        .map(|Renewal { election, session: SessionText(session), token }| {
            Some(Box::pin(agent.renew(election, *session, *token)))
        })
        .collect();
    let mut outcomes: Vec<Option<Result<Standing, Failure>>> = vec![None; running.len()];
    poll_fn(|context| {
        let mut left = false;
        for (renewal, outcome) in running.iter_mut().zip(&mut outcomes) {
            let Some(future) = renewal else { continue };
            match Pin::new(future).as_mut().poll(context) {
                Poll::Ready(done) => {
                    *outcome = Some(done);
                    *renewal = None;
                }
                Poll::Pending => left = true,
            }
        }
        if left { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    drop(running);
    outcomes.into_iter().flatten().collect()
}

fn one<'s>(
    agent: &Agent,
    renewal: &'s Renewal,
    outcome: &'s Result<Standing, Failure>,
    now: Boottime,
) -> OneRenewed<'s> {
    let Renewal { election, token, .. } = renewal;
    match outcome {
        Ok(standing) => OneRenewed::Held(Held::new(election, standing, now)),
        Err(failure) => OneRenewed::Problem(not_renewed(agent, election, *token, failure.clone())),
    }
}

fn not_renewed(agent: &Agent, election: &str, token: u64, failure: Failure) -> Problem {
    match failure {
        Failure::Lost(leader) => Problem::lost(leader.as_ref()),
        Failure::NoQuorum(_) | Failure::Unknown(_) | Failure::Limit(_) => {
            let standing = agent.standing(election).filter(|it| it.lease.token == token);
            let left = standing.map_or(Duration::ZERO, |it| it.valid_for(Boottime::now()));
            Problem::not_renewed(&failure, left)
        }
        failure => failure.into(),
    }
}

fn held(election: &str, standing: &Standing) -> Response<Body> {
    json(StatusCode::OK, to_json(&Held::new(election, standing, Boottime::now())))
}

fn events(source: Source) -> Response<Body> {
    let mut response = Response::new(Body::Stream(Stream::new(source)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    response
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| {
        let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default());
        kinds.map(str::trim).any(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
    })
}

fn number(text: Option<&str>, name: &str) -> Result<Option<u64>, Problem> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parse = |text: &str| text.parse().ok().filter(|_| digits(text));
    let bad = || Problem::bad_request(format!("{name} is no number"));
    text.map(|text| parse(text).ok_or_else(bad)).transpose()
}

/// What fuzz targets reach into: a body of every call.
#[cfg(feature = "simulation")]
pub(super) fn parse_any(bytes: &[u8]) {
    if let Ok(body) = parse::<AcquireBody>(bytes) {
        let _ = body.candidacy("e".into(), Duration::from_secs(1));
    }
    let _ = parse::<RenewBody>(bytes);
    let _ = parse::<RenewalsBody>(bytes).map(|body| body.check());
    let _ = parse::<ResignBody>(bytes).map(|body| body.check());
    let _ = parse::<CheckBody>(bytes);
}
