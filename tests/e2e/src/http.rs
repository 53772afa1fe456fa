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

/// Sends one HTTP/1.0 request and reads until the server closes.
///
/// # Errors
/// No connection, a connection that breaks, or an answer that is not HTTP.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<Response> {
    let answer =
        exchange(address, method, path, body).with_context(|| format!("{method} {path}"))?;
    parse(&answer).with_context(|| format!("no HTTP answer to {method} {path}: {answer:?}"))
}

/// `GET path`.
///
/// # Errors
/// Those of [`request`].
pub fn get(address: SocketAddr, path: &str) -> Result<Response> {
    request(address, "GET", path, "")
}

fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests;
