//! What a reply must be. A value names its key and can be made again from its own first bytes, so
//! every byte of it is checked; keys belong to one client, so another client's reply is found out.

use super::super::workload::Protocol;

/// What a client asked for, in the order it asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Set,
    Get(String),
    /// Several keys in one request.
    Gets(Vec<String>),
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Stored,
    /// Right values, and how many keys had none.
    Values {
        found: u64,
        missing: u64,
    },
    /// An error the proxy may answer, with its numbers taken out.
    Error(String),
    /// A value or a kind of reply that belongs to another request.
    Foreign,
    /// Bytes that are no reply.
    Malformed,
}

/// Longest line of a reply.
const LINE_MAX: usize = 1024;

/// A value of a key. `nonce` makes it differ from earlier ones, and its length too: mostly up to
/// 2 KiB, at times up to 64 KiB.
pub(super) fn value(key: &str, nonce: u32) -> Vec<u8> {
    let length = if nonce.is_multiple_of(64) { nonce % 65_536 } else { nonce % 2_048 };
    let head = format!("{key}/{nonce}/");
    let length = head.len() + usize::try_from(length).unwrap_or(0);
    head.bytes().cycle().take(length).collect()
}

/// Judges the reply at the front of `bytes`: its length and what it is; `None` when it is not all
/// there yet.
pub(super) fn judge(protocol: Protocol, asked: &Asked, bytes: &[u8]) -> Option<(usize, Verdict)> {
    match protocol {
        Protocol::Redis => redis(asked, bytes),
        Protocol::Memcached => memcached(asked, bytes),
    }
}

fn redis(asked: &Asked, bytes: &[u8]) -> Option<(usize, Verdict)> {
    let Some((line, after)) = line(bytes) else {
        return unfinished(bytes);
    };
    match (asked, line.first()) {
        (_, Some(b'-')) => Some((after, Verdict::Error(kind(line)))),
        (Asked::Set, _) if line == b"+OK" => Some((after, Verdict::Stored)),
        (Asked::Get(key), Some(b'$')) => bulks(std::slice::from_ref(key), bytes),
        (Asked::Gets(keys), Some(b'*')) if number(&line[1..]) == Some(keys.len()) => {
            let (length, verdict) = bulks(keys, &bytes[after..])?;
            Some((after + length, verdict))
        }
        (_, Some(b'+' | b'$' | b'*' | b':')) => Some((after, Verdict::Foreign)),
        _ => Some((after, Verdict::Malformed)),
    }
}

/// Bulk strings that must be values of these keys, in this order.
fn bulks(keys: &[String], bytes: &[u8]) -> Option<(usize, Verdict)> {
    let (mut at, mut found, mut missing) = (0, 0, 0);
    for key in keys {
        let Some((line, after)) = line(&bytes[at..]) else {
            return unfinished(&bytes[at..]);
        };
        at += after;
        if line == b"$-1" {
            missing += 1;
            continue;
        }
        let Some(length) = line.strip_prefix(b"$").and_then(number) else {
            return Some((at, Verdict::Malformed));
        };
        let value = bytes.get(at..at + length + 2)?;
        at += length + 2;
        if !value.ends_with(b"\r\n") {
            return Some((at, Verdict::Malformed));
        }
        if !is_value_of(key, &value[..length]) {
            return Some((at, Verdict::Foreign));
        }
        found += 1;
    }
    Some((at, Verdict::Values { found, missing }))
}

fn memcached(asked: &Asked, bytes: &[u8]) -> Option<(usize, Verdict)> {
    let keys = match asked {
        Asked::Set => &[][..],
        Asked::Get(key) => std::slice::from_ref(key),
        Asked::Gets(keys) => keys,
    };
    let mut at = 0;
    let mut seen: Vec<&[u8]> = Vec::new();
    loop {
        let Some((line, after)) = line(&bytes[at..]) else {
            return unfinished(&bytes[at..]);
        };
        at += after;
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        match words[..] {
            [b"SERVER_ERROR" | b"CLIENT_ERROR" | b"ERROR", ..] => {
                return Some((at, Verdict::Error(kind(line))));
            }
            [b"STORED" | b"NOT_STORED"] if *asked == Asked::Set => {
                return Some((at, Verdict::Stored));
            }
            [b"END"] if *asked != Asked::Set => {
                let found = seen.len() as u64;
                let missing = (keys.len() as u64).saturating_sub(found);
                return Some((at, Verdict::Values { found, missing }));
            }
            [b"VALUE", key, b"0", length] => {
                let length = number(length).filter(|length| *length <= 1 << 20);
                let Some(length) = length else {
                    return Some((at, Verdict::Malformed));
                };
                let value = bytes.get(at..at + length + 2)?;
                at += length + 2;
                let wanted = keys.iter().find(|wanted| wanted.as_bytes() == key);
                let fresh = !seen.contains(&key);
                let right = wanted.is_some_and(|key| is_value_of(key, &value[..length]));
                if !(right && fresh && value.ends_with(b"\r\n")) {
                    return Some((at, Verdict::Foreign));
                }
                seen.push(key);
            }
            [b"STORED" | b"NOT_STORED" | b"END"] => return Some((at, Verdict::Foreign)),
            _ => return Some((at, Verdict::Malformed)),
        }
    }
}

/// Whether `bytes` are a value of `key`, to the last byte.
fn is_value_of(key: &str, bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(key.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
    let nonce = rest.and_then(|rest| rest.split(|byte| *byte == b'/').next());
    let nonce = nonce.and_then(number).and_then(|nonce| u32::try_from(nonce).ok());
    nonce.is_some_and(|nonce| value(key, nonce) == bytes)
}

/// The first line without its end, and where the next begins.
fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let bytes = &bytes[..bytes.len().min(LINE_MAX)];
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], end + 2))
}

/// A line that has not ended: to be waited for, unless it is longer than any may be.
fn unfinished(bytes: &[u8]) -> Option<(usize, Verdict)> {
    (bytes.len() >= LINE_MAX).then_some((bytes.len(), Verdict::Malformed))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// An error text with every run of digits replaced, so that like errors are counted together.
fn kind(line: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(line).chars().take(100) {
        match character {
            '0'..='9' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests;
