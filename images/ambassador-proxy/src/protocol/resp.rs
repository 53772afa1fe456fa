//! RESP, the Redis protocol: requests (arrays of bulk strings, or inline lines) and replies
//! (RESP2 and RESP3).
//!
//! Source: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use super::{BULK_BYTES_MAX, ELEMENTS_MAX, LINE_BYTES_MAX, ProtocolError, REPLY_LINE_BYTES_MAX};
use super::{Scan, Span};

/// Longest `*N\r\n` or `$N\r\n` line: a type byte, a sign, 19 digits, CR LF.
const HEADER_BYTES_MAX: usize = 23;

/// Reads the number of a header whose type byte is at `at`. `None`: not all there yet.
#[inline]
fn header(bytes: &[u8], at: usize) -> Result<Option<(i64, usize)>, ProtocolError> {
    let mut place = at + 1;
    let negative = bytes.get(place) == Some(&b'-');
    place += usize::from(negative);
    let first = place;
    let mut value = 0i64;
    while let Some(&byte) = bytes.get(place) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if place - first >= 18 {
            return Err(ProtocolError("invalid length"));
        }
        value = value * 10 + i64::from(digit);
        place += 1;
    }
    if place - first > 1 && bytes[first] == b'0' {
        // Redis takes no such number, and closes: on a shared connection for everyone.
        return Err(ProtocolError("invalid length"));
    }
    match (bytes.get(place), bytes.get(place + 1)) {
        (Some(b'\r'), Some(b'\n')) if place > first => {
            Ok(Some((if negative { -value } else { value }, place + 2)))
        }
        (None, _) | (Some(b'\r'), None) if place - at < HEADER_BYTES_MAX => Ok(None),
        _ => Err(ProtocolError("invalid length")),
    }
}

/// Finds the end of one request.
#[derive(Debug, Default)]
pub struct RequestScan {
    /// Where the scan goes on; may lie past the bytes at hand when a body is still on its way.
    place: usize,
    /// Arguments still to come; meaningful once `started`.
    left: u32,
    started: bool,
    /// The arguments found so far, the command name first.
    pub args: Vec<Span>,
}

impl RequestScan {
    /// Looks at `bytes`, which start at the first byte of the request and hold everything of it
    /// that has arrived.
    ///
    /// # Errors
    /// The bytes are no request; nothing after them can be trusted.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        if !self.started {
            match bytes.first() {
                None => return Ok(Scan::More { need: 1 }),
                Some(b'*') => {}
                Some(_) => return self.scan_inline(bytes),
            }
            let Some((count, next)) = header(bytes, 0)? else {
                return Ok(Scan::More { need: bytes.len() + 1 });
            };
            if count > ELEMENTS_MAX {
                return Err(ProtocolError("invalid multibulk length"));
            }
            self.started = true;
            self.left = count.max(0) as u32;
            self.place = next;
        }
        while self.left > 0 {
            match bytes.get(self.place) {
                None => return Ok(Scan::More { need: self.place + 1 }),
                Some(b'$') => {}
                Some(_) => return Err(ProtocolError("expected '$'")),
            }
            let Some((length, body)) = header(bytes, self.place)? else {
                return Ok(Scan::More { need: bytes.len() + 1 });
            };
            if !(0..=BULK_BYTES_MAX).contains(&length) {
                return Err(ProtocolError("invalid bulk length"));
            }
            let end = body + length as usize;
            match (bytes.get(end), bytes.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => {}
                (None, _) | (Some(b'\r'), None) => return Ok(Scan::More { need: end + 2 }),
                _ => return Err(ProtocolError("bulk string without its end")),
            }
            self.args.push(Span::new(body, end));
            self.left -= 1;
            self.place = end + 2;
        }
        Ok(Scan::Done(self.place))
    }

    /// Splits an inline command; the place is where the search for the line's end goes on.
    fn scan_inline(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        match memchr::memchr(b'\n', &bytes[self.place..]) {
            Some(at) if self.place + at <= LINE_BYTES_MAX => Ok(Scan::Done(self.place + at + 1)),
            None if bytes.len() <= LINE_BYTES_MAX => {
                self.place = bytes.len();
                Ok(Scan::More { need: bytes.len() + 1 })
            }
            _ => Err(ProtocolError("too big inline request")),
        }
    }

    /// Arguments that are still to come after those in [`RequestScan::args`].
    pub fn args_left(&self) -> u32 {
        self.left
    }

    /// Where the argument begins that is still on its way, counted from the start of the request.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Makes ready for the next request; keeps the room for ordinary argument lists only.
    #[inline]
    pub fn reset(&mut self) {
        self.place = 0;
        self.started = false;
        self.args.clear();
        if self.args.capacity() > 1024 {
            self.args = Vec::new();
        }
    }
}

