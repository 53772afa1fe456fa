//! What answers HTTP: one client per input, with a limit on what it may say.

use std::time::Duration;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response};

use super::Failure;
use crate::config::Remote;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Something that is asked again and again.
#[derive(Debug)]
pub(crate) struct Asked {
    client: Client,
    remote: Remote,
    body_bytes_max: usize,
}

// === impl Asked ===

impl Asked {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub(crate) fn new(remote: &Remote, body_bytes_max: usize) -> anyhow::Result<Self> {
        // Fails only if there is one already, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &remote.headers {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        let builder = Client::builder()
            .connect_timeout(CONNECT_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .no_proxy()
            .pool_max_idle_per_host(1)
            .default_headers(headers);
        let builder = match &remote.tls {
            Some(tls) => builder.tls_backend_preconfigured(tls.as_ref().clone()),
            None => builder.tls_certs_only([]),
        };
        let client = builder.build().context("setting up the HTTP client")?;
        Ok(Self { client, remote: remote.clone(), body_bytes_max })
    }

    /// The document at the URL.
    ///
    /// # Errors
    /// No answer, another status than 200, or more bytes than are taken.
    pub(crate) async fn get(&self) -> Result<Vec<u8>, Failure> {
        self.send(self.client.get(&self.remote.url)).await
    }

    /// The answer to a JSON document.
    ///
    /// # Errors
    /// As [`Asked::get`].
    pub(crate) async fn post(&self, json: String) -> Result<Vec<u8>, Failure> {
        let request = self.client.post(&self.remote.url).body(json);
        self.send(request.header("content-type", "application/json")).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let request = match &self.remote.credentials {
            Some((name, password)) => request.basic_auth(name, Some(password.expose())),
            None => request,
        };
        let response = request.send().await.map_err(|error| describe(&error))?;
        if response.status() != 200 {
            return Err(Failure(format!("the answer has the status {}", response.status())));
        }
        self.body(response).await
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
            if body.len() + chunk.len() > self.body_bytes_max {
                let max = self.body_bytes_max;
                return Err(Failure(format!("the answer is longer than {max} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// The error with what caused it; its URL is left out, as it says nothing new.
fn describe(error: &reqwest::Error) -> Failure {
    let mut parts = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        parts.push(cause.to_string());
        source = cause.source();
    }
    Failure(if parts.is_empty() { error.to_string() } else { parts.join(": ") })
}
