//! What the image does, seen from outside.

#![expect(clippy::print_stdout, reason = "seeds are shown with the failure of a test")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod api;
mod auto;
mod bound;
mod compat;
mod config;
mod conformance;
mod elsewhere;
mod etcd;
mod group;
mod kubernetes;
mod limits;
mod lost;
mod raft;
mod single;
mod support;
mod watch;
