//! Leader election beside an unmodified application: one sidecar per instance; the sidecars elect
//! among themselves; the application asks over HTTP on localhost.
//!
//! Application leadership is a row in a replicated table, with a holder, a session, a fencing token
//! and a time to live. It is never Raft leadership itself, which overlaps at failover and knows
//! nothing of the application.
//!
//! Reading order: [`config`] (what was asked for), [`election`] (the replicated table, pure),
//! [`replica`] (one Raft node around it, pure), [`membership`] and [`bootstrap`] (who belongs to the
//! group, pure), [`driver`] (the thread that owns a replica, its clock and its disk), [`store`],
//! [`wire`] and [`transport`] (peers), [`backend`] (where leases live: Raft, etcd, Kubernetes, this
//! process), [`agent`] (what this sidecar holds, and until when), [`campaign`] (automatic mode) and
//! [`api`]. [`app`] wires them.

pub mod app;
pub mod config;

pub mod election;
pub mod replica;

pub mod bootstrap;
pub mod membership;

pub mod driver;
pub mod store;

pub mod discovery;
pub mod transport;
pub mod wire;

pub mod codec;

#[cfg(any(test, feature = "simulation"))]
pub mod fuzzing;

pub mod backend;

pub mod agent;
pub mod campaign;

pub mod api;

pub mod metrics;

#[cfg(any(test, feature = "simulation"))]
pub mod simulation;

mod clock;
mod docs;

pub use clock::Boottime;

use management::Image;

/// The constants of this image.
pub const IMAGE: Image = Image {
    name: "leader-elector",
    version: env!("CARGO_PKG_VERSION"),
    pattern: "leader-election",
    about: "Leader election over localhost, with Raft among the sidecars",
    probe_port: 9611,
    admin_port: 9612,
};