/// Follows the rest of a request whose bytes are passed on as they come.
#[derive(Clone, Copy, Debug)]
pub struct RequestTail {
    /// Arguments whose header has not been seen.
    args_left: u32,
    /// Bytes of the present body, with its CR LF, still to pass.
    body_left: usize,
}

impl RequestTail {
    /// Starts at an argument header with `args_left` arguments to come.
    pub fn new(args_left: u32) -> RequestTail {
        RequestTail { args_left, body_left: 0 }
    }

    /// How many of `bytes` belong to the request and can be passed on now.
    ///
    /// # Errors
    /// The bytes are no request.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        let mut place = 0;
        loop {
            let step = self.body_left.min(bytes.len() - place);
            self.body_left -= step;
            place += step;
            if self.args_left == 0 || self.body_left > 0 || place == bytes.len() {
                return Ok(place);
            }
            if bytes[place] != b'$' {
                return Err(ProtocolError("expected '$'"));
            }
            let Some((length, body)) = header(bytes, place)? else {
                return Ok(place);
            };
            if !(0..=BULK_BYTES_MAX).contains(&length) {
                return Err(ProtocolError("invalid bulk length"));
            }
            self.args_left -= 1;
            self.body_left = length as usize + 2;
            place = body;
        }
    }

    /// Whether the request has been passed on whole.
    pub fn is_done(&self) -> bool {
        self.args_left == 0 && self.body_left == 0
    }
}

/// Splits an inline command into its arguments with the quoting rules of `redis-cli`.
///
/// # Errors
/// Quotes are not balanced.
pub fn split_inline(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut args = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let (arg, after) = inline_argument(rest)?;
        args.push(arg);
        rest = after.trim_ascii_start();
    }
    Ok(args)
}

fn inline_argument(text: &[u8]) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    const UNBALANCED: ProtocolError = ProtocolError("unbalanced quotes in request");
    let mut arg = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, _) if byte.is_ascii_whitespace() => break,
            (Some(open), _) if byte == open => {
                if text.get(at).is_some_and(|next| !next.is_ascii_whitespace()) {
                    return Err(UNBALANCED);
                }
                quote = None;
            }
            (Some(b'"'), b'\\') => {
                let escape = *text.get(at).ok_or(UNBALANCED)?;
                at += 1;
                let hex =
                    text.get(at..at + 2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
                let hex = hex.and_then(|pair| std::str::from_utf8(pair).ok());
                let hex = hex.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                arg.push(match (escape, hex) {
                    (b'x', Some(value)) => {
                        at += 2;
                        value
                    }
                    (b'n', _) => b'\n',
                    (b'r', _) => b'\r',
                    (b't', _) => b'\t',
                    (b'b', _) => 8,
                    (b'a', _) => 7,
                    (other, _) => other,
                });
            }
            (Some(b'\''), b'\\') if text.get(at) == Some(&b'\'') => {
                arg.push(b'\'');
                at += 1;
            }
            _ => arg.push(byte),
        }
    }
    if quote.is_some() { Err(UNBALANCED) } else { Ok((arg, &text[at..])) }
}

/// Appends a request in the array form.
pub fn push_request(out: &mut Vec<u8>, args: &[&[u8]]) {
    push_header(out, b'*', args.len() as u64);
    for arg in args {
        push_bulk(out, arg);
    }
}

