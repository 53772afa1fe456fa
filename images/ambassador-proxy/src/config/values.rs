//! Single values: from the text of a scalar to what it means.
//!
//! Each function answers with what was expected if the text is not that; the caller knows file,
//! line and key. What nutcracker reads is read alike, with the intended exceptions that
//! `tests/it/config.rs` lists.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::suggestion;
use super::{Address, Listen, ServerConfig};

/// The kernel's limit for the path of a socket, in bytes, without the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Smallest `request_max`: a memcached command with a key of 250 bytes must fit.
const REQUEST_MAX_LEAST: u64 = 1 << 10;

pub(super) const NUMBER_MAX: u32 = i32::MAX.unsigned_abs();
pub(super) const LISTEN_FORM: &str = "host:port with a port from 1 to 65535, or /path with an \
    optional octal mode up to 0777";
pub(super) const SERVER_FORM: &str =
    "host:port:weight or /path:weight, with an optional name after a space";

/// Digits only, as nutcracker reads numbers: no sign, no space, leading zeros without meaning.
pub(super) fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|number| *number <= NUMBER_MAX)
}

pub(super) fn number(text: &str, least: u32) -> Result<u32, String> {
    let found = digits(text).filter(|number| *number >= least);
    found.ok_or_else(|| format!("a whole number from {least} to {NUMBER_MAX}"))
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    either(text, ("true", true), ("false", false))
}

pub(super) fn either<T>(text: &str, a: (&str, T), b: (&str, T)) -> Result<T, String> {
    if text == a.0 {
        Ok(a.1)
    } else if text == b.0 {
        Ok(b.1)
    } else {
        Err(format!("{} or {}", a.0, b.0))
    }
}

pub(super) fn named<T: std::str::FromStr>(text: &str, names: &[&str]) -> Result<T, String> {
    text.parse().map_err(|_| {
        let hint = suggestion(text, names.iter().copied());
        format!("one of {}{hint}", names.join(", "))
    })
}

pub(super) fn hash_tag(text: &str) -> Result<[u8; 2], String> {
    let bytes = text.as_bytes();
    bytes.try_into().map_err(|_| "exactly two characters, such as \"{}\"".into())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let scale = match unit {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let milliseconds = digits(count).zip(scale).map(|(count, scale)| u64::from(count) * scale);
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        format!("milliseconds as a whole number up to {NUMBER_MAX}, or with a unit: 400ms, 2s, 1m")
    })
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let shift = match unit {
        "" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let count = count.parse::<u64>().ok().zip(shift);
    let bytes = count.and_then(|(count, shift)| count.checked_mul(1_u64 << shift));
    bytes.filter(|bytes| *bytes >= REQUEST_MAX_LEAST).ok_or_else(|| {
        format!("bytes from {REQUEST_MAX_LEAST} on, or with a unit: 512KiB, 64MiB, 1GiB")
    })
}

pub(super) fn port(text: &str) -> Option<u16> {
    digits(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

pub(super) fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_PATH_BYTES_MAX {
        return Err(format!("the path of a socket of at most {SOCKET_PATH_BYTES_MAX} bytes"));
    }
    Ok(PathBuf::from(text))
}

/// A host without the brackets that may enclose an IPv6 address.
pub(super) fn host(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    (!inner.is_empty() && !inner.contains(odd)).then_some(inner)
}

pub(super) fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with('/') {
        let Some((path, mode)) = text.rsplit_once(' ') else {
            return Ok(Listen::Unix { path: socket_path(text)?, mode: None });
        };
        let octal = mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| octal && *mode <= 0o777);
        let mode = mode.ok_or(LISTEN_FORM)?;
        // Mode 0 is how nutcracker notes that none was given: it sets none.
        return Ok(Listen::Unix { path: socket_path(path)?, mode: Some(mode).filter(|m| *m > 0) });
    }
    let (name, number) = text.rsplit_once(':').ok_or(LISTEN_FORM)?;
    let (host, port) = host(name).zip(port(number)).ok_or(LISTEN_FORM)?;
    Ok(Listen::Tcp { host: host.into(), port })
}

/// Reads a server from the right: name, weight, port.
pub(super) fn server(text: &str, line: u32) -> Result<ServerConfig, String> {
    let (place, name) = match text.rsplit_once(' ') {
        Some((place, name)) => (place, Some(name)),
        None => (text, None),
    };
    if name == Some("") {
        return Err("a name after the last space".into());
    }
    let (place, weight) = place.rsplit_once(':').ok_or(SERVER_FORM)?;
    let (address, own_label) = address(place)?;
    let weight = digits(weight).filter(|weight| *weight > 0);
    let weight =
        weight.ok_or_else(|| format!("a weight from 1 to {NUMBER_MAX} ({SERVER_FORM})"))?;
    let label = name.map_or(own_label, str::to_owned);
    Ok(ServerConfig { label, name_given: name.is_some(), address, weight, line })
}

/// An address and the label it has without a name.
pub(super) fn address(place: &str) -> Result<(Address, String), String> {
    if place.starts_with('/') {
        if place.contains(':') {
            return Err(SERVER_FORM.into());
        }
        // The colon before the weight belongs to nutcracker's label of a socket.
        return Ok((Address::Unix(socket_path(place)?), format!("{place}:")));
    }
    let (name, number) = place.rsplit_once(':').ok_or(SERVER_FORM)?;
    let host = host(name).ok_or(SERVER_FORM)?;
    let port = port(number).ok_or_else(|| format!("a port from 1 to 65535 ({SERVER_FORM})"))?;
    // libmemcached's rule, which nutcracker keeps: its default port is not in the label.
    // Otherwise the port is in it as written.
    let label = if port == 11211 { host.into() } else { format!("{host}:{number}") };
    Ok((Address::Tcp { host: host.into(), port }, label))
}
