//! What was asked for: [`args::Args`] as typed become a [`Config`] that cannot be wrong.
//!
//! Values are checked against each other here, once, and grouped by who takes them. This is the one
//! place that reads the environment and the files of secrets. Certificates are only looked at: they
//! are renewed while the process runs, so their paths are handed on.

pub mod args;

mod files;
mod raft;
mod stores;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Command;
use management::{ConfigError, Effective, Secret, Strings};
use rustix::process::Signal;

use crate::IMAGE;
use crate::election::NAME_BYTES_MAX;
pub use args::{Args, BackendKind, Mode};
use args::{OnLost, Storage};

/// Shortest time to live: below it a pause of a busy machine ends leases.
pub const TTL_MIN: Duration = Duration::from_secs(1);
/// Longest time to live: a holder that is gone blocks its election for so long.
pub const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Most elections named by flags; more come to be when the application asks for them.
pub const ELECTIONS_NAMED_MAX: usize = 1000;
/// Most members in a list of peers.
pub const PEERS_MAX: usize = 99;
/// Shortest secret; a shorter one can be guessed.
pub const SECRET_BYTES_MIN: usize = 16;
/// Tokens stay below it, so that JSON readers that know doubles alone keep them exact.
pub const TOKEN_END: u64 = 1 << 53;

/// All that was asked for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this candidate and member.
    pub id: Arc<str>,
    /// The elections named, at least one; the first is the default election.
    pub elections: Vec<Arc<str>>,
    /// Time to live of leases that name none.
    pub ttl: Duration,
    /// Shortest time to live that may be asked for.
    pub ttl_min: Duration,
    /// Higher goes first among those who wait.
    pub priority: i64,
    /// The interface of the application.
    pub api: ApiConfig,
    /// Automatic mode; without it the application acquires and renews.
    pub campaign: Option<CampaignConfig>,
    /// What happens when leadership is lost.
    pub on_lost: LostConfig,
    /// Where leases live.
    pub backend: BackendConfig,
    /// What works, but hardly as intended; said in the log once there is one.
    pub warnings: Vec<String>,
}

/// The interface of the application.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// host:port to bind; the port may be 0.
    pub listen: String,
    /// What requests must bear; always there when `listen` is not loopback.
    pub token: Option<Secret>,
}

/// Automatic mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignConfig {
    /// How the application is looked at; all must pass. None: it always counts as well.
    pub probes: Vec<ProbeConfig>,
    /// Pause between two looks.
    pub interval: Duration,
    /// Failures in a row before it counts as unhealthy, at least 1.
    pub failures: u32,
}

/// A way to look at the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeConfig {
    /// This URL answers 2xx.
    Http(String),
    /// This port on localhost accepts.
    Tcp(u16),
    /// This file exists.
    File(PathBuf),
}

/// What happens when leadership is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostConfig {
    /// What is done.
    pub action: LostAction,
    /// How long before the deadline it is done; shorter than the time from renewal to deadline.
    pub margin: Duration,
}

/// What is done when leadership is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LostAction {
    /// Nothing.
    None,
    /// A POST to this URL.
    Webhook(String),
    /// A signal to every process of this name in the shared process namespace.
    Signal {
        /// What is sent.
        signal: Signal,
        /// The name of the processes, as in `/proc/PID/comm`.
        process: String,
    },
    /// Liveness fails.
    Liveness,
}

/// Where leases live.
#[derive(Clone, Debug)]
pub enum BackendConfig {
    /// Among the sidecars.
    Raft(Box<RaftConfig>),
    /// In an etcd.
    Etcd(EtcdConfig),
    /// In Lease objects of Kubernetes.
    Kubernetes(KubernetesConfig),
    /// In this process alone.
    Single {
        /// No token is smaller.
        token_floor: u64,
    },
}

/// A member of the group of sidecars.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// Where other members connect.
    pub listen: std::net::SocketAddr,
    /// host:port under which they reach this one, if it was said.
    pub advertise: Option<String>,
    /// How members find each other.
    pub discovery: DiscoveryConfig,
    /// How many found the group.
    pub expect: u16,
    /// How members prove themselves.
    pub auth: PeerAuth,
    /// Most voters.
    pub max_voters: u16,
    /// Members that stay however long they are silent.
    pub min_voters: u16,
    /// Silence after which a member beyond `min_voters` is removed.
    pub dead_after: Option<Duration>,
    /// Votes and stores, but never leads.
    pub witness: bool,
    /// Folder of the group's state; `None` for memory alone.
    pub data_dir: Option<PathBuf>,
    /// Unit of Raft's time.
    pub tick: Duration,
    /// Ticks without a heartbeat before a member stands for election.
    pub election_ticks: u16,
    /// Ticks between heartbeats; fewer than `election_ticks`.
    pub heartbeat_ticks: u16,
    /// No token is smaller.
    pub token_floor: u64,
}

/// How members find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryConfig {
    /// These and no others; this member is among them.
    Static(Vec<PeerConfig>),
    /// By number from 0: host:port with `{i}` in it.
    Template(String),
    /// A name with an address for each member.
    Dns {
        /// The name.
        host: String,
        /// The port of all.
        port: u16,
    },
    /// A watched file.
    File(PathBuf),
}

/// A member as named in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its name.
    pub name: Arc<str>,
    /// host:port, not resolved.
    pub address: String,
}