/// Appends a type byte with its number, such as `*3\r\n`.
pub fn push_header(out: &mut Vec<u8>, kind: u8, number: u64) {
    out.push(kind);
    super::push_decimal(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub fn push_bulk(out: &mut Vec<u8>, text: &[u8]) {
    push_header(out, b'$', text.len() as u64);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// Finds the end of one reply.
///
/// Nesting costs nothing: what matters is only how many elements are still to come, so a counter
/// takes the place of a stack.
#[derive(Debug)]
pub struct ReplyScan {
    place: usize,
    /// Where the search for the end of a line goes on, at or after `place`.
    searched: usize,
    elements_left: u64,
}

impl Default for ReplyScan {
    fn default() -> Self {
        ReplyScan { place: 0, searched: 0, elements_left: 1 }
    }
}

impl ReplyScan {
    /// Looks at `bytes`, which start at the first byte of the reply that was not taken yet and
    /// hold everything that has arrived after it.
    ///
    /// # Errors
    /// The server does not speak RESP.
    #[inline]
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Scan, ProtocolError> {
        while self.elements_left > 0 {
            let Some(&kind) = bytes.get(self.place) else {
                return Ok(Scan::More { need: self.place + 1 });
            };
            match kind {
                b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                    let Some(end) = self.line_end(bytes)? else {
                        return Ok(Scan::More { need: bytes.len() + 1 });
                    };
                    self.place = end;
                    self.elements_left -= 1;
                }
                _ => {
                    let Some((number, next)) = header(bytes, self.place)? else {
                        return Ok(Scan::More { need: bytes.len() + 1 });
                    };
                    self.counted(kind, number, next)?;
                }
            }
            self.searched = self.place;
        }
        if self.place > bytes.len() {
            return Ok(Scan::More { need: self.place });
        }
        // A length that is not that of its body would put the client out of step.
        if !bytes[..self.place].ends_with(b"\r\n") {
            return Err(ProtocolError("reply without its end"));
        }
        Ok(Scan::Done(self.place))
    }

    /// Takes an element that starts with a number: a body's length or a count of elements.
    #[inline]
    fn counted(&mut self, kind: u8, number: i64, next: usize) -> Result<(), ProtocolError> {
        let elements = match kind {
            b'$' | b'=' | b'!' => {
                self.place = next + if number < 0 { 0 } else { number as usize + 2 };
                self.elements_left -= 1;
                return Ok(());
            }
            b'*' | b'~' | b'>' => number.max(0) as u64,
            b'%' => 2 * number.max(0) as u64,
            // An attribute is followed by the element it describes, which still counts.
            b'|' => 2 * number.max(0) as u64 + 1,
            _ => return Err(ProtocolError("unknown reply type")),
        };
        self.place = next;
        self.elements_left = (self.elements_left - 1).saturating_add(elements);
        Ok(())
    }

    #[inline]
    fn line_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let from = self.searched.max(self.place);
        match memchr::memchr(b'\n', &bytes[from..]) {
            Some(at) if from + at - self.place <= REPLY_LINE_BYTES_MAX => Ok(Some(from + at + 1)),
            None if bytes.len() - self.place <= REPLY_LINE_BYTES_MAX => {
                self.searched = bytes.len();
                Ok(None)
            }
            _ => Err(ProtocolError("reply line too long")),
        }
    }

    /// Forgets the first `taken` bytes, which the caller has passed on already.
    pub fn took(&mut self, taken: usize) {
        self.place -= taken;
        self.searched = self.searched.saturating_sub(taken);
    }

    /// How many of `available` bytes the scan is done with, so that they can be passed on.
    pub fn passable(&self, available: usize) -> usize {
        // Its end is looked at once it has come.
        let held_back = if self.elements_left == 0 { 2 } else { 0 };
        self.place.saturating_sub(held_back).min(available)
    }

    /// Makes ready for the next reply.
    #[inline]
    pub fn reset(&mut self) {
        *self = ReplyScan::default();
    }
}
