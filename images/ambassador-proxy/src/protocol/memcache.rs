//! The memcached text protocol: classic and meta commands, and their replies.
//!
//! Source: `doc/protocol.txt` of memcached 1.6.
//!
//! Command lines are checked as strictly as memcached checks them, because a server that refuses
//! the line of a storage command reads the value as commands, and its answers to those would
//! reach somebody else.

use super::{BULK_BYTES_MAX, LINE_BYTES_MAX, ProtocolError, REPLY_LINE_BYTES_MAX};
use super::{Scan, Span, decimal};

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 250;

/// Longest line of a command other than `get` and `gets`: beyond it memcached closes the
/// connection unless it happens to see all of the line at once.
const OTHER_LINE_BYTES_MAX: usize = 2048;
/// Most spaces before a longer `get`, likewise.
const GET_INDENT_MAX: u32 = 100;

/// Most flags of a meta command: memcached takes 20 tokens with the command, the key, the length
/// and the end of the line.
const META_FLAGS_MAX: usize = 16;

/// What memcached answers to a line with wrong arguments.
const BAD_FORMAT: &str = "CLIENT_ERROR bad command line format";

/// What a command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `get`, `gets`: keys from the second token on.
    Get,
    /// `gat`, `gats`: an expiry, then keys.
    GetAndTouch,
    /// A storage command: one key and a value that follows the line.
    Store,
    /// One key, one line as the answer: `incr`, `decr`, `delete`, `touch`.
    Single,
    /// `mg`, `ms`, `md`, `ma`, `me`: one key, meta answer.
    Meta {
        /// The server answers only if there is something to say; ask it for an end mark.
        quiet: bool,
    },
    /// `mn`.
    MetaNop,
    /// `version`.
    Version,
    /// `verbosity`.
    Verbosity,
    /// `flush_all`.
    FlushAll,
    /// `stats`.
    Stats,
    /// `quit`.
    Quit,
    /// To be refused with this line.
    Bad(&'static str),
}

/// One request, found whole or with its value still on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What to do.
    pub verb: Verb,
    /// The client wants no answer.
    pub noreply: bool,
    /// Length of the command line with its end, in bytes.
    pub line_bytes: usize,
    /// Length of the value with its CR LF, in bytes; 0 without a value.
    pub body_bytes: usize,
    /// Whether twemproxy 0.5.0 would close the connection on this line.
    pub strict_closes: bool,
}

/// Finds the end of one request.
#[derive(Debug, Default)]
pub struct RequestScan {
    searched: usize,
    line: Option<Line>,
    /// The keys of the present line.
    pub keys: Vec<Span>,
}

impl RequestScan {
    /// Looks at `bytes`, which start at the first byte of the request and hold everything of it
    /// that has arrived. After [`Scan::Done`], or once the line is whole, [`RequestScan::line`]
    /// tells what it is.
    ///
    /// # Errors
    /// The line is too long or the value does not end where it should.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        let line = match self.line {
            Some(line) => line,
            None => match memchr::memchr(b'\n', &bytes[self.searched..]) {
                Some(at) if self.searched + at < LINE_BYTES_MAX => {
                    let line = parse(&bytes[..self.searched + at + 1], &mut self.keys);
                    self.line = Some(line);
                    line
                }
                None if bytes.len() < LINE_BYTES_MAX => {
                    self.searched = bytes.len();
                    return Ok(Scan::More { need: bytes.len() + 1 });
                }
                _ => return Err(ProtocolError("line too long")),
            },
        };
        let end = line.line_bytes + line.body_bytes;
        if bytes.len() < end {
            return Ok(Scan::More { need: end });
        }
        if line.body_bytes > 0 && bytes[end - 2..end] != *b"\r\n" {
            return Err(ProtocolError("bad data chunk"));
        }
        Ok(Scan::Done(end))
    }

    /// The present line, once it is whole.
    pub fn line(&self) -> Option<Line> {
        self.line
    }

    /// Makes ready for the next request.
    #[inline]
    pub fn reset(&mut self) {
        self.searched = 0;
        self.line = None;
        self.keys.clear();
        if self.keys.capacity() > 1024 {
            self.keys = Vec::new();
        }
    }
}

