//! One HTTP request on one connection; enough for tests, and no dependency.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// Connecting, and the longest silence within an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Body, read to the end of the connection.
    pub body: String,
}

/// A request, where more is to be said than [`request`] takes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a str,
    /// Path with its query.
    pub path: &'a str,
    /// Body, of JSON if anybody asks.
    pub body: &'a str,
    /// Bearer token.
    pub bearer: Option<&'a str>,
    /// For connecting, and the longest silence within the answer.
    pub timeout: Duration,
}

/// Sends one HTTP/1.0 request and reads until the server closes.
///
/// # Errors
/// No connection, a connection that breaks, or an answer that is not HTTP.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<Response> {
    Request { method, path, body, ..Request::default() }.send(address)
}

/// `GET path`.
///
/// # Errors
/// Those of [`request`].
pub fn get(address: SocketAddr, path: &str) -> Result<Response> {
    request(address, "GET", path, "")
}

// === impl Request ===

impl Default for Request<'_> {
    fn default() -> Self {
        Self { method: "GET", path: "/", body: "", bearer: None, timeout: TIMEOUT }
    }
}

impl Request<'_> {
    /// Sends it as HTTP/1.0 and reads until the server closes.
    ///
    /// # Errors
    /// Those of [`request`].
    pub fn send(&self, address: SocketAddr) -> Result<Response> {
        let Self { method, path, .. } = self;
        let answer = self.exchange(address).with_context(|| format!("{method} {path}"))?;
        parse(&answer).with_context(|| format!("no HTTP answer to {method} {path}: {answer:?}"))
    }

    fn exchange(&self, address: SocketAddr) -> Result<String> {
        let Self { method, path, body, .. } = self;
        let mut stream = TcpStream::connect_timeout(&address, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        let bearer = self.bearer.map(|it| format!("Authorization: Bearer {it}\r\n"));
        let bearer = bearer.unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{bearer}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests;
