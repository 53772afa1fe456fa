//! What the image does, seen from outside.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attach;
mod cli;
mod collector;
mod explain;
mod flood;
mod hostile;
mod jmx;
mod jvm;
mod probe;
mod pulled;
mod rules;
mod statsd;
mod support;
mod transcripts;
mod web;