/// Iterates over the tokens of a line, as spans.
struct Tokens<'a> {
    line: &'a [u8],
    place: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Span;

    #[inline]
    fn next(&mut self) -> Option<Span> {
        while self.line.get(self.place) == Some(&b' ') {
            self.place += 1;
        }
        let start = self.place;
        while self.line.get(self.place).is_some_and(|&byte| byte != b' ') {
            self.place += 1;
        }
        (self.place > start).then(|| Span::new(start, self.place))
    }
}

fn signed_32(text: &[u8]) -> bool {
    let (limit, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (1 << 31, digits),
        None => ((1 << 31) - 1, text),
    };
    decimal(digits).is_some_and(|value| value <= limit)
}

/// Reads a whole line, its end included; fills `keys`.
fn parse(with_end: &[u8], keys: &mut Vec<Span>) -> Line {
    let bare = with_end.strip_suffix(b"\n").unwrap_or(with_end);
    let (line, bare_newline) = match bare.strip_suffix(b"\r") {
        Some(line) => (line, false),
        None => (bare, true),
    };
    let mut parsed = Line {
        verb: Verb::Bad("ERROR"),
        noreply: false,
        line_bytes: with_end.len(),
        body_bytes: 0,
        strict_closes: bare_newline,
    };
    let mut tokens = Tokens { line, place: 0 };
    let Some(name) = tokens.next() else {
        parsed.strict_closes = true;
        return parsed;
    };
    let (name, start) = (name.of(line), name.start);
    match name {
        // To memcached the line ends there: it would not see a `noreply` behind it.
        b"incr" | b"decr" | b"touch" | b"delete" | b"flush_all" if line.contains(&0) => {
            parsed.strict_closes = true;
        }
        b"get" | b"gets" => get(&mut parsed, tokens, keys),
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
            store(&mut parsed, tokens, keys, name == b"cas");
        }
        b"gat" | b"gats" => {
            parsed.strict_closes = true;
            match tokens.next() {
                Some(expiry) if signed_32(expiry.of(line)) => get(&mut parsed, tokens, keys),
                Some(_) => parsed.verb = Verb::Bad("CLIENT_ERROR invalid exptime argument"),
                None => {}
            }
            if parsed.verb == Verb::Get {
                parsed.verb = Verb::GetAndTouch;
            }
        }
        b"incr" | b"decr" | b"touch" => single(&mut parsed, tokens, keys, 1..=1),
        b"delete" => single(&mut parsed, tokens, keys, 0..=1),
        b"mg" | b"ms" | b"md" | b"ma" | b"me" => meta(&mut parsed, tokens, keys, name),
        _ => global(&mut parsed, name, tokens),
    }
    let is_get = matches!(parsed.verb, Verb::Get | Verb::Bad(_)) && start <= GET_INDENT_MAX;
    if with_end.len() > OTHER_LINE_BYTES_MAX && !is_get {
        parsed.verb = Verb::Bad("CLIENT_ERROR line too long");
        parsed.strict_closes = true;
    }
    parsed
}

/// `get KEY…`; the caller has taken what comes before the keys.
#[inline]
fn get(parsed: &mut Line, tokens: Tokens<'_>, keys: &mut Vec<Span>) {
    let line = tokens.line;
    keys.extend(tokens);
    parsed.verb = if keys.is_empty() {
        Verb::Bad("ERROR")
    } else if keys.iter().all(|key| key_is_good(key.of(line))) {
        Verb::Get
    } else {
        Verb::Bad(BAD_FORMAT)
    };
    parsed.strict_closes |= parsed.verb != Verb::Get;
}

fn key_is_good(key: &[u8]) -> bool {
    key.len() <= KEY_BYTES_MAX && key.iter().all(|&byte| byte > b' ' && byte != 0x7f)
}

