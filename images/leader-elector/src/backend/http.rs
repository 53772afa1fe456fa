//! The HTTP client of backends that live elsewhere: its TLS, its limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use reqwest::{Certificate, Client, Identity, Response};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An answer of a request, or a message of a stream, is not longer.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Silence of the other kernel after which a connection is given up; of use for streams.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Whom to trust and who to be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tls<'a> {
    /// The only authority; else those of the system.
    pub(super) ca: Option<&'a Path>,
    /// Own certificate and key.
    pub(super) identity: Option<&'a (PathBuf, PathBuf)>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The request never left.
    NotSent(String),
    /// It may have arrived, and may have been carried out.
    Lost(String),
}

/// A client for `urls`; those of the system's authorities are loaded only if one needs TLS.
pub(super) fn client(urls: &[String], tls: Tls<'_>) -> anyhow::Result<Client> {
    // Fails only if there is one already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE)
        .tcp_keepalive_retries(2)
        .no_proxy();
    if let Some(path) = tls.ca {
        let pem = read(path)?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .with_context(|| format!("reading certificates of {}", path.display()))?;
        builder = builder.tls_certs_only(certificates);
    } else if !urls.iter().any(|url| url.starts_with("https:")) {
        builder = builder.tls_certs_only([]);
    }
    if let Some((cert, key)) = tls.identity {
        let mut pem = read(cert)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let identity = Identity::from_pem(&pem)
            .with_context(|| format!("reading {} and its key", cert.display()))?;
        builder = builder.identity(identity);
    }
    builder.build().context("setting up the HTTP client")
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// The body of an answer, up to the limit.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(trouble)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Trouble::Lost("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a failed request means.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(super) fn trouble(error: reqwest::Error) -> Trouble {
    let text = describe(&error);
    if error.is_connect() || error.is_builder() {
        Trouble::NotSent(text)
    } else {
        Trouble::Lost(text)
    }
}

/// The error with what caused it; its URL is left out, as it says nothing new.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { String::new() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

/// A stream of JSON values, one a line.
pub(super) struct Lines {
    response: Response,
    held: Vec<u8>,
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(response: Response) -> Self {
        Self { response, held: Vec::new() }
    }

    /// The next line; `None` at the end. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.held.drain(..=end).collect();
                line.pop();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.held.len() > BODY_BYTES_MAX {
                return Err(Trouble::Lost("a message of the stream is too long".to_owned()));
            }
            match self.response.chunk().await.map_err(trouble)? {
                Some(chunk) => self.held.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}
