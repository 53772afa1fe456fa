//! Who may use the admin interface.
//!
//! Loopback alone is no protection: a browser on the same machine can be made to send requests
//! there. So a browser's `Origin` and a foreign `Host` (DNS rebinding) are refused, and what
//! changes something needs a header that a form cannot set. A token, once there is a file for it,
//! is needed for everything but the probes.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::OPEN_PATHS;
use crate::health::lock;
use crate::problem::Problem;
use crate::runtime::Core;
use crate::secret::Secret;
use crate::server::Peer;

/// The token of the admin interface, read anew when its file changes.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    cached: Mutex<(Fingerprint, Secret)>,
}

/// Changes when a file is rewritten, replaced or relinked.
type Fingerprint = (u64, u64, u64, i64, i64);

// === impl TokenFile ===

impl TokenFile {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let cached = Mutex::new((fingerprint(path)?, Secret::read(path)?));
        Ok(Self { path: path.to_owned(), cached })
    }

    /// Whether this is the token. A file that cannot be read any more lets nobody in.
    fn admits(&self, given: &str) -> bool {
        let mut cached = lock(&self.cached);
        let Ok(now) = fingerprint(&self.path) else {
            return false;
        };
        if now != cached.0 {
            let Ok(secret) = Secret::read(&self.path) else {
                return false;
            };
            *cached = (now, secret);
        }
        cached.1.matches(given)
    }
}

fn fingerprint(path: &Path) -> std::io::Result<Fingerprint> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

/// The middleware before every admin endpoint.
pub(crate) async fn guard(State(core): State<Arc<Core>>, request: Request, next: Next) -> Response {
    match refusal(&core, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(core: &Core, request: &Request) -> Option<Problem> {
    let headers = request.headers();
    let forbidden = |detail: &str| Some(Problem::new(StatusCode::FORBIDDEN, detail));
    if headers.contains_key(header::ORIGIN) {
        return forbidden("requests from a browser are refused");
    }
    let peer = request.extensions().get::<Peer>().copied();
    let loopback = core.admin_addr.ip().is_loopback();
    if loopback && !own_host(headers) {
        return forbidden("the Host is not this machine's loopback");
    }
    let path = request.uri().path();
    let by_socket = matches!(peer, Some(Peer::Unix));
    if let (Some(token), false) = (&core.token, by_socket || OPEN_PATHS.contains(&path)) {
        let given = bearer(headers).unwrap_or_default();
        if !token.admits(given) {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "a bearer token is needed");
            return Some(problem.header(header::WWW_AUTHENTICATE, "Bearer"));
        }
    }
    let reading = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    // The alias is for scripts that have always posted without any header; Origin covers browsers.
    if path == "/quitquitquit" {
        let near = by_socket || matches!(peer, Some(Peer::Tcp(a)) if a.ip().is_loopback());
        return if near { None } else { forbidden("only from this machine") };
    }
    if !reading && !intended(headers) {
        let detail = "a change needs Content-Type: application/json or X-Mgmt: 1";
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    None
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Headers that a form in a browser cannot send without asking first.
fn intended(headers: &HeaderMap) -> bool {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let json = value("content-type").is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    json || value("x-mgmt") == Some("1")
}

/// A `Host` that names loopback. Rebinding needs a name of the attacker's, and clients of HTTP/1.0
/// and of the unix socket may send none.
fn own_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    let address = name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    address || name.eq_ignore_ascii_case("localhost")
}
