//! What the image does, seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod etcd;
mod kubernetes;
mod single;
mod support;
