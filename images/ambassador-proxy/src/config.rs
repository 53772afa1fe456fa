//! The configuration: nutcracker's file, read strictly, and what this proxy adds to it.
//!
//! A pool is *as meant* here ([`PoolConfig`]): defaults filled in, servers in the order that
//! placement needs, values checked against each other. Whatever nutcracker accepts is accepted
//! with the same meaning; what it merely guesses at (numbers that overflow, names that are
//! empty) is an error that says file, line, key, what was found and what was expected.

pub mod args;
mod keys;
pub mod lint;
mod pools;
#[cfg(test)]
mod tests;
mod values;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use keys::{POOL_KEYS, PoolKey};
pub use pools::{SETTINGS_KEY, parse_pools};

use crate::placement::{self, Member, Placement, Rules};

/// The protocol of a pool, towards clients and servers alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RESP, key `redis: true`.
    Redis,
    /// memcached's text protocol.
    Memcache,
}

/// What clients get for requests that cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// As nutcracker: the connection closes, with no bytes.
    Strict,
    /// An error reply; the connection stays.
    Friendly,
}

/// What happens to the keys of an ejected server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EjectMode {
    /// They move to the servers left, as in nutcracker.
    Remap,
    /// Their requests fail at once until the server is back.
    FailFast,
}

/// Where a pool accepts clients.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// A host, not yet resolved, and a port from 1 on.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A socket in the file system.
    Unix {
        /// Absolute path, shorter than 108 bytes.
        path: PathBuf,
        /// Permission bits to set after binding; none is set without.
        mode: Option<u32>,
    },
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host, resolved when connecting, and a port from 1 on.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// An absolute path, shorter than 108 bytes.
    Unix(PathBuf),
}

/// A text that must not reach logs, errors or the admin interface.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// One server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The name given, or `host:port`, or `host` alone at port 11211, or `/path:` of a socket.
    /// Placement and statistics go by it; it is unique within the pool.
    pub label: String,
    /// Whether the file gave the name.
    pub name_given: bool,
    /// Where to connect.
    pub address: Address,
    /// Relative weight, from 1 to 2^31 - 1.
    pub weight: u32,
    /// Line in the file, from 1.
    pub line: u32,
}

/// One pool, as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// Name of the pool, unique in the file.
    pub name: String,
    /// Line of the name in the file, from 1.
    pub line: u32,
    /// Where clients connect; unique in the file.
    pub listen: Listen,
    /// The protocol.
    pub protocol: Protocol,
    /// Hash, tag and distribution.
    pub rules: Rules,
    /// Limit for connecting and answering, `None` for no limit.
    pub timeout: Option<Duration>,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: u32,
    /// Clients connected at once, 0 for no limit.
    pub client_connections: u32,
    /// Keep-alive probes on client connections.
    pub tcpkeepalive: bool,
    /// `SO_REUSEPORT` on the listener.
    pub reuseport: bool,
    /// Connect to all servers at the start.
    pub preconnect: bool,
    /// Password asked of clients and given to servers.
    pub redis_auth: Option<Secret>,
    /// User that goes with `redis_auth`, in both directions.
    pub redis_user: Option<String>,
    /// Database selected on each server connection.
    pub redis_db: u32,
    /// Connections to each server, at least 1.
    pub server_connections: u32,
    /// Whether failing servers are ejected.
    pub auto_eject_hosts: bool,
    /// How long an ejected server is left alone.
    pub server_retry_timeout: Duration,
    /// Failures in a row after which a server is ejected; 0 means the same as 1.
    pub server_failure_limit: u32,
    /// The servers in nutcracker's order: shorter labels first, equal lengths by bytes.
    pub servers: Vec<ServerConfig>,
    /// What clients get for requests that cannot be served.
    pub compat: Compat,
    /// What happens to the keys of an ejected server.
    pub eject_mode: EjectMode,
    /// Whether `HELLO 3` is granted.
    pub resp3: bool,
    /// Whether `flush_all` is passed to all servers.
    pub flush_all: bool,
    /// Largest request accepted from a client, in bytes.
    pub request_max: u64,
}

/// The pools of a file in nutcracker's order: shorter names first, equal lengths by bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pools(pub Vec<PoolConfig>);

/// One process setting: the value as written, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value as written.
    pub value: String,
    /// Line in the file, from 1.
    pub line: u32,
}

/// All that a configuration file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedFile {
    /// The pools, at least one.
    pub pools: Pools,
    /// Process settings from the reserved mapping [`SETTINGS_KEY`], by the name of their flag.
    /// Neither names nor values are checked here: the flags' parser knows them.
    pub settings: BTreeMap<String, Setting>,
    /// Things that work, but hardly as intended.
    pub warnings: Vec<Problem>,
}

/// One thing wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: u32,
    /// Where in the tree, such as `alpha.hash`; empty for the file as a whole.
    pub key: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

/// A configuration file that cannot be used: every problem in it, in the order of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// At least one problem.
    pub problems: Vec<Problem>,
}

// === impl Secret ===

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for putting it on the wire or comparing it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Address, Listen, Protocol ===

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } => write_host(f, host, *port),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { host, port } => write_host(f, host, *port),
            Listen::Unix { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Redis => "redis",
            Protocol::Memcache => "memcache",
        })
    }
}

// === impl PoolConfig ===

impl PoolConfig {
    /// The servers as the ring sees them.
    pub fn members(&self) -> Vec<Member> {
        let member =
            |server: &ServerConfig| Member { label: server.label.clone(), weight: server.weight };
        self.servers.iter().map(member).collect()
    }

    /// Placement with all servers live.
    pub fn placement(&self) -> Placement {
        Placement::new(self.rules, self.members())
    }

    /// The share of keys, from 0 to 1, that `new` sends to another server than this pool does.
    /// A server is another one if its label or its address differs.
    pub fn moved_share(&self, new: &PoolConfig) -> f64 {
        placement::moved_share_by(&self.placement(), &new.placement(), |before, after| {
            let (before, after) = (&self.servers[before as usize], &new.servers[after as usize]);
            before.label == after.label && before.address == after.address
        })
    }
}

// === impl Pools ===

impl Pools {
    /// The pool of that name.
    pub fn get(&self, name: &str) -> Option<&PoolConfig> {
        self.0.iter().find(|pool| pool.name == name)
    }
}

// === impl Problem, ConfigError ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}: {problem}", self.file.display(), problem.line)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
