//! HTTP/1.1 as a load generator needs it: requests made once, replies taken apart without copying,
//! connections that stay open.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// No reply that is read whole is longer.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One reply among the bytes that have come.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: Cow<'a, [u8]>,
    /// Bytes of it all, head and body.
    pub(super) length: usize,
}

/// A connection that carries one request at a time.
pub(super) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A request with a body of JSON, or without one when it is empty.
pub(super) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The first reply in `bytes`, if it is there whole.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Reply<'_>>> {
    let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("the head of a reply is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|it| it.parse().ok()).context("no status in a reply")?;
    let (mut size, mut chunked) = (0, false);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("content-length") {
            size = value.parse().context("no number in Content-Length")?;
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked";
    }
    let start = end + 4;
    if chunked {
        let joined = dechunk(&bytes[start..])?;
        return Ok(joined.map(|(body, length)| {
            let body = Cow::Owned(body);
            Reply { status, body, length: start + length }
        }));
    }
    let body = bytes.get(start..start + size);
    Ok(body.map(|body| Reply { status, body: Cow::Borrowed(body), length: start + size }))
}

/// Joins the chunks of a body, if all are there; with their length on the wire.
fn dechunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = bytes[at..].windows(2).position(|it| it == b"\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[at..at + line])?;
        let size = usize::from_str_radix(text, 16).context("no length of a chunk")?;
        ensure!(size <= REPLY_BYTES_MAX, "a chunk of {size} bytes");
        let start = at + line + 2;
        if bytes.len() < start + size + 2 {
            return Ok(None);
        }
        body.extend_from_slice(&bytes[start..start + size]);
        at = start + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

// === impl Client ===

impl Client {
    /// Connects to a loopback port; `limit` holds for connecting and for every silence after it.
    pub(super) fn connect(port: u16, limit: Duration) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and waits for its reply.
    pub(super) fn call(&mut self, request: &[u8]) -> Result<(u16, Value)> {
        self.stream.write_all(request).context("send a request")?;
        loop {
            if let Some(reply) = parse(&self.received)? {
                let (status, length) = (reply.status, reply.length);
                // etcd's streaming calls answer one value a line; the first will do.
                let mut values = serde_json::Deserializer::from_slice(&reply.body).into_iter();
                let value = values.next().and_then(Result::ok).unwrap_or(Value::Null);
                self.received.drain(..length);
                return Ok((status, value));
            }
            self.receive()?;
        }
    }

    /// Sends a request whose reply never ends.
    pub(super) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("send a request")
    }

    /// Waits until the bytes that have come contain `words`, and returns them all.
    pub(super) fn await_words(&mut self, words: &str) -> Result<&[u8]> {
        while !self.received.windows(words.len()).any(|it| it == words.as_bytes()) {
            self.receive()?;
        }
        Ok(&self.received)
    }

    /// The connection, for another way to read it.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn receive(&mut self) -> Result<()> {
        let mut chunk = [0; 16 * 1024];
        let read = self.stream.read(&mut chunk).context("read a reply")?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.received.extend_from_slice(&chunk[..read]);
        ensure!(self.received.len() <= REPLY_BYTES_MAX, "an endless reply");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
