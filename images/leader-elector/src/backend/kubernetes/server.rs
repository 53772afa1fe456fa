//! Requests to the API server: credentials, limits, and what a failure means.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::object::Object;
use crate::backend::http::{self, Lines, Trouble};

/// Longest wait for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Age at which a token is read again from its file; it is renewed there well before it ends.
const TOKEN_AGE_MAX: Duration = Duration::from_secs(10);
/// How long the API server is asked to keep a watch open.
const WATCH_SECONDS: u32 = 290;
/// Objects in one answer of a list, and most answers.
const PAGE: usize = 500;
const PAGES_MAX: usize = 20;

/// The API server, for Leases of one namespace.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    /// URL of the collection of Leases.
    leases: String,
    pub(super) namespace: String,
    token_file: Option<PathBuf>,
    token: Mutex<Option<(Instant, String)>>,
    /// Whether the last request was answered; else why not.
    health: Mutex<Result<(), String>>,
}

/// Why there is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// There is none of that name.
    Absent,
    /// It was changed meanwhile, or is there already.
    Conflict,
    /// What the watch was to go on from is forgotten.
    Gone,
    /// Not allowed, by RBAC or for lack of a token.
    Forbidden(String),
    /// The request was not understood, or refused for now; nothing was done.
    Refused(String),
    /// Nobody was reached.
    NotDone(String),
    /// It may have been done.
    Unknown(String),
}

/// An event of a watch.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// It was created or changed.
    Is(Object),
    /// It was deleted; as it was then.
    Was(Object),
    /// Nothing happened up to this version.
    Bookmark(String),
    /// Nothing that concerns us.
    Other,
}

// === impl Server ===

impl Server {
    pub(super) fn new(
        client: Client,
        url: &str,
        namespace: String,
        token_file: Option<PathBuf>,
    ) -> Self {
        let leases = format!("{url}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        let health = Mutex::new(Err("the API server was not reached yet".to_owned()));
        Self { client, leases, namespace, token_file, token: Mutex::default(), health }
    }

    pub(super) fn health(&self) -> Result<(), String> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_health<T>(&self, result: &Result<T, Error>) {
        let health = match result {
            Err(error @ (Error::Forbidden(_) | Error::NotDone(_) | Error::Unknown(_))) => {
                Err(error.clone().text())
            }
            _ => Ok(()),
        };
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    pub(super) async fn get(&self, name: &str) -> Result<Object, Error> {
        self.object(Method::GET, &self.url(name), None).await
    }

    pub(super) async fn create(&self, new: &Object) -> Result<Object, Error> {
        self.object(Method::POST, &self.leases, Some(new.json())).await
    }

    /// Replaces the object if it still has the version that `new` has.
    pub(super) async fn replace(&self, new: &Object) -> Result<Object, Error> {
        self.object(Method::PUT, &self.url(new.name()), Some(new.json())).await
    }

    /// All Leases of the namespace, as far as the limits go.
    pub(super) async fn list(&self) -> Result<Vec<Object>, Error> {
        let mut all = Vec::new();
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let mut url = parse(&self.leases)?;
            url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
            if !from.is_empty() {
                url.query_pairs_mut().append_pair("continue", &from);
            }
            let mut page = self.request(Method::GET, url.as_str(), None).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items.into_iter().filter_map(Object::read));
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut from),
                _ => break,
            }
        }
        Ok(all)
    }

    /// Watches one Lease; without a version it begins with the Lease as it is.
    pub(super) async fn watch(&self, name: &str, version: Option<&str>) -> Result<Lines, Error> {
        let mut url = parse(&self.leases)?;
        url.query_pairs_mut()
            .append_pair("watch", "true")
            .append_pair("fieldSelector", &format!("metadata.name={name}"))
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("timeoutSeconds", &WATCH_SECONDS.to_string());
        if let Some(version) = version {
            url.query_pairs_mut().append_pair("resourceVersion", version);
        }
        let until = Instant::now() + REQUEST_TIMEOUT;
        let response = match timeout_at(until, self.send(Method::GET, url.as_str(), None)).await {
            Ok(response) => response?,
            Err(_) => return Err(Error::Unknown("no answer in time".to_owned())),
        };
        if response.status().is_success() {
            return Ok(Lines::new(response));
        }
        let status = response.status().as_u16();
        let body = timeout_at(until, http::body(response)).await;
        Err(failure(status, &body.unwrap_or(Ok(Vec::new())).unwrap_or_default()))
    }

    /// A request that leases live on: what becomes of it is how this backend is.
    async fn object(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Object, Error> {
        let result = self.request(method, url, body).await;
        self.set_health(&result);
        object(result?)
    }

    async fn request(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let until = Instant::now() + REQUEST_TIMEOUT;
        let exchange = async {
            let response = self.send(method, url, body).await?;
            let status = response.status();
            let bytes = http::body(response).await?;
            if !status.is_success() {
                return Err(failure(status.as_u16(), &bytes));
            }
            let wrong = |error| Error::Unknown(format!("not understood: {error}"));
            serde_json::from_slice(&bytes).map_err(wrong)
        };
        timeout_at(until, exchange)
            .await
            .unwrap_or_else(|_| Err(Error::Unknown("no answer in time".to_owned())))
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Response, Error> {
        let mut request = self.client.request(method, url);
        if let Some(token) = self.token()? {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(request.send().await.map_err(http::trouble)?)
    }

    /// The bearer token, read again from time to time, as it is renewed in its file.
    fn token(&self) -> Result<Option<String>, Error> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((read, token)) if read.elapsed() < TOKEN_AGE_MAX => Ok(Some(token.clone())),
            _ => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::NotDone(format!("reading {}: {error}", path.display()))
                })?;
                let token = text.trim().to_owned();
                *held = Some((Instant::now(), token.clone()));
                Ok(Some(token))
            }
        }
    }

    fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.leases)
    }
}