/// How members prove themselves to each other.
#[derive(Clone, Debug)]
pub enum PeerAuth {
    /// By a secret they all know.
    Secret(Secret),
    /// By certificates of one authority.
    Tls(TlsFiles),
    /// Not at all; asked for, or alone.
    None,
}

/// Files in PEM; they were readable at the start, and may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Own certificate, with its chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that others' certificates come from.
    pub ca: PathBuf,
}

/// How to reach an etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdConfig {
    /// Client URLs without a slash at the end, at least one.
    pub endpoints: Vec<String>,
    /// Prefix of all keys, ending with a slash.
    pub prefix: String,
    /// Authority of etcd's certificates; else those of the system.
    pub ca: Option<PathBuf>,
    /// Own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// No token is smaller.
    pub token_floor: u64,
}

/// How to reach the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Its URL without a slash at the end.
    pub url: String,
    /// The namespace of the Lease objects.
    pub namespace: String,
    /// Bearer token, read again as it is renewed.
    pub token_file: Option<PathBuf>,
    /// Authority of the API server's certificate; else those of the system.
    pub ca: Option<PathBuf>,
    /// No token is smaller.
    pub token_floor: u64,
}

/// `host:port` in two; brackets around an IPv6 address are taken off.
pub(crate) fn host_port(text: &str) -> Option<(&str, u16)> {
    values::host_port(text)
}

/// Whether this may be the name of an election, a candidate or a member: up to 253 letters, digits
/// and `. _ - :`, with a letter or digit at both ends.
#[must_use]
pub fn is_name(text: &str) -> bool {
    values::is_name(text)
}

/// Whether this may be the name of a Lease of Kubernetes.
#[must_use]
pub fn is_lease_name(text: &str) -> bool {
    stores::is_dns_name(text)
}

/// The command line: the flags, and `docs` for the tables of the README.
#[must_use]
pub fn command() -> Command {
    management::command::<Args>(&IMAGE).subcommand(management::docs::subcommand())
}

// === impl Config ===

impl Config {
    /// Checks and groups what was typed. `effective` knows where each value was written, `env` is
    /// the environment.
    ///
    /// # Errors
    /// The first thing wrong, with the flag (or variable, or line of the file) it was found at.
    pub fn new(args: &Args, effective: &Effective, env: &dyn Strings) -> Result<Self, ConfigError> {
        let typed = Typed { args, effective };
        let mut warnings = Vec::new();
        let id = values::id(&typed, env)?;
        let elections = values::elections(&typed)?;
        if args.token_floor >= TOKEN_END {
            let found = args.token_floor.to_string();
            return Err(typed.wrong("token-floor", &found, "a number below 2^53"));
        }
        let backend = match args.backend {
            BackendKind::Raft => BackendConfig::Raft(Box::new(raft::config(&typed, &id)?)),
            BackendKind::Etcd => BackendConfig::Etcd(stores::etcd(&typed)?),
            BackendKind::Kubernetes => {
                BackendConfig::Kubernetes(stores::kubernetes(&typed, &elections, env)?)
            }
            BackendKind::Single => BackendConfig::Single { token_floor: args.token_floor },
        };
        stores::refuse_foreign(&typed, &mut warnings)?;
        let ttl_min = match &backend {
            BackendConfig::Raft(raft) => TTL_MIN.max(2 * raft.election_timeout()),
            _ => TTL_MIN,
        };
        if !(ttl_min..=TTL_MAX).contains(&args.ttl) {
            let (from, to) = (shown(ttl_min), shown(TTL_MAX));
            let expected =
                format!("from {from} (twice --tick times --election-ticks, at least 1s) to {to}");
            return Err(typed.wrong("ttl", &shown(args.ttl), expected));
        }
        Ok(Self {
            id,
            elections,
            ttl: args.ttl,
            ttl_min,
            priority: args.priority,
            api: values::api(&typed)?,
            campaign: values::campaign(&typed, &mut warnings)?,
            on_lost: values::on_lost(&typed, &mut warnings)?,
            backend,
            warnings,
        })
    }

    /// The kind of the backend.
    #[must_use]
    pub fn backend_kind(&self) -> BackendKind {
        match self.backend {
            BackendConfig::Raft(_) => BackendKind::Raft,
            BackendConfig::Etcd(_) => BackendKind::Etcd,
            BackendConfig::Kubernetes(_) => BackendKind::Kubernetes,
            BackendConfig::Single { .. } => BackendKind::Single,
        }
    }
}

impl RaftConfig {
    /// Silence after which a member stands for election, at least.
    #[must_use]
    pub fn election_timeout(&self) -> Duration {
        self.tick * u32::from(self.election_ticks)
    }

    /// Whether the group is this member and nobody else.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        matches!(&self.discovery, DiscoveryConfig::Static(peers) if peers.len() == 1)
    }
}

// === Typed ===

/// Flags as typed, with where each was written.
struct Typed<'a> {
    args: &'a Args,
    effective: &'a Effective,
}

impl Typed<'_> {
    /// `found` at `flag`, where `expected` should have been.
    fn wrong(&self, flag: &str, found: &str, expected: impl Into<String>) -> ConfigError {
        ConfigError::new(self.effective.place(flag), None, found, expected)
    }

    /// A sentence about `flag`.
    fn refused(&self, flag: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::message(self.effective.place(flag), message)
    }
}

fn shown(duration: Duration) -> String {
    management::duration::format(duration)
}
