//! Ambassador for a sharded memcached or Redis fleet: the application talks to one server on
//! localhost, the proxy talks to many. A drop-in for twemproxy (`nutcracker`), whose
//! configuration files and command line it takes unchanged.
//!
//! Reading order: [`config`] (what was asked for), [`placement`] (which server has a key, pure),
//! [`protocol`] (where a message ends, pure), [`routing`] (the core: bytes in, bytes out, pure),
//! [`worker`] (one thread with its sockets), [`fleet`] (all workers), and beside the data path
//! [`health`], [`resolver`], [`prober`], [`reload`], [`stats`], [`statistics`] and [`metrics`].
//! [`app`] wires them.

pub mod app;
pub mod config;

pub mod locate;
pub mod placement;
pub mod protocol;
pub mod routing;

pub mod fleet;
pub mod worker;

pub mod health;
pub mod prober;
pub mod reload;
pub mod resolver;

pub mod metrics;
pub mod statistics;
pub mod stats;

mod docs;

use management::Image;

/// The constants of this image.
pub const IMAGE: Image = Image {
    name: "ambassador-proxy",
    version: env!("CARGO_PKG_VERSION"),
    pattern: "ambassador",
    about: "Ambassador for a sharded memcached or Redis fleet, a drop-in for twemproxy",
    probe_port: 9621,
    admin_port: 9622,
};

/// The version of nutcracker that this proxy stands in for.
pub const NUTCRACKER_VERSION: &str = "0.5.0";
