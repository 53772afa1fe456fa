//! What was asked for: flags and files as written become a [`Config`] that cannot be wrong.
//!
//! A [`Request`] remembers the command line; [`Request::load`] reads all files that it names, so
//! that a reload is the same call once more. This is the one place that reads the environment.

pub mod args;

mod fingerprint;
mod inputs;
mod jmx;
mod own;
mod pushed;
mod remote;
mod statsd;
#[cfg(test)]
mod tests;
mod web;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use management::{ConfigError, Place, Strings};

use crate::ingest::IngestConfig;
use crate::mapping::Mapping;
use crate::registry::{Limits, Overflow};
pub use args::{Args, CheckArgs, JmxArgs, StatsdArgs, command, unlinked};
pub use fingerprint::Fingerprint;
pub use inputs::{JsonConfig, PulledConfig, PulledKind};
pub use own::{INPUTS_MAX, read_settings};
pub use remote::Remote;
pub use web::{AllowedTarget, Landing, ModuleConfig, WebConfig};

/// The command line, understood.
#[derive(Clone, Debug)]
pub enum Request {
    /// `--config FILE`, or flags alone.
    Own {
        /// The flags.
        args: Args,
        /// The superset file.
        file: Option<PathBuf>,
    },
    /// The command line of `statsd_exporter`.
    Statsd {
        /// Our limits.
        args: Args,
        /// Its flags.
        statsd: Box<StatsdArgs>,
    },
    /// The command line of `jmx_exporter`.
    Jmx {
        /// Our limits.
        args: Args,
        /// Its arguments.
        jmx: JmxArgs,
    },
}

/// Whose page it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Ours: self-metrics stand on the probe port alone.
    Own,
    /// That of `statsd_exporter`: its self-metrics stand on the page.
    Statsd,
    /// That of `jmx_exporter`.
    Jmx,
}

/// All that was asked for.
#[derive(Debug)]
pub struct Config {
    /// Whose page it is.
    pub mode: Mode,
    /// The page.
    pub web: WebConfig,
    /// Sockets of pushed inputs, if there are any.
    pub ingest: Option<IngestConfig>,
    /// Pulled inputs in their order; names differ.
    pub pulled: Vec<PulledConfig>,
    /// `/probe`: modules by name, and which targets they may be used on.
    pub modules: Vec<ModuleConfig>,
    /// Targets that may be asked; none when empty.
    pub targets: Vec<AllowedTarget>,
    /// Bounds of what is pulled.
    pub pull: PullLimits,
    /// What is looked at for changes when a scrape comes, as `jmx_exporter` does.
    pub watched: Option<PathBuf>,
    /// Flags of the file as written, by their names; they are in force from the start on.
    pub flags: BTreeMap<String, Vec<String>>,
    /// What works, but hardly as intended, or is taken and not used.
    pub warnings: Vec<String>,
    /// What is not even worth a warning.
    pub notes: Vec<String>,
}

/// Bounds of what is pulled.
#[derive(Clone, Copy, Debug)]
pub struct PullLimits {
    /// Time for an input when the scraper names none.
    pub timeout: Duration,
    /// Longest time that a scraper is waited with, whatever it says; not below `timeout`.
    pub timeout_max: Duration,
    /// Taken off the time that the scraper names.
    pub margin: Duration,
    /// Oldest answer shown in place of one that does not come in time.
    pub stale_max: Duration,
    /// Longest body.
    pub body_bytes_max: usize,
    /// Most series of one input.
    pub series_max: usize,
    /// Most targets whose sessions are kept.
    pub sessions_max: usize,
    /// Most targets asked at the same time.
    pub scrapes_max: usize,
}

// === impl Request ===

impl Request {
    /// Reads all files and checks everything.
    ///
    /// # Errors
    /// The first thing wrong, with its place.
    pub fn load(&self, env: &dyn Strings) -> Result<Config, ConfigError> {
        match self {
            Self::Own { args, file } => own::load(args, file.as_deref(), env),
            Self::Statsd { args, statsd } => statsd::load(args, statsd),
            Self::Jmx { args, jmx } => jmx::load(args, jmx, env),
        }
    }

    /// What `statsd_exporter` would do with this mapping file.
    #[must_use]
    pub fn mapping(args: Args, path: &Path) -> Self {
        let mut statsd = StatsdArgs::defaults();
        statsd.mapping_config = path.display().to_string();
        Self::Statsd { args, statsd: Box::new(statsd) }
    }

    /// What `jmx_exporter` would do with this rules file.
    #[must_use]
    pub fn rules(args: Args, path: &Path) -> Self {
        Self::Jmx { args, jmx: JmxArgs { listen: "9404".to_owned(), file: path.to_owned() } }
    }

    /// Whether `--check-config` asked to end after the check.
    #[must_use]
    pub fn check_only(&self) -> bool {
        matches!(self, Self::Statsd { statsd, .. } if statsd.switches.check_config)
    }
}

