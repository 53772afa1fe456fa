//! Which call a request is: method and path, and nothing else. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::Method;
use management::Endpoint;

use super::problem::Problem;
use crate::election::NAME_BYTES_MAX;

/// A call of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST …/acquire`.
    Acquire(Scope),
    /// `POST …/renew`.
    Renew(Scope),
    /// `POST /v1/renew`.
    RenewAll,
    /// `POST …/resign`.
    Resign(Scope),
    /// `POST …/check`.
    Check(Arc<str>),
    /// `GET /v1/elections/{e}`.
    Read(Arc<str>),
    /// `GET …/watch`.
    Watch(Arc<str>),
    /// `GET …/is-leader`.
    IsLeader(Arc<str>),
    /// `GET /v1/elections`.
    List,
    /// `GET /`, as the Kubernetes leader-elector answers it.
    Name,
    /// `GET /isLeader`, likewise.
    IsLeaderCompat,
    /// `GET /sse`, as newer ones answer it.
    Sse,
    /// `GET /healthz`.
    Health,
    /// `GET /readyz`.
    Ready,
}

/// All calls, for tables.
pub const CALLS: &[Endpoint] = &[
    call("POST", "/v1/elections/{e}/acquire", "Lead, or wait for it (alias `/becomeLeader`)"),
    call("POST", "/v1/elections/{e}/renew", "Go on leading (alias `/renewLeadership`)"),
    call("POST", "/v1/renew", "Go on leading in many elections"),
    call("POST", "/v1/elections/{e}/resign", "Lead no more (alias `/resign`)"),
    call("POST", "/v1/elections/{e}/check", "Whether a token is that of the lease"),
    call("GET", "/v1/elections/{e}", "Who leads; `?consistency=linearizable` asks the group"),
    call("GET", "/v1/elections/{e}/watch", "Who leads from now on, as events or a long poll"),
    call("GET", "/v1/elections/{e}/is-leader", "200 if the application here leads, else 503"),
    call("GET", "/v1/elections", "All elections"),
    call("GET", "/", "The leader's name, as the Kubernetes leader-elector says it"),
    call("GET", "/isLeader", "Whether the application here leads, likewise"),
    call("GET", "/sse", "The leader's name as events, as nais/elector says it"),
    call("GET", "/healthz", "200 while neither the sidecar nor its application must restart"),
    call("GET", "/readyz", "200 while the group answers"),
];

const fn call(method: &'static str, path: &'static str, about: &'static str) -> Endpoint {
    Endpoint { method, path, about }
}

/// Which election a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That of the path.
    Named(Arc<str>),
    /// The default election, by one of the paper's plain names.
    Plain,
}

// === impl Call ===

impl Call {
    /// The call of a method and a path.
    ///
    /// # Errors
    /// No such path, another method, or a name of an election that is none.
    pub fn of(method: &Method, path: &str) -> Result<Self, Problem> {
        let (call, allow) = match Self::of_path(path)? {
            Some(found) => found,
            None => return Err(Problem::no_such_path()),
        };
        let fits = match allow {
            Allow::Post => method == Method::POST,
            Allow::Get => method == Method::GET || method == Method::HEAD,
        };
        if fits { Ok(call) } else { Err(Problem::other_method(allow.header())) }
    }

    fn of_path(path: &str) -> Result<Option<(Self, Allow)>, Problem> {
        if let Some(rest) = path.strip_prefix("/v1/elections/") {
            let (name, action) = rest.split_once('/').unwrap_or((rest, ""));
            let name = || election(name);
            return Ok(Some(match action {
                "renew" => (Self::Renew(Scope::Named(name()?)), Allow::Post),
                "acquire" => (Self::Acquire(Scope::Named(name()?)), Allow::Post),
                "resign" => (Self::Resign(Scope::Named(name()?)), Allow::Post),
                "check" => (Self::Check(name()?), Allow::Post),
                "watch" => (Self::Watch(name()?), Allow::Get),
                "is-leader" => (Self::IsLeader(name()?), Allow::Get),
                "" if !rest.ends_with('/') => (Self::Read(name()?), Allow::Get),
                _ => return Ok(None),
            }));
        }
        Ok(Some(match path {
            "/v1/renew" => (Self::RenewAll, Allow::Post),
            "/v1/elections" => (Self::List, Allow::Get),
            "/becomeLeader" => (Self::Acquire(Scope::Plain), Allow::Post),
            "/renewLeadership" => (Self::Renew(Scope::Plain), Allow::Post),
            "/resign" => (Self::Resign(Scope::Plain), Allow::Post),
            "/" => (Self::Name, Allow::Get),
            "/isLeader" => (Self::IsLeaderCompat, Allow::Get),
            "/sse" => (Self::Sse, Allow::Get),
            "/healthz" => (Self::Health, Allow::Get),
            "/readyz" => (Self::Ready, Allow::Get),
            _ => return Ok(None),
        }))
    }

