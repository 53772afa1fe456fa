//! What went wrong, in the one shape that errors have here.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use hyper::Response;
use serde::Serialize;

use super::body::Body;
use super::message::{Leader, millis};
use crate::backend::{Failure, Lease};

/// An error answer.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    allow: Option<&'static str>,
    shape: Box<Shape>,
}

#[derive(Clone, Debug, Serialize)]
struct Shape {
    /// A word that programs may look at.
    error: &'static str,
    /// A sentence for people.
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<Leader>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// What is left of a lease that could not be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_for_ms: Option<u64>,
    /// The highest token given.
    #[serde(skip_serializing_if = "Option::is_none")]
    highest: Option<u64>,
}

// === impl Problem ===

impl Problem {
    /// An error with its word and its sentence.
    pub fn new(
        status: StatusCode,
        error: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let shape = Shape {
            error,
            message: message.into(),
            leader: None,
            retry_after_ms: None,
            valid_for_ms: None,
            highest: None,
        };
        Self { status, allow: None, shape: Box::new(shape) }
    }

    /// A value that is well formed and cannot be.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message)
    }

    /// What is not well formed at all.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn bad_election() -> Self {
        Self::invalid("an election's name is 1 to 253 letters, digits and any of - _ . : @")
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "no such path")
    }

    pub(super) fn other_method(allow: &'static str) -> Self {
        let message = "the path has other methods";
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        Self { allow: Some(allow), ..problem }
    }

    pub(super) fn too_large(max: usize) -> Self {
        let message = format!("a body is at most {max} bytes here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "a bearer token is needed")
    }

    pub(super) fn lost(leader: Option<&Lease>) -> Self {
        Self::new(StatusCode::CONFLICT, "lost", "the lease was lost").led_by(leader)
    }

    pub(super) fn not_holder(leader: Option<&Lease>) -> Self {
        let message = "the lease is not held with this session and token";
        Self::new(StatusCode::CONFLICT, "not_holder", message).led_by(leader)
    }

    pub(super) fn stale(leader: Option<&Lease>, highest: u64) -> Self {
        let message = "the token is not that of the lease";
        let problem = Self::new(StatusCode::CONFLICT, "stale", message).led_by(leader);
        problem.with(|shape| shape.highest = Some(highest))
    }

    pub(super) fn not_leader(leader: Option<&Lease>) -> Self {
        let message = "the lease is not held here";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_leader", message).led_by(leader)
    }

    /// A renewal that was not confirmed, and what is left without it.
    pub(super) fn not_renewed(failure: &Failure, left: Duration) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Self::new(status, "not_renewed", failure.to_string());
        problem.with(|shape| shape.valid_for_ms = Some(millis(left)))
    }

    pub(super) fn retry_after(self, after: Duration) -> Self {
        // Zero would be an invitation to a busy loop.
        self.with(|shape| shape.retry_after_ms = Some(millis(after).max(1)))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The error as JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        super::message::to_json(&*self.shape)
    }

    pub(super) fn respond(&self) -> Response<Body> {
        let mut response = super::json(self.status, self.to_json());
        let headers = response.headers_mut();
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn led_by(self, leader: Option<&Lease>) -> Self {
        self.with(|shape| shape.leader = leader.map(Leader::of))
    }

    fn with(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        change(&mut self.shape);
        self
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shape.serialize(serializer)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (status, error) = match &failure {
            Failure::Held { .. } => (StatusCode::CONFLICT, "held"),
            Failure::DuplicateId(_) => (StatusCode::CONFLICT, "duplicate_id"),
            Failure::Lost(_) => (StatusCode::CONFLICT, "lost"),
            Failure::NoCandidate => (StatusCode::CONFLICT, "no_candidate"),
            Failure::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Failure::Limit(_) => (StatusCode::TOO_MANY_REQUESTS, "limit"),
            Failure::Unsupported(_) => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
            Failure::NoQuorum(_) => (StatusCode::SERVICE_UNAVAILABLE, "no_quorum"),
            Failure::Unknown(_) => (StatusCode::GATEWAY_TIMEOUT, "unknown"),
        };
        let problem = Self::new(status, error, failure.to_string());
        match failure {
            Failure::Held { leader, retry_after } => {
                problem.led_by(Some(&leader)).retry_after(retry_after)
            }
            Failure::DuplicateId(leader) => problem.led_by(Some(&leader)),
            Failure::Lost(leader) => problem.led_by(leader.as_ref()),
            _ => problem,
        }
    }
}
