//! The endpoints: probes on their own listener, everything on the admin listener.
//!
//! Later parts of the contract (threads, profiles, locks, pause, state, preempt, replicate) are
//! further modules here, each with a `routes()` of its own and lines in [`ADMIN`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;
use crate::runtime::Core;
use crate::security::guard;
use crate::server::Peer;

mod admin;
mod lifecycle;
mod logs;
mod probes;

pub(crate) use logs::LOG_STREAMS_MAX;

const BODY_BYTES_MAX: usize = 64 * 1024;
/// For an answer to begin; what streams afterwards has no such limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// An endpoint, as listed in `GET /mgmt/v1` and in generated tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// HTTP method.
    pub method: &'static str,
    /// Full path.
    pub path: &'static str,
    /// What it answers or does, without a full stop.
    pub about: &'static str,
}

const fn endpoint(method: &'static str, path: &'static str, about: &'static str) -> Endpoint {
    Endpoint { method, path, about }
}

/// What both listeners serve, open to everybody who reaches them.
pub(crate) const PROBES: &[Endpoint] = &[
    endpoint("GET", "/livez", "200 while the process works, else 503 (alias `/healthz`)"),
    endpoint("GET", "/readyz", "200 while it can serve, else 503; the checks"),
    endpoint("GET", "/startupz", "503 until it was ready once, then 200"),
    endpoint("GET", "/metrics", "Metrics in Prometheus' text format"),
];

/// The paths of [`PROBES`], with the alias.
pub(crate) const OPEN_PATHS: &[&str] = &["/livez", "/healthz", "/readyz", "/startupz", "/metrics"];

/// What the admin listener serves beside the probes.
pub(crate) const ADMIN: &[Endpoint] = &[
    endpoint("GET", "/mgmt/v1", "The endpoints of this image"),
    endpoint("GET", "/mgmt/v1/info", "Image, version, start, capabilities"),
    endpoint("GET", "/mgmt/v1/config", "Every value in force, its source; secrets redacted"),
    endpoint("GET", "/mgmt/v1/log-level", "The log filter in force"),
    endpoint("PUT", "/mgmt/v1/log-level", "Set it: `{\"filter\":\"debug\",\"for\":\"10m\"}`"),
    endpoint("DELETE", "/mgmt/v1/log-level", "Back to the configured filter"),
    endpoint("GET", "/mgmt/v1/logs", "Log lines, `?tail=200&follow=1&filter=info`; NDJSON or SSE"),
    endpoint("GET", "/mgmt/v1/network", "Counters of each listener and upstream"),
    endpoint("GET", "/mgmt/v1/lifecycle", "State, grace plan, requests in flight"),
    endpoint("POST", "/mgmt/v1/lifecycle/drain", "Not ready, stop accepting; the process stays"),
    endpoint("POST", "/mgmt/v1/lifecycle/undrain", "Serve again"),
    endpoint("POST", "/mgmt/v1/lifecycle/shutdown", "Drain and exit; `{\"force\":true}`: exit 1"),
    endpoint("POST", "/quitquitquit", "Alias of shutdown, from this machine only"),
];

/// The probe listener: read-only, no body is ever read.
pub(crate) fn probe(core: &Arc<Core>) -> Router {
    let router = probes::routes().with_state(Arc::clone(core));
    finish(router, core, |core| &core.requests.probe)
}

/// The admin listener, with the image's own endpoints.
pub(crate) fn admin(core: &Arc<Core>, own: Router) -> Router {
    let router = probes::routes()
        .merge(admin::routes())
        .merge(lifecycle::routes())
        .merge(logs::routes())
        .with_state(Arc::clone(core));
    // An empty router cannot be nested twice, and needs not be.
    let router = router.nest("/mgmt/v1", own).layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
    let router = router.layer(from_fn_with_state(Arc::clone(core), guard)).layer(from_fn(audit));
    finish(router, core, |core| &core.requests.admin)
}

fn finish(router: Router, core: &Arc<Core>, counter: fn(&Core) -> &AtomicU64) -> Router {
    let core = Arc::clone(core);
    let count = from_fn(move |request: Request, next: Next| {
        counter(&core).fetch_add(1, Ordering::Relaxed);
        next.run(request)
    });
    router.layer(from_fn(in_time)).layer(map_response(wrap)).layer(count)
}

async fn wrap(response: Response) -> Response {
    Problem::wrap(response)
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no answer in time").into_response()
        }
    }
}

/// Says in the log who changed what, also when it was refused.
async fn audit(request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = match request.extensions().get::<Peer>() {
        Some(Peer::Tcp(addr)) => addr.to_string(),
        _ => "unix".to_owned(),
    };
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::info!(target: "management::audit", %method, path, peer, status, "change requested");
    response
}

/// A handler's view of the process.
type Shared = State<Arc<Core>>;
