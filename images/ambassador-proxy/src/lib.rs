//! Ambassador for a sharded memcached or Redis fleet.

pub mod config;
pub mod fleet;
pub mod health;
pub mod locate;
pub mod placement;
pub mod protocol;
pub mod routing;
pub mod stats;
pub mod worker;
