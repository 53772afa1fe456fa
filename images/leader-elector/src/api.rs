//! The API on localhost: acquire, renew, resign, read, watch, and what older clients expect.
//!
//! Plain hyper and a match on the path: every answer is made here, so every error has the one shape
//! (`{error, message, …}`) by construction, and a renewal costs two allocations beyond its parsing.
//! Nothing is decided here about leadership; [`crate::agent`] knows.

pub mod admin;
mod body;
mod bound;
mod calls;
mod compat;
mod events;
pub mod message;
pub mod problem;
pub mod route;
mod watching;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use management::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use self::body::Body;
use self::problem::Problem;
use self::route::Call;
use crate::agent::Agent;

/// Most clients that watch, poll or hold a lease by their connection at a time.
pub const WATCHERS_MAX: usize = 10_000;
/// Most connections: those, and as many as applications beside one sidecar could want. Past it new
/// ones wait in the backlog.
pub const CONNECTIONS_MAX: usize = WATCHERS_MAX + 2048;
/// From the first byte awaited to the end of a header; ends idle connections too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// After an accept failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest sleep until a moment on the boot clock, as timers stop while the machine sleeps.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// When who was one too many may come again.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// Whether the rest of the process works; `Err` says what does not.
pub type Live = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// How the API is set up.
pub struct ApiConfig {
    /// Bearer token that every call but the probes must show.
    pub token: Option<Secret>,
    /// What `/healthz` asks, beside [`Agent::liveness`].
    pub live: Live,
    /// [`WATCHERS_MAX`], or less in a test.
    pub watchers_max: usize,
    /// [`CONNECTIONS_MAX`], or less in a test.
    pub connections_max: usize,
}

/// What was asked and answered, counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests.
    pub requests: AtomicU64,
    /// Answers of the request's fault (4xx).
    pub refused: AtomicU64,
    /// Answers of ours or the backend's fault (5xx).
    pub failed: AtomicU64,
    /// Clients that were one too many.
    pub watchers_refused: AtomicU64,
}

/// The API.
pub struct Api {
    agent: Arc<Agent>,
    config: ApiConfig,
    counters: Counters,
    watchers: Arc<Semaphore>,
}

// === impl ApiConfig ===

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            token: None,
            live: Arc::new(|| Ok(())),
            watchers_max: WATCHERS_MAX,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

// === impl Api ===

impl Api {
    /// The API of an agent.
    #[must_use]
    pub fn new(agent: Arc<Agent>, config: ApiConfig) -> Arc<Self> {
        let watchers = Arc::new(Semaphore::new(config.watchers_max));
        Arc::new(Self { agent, config, counters: Counters::default(), watchers })
    }

    /// What was asked and answered so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Clients that watch, poll or hold a lease by their connection.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.config.watchers_max - self.watchers.available_permits()
    }

    /// Serves; never returns.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.config.connections_max));
        let connections = TaskTracker::new();
        loop {
            // Never closed, so there is always a place to wait for.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let api = Arc::clone(&self);
                    connections.spawn(async move {
                        api.connection(stream).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Answers are small and awaited; a stream that cannot be told so is served all the same.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let api = Arc::clone(&self);
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        // A closed connection is noticed at once, idle or not: that is what bound leases rely on.
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEADER_BYTES_MAX)
            .half_close(false)
            .pipeline_flush(true)
            .serve_connection(TokioIo::new(stream), service);
        // A client that breaks off is no news, whether cleanly or not.
        let _ = serving.await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let (parts, body) = request.into_parts();
        let answer = match self.admit(&parts) {
            Ok(call) => self.call(call, &parts, body).await,
            Err(problem) => Err(problem),
        };
        answer.unwrap_or_else(|problem| {
            let counter = match problem.status().is_server_error() {
                true => &self.counters.failed,
                false => &self.counters.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            problem.respond()
        })
    }

    /// The call of a request, if it may be made.
    fn admit(&self, parts: &axum::http::request::Parts) -> Result<Call, Problem> {
        let call = Call::of(&parts.method, parts.uri.path())?;
        if parts.headers.contains_key(header::ORIGIN) {
            // A page from anywhere can make a browser on this machine send requests here.
            let message = "requests from a browser are refused";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", message));
        }
        if let Some(token) = &self.config.token
            && !call.is_open()
        {
            let header = parts.headers.get(header::AUTHORIZATION);
            let given = header.and_then(|value| value.to_str().ok()).and_then(bearer);
            if !given.is_some_and(|given| token.matches(given)) {
                return Err(Problem::unauthorized());
            }
        }
        Ok(call)
    }

    /// A place for a client that stays.
    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            self.counters.watchers_refused.fetch_add(1, Ordering::Relaxed);
            let message = "too many clients watch, poll or hold a lease by their connection";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "limit", message).retry_after(RETRY_LATER)
        })
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// An answer in JSON.
fn json(status: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Some(bytes.into())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Reads the bytes as a body of every call, for fuzzing.
#[cfg(feature = "simulation")]
pub fn parse_any(bytes: &[u8]) {
    calls::parse_any(bytes);
}