/// `set KEY FLAGS EXPIRY BYTES [noreply]`, or `cas` with one number more.
fn store(parsed: &mut Line, mut tokens: Tokens<'_>, keys: &mut Vec<Span>, cas: bool) {
    let line = tokens.line;
    let mut next = || tokens.next().map(|span| span.of(line));
    let (key, flags, expiry, bytes) = (next(), next(), next(), next());
    let unique = if cas { next() } else { Some(&b"0"[..]) };
    let (noreply, surplus) = (next(), next());
    parsed.noreply = noreply == Some(b"noreply");
    let length = bytes.and_then(decimal).filter(|&length| length <= BULK_BYTES_MAX as u64);
    // The value is skipped even when the line is refused, lest it be read as commands.
    parsed.body_bytes = length.map_or(0, |length| length as usize + 2);
    let arguments_are_good = length.is_some()
        && flags.and_then(decimal).is_some_and(|flags| flags <= u64::from(u32::MAX))
        && expiry.is_some_and(signed_32)
        && unique.and_then(decimal).is_some()
        && (noreply.is_none() || parsed.noreply)
        && surplus.is_none()
        && key.is_some_and(key_is_good);
    parsed.strict_closes |= !arguments_are_good || expiry.is_some_and(|text| text[0] == b'-');
    parsed.verb = match (bytes, length) {
        (None, _) => Verb::Bad("ERROR"),
        (_, None) => Verb::Bad("CLIENT_ERROR bad data chunk"),
        _ if !arguments_are_good => Verb::Bad(BAD_FORMAT),
        _ => Verb::Store,
    };
    if parsed.verb == Verb::Store {
        keys.extend(Tokens { line, place: 0 }.nth(1));
    }
}

/// A key, a number of further arguments, perhaps `noreply`.
fn single(
    parsed: &mut Line,
    tokens: Tokens<'_>,
    keys: &mut Vec<Span>,
    arguments: std::ops::RangeInclusive<usize>,
) {
    let line = tokens.line;
    let mut rest: Vec<Span> = tokens.take(5).collect();
    parsed.noreply = rest.len() > 1 && rest.last().is_some_and(|last| last.of(line) == b"noreply");
    if parsed.noreply {
        rest.pop();
    }
    parsed.verb = match rest.split_first() {
        Some((key, others)) if arguments.contains(&others.len()) => {
            keys.push(*key);
            if key_is_good(key.of(line)) { Verb::Single } else { Verb::Bad(BAD_FORMAT) }
        }
        _ => Verb::Bad("ERROR"),
    };
    parsed.strict_closes |= parsed.verb != Verb::Single;
}

/// A meta command: `mg KEY FLAG…`; `ms` has the length of its value before the flags.
fn meta(parsed: &mut Line, mut tokens: Tokens<'_>, keys: &mut Vec<Span>, name: &[u8]) {
    parsed.strict_closes = true;
    let line = tokens.line;
    let Some(key) = tokens.next() else {
        parsed.verb = Verb::Bad(BAD_FORMAT);
        return;
    };
    if name == b"ms" {
        let length = tokens.next().and_then(|length| decimal(length.of(line)));
        let Some(length) = length.filter(|&length| length <= BULK_BYTES_MAX as u64) else {
            parsed.verb = Verb::Bad("CLIENT_ERROR bad data chunk");
            return;
        };
        parsed.body_bytes = length as usize + 2;
    }
    let mut quiet = false;
    let mut flags = 0;
    for flag in tokens {
        // What follows the letter is an argument, even where the flag takes none.
        quiet |= flag.of(line)[0] == b'q';
        flags += 1;
    }
    // With more, memcached refuses the line of `ms` and reads its value as commands.
    parsed.verb = if !key_is_good(key.of(line)) || flags > META_FLAGS_MAX {
        Verb::Bad(BAD_FORMAT)
    } else {
        keys.push(key);
        Verb::Meta { quiet }
    };
}

