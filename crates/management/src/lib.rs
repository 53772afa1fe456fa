//! The management interface every image is built on.
//!
//! An image hands over its checks, counters and hooks; this crate owns everything an operator
//! meets: flags and variables, logging, signals, probes, the admin interface and the one shutdown
//! sequence. It runs on its own OS thread with its own runtime, because a server that shares the
//! runtime it judges would hang together with it and could never say so.
//!
//! Reading order: [`settings`] (what was asked for), [`program`] (how `main` enters), [`runtime`]
//! (bind, spawn, run), [`lifecycle`] (the states, pure), then `api` (what is served).
//! It refuses to be configured by anything but [`settings`], and holds no image's business.

#![forbid(unsafe_code)]

pub mod program;
pub mod settings;

pub mod duration;
pub mod secret;

pub mod runtime;

pub mod health;
pub mod lifecycle;
pub mod network;
pub mod signals;
mod supervisor;

pub mod logging;
mod metrics;

mod api;
mod problem;
mod security;
mod server;

pub mod docs;
pub mod healthcheck;
mod timestamp;

pub use api::Endpoint;
pub use health::{Critical, Heartbeat};
pub use lifecycle::{Drain, ExitReason, State};
pub use metrics::METRICS;
pub use network::{Network, Traffic, TrafficKind};
pub use problem::Problem;
pub use program::{enter, enter_with};
pub use runtime::{Builder, Handle, Management, StartError};
pub use secret::Secret;
pub use server::serve_connection;
pub use settings::{
    ConfigError, Effective, FileSettings, Invocation, LoadError, Loaded, Place, Shared, Strings,
    Subcommand, command, load, yaml_settings,
};
pub use signals::Signal;

/// The version of the management contract, shown in `/mgmt/v1/info`.
pub const API_VERSION: &str = "1.0";

/// The constants of an image.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Folder, crate, binary and image name; in upper case the prefix of its variables.
    pub name: &'static str,
    /// Its version, usually `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The pattern of the paper it implements.
    pub pattern: &'static str,
    /// One sentence for `--help` and `/mgmt/v1/info`.
    pub about: &'static str,
    /// Default port of the open, read-only probe listener.
    pub probe_port: u16,
    /// Default port of the loopback admin listener.
    pub admin_port: u16,
}

impl Image {
    /// The environment variable of a flag: `ambassador-proxy` and `probe-addr` give
    /// `AMBASSADOR_PROXY_PROBE_ADDR`.
    #[must_use]
    pub fn variable(&self, flag: &str) -> String {
        format!("{}{}", self.prefix(), upper(flag))
    }

    pub(crate) fn prefix(&self) -> String {
        format!("{}_", upper(self.name))
    }
}

fn upper(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}
