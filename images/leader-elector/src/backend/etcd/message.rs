//! What etcd's gateway says and is told: protobuf as JSON, with 64-bit numbers as strings and bytes
//! in Base64.

use serde::{Deserialize, Deserializer};

/// Base64 of RFC 4648, with padding.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What every answer begins with.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Header {
    /// Revision of the store when it was given.
    #[serde(default, deserialize_with = "number")]
    pub(super) revision: u64,
}

/// A key with its value.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct KeyValue {
    #[serde(default, deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
    #[serde(default, deserialize_with = "number")]
    pub(super) mod_revision: u64,
    /// The lease it goes with; 0 for none. Negative numbers come as their bits.
    #[serde(default, deserialize_with = "number")]
    pub(super) lease: u64,
}

/// Answer to `/v3/kv/range`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
    #[serde(default)]
    pub(super) more: bool,
    #[serde(default, deserialize_with = "number")]
    pub(super) count: u64,
}

/// Answer to `/v3/kv/txn`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Txn {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
}

/// One message of the stream of `/v3/lease/keepalive`.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct KeptAlive {
    pub(super) result: KeptAliveResult,
}

/// What became of the lease.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct KeptAliveResult {
    /// Seconds left; 0 if there is no such lease.
    #[serde(default, rename = "TTL", deserialize_with = "number")]
    pub(super) ttl: u64,
}

/// One message of the stream of `/v3/watch`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Watched {
    #[serde(default)]
    pub(super) result: WatchedResult,
    /// The stream failed.
    #[serde(default)]
    pub(super) error: Option<serde_json::Value>,
}

/// What happened.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct WatchedResult {
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    pub(super) events: Vec<Event>,
}

/// A key was written or deleted.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    #[serde(default, rename = "type")]
    pub(super) kind: EventKind,
    pub(super) kv: KeyValue,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventKind {
    /// It was written.
    #[default]
    Put,
    /// It was deleted; only its name and the revision are told.
    Delete,
}

/// A refusal.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Refusal {
    /// gRPC's code.
    #[serde(default)]
    pub(super) code: u32,
    #[serde(default)]
    pub(super) message: String,
}

/// Bytes in Base64.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = [0; 3];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..4 {
            let shown = place <= group.len();
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if shown { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

/// Base64 as bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits: u32 = 0;
        for place in 0..4 {
            let value = match group.get(place) {
                Some(byte) => ALPHABET.iter().position(|it| it == byte)?,
                None => 0,
            };
            bits = bits << 6 | u32::try_from(value).ok()?;
        }
        let whole = bits.to_be_bytes();
        bytes.extend_from_slice(whole.get(1..group.len())?);
    }
    Some(bytes)
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text).ok_or_else(|| serde::de::Error::custom("expected Base64"))
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    let signed = || text.parse::<i64>().map(i64::cast_unsigned);
    text.parse().or_else(|_| signed()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in pairs {
            assert_eq!(encode(plain.as_bytes()), encoded);
            assert_eq!(decode(encoded).unwrap(), plain.as_bytes());
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        assert_eq!(decode("Zg=!"), None);
    }

    #[test]
    fn numbers_are_strings_and_may_be_negative() {
        let kv: KeyValue =
            serde_json::from_str(r#"{"key":"Zg==","mod_revision":"7","lease":"-5"}"#).unwrap();
        assert_eq!((kv.mod_revision, kv.lease.cast_signed()), (7, -5));
    }
}
