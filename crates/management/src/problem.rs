//! Errors of the interface as `application/problem+json` (RFC 9457).

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error answer. An image's own admin endpoints use it too.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    headers: Box<HeaderMap>,
}

// === impl Problem ===

impl Problem {
    /// A problem with its status and one sentence.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), headers: Box::default() }
    }

    /// 400.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 409.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 422.
    #[must_use]
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Gives an error answer that came without a problem one, and keeps headers such as `Allow`.
    pub(crate) fn wrap(response: Response) -> Response {
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let error = status.is_client_error() || status.is_server_error();
        // Whoever answers JSON, such as a failing probe, has said what is to be said.
        let said = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
        if !error || said {
            return response;
        }
        let mut headers = Box::new(response.headers().clone());
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        let detail = match status {
            StatusCode::NOT_FOUND => "no such endpoint, see GET /mgmt/v1",
            StatusCode::METHOD_NOT_ALLOWED => "the endpoint has other methods, see Allow",
            StatusCode::PAYLOAD_TOO_LARGE => "a body is at most 64 KiB",
            _ => "the request was refused",
        };
        Self { status, detail: detail.to_owned(), headers }.into_response()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, *self.headers, kind, body.to_string()).into_response()
    }
}
