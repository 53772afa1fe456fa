//! Ambassador for a sharded memcached or Redis fleet.

pub mod config;
pub mod locate;
pub mod placement;
