//! Ambassador for a sharded memcached or Redis fleet.
