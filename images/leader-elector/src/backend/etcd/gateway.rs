//! Requests to etcd's HTTP gateway: which endpoint, for how long, and what a failure means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::message::Refusal;
use crate::backend::http::{self, Lines, Trouble};

/// Longest wait for the answer of one endpoint.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1500);
/// Longest wait for an answer of any endpoint.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause before all endpoints are asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// gRPC's codes.
const NOT_FOUND: u32 = 5;
const FAILED_PRECONDITION: u32 = 9;
const UNAVAILABLE: u32 = 14;

/// An etcd, reached over any of its endpoints.
#[derive(Debug)]
pub(super) struct Gateway {
    client: Client,
    endpoints: Vec<String>,
    /// The endpoint that answered last.
    preferred: AtomicUsize,
}

/// May a request be sent twice?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Yes,
    /// The second would find what the first did; the caller looks.
    No,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// There is no such lease.
    NoLease,
    /// There is such a lease already.
    LeaseExists,
    /// etcd said no, and did nothing.
    Refused(String),
    /// Nothing was done: nobody reached, or no quorum behind who was.
    NotDone(String),
    /// It may have been done.
    Unknown(String),
}

// === impl Gateway ===

impl Gateway {
    pub(super) fn new(client: Client, endpoints: Vec<String>) -> Self {
        Self { client, endpoints, preferred: AtomicUsize::new(0) }
    }

    /// Sends a request until it is answered or time is up.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        repeat: Repeat,
    ) -> Result<T, Error> {
        let until = Instant::now() + REQUEST_TIMEOUT;
        let mut failed = Error::NotDone("no endpoint".to_owned());
        loop {
            for _ in 0..self.endpoints.len() {
                let endpoint = self.preferred.load(Ordering::Relaxed);
                let error = match self.attempt(endpoint, path, body, until).await {
                    Ok(bytes) => return read(&bytes),
                    Err(error) => error,
                };
                match error {
                    Error::NotDone(_) => {}
                    Error::Unknown(_) if repeat == Repeat::Yes => {}
                    error => return Err(error),
                }
                let next = (endpoint + 1) % self.endpoints.len();
                let relaxed = Ordering::Relaxed;
                // Another request may have moved on already.
                let _ = self.preferred.compare_exchange(endpoint, next, relaxed, relaxed);
                // Once a try may have done it, no later refusal says that it was not done.
                if !matches!(failed, Error::Unknown(_)) {
                    failed = error;
                }
            }
            if Instant::now() + AGAIN_AFTER >= until {
                return Err(failed);
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn attempt(
        &self,
        endpoint: usize,
        path: &str,
        body: &Value,
        until: Instant,
    ) -> Result<Vec<u8>, Error> {
        let until = until.min(Instant::now() + ATTEMPT_TIMEOUT);
        let exchange = async {
            let response = self.send(endpoint, path, body).await?;
            let status = response.status();
            let bytes = http::body(response).await?;
            Ok::<_, Trouble>((status, bytes))
        };
        match timeout_at(until, exchange).await {
            Ok(Ok((status, bytes))) if status.is_success() => Ok(bytes),
            Ok(Ok((status, bytes))) => Err(refusal(status.as_u16(), &bytes)),
            Ok(Err(trouble)) => Err(trouble.into()),
            Err(_) => Err(Error::Unknown("no answer in time".to_owned())),
        }
    }

    async fn send(&self, endpoint: usize, path: &str, body: &Value) -> Result<Response, Trouble> {
        let url = format!("{}{path}", self.endpoints[endpoint % self.endpoints.len()]);
        self.client.post(url).json(body).send().await.map_err(http::trouble)
    }

    /// Opens a stream. The next one goes to another endpoint if this fails.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Lines, Error> {
        let endpoint = self.preferred.load(Ordering::Relaxed);
        let until = Instant::now() + ATTEMPT_TIMEOUT;
        match timeout_at(until, self.send(endpoint, path, body)).await {
            Ok(Ok(response)) if response.status().is_success() => Ok(Lines::new(response)),
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                let bytes = timeout_at(until, http::body(response)).await;
                Err(refusal(status, &bytes.unwrap_or(Ok(Vec::new())).unwrap_or_default()))
            }
            Ok(Err(trouble)) => Err(trouble.into()),
            Err(_) => Err(Error::Unknown("no answer in time".to_owned())),
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let wrong = |error| Error::Unknown(format!("not understood: {error}"));
    serde_json::from_slice(bytes).map_err(wrong)
}

/// What an answer that is no success means.
fn refusal(status: u16, bytes: &[u8]) -> Error {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(bytes) else {
        return Error::Unknown(format!("status {status}"));
    };
    let message = refusal.message;
    match refusal.code {
        NOT_FOUND if message.contains("lease not found") => Error::NoLease,
        FAILED_PRECONDITION if message.contains("lease already exists") => Error::LeaseExists,
        // Refused before it was proposed.
        UNAVAILABLE if message.contains("no leader") => Error::NotDone(message),
        // Unknown, deadline exceeded, aborted, internal, unavailable otherwise.
        2 | 4 | 10 | 13 | UNAVAILABLE => Error::Unknown(message),
        _ => Error::Refused(message),
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
            Self::NoLease => "there is no such lease".to_owned(),
            Self::LeaseExists => "there is such a lease already".to_owned(),
            Self::Refused(text) | Self::NotDone(text) | Self::Unknown(text) => text,
        }
    }
}