fn parse(url: &str) -> Result<reqwest::Url, Error> {
    reqwest::Url::parse(url).map_err(|error| Error::NotDone(error.to_string()))
}

fn object(value: Value) -> Result<Object, Error> {
    Object::read(value).ok_or_else(|| Error::Unknown("the answer is no Lease".to_owned()))
}

/// What an answer that is no success means.
fn failure(status: u16, body: &[u8]) -> Error {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = told["message"].as_str().unwrap_or("no message");
    let text: String = format!("status {status}: {message}").chars().take(300).collect();
    match status {
        404 => Error::Absent,
        409 => Error::Conflict,
        410 => Error::Gone,
        401 | 403 => Error::Forbidden(text),
        // Too many requests: turned away before anything was done.
        400..=499 => Error::Refused(text),
        _ => Error::Unknown(text),
    }
}

/// Reads a line of a watch.
pub(super) fn event(line: &[u8]) -> Result<Event, Error> {
    let wrong = |error| Error::Unknown(format!("not understood: {error}"));
    let mut event: Value = serde_json::from_slice(line).map_err(wrong)?;
    let subject = event["object"].take();
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => object(subject).map(Event::Is),
        Some("DELETED") => object(subject).map(Event::Was),
        Some("BOOKMARK") => {
            let version = subject["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            Ok(Event::Bookmark(version.to_owned()))
        }
        Some("ERROR") => {
            let status = subject["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            Err(failure(status.unwrap_or(500), &serde_json::to_vec(&subject).unwrap_or_default()))
        }
        _ => Ok(Event::Other),
    }
}

// === impl Error ===

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NotSent(text) => Self::NotDone(text),
            Trouble::Lost(text) => Self::Unknown(text),
        }
    }
}

impl Error {
    /// What it says.
    pub(super) fn text(self) -> String {
        match self {
            Self::Absent => "there is no such Lease".to_owned(),
            Self::Conflict => "the Lease was changed by others".to_owned(),
            Self::Gone => "the watch is too far behind".to_owned(),
            Self::Forbidden(text)
            | Self::Refused(text)
            | Self::NotDone(text)
            | Self::Unknown(text) => text,
        }
    }
}
