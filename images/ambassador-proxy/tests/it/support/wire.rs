//! A client that sees the bytes: requests are written as they are, replies are read one by one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ambassador_proxy::config::Protocol;

use super::WAIT_MAX;

/// A connection with the bytes that were read and not taken yet.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

/// How a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All replies have come, and the connection is open.
    Open,
    /// The proxy closed it.
    Closed,
    /// Replies are missing, and nothing happens.
    Hung,
}

/// What came back in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: End,
}

// === impl Client ===

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        Client::try_connect(port).unwrap()
    }

    pub(crate) fn try_connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Client { stream, buffer: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Takes the next reply of Redis, whole, as bytes.
    pub(crate) fn resp(&mut self) -> io::Result<Vec<u8>> {
        self.take(resp_end)
    }

    /// Takes the next reply of memcached, whole, as bytes.
    pub(crate) fn memcache(&mut self) -> io::Result<Vec<u8>> {
        self.take(memcache_end)
    }

    pub(crate) fn reply(&mut self, protocol: Protocol) -> io::Result<Vec<u8>> {
        match protocol {
            Protocol::Redis => self.resp(),
            Protocol::Memcache => self.memcache(),
        }
    }

    /// Sends a command of Redis and takes its reply, as text.
    pub(crate) fn ask(&mut self, words: &[&str]) -> String {
        self.send(&request(words));
        let reply = self.resp().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// Sends lines of memcached and takes one reply, as text.
    pub(crate) fn ask_memcache(&mut self, lines: &str) -> String {
        self.send(lines.as_bytes());
        let reply = self.memcache().unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        String::from_utf8_lossy(&reply).into_owned()
    }

    /// Reads until the other side closes, and returns everything.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side has closed, or does so within the longest wait.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.fill() {
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    fn take(&mut self, end: fn(&[u8]) -> Option<usize>) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = end(&self.buffer) {
                let rest = self.buffer.split_off(end);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 65536];
        let length = self.stream.read(&mut piece)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&piece[..length]);
        Ok(length)
    }

    /// Reads until `replies` have come, or the connection is closed, or nothing has come for
    /// `patience`.
    pub(crate) fn outcome(
        &mut self,
        protocol: Protocol,
        replies: usize,
        patience: Duration,
    ) -> Outcome {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = Vec::new();
        for _ in 0..replies {
            match self.reply(protocol) {
                Ok(reply) => bytes.extend(reply),
                Err(error) => {
                    bytes.append(&mut self.buffer);
                    let hung = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    return Outcome { bytes, end: if hung { End::Hung } else { End::Closed } };
                }
            }
        }
        // What comes unasked belongs to the outcome, too.
        bytes.append(&mut self.buffer);
        Outcome { bytes, end: End::Open }
    }

    /// Ends our side of the connection.
    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// A request of Redis.
pub(crate) fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The line that starts at `from`, without its end, and where the next one starts.
fn line(bytes: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let length = bytes.get(from..)?.windows(2).position(|end| end == b"\r\n")?;
    Some((&bytes[from..from + length], from + length + 2))
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Where the first reply of Redis in `bytes` ends, if it is whole.
pub(crate) fn resp_end(bytes: &[u8]) -> Option<usize> {
    let (mut place, mut left) = (0, 1_u64);
    while left > 0 {
        let (head, next) = line(bytes, place)?;
        place = next;
        left -= 1;
        let count = || head.get(1..).and_then(number);
        match head.first() {
            Some(b'$' | b'=') => {
                if let Some(length @ 0..) = count() {
                    place += usize::try_from(length).unwrap() + 2;
                }
            }
            Some(b'*' | b'~' | b'>') => left += count().unwrap_or(0).max(0).unsigned_abs(),
            Some(b'%') => left += 2 * count().unwrap_or(0).max(0).unsigned_abs(),
            _ => {}
        }
    }
    (place <= bytes.len()).then_some(place)
}

/// Where the first reply of memcached in `bytes` ends, if it is whole.
pub(crate) fn memcache_end(bytes: &[u8]) -> Option<usize> {
    let mut place = 0;
    loop {
        let (head, next) = line(bytes, place)?;
        place = next;
        let value = head.strip_prefix(b"VALUE ").map(|rest| (rest, 2));
        let meta = head.strip_prefix(b"VA ").map(|rest| (rest, 0));
        let (Some((rest, at)), is_meta) = (value.or(meta), meta.is_some()) else {
            // Statistics are lines up to END.
            if head.starts_with(b"STAT ") {
                continue;
            }
            return Some(place);
        };
        let length = rest.split(|byte| *byte == b' ').nth(at).and_then(number)?;
        place += usize::try_from(length).unwrap() + 2;
        if is_meta {
            return (place <= bytes.len()).then_some(place);
        }
    }
}