    /// Whether it is answered without a token, as a probe has none.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Health | Self::Ready)
    }
}

/// The methods of a path.
#[derive(Clone, Copy)]
enum Allow {
    Get,
    Post,
}

impl Allow {
    fn header(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}

/// The election that a segment of a path names.
fn election(segment: &str) -> Result<Arc<str>, Problem> {
    let name = decode(segment).ok_or_else(|| Problem::invalid("the path is not well formed"))?;
    if is_election(&name) { Ok(name.as_ref().into()) } else { Err(Problem::bad_election()) }
}

/// Whether a text can name an election: what every backend can make part of a key as it is.
#[must_use]
pub fn is_election(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(fits)
        && !name.bytes().all(|byte| byte == b'.')
}

/// Whether a text can name a holder: the same, and slashes, as in a pod with its namespace.
#[must_use]
pub fn is_holder(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

/// Undoes percent encoding.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let value = digit(digits[0])? * 16 + digit(digits[1])?;
        bytes.push(u8::try_from(value).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A parameter of a query, as it stands there: those of this API need no encoding.
#[must_use]
pub fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Result<Call, u16> {
        Call::of(&method, path).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn names_in_paths() {
        let named = |name: &str| Ok(Call::Read(name.into()));
        assert_eq!(found(Method::GET, "/v1/elections/a-b_c.d:e@f"), named("a-b_c.d:e@f"));
        assert_eq!(found(Method::GET, "/v1/elections/a%3ab"), named("a:b"));
        for bad in ["%2f", "a%20b", "", "%zz", "%", "..", "%ff", "a%00", "\u{e4}"] {
            let path = format!("/v1/elections/{bad}");
            assert_eq!(found(Method::GET, &path), Err(422), "{path}");
        }
        let longest = "a".repeat(NAME_BYTES_MAX);
        assert_eq!(found(Method::GET, &format!("/v1/elections/{longest}")), named(&longest));
        assert_eq!(found(Method::GET, &format!("/v1/elections/{longest}a")), Err(422));
    }

    #[test]
    fn unknown_paths_and_methods() {
        for path in ["/v1", "/v1/elections/", "/v1/elections/a/", "/v1/elections/a/b", "/x", "*"] {
            let expected = if path == "/v1/elections/" { 422 } else { 404 };
            let found = found(Method::GET, path);
            assert!(found == Err(404) || found == Err(expected), "{path}: {found:?}");
        }
        assert_eq!(found(Method::GET, "/v1/elections/a/renew"), Err(405));
        assert_eq!(found(Method::POST, "/v1/elections/a/watch"), Err(405));
        assert_eq!(found(Method::DELETE, "/v1/elections/a"), Err(405));
        assert_eq!(found(Method::HEAD, "/healthz"), Ok(Call::Health));
    }

    #[test]
    fn the_table_is_what_is_served() {
        for Endpoint { method, path, .. } in CALLS {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = found(method, &path.replace("{e}", "jobs"));
            assert!(found.is_ok(), "{path}: {found:?}");
        }
    }

    #[test]
    fn parameters() {
        let query = Some("since=5&wait_ms=&x");
        assert_eq!(parameter(query, "since"), Some("5"));
        assert_eq!(parameter(query, "wait_ms"), Some(""));
        assert_eq!(parameter(query, "x"), Some(""));
        assert_eq!(parameter(query, "y"), None);
        assert_eq!(parameter(None, "since"), None);
    }
}
