//! The few objects that JMX calls carry, appended to a buffer. Handles are counted by nobody: each
//! object is written whole, its classes included.

use super::text::encode;
use super::{HEADER, tag};

/// `javax.management.ObjectName`, serial version 1.1: its class, no fields, and custom data that is
/// the name and the end. Serial version UID 1081892073854801359.
const OBJECT_NAME: &[u8] = b"\x73\x72\x00\x1bjavax.management.ObjectName\
    \x0f\x03\xa7\x1b\xeb\x6d\x15\xcf\x03\x00\x00\x70\x78\x70";

/// `String[]`, serial version UID -5921575005990323385.
const STRING_ARRAY: &[u8] = b"\x75\x72\x00\x13[Ljava.lang.String;\
    \xad\xd2\x56\xe7\xe9\x1d\x7b\x47\x02\x00\x00\x70\x78\x70";

/// Begins a stream.
pub fn push_header(to: &mut Vec<u8>) {
    to.extend(HEADER);
}

/// `null`.
pub fn push_null(to: &mut Vec<u8>) {
    to.push(tag::NULL);
}

/// A string.
pub fn push_string(text: &str, to: &mut Vec<u8>) {
    let from = to.len();
    to.extend([tag::STRING, 0, 0]);
    encode(text, to);
    let bytes = to.len() - from - 3;
    if let Ok(bytes) = u16::try_from(bytes) {
        to[from + 1..from + 3].copy_from_slice(&bytes.to_be_bytes());
    } else {
        to.truncate(from);
        to.push(tag::LONGSTRING);
        to.extend((bytes as u64).to_be_bytes());
        encode(text, to);
    }
}

/// A `javax.management.ObjectName`.
pub fn push_object_name(text: &str, to: &mut Vec<u8>) {
    to.extend_from_slice(OBJECT_NAME);
    push_string(text, to);
    to.push(tag::ENDBLOCKDATA);
}

/// A `String[]`.
pub fn push_strings<S: AsRef<str>>(texts: &[S], to: &mut Vec<u8>) {
    to.extend_from_slice(STRING_ARRAY);
    to.extend((texts.len() as u32).to_be_bytes());
    for text in texts {
        push_string(text.as_ref(), to);
    }
}
