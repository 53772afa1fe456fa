//! A client that knows what each of its replies may be.

use std::io::{ErrorKind, Write};

use ambassador_proxy::config::Protocol;

use crate::support::{Client, Random, request};

/// Keys of a client of either kind: those with small and those with large values.
const KEYS: usize = 24;
const LARGE_KEYS: usize = 3;

/// What has happened to one client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) answers: u64,
    pub(super) errors: u64,
    pub(super) closes: u64,
}

/// One client and its state.
pub(super) struct Asker {
    protocol: Protocol,
    port: u16,
    number: usize,
    round: u64,
    random: Random,
    client: Option<Client>,
    pub(super) tally: Tally,
}

/// What may come back for one request, errors aside.
enum May {
    /// One of these.
    Be(&'static [&'static str]),
    /// Nothing, or values of these keys.
    Hold(Vec<String>),
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(protocol: Protocol, port: u16, number: usize, seed: u64) -> Asker {
        let random = Random::new(seed ^ (number as u64) << 32);
        let tally = Tally::default();
        Asker { protocol, port, number, round: 0, random, client: None, tally }
    }

    /// Sends one pipeline and checks every reply.
    ///
    /// # Errors
    /// A reply that is not ours, is missing, or is one too many.
    pub(super) fn pipeline(&mut self) -> Result<(), String> {
        self.round += 1;
        let (mut bytes, mut expected, mut large) = (Vec::new(), Vec::new(), false);
        for _ in 0..1 + self.random.below(10) {
            large |= self.one_request(&mut bytes, &mut expected);
        }
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::try_connect(self.port).map_err(|error| format!("connect: {error}"))?,
        };
        let written = client.stream.write_all(&bytes);
        for (index, may) in expected.iter().enumerate() {
            let reply = match client.reply(self.protocol) {
                Ok(reply) => reply,
                Err(error) if timed_out(&error) => return Err(format!("no reply {index}")),
                // Part of a large reply had been passed on when its server failed.
                Err(_) if large => {
                    self.tally.closes += 1;
                    return Ok(());
                }
                Err(error) => return Err(format!("closed before reply {index}: {error}")),
            };
            self.check(may, &reply).map_err(|what| {
                let shown = reply[..reply.len().min(200)].escape_ascii();
                format!("reply {index} of {} is {what}: {shown}", expected.len())
            })?;
        }
        written.map_err(|error| format!("written half: {error}"))?;
        if !client.buffer.is_empty() {
            return Err(format!("too much: {}", client.buffer.escape_ascii()));
        }
        self.client = Some(client);
        Ok(())
    }

    /// Appends a request; tells whether its reply may be large.
    fn one_request(&mut self, bytes: &mut Vec<u8>, expected: &mut Vec<May>) -> bool {
        let large = self.random.one_in(20);
        let key = |random: &mut Random| match large {
            true => format!("c{}:large{}", self.number, random.below(LARGE_KEYS)),
            false => format!("c{}:{}", self.number, random.below(KEYS)),
        };
        let (one, two) = (key(&mut self.random), key(&mut self.random));
        let kind = self.random.below(8);
        let value = value(&one, self.round);
        let redis = self.protocol == Protocol::Redis;
        let quiet = !redis && kind == 7;
        match (redis, kind) {
            (true, 0..3) => bytes.extend(request(&["SET", &one, &value])),
            (true, 3 | 4) => bytes.extend(request(&["GET", &one])),
            (true, 5) => bytes.extend(request(&["MGET", &one, &two])),
            (true, 6) => bytes.extend(request(&["DEL", &one, &two])),
            (true, _) => {
                bytes.extend(request(&["MSET", &one, &value, &two, &self::value(&two, self.round)]))
            }
            (false, 0..3 | 7) => {
                let end = if quiet { " noreply" } else { "" };
                let head = format!("set {one} 0 0 {}{end}\r\n", value.len());
                bytes.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
            }
            (false, 3 | 4) => bytes.extend(format!("get {one}\r\n").bytes()),
            (false, 5) => bytes.extend(format!("get {one} {two}\r\n").bytes()),
            (false, _) => bytes.extend(format!("delete {one}\r\n").bytes()),
        }
        let may = match (redis, kind) {
            (true, 0..3 | 7) => May::Be(&["+OK\r\n"]),
            (false, 0..3) => May::Be(&["STORED\r\n"]),
            (_, 3 | 4) => May::Hold(vec![one]),
            (_, 5) => May::Hold(vec![one, two]),
            (true, _) => May::Be(&[":0\r\n", ":1\r\n", ":2\r\n"]),
            (false, 6) => May::Be(&["DELETED\r\n", "NOT_FOUND\r\n"]),
            (false, _) => return false,
        };
        let reads = matches!(may, May::Hold(_));
        expected.push(may);
        large && reads
    }

    fn check(&mut self, may: &May, reply: &[u8]) -> Result<(), &'static str> {
        if reply.starts_with(b"-ERR ") || reply.starts_with(b"SERVER_ERROR ") {
            self.tally.errors += 1;
            return if reply.len() < 60 { Ok(()) } else { Err("no error of ours") };
        }
        self.tally.answers += 1;
        let text = std::str::from_utf8(reply).map_err(|_| "no text")?;
        match may {
            May::Be(these) => these.contains(&text).then_some(()).ok_or("no answer to this"),
            May::Hold(keys) => match self.protocol {
                Protocol::Redis => values_of_redis(text, keys, self.round),
                Protocol::Memcache => values_of_memcache(text, keys, self.round),
            },
        }
    }
}

fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The value that a key gets in a round: it names both, and its length follows from them.
fn value(key: &str, round: u64) -> String {
    let mut random = Random::new(round ^ (key.len() as u64) << 40);
    let length = match key.contains("large") {
        true => 60_000 + random.below(300_000),
        false => random.below(200),
    };
    let filler = char::from(b'a' + random.below(26) as u8);
    format!("{key}#{round}#{}", String::from(filler).repeat(length))
}

/// Whether this is a value that `key` has had.
fn was(text: &str, key: &str, round: u64) -> bool {
    let mut parts = text.split('#');
    let (named, of) = (parts.next(), parts.next().and_then(|of| of.parse::<u64>().ok()));
    named == Some(key) && of.is_some_and(|of| of <= round && text == value(key, of))
}

fn values_of_redis(text: &str, keys: &[String], round: u64) -> Result<(), &'static str> {
    let mut rest = match keys.len() {
        1 => text,
        count => text.strip_prefix(&format!("*{count}\r\n")).ok_or("no array of as many")?,
    };
    for key in keys {
        if let Some(after) = rest.strip_prefix("$-1\r\n") {
            rest = after;
            continue;
        }
        let (head, body) = rest.split_once("\r\n").ok_or("no value")?;
        let length: usize =
            head.strip_prefix('$').and_then(|n| n.parse().ok()).ok_or("no value")?;
        if !was(&body[..length], key, round) {
            return Err("no value of this key");
        }
        rest = &body[length + 2..];
    }
    rest.is_empty().then_some(()).ok_or("too long")
}

fn values_of_memcache(text: &str, keys: &[String], round: u64) -> Result<(), &'static str> {
    let mut rest = text;
    for key in keys {
        let Some(after) = rest.strip_prefix(&format!("VALUE {key} 0 ")) else {
            continue;
        };
        let (length, body) = after.split_once("\r\n").ok_or("no value")?;
        let length: usize = length.parse().map_err(|_| "no length")?;
        if !was(&body[..length], key, round) {
            return Err("no value of this key");
        }
        rest = &body[length + 2..];
    }
    (rest == "END\r\n").then_some(()).ok_or("something else")
}