impl Config {
    /// A page without inputs.
    fn new(mode: Mode, web: WebConfig, pull: PullLimits) -> Self {
        Self {
            mode,
            web,
            ingest: None,
            pulled: Vec::new(),
            modules: Vec::new(),
            targets: Vec::new(),
            pull,
            flags: BTreeMap::new(),
            watched: None,
            warnings: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What a reload cannot change, by names for people, as texts that differ when it has changed.
    #[must_use]
    pub fn fixed(&self) -> BTreeMap<String, String> {
        let mut fixed: BTreeMap<String, String> =
            self.flags.iter().map(|(name, values)| (name.clone(), format!("{values:?}"))).collect();
        let Some(plan) = &self.ingest else { return fixed };
        let plan: [(&str, &dyn std::fmt::Debug); 11] = [
            ("udp", &plan.udp),
            ("tcp", &plan.tcp),
            ("unixgram", &plan.unixgram),
            ("unixgram-mode", &plan.unixgram_mode),
            ("graphite udp", &plan.graphite_udp),
            ("graphite tcp", &plan.graphite_tcp),
            ("read-buffer", &plan.read_buffer),
            ("dialects", &plan.dialects),
            ("cache-size", &plan.cache_size),
            ("relay", &plan.relay),
            ("relay-packet-length", &plan.relay_packet_bytes_max),
        ];
        fixed.extend(plan.map(|(name, value)| (name.to_owned(), format!("{value:?}"))));
        fixed
    }

    /// What is read, for `/mgmt/v1/config`.
    #[must_use]
    pub fn inputs(&self) -> serde_json::Value {
        let pushed = self.ingest.as_ref().map(|plan| {
            serde_json::json!({
                "statsd": {"udp": plan.udp, "tcp": plan.tcp, "unixgram": plan.unixgram,
                           "rules": plan.mapping.rules().len(), "relay": plan.relay},
                "graphite": {"udp": plan.graphite_udp, "tcp": plan.graphite_tcp,
                             "rules": plan.graphite_mapping.rules().len()},
            })
        });
        let pulled = self.pulled.iter().map(
            |pulled| serde_json::json!({"name": pulled.name, "address": pulled.kind.address()}),
        );
        let modules = self.modules.iter().map(|module| module.name.as_str());
        serde_json::json!({
            "pushed": pushed,
            "pulled": pulled.collect::<Vec<_>>(),
            "modules": modules.collect::<Vec<_>>(),
        })
    }
}

impl Args {
    fn limits(&self) -> Limits {
        Limits {
            family_series_max: size(self.family_series_max),
            series_max: size(self.series_max),
            bytes_max: size(self.series_bytes_max),
            label_bytes_max: size(self.label_bytes_max),
            overflow: match self.overflow {
                args::OverflowArg::Fold => Overflow::Fold,
                args::OverflowArg::Drop => Overflow::Drop,
            },
        }
    }

    fn pull_limits(&self) -> PullLimits {
        PullLimits {
            timeout: self.scrape_timeout,
            timeout_max: self.scrape_timeout_max.max(self.scrape_timeout),
            margin: self.scrape_margin,
            stale_max: self.stale_max,
            body_bytes_max: size(self.body_bytes_max),
            series_max: size(self.pulled_series_max),
            sessions_max: size(self.target_sessions_max),
            scrapes_max: size(self.target_scrapes_max),
        }
    }
}

/// A number of a flag whose range is far below the largest `usize`.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads and compiles a mapping file.
///
/// # Errors
/// With the file's name, line and key.
pub(crate) fn mapping(path: &Path) -> Result<Mapping, ConfigError> {
    Mapping::parse(&yaml::read(path)?).map_err(|error| {
        let key = error.key.map(|key| format!("{key}: ")).unwrap_or_default();
        let place = Place::File(path.to_owned(), error.line);
        ConfigError::message(place, format!("{key}{}", error.message))
    })
}

/// Binds `host:port`; without a host, all addresses, both families where the system has both. Of
/// the addresses of a name, those of IPv4 come first, as with Go and Java: clients of `localhost`
/// that know no other would find nobody.
///
/// # Errors
/// A name that has no address, an address that cannot be had.
pub(crate) fn bind_tcp(listen: &str) -> std::io::Result<TcpListener> {
    let listener = match listen.strip_prefix(':') {
        Some(port) => {
            let invalid = |_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "no port");
            let port: u16 = port.parse().map_err(invalid)?;
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).or_else(|error| {
                let busy = error.kind() == std::io::ErrorKind::AddrInUse;
                if busy { Err(error) } else { TcpListener::bind(("0.0.0.0", port)) }
            })?
        }
        None => bind_one(listen.to_socket_addrs()?.collect())?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds the first address that can be had. One that somebody else has ends the search: two
/// processes would share a name and neither would know.
fn bind_one(mut addresses: Vec<SocketAddr>) -> std::io::Result<TcpListener> {
    use std::io::{Error, ErrorKind};
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut failure = Error::new(ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpListener::bind(address) {
            Err(error) if error.kind() != ErrorKind::AddrInUse => failure = error,
            result => return result,
        }
    }
    Err(failure)
}

/// Whether this is `[HOST]:PORT`; what the host is shows when it is bound.
pub(crate) fn is_listen(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        port.parse::<u16>().is_ok() && (bracketed || !host.contains(':'))
    })
}
