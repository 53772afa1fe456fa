//! Built images, started with compose and broken. Needs a Docker engine; `cargo xtask test` builds
//! the images and runs this.
//!
//! Every test starts a copy of its recipe of its own, all at the same time: that two copies do not
//! get in each other's way is so tested with the rest.

mod leader_election;
mod metrics;
mod sharded_cache;
