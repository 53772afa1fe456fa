//! Ambassador for a sharded memcached or Redis fleet.

pub mod config;
pub mod placement;
