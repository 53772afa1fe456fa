//! One reply made of the replies of several servers.

use crate::protocol::resp::{ReplyScan, push_header};
use crate::protocol::{Scan, Span, decimal, memcache};

/// How the fragments make one reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Redis arrays, one element for each key.
    Array,
    /// Redis integers.
    Sum,
    /// Redis `+OK`.
    AllOk,
    /// memcached values, in the order of the keys.
    Values,
    /// memcached lines that are alike.
    SameLine,
}

#[derive(Debug, Default)]
struct Fragment {
    bytes: Vec<u8>,
    /// How far the merge has come in `bytes`.
    place: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Join {
    merge: Merge,
    /// Whether an error closes the connection and server errors become `Invalid argument`, as in
    /// twemproxy.
    strict: bool,
    fragments: Vec<Fragment>,
    left: u16,
    /// For each key the fragment that answers it.
    order: Vec<u16>,
    /// The keys themselves, where replies name them.
    keys: Vec<u8>,
    key_spans: Vec<Span>,
    error: Option<Vec<u8>>,
}

impl Join {
    /// A join of `fragments` replies; `order` names the fragment of each key.
    pub(crate) fn new(merge: Merge, strict: bool, fragments: u16, order: Vec<u16>) -> Join {
        Join {
            merge,
            strict,
            fragments: (0..fragments).map(|_| Fragment::default()).collect(),
            left: fragments,
            order,
            keys: Vec::new(),
            key_spans: Vec::new(),
            error: None,
        }
    }

    /// Keeps the keys, which tell whose value is missing.
    pub(crate) fn with_keys<'a>(mut self, keys: impl Iterator<Item = &'a [u8]>) -> Join {
        for key in keys {
            let start = self.keys.len();
            self.keys.extend_from_slice(key);
            self.key_spans.push(Span::new(start, self.keys.len()));
        }
        self
    }

    pub(crate) fn bytes(&self) -> usize {
        self.keys.len() + self.fragments.iter().map(|fragment| fragment.bytes.len()).sum::<usize>()
    }

    pub(crate) fn take(&mut self, fragment: u16, piece: &[u8]) {
        self.fragments[usize::from(fragment)].bytes.extend_from_slice(piece);
    }

    /// Counts a fragment as answered; true when none is left.
    pub(crate) fn fragment_done(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    pub(crate) fn fail(&mut self, error: &[u8]) {
        self.error.get_or_insert_with(|| error.to_vec());
    }

    /// Appends the joined reply. Returns whether the connection is to be closed after it.
    pub(crate) fn merge(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        if self.error.is_none() {
            self.error = self.server_error();
        }
        if self.error.is_none() {
            let bad = match self.merge {
                Merge::Array => self.array(out),
                Merge::Values => self.values(out),
                Merge::Sum => self.sum(out),
                Merge::AllOk => {
                    out.extend_from_slice(b"+OK\r\n");
                    Some(())
                }
                Merge::SameLine => {
                    out.extend_from_slice(&self.fragments[0].bytes);
                    Some(())
                }
            };
            if bad.is_some() {
                return false;
            }
            self.error = Some(self.invalid());
        }
        out.truncate(before);
        out.extend_from_slice(self.error.as_deref().unwrap_or_default());
        self.strict && matches!(self.merge, Merge::Array | Merge::Values)
    }

    fn invalid(&self) -> Vec<u8> {
        match self.merge {
            Merge::Array | Merge::Sum | Merge::AllOk => b"-ERR Invalid argument\r\n".to_vec(),
            Merge::Values | Merge::SameLine => b"SERVER_ERROR Invalid argument\r\n".to_vec(),
        }
    }

    /// The first fragment that is not of the kind the merge needs.
    fn server_error(&self) -> Option<Vec<u8>> {
        let is_good = |bytes: &[u8]| match self.merge {
            Merge::Array => bytes.first() == Some(&b'*'),
            Merge::Sum => bytes.first() == Some(&b':'),
            Merge::AllOk => bytes.first() == Some(&b'+'),
            Merge::Values => bytes.ends_with(b"END\r\n"),
            Merge::SameLine => !memcache::is_error(bytes),
        };
        let bad = self.fragments.iter().find(|fragment| !is_good(&fragment.bytes))?;
        let is_error = match self.merge {
            Merge::Array | Merge::Sum | Merge::AllOk => bad.bytes.first() == Some(&b'-'),
            Merge::Values | Merge::SameLine => memcache::is_error(&bad.bytes),
        };
        Some(if is_error && !self.strict { bad.bytes.clone() } else { self.invalid() })
    }

    fn array(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.reserve(self.bytes() + 16);
        push_header(out, b'*', self.order.len() as u64);
        for fragment in &mut self.fragments {
            fragment.place = memchr::memchr(b'\n', &fragment.bytes)? + 1;
        }
        for &index in &self.order {
            let fragment = &mut self.fragments[usize::from(index)];
            let rest = &fragment.bytes[fragment.place..];
            let length = element(rest)?;
            out.extend_from_slice(&rest[..length]);
            fragment.place += length;
        }
        Some(())
    }

    fn sum(&self, out: &mut Vec<u8>) -> Option<()> {
        let mut sum = 0u64;
        for fragment in &self.fragments {
            let digits = fragment.bytes.strip_prefix(b":")?.strip_suffix(b"\r\n")?;
            sum = sum.checked_add(decimal(digits)?)?;
        }
        push_header(out, b':', sum);
        Some(())
    }

    fn values(&mut self, out: &mut Vec<u8>) -> Option<()> {
        out.reserve(self.bytes() + 16);
        for (key, &index) in self.key_spans.iter().zip(&self.order) {
            let fragment = &mut self.fragments[usize::from(index)];
            let rest = &fragment.bytes[fragment.place..];
            let Some(value) = rest.strip_prefix(b"VALUE ") else { continue };
            let line_bytes = memchr::memchr(b'\n', rest)? + 1;
            let mut tokens = value[..line_bytes - 6].trim_ascii_end().split(|&byte| byte == b' ');
            if tokens.next() != Some(key.of(&self.keys)) {
                continue;
            }
            let length = tokens.nth(1).and_then(decimal)? as usize + 2;
            out.extend_from_slice(rest.get(..line_bytes + length)?);
            fragment.place += line_bytes + length;
        }
        out.extend_from_slice(b"END\r\n");
        Some(())
    }
}

/// Length of the element at the start of `bytes`.
#[inline]
fn element(bytes: &[u8]) -> Option<usize> {
    // Nearly all are short strings or nothing.
    match *bytes {
        [b'$', b'-', b'1', b'\r', b'\n', ..] => return Some(5),
        [b'$', digit @ b'0'..=b'9', b'\r', b'\n', ..] => {
            return Some(6 + usize::from(digit - b'0')).filter(|&length| length <= bytes.len());
        }
        _ => {}
    }
    match ReplyScan::default().scan(bytes) {
        Ok(Scan::Done(length)) => Some(length),
        _ => None,
    }
}