/// A command without a key.
fn global(parsed: &mut Line, name: &[u8], tokens: Tokens<'_>) {
    let line = tokens.line;
    let (mut arguments, mut last) = (0, None);
    for token in tokens {
        (arguments, last) = (arguments + 1, Some(token));
    }
    parsed.noreply = last.is_some_and(|last| last.of(line) == b"noreply");
    parsed.verb = match name {
        b"version" => Verb::Version,
        b"quit" => Verb::Quit,
        b"verbosity" if (1..=2).contains(&arguments) => Verb::Verbosity,
        b"flush_all" => Verb::FlushAll,
        b"stats" if arguments == 0 => Verb::Stats,
        b"mn" => Verb::MetaNop,
        _ => Verb::Bad("ERROR"),
    };
    parsed.strict_closes |= !matches!(parsed.verb, Verb::Version | Verb::Quit);
}

/// How the reply to a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// After one line.
    Line,
    /// After `END`, or a line that is no value.
    Values,
    /// After a line, and the value of a `VA` line.
    Meta,
    /// After the line `MN`, which is the proxy's own mark.
    MetaQuiet,
}

/// Finds the end of one reply.
#[derive(Debug, Default)]
pub struct ReplyScan {
    place: usize,
    searched: usize,
    /// The present value is the last thing of the reply.
    last: bool,
}

impl ReplyScan {
    /// Looks at `bytes`, which start at the first byte of the reply that was not taken yet and
    /// hold everything that has arrived after it.
    ///
    /// # Errors
    /// The server does not speak the protocol.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8], kind: ReplyKind) -> Result<Scan, ProtocolError> {
        loop {
            if self.place > bytes.len() {
                return Ok(Scan::More { need: self.place });
            }
            if self.last {
                return Ok(Scan::Done(self.place));
            }
            let from = self.searched.max(self.place);
            let found = memchr::memchr(b'\n', &bytes[from..]);
            let end = found.map_or(bytes.len(), |at| from + at);
            if end - self.place > REPLY_LINE_BYTES_MAX {
                return Err(ProtocolError("reply line too long"));
            }
            let Some(at) = found else {
                self.searched = bytes.len();
                return Ok(Scan::More { need: bytes.len() + 1 });
            };
            let line = &bytes[self.place..from + at + 1];
            self.place = from + at + 1;
            let (body, last) = line_of_reply(line, kind)?;
            self.place += body;
            self.last = last;
        }
    }

    /// Forgets the first `taken` bytes, which the caller has passed on already.
    pub fn took(&mut self, taken: usize) {
        self.place -= taken;
        self.searched = self.searched.saturating_sub(taken);
    }

    /// How many of `available` bytes the scan is done with, so that they can be passed on.
    pub fn passable(&self, available: usize) -> usize {
        self.place.min(available)
    }

    /// Makes ready for the next reply.
    #[inline]
    pub fn reset(&mut self) {
        *self = ReplyScan::default();
    }
}

/// The bytes that follow this line as a value, and whether the reply ends with it.
#[inline]
fn line_of_reply(line: &[u8], kind: ReplyKind) -> Result<(usize, bool), ProtocolError> {
    let length_at = match kind {
        ReplyKind::Line => return Ok((0, true)),
        ReplyKind::Values if line.starts_with(b"VALUE ") => 3,
        ReplyKind::Meta | ReplyKind::MetaQuiet if line.starts_with(b"VA ") => 1,
        ReplyKind::MetaQuiet => return Ok((0, line == b"MN\r\n")),
        ReplyKind::Values | ReplyKind::Meta => return Ok((0, true)),
    };
    let length = line
        .trim_ascii_end()
        .split(|&byte| byte == b' ')
        .filter(|token| !token.is_empty())
        .nth(length_at)
        .and_then(decimal)
        .filter(|&length| length <= BULK_BYTES_MAX as u64)
        .ok_or(ProtocolError("value without its length"))?;
    Ok((length as usize + 2, kind == ReplyKind::Meta))
}

/// Whether a reply line reports an error.
pub fn is_error(line: &[u8]) -> bool {
    line.starts_with(b"ERROR")
        || line.starts_with(b"CLIENT_ERROR")
        || line.starts_with(b"SERVER_ERROR")
}
