//! What the image does, seen from outside.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attach;
mod hostile;
mod jmx;
mod jvm;
mod rules;
mod support;
