//! Management driven from outside: over its listeners, and as a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod config;
mod health;
mod lifecycle;
mod logs;
mod process;
mod security;
mod support;
