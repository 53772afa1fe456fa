//! What works, but hardly as intended.
//!
//! Findings about placement are measured, not remembered: sample keys are placed by the very
//! code that serves requests, and the figures are in the message. Nothing here refuses a file;
//! that is for the reader of pools.

mod sample;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use sample::{Load, SAMPLE_KEYS, sample};
use serde::Serialize;

use super::{Address, EjectMode, Listen, PoolConfig, Protocol};
use crate::placement::{Distribution, Hash};

/// The busiest server may have this many times its share before it is worth a word.
const LOAD_RATIO_MAX: f64 = 1.4;
/// Consecutive ids may share a server in this many of the cases where they need not.
const STICKY_SHARE_MAX: f64 = 0.5;
/// Connections of one worker to all servers of a pool beyond which the number is mentioned.
const CONNECTIONS_MAX: u64 = 256;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Probably not what was meant.
    Warning,
}

/// One thing to say about a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the pool.
    pub pool: String,
    /// Line of the pool or the server in the file, from 1.
    pub line: u32,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence, lower case, with the figures it rests on.
    pub message: String,
}

// === impl Finding ===

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { pool, line, severity, message } = self;
        write!(f, "{line}: {pool}: {severity}: {message}")
    }
}

/// Everything worth saying about `pool`, most important first, then by line.
pub fn lint(pool: &PoolConfig) -> Vec<Finding> {
    let mut linter = Linter { pool, findings: Vec::new() };
    linter.shares();
    linter.loads();
    linter.distribution();
    linter.failures();
    linter.connections();
    linter.servers();
    linter.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.line.cmp(&b.line)));
    linter.findings
}

struct Linter<'p> {
    pool: &'p PoolConfig,
    findings: Vec<Finding>,
}

impl Linter<'_> {
    /// Servers that the ring gives nothing.
    fn shares(&mut self) {
        if self.pool.servers.len() < 2 || self.pool.rules.distribution != Distribution::Ketama {
            return;
        }
        let placement = self.pool.placement();
        let all: u32 = placement.ring().shares().iter().sum();
        for (server, share) in self.pool.servers.iter().zip(placement.ring().shares()) {
            if *share == 0 {
                let (label, weight) = (&server.label, server.weight);
                let message = format!(
                    "server {label:?} of weight {weight} gets 0 of {all} ring points, so no key: \
                     its weight is too small beside the others'"
                );
                self.say(server.line, Severity::Warning, message);
            }
        }
    }

    /// How sample keys spread.
    fn loads(&mut self) {
        if self.pool.servers.len() < 2 || self.pool.rules.distribution == Distribution::Random {
            return;
        }
        let loads = sample(self.pool);
        let worst = loads.iter().copied().max_by(|a, b| a.ratio.total_cmp(&b.ratio));
        let Some(worst) = worst.filter(|load| load.ratio > LOAD_RATIO_MAX) else {
            return self.sticky(&loads);
        };
        let Load { form, ratio, idle, .. } = worst;
        let (count, hash) = (self.pool.servers.len(), self.pool.rules.hash);
        let distribution = self.pool.rules.distribution;
        let mut message = format!(
            "{hash} with {distribution} puts {ratio:.2} times its share on the busiest of {count} \
             servers, measured with {SAMPLE_KEYS} keys {form}"
        );
        match idle {
            0 => {}
            _ if idle + 1 == count => message.push_str("; every key is on that one server"),
            1 => message.push_str("; 1 server gets none"),
            _ => message.push_str(&format!("; {idle} servers get none")),
        }
        if hash == Hash::Crc32 && distribution == Distribution::Ketama {
            message.push_str(" (it has 15 bits; crc32a has 32)");
        }
        self.say(self.pool.line, Severity::Warning, message);
        self.sticky(&loads);
    }

    /// Neighbouring ids that share a server far more often than chance would have it.
    fn sticky(&mut self, loads: &[Load]) {
        let weights: f64 = self.pool.servers.iter().map(|server| f64::from(server.weight)).sum();
        let shares = self.pool.servers.iter().map(|server| f64::from(server.weight) / weights);
        let chance: f64 = shares.map(|share| share * share).sum();
        let limit = chance + (1.0 - chance) * STICKY_SHARE_MAX;
        let most = loads.iter().max_by(|a, b| a.sticky.total_cmp(&b.sticky));
        let Some(Load { form, sticky, idle, .. }) = most.filter(|load| load.sticky > limit) else {
            return;
        };
        if idle + 1 == self.pool.servers.len() {
            return;
        }
        let message = format!(
            "{} keeps {:.0} % of consecutive ids on one server (chance alone: {:.0} %), measured \
             with {SAMPLE_KEYS} keys {form}: a range of ids loads one server",
            self.pool.rules.hash,
            sticky * 100.0,
            chance * 100.0,
        );
        self.say(self.pool.line, Severity::Note, message);
    }

    fn distribution(&mut self) {
        let pool = self.pool;
        if pool.servers.len() < 2 {
            return;
        }
        match pool.rules.distribution {
            Distribution::Modula if remaps(pool) => {
                let moved = moved_by_loss(pool) * 100.0;
                self.warn(format!(
                    "modula with auto_eject_hosts moves {moved:.0} % of all keys when one server \
                     is ejected, and moves them back later; use ketama, or eject_mode: fail_fast"
                ));
            }
            Distribution::Random => self.warn(
                "random sends each request to any server, so a key is not found where it was \
                 written; right only where all servers hold the same data, such as proxies"
                    .into(),
            ),
            _ => {}
        }
    }

    fn failures(&mut self) {
        let pool = self.pool;
        if pool.timeout.is_none() {
            let effect = if pool.auto_eject_hosts {
                ": a server that hangs is never ejected, because auto_eject_hosts counts timeouts"
            } else {
                ": requests to a server that hangs wait forever"
            };
            self.warn(format!("no timeout{effect}"));
        }
        if remaps(pool) && pool.protocol == Protocol::Redis && pool.servers.len() > 1 {
            self.warn(
                "auto_eject_hosts in a Redis pool writes keys of an ejected server elsewhere and \
                 leaves them there when it comes back, which splits the data; use eject_mode: \
                 fail_fast unless it is only a cache"
                    .into(),
            );
        }
        if pool.eject_mode == EjectMode::FailFast && !pool.auto_eject_hosts {
            self.note("eject_mode has no effect without auto_eject_hosts: true".into());
        }
        if pool.auto_eject_hosts && pool.servers.len() == 1 {
            self.note(
                "auto_eject_hosts with a single server only turns its failures into refusals for \
                 server_retry_timeout"
                    .into(),
            );
        }
        if pool.auto_eject_hosts && pool.server_retry_timeout.is_zero() {
            self.warn("server_retry_timeout: 0 takes an ejected server back at once".into());
        }
    }

    fn connections(&mut self) {
        let pool = self.pool;
        let connections = u64::from(pool.server_connections) * pool.servers.len() as u64;
        if connections > CONNECTIONS_MAX {
            self.note(format!("up to {connections} server connections for each worker"));
        }
        if pool.client_connections > 0 {
            self.note(format!(
                "client_connections: {} is a limit here; nutcracker ignores it",
                pool.client_connections
            ));
        }
    }

    fn servers(&mut self) {
        let mut seen: HashMap<_, u32> = HashMap::new();
        for server in &self.pool.servers {
            if let Some(line) = seen.insert(&server.address, server.line) {
                let message = format!(
                    "server {:?} has the address {} of the server on line {line}",
                    server.label, server.address
                );
                self.say(server.line, Severity::Note, message);
            }
        }
        self.hosts();
        let default_port = |address: &_| matches!(address, Address::Tcp { port: 11211, .. });
        let bare: Vec<_> = self
            .pool
            .servers
            .iter()
            .filter(|server| !server.name_given && default_port(&server.address))
            .collect();
        let Some(first) = bare.first() else {
            return;
        };
        if self.pool.rules.distribution == Distribution::Ketama && self.pool.servers.len() > 1 {
            let message = format!(
                "{} at port 11211 without a name, such as {:?}: the port is left out of what \
                 places keys, so another port moves keys; a name keeps them where they are",
                counted(bare.len(), "server"),
                first.label
            );
            self.say(first.line, Severity::Note, message);
        }
    }

    /// Hosts that no resolver will know, and listeners open to the network.
    fn hosts(&mut self) {
        let pool = self.pool;
        let servers = pool.servers.iter().filter_map(|server| match &server.address {
            Address::Tcp { host, .. } => Some((server.line, host)),
            Address::Unix(_) => None,
        });
        let listen = match &pool.listen {
            Listen::Tcp { host, .. } => Some((pool.line, host)),
            Listen::Unix { .. } => None,
        };
        for (line, host) in servers.chain(listen) {
            if let Some(kind) = broken_address(host) {
                let message = format!("host {host:?} looks like an {kind} address but is none");
                self.say(line, Severity::Warning, message);
            }
        }
        let open = listen.is_some_and(|(_, host)| host == "0.0.0.0" || host == "::");
        if open && pool.redis_auth.is_none() {
            self.note(format!(
                "listens on {} without a password: whoever reaches the port reaches the data",
                pool.listen
            ));
        }
    }

    fn warn(&mut self, message: String) {
        self.say(self.pool.line, Severity::Warning, message);
    }

    fn note(&mut self, message: String) {
        self.say(self.pool.line, Severity::Note, message);
    }

    fn say(&mut self, line: u32, severity: Severity, message: String) {
        self.findings.push(Finding { pool: self.pool.name.clone(), line, severity, message });
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The kind of address that `host` is spelled like, if it is not one.
fn broken_address(host: &str) -> Option<&'static str> {
    let numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Some("IPv4");
    }
    // A zone, as in fe80::1%eth0, is the resolver's business.
    let address = host.split('%').next().unwrap_or(host);
    (host.contains(':') && address.parse::<Ipv6Addr>().is_err()).then_some("IPv6")
}

/// Whether an ejection moves keys.
fn remaps(pool: &PoolConfig) -> bool {
    pool.auto_eject_hosts && pool.eject_mode == EjectMode::Remap
}

/// The share of keys that move when the first server is lost.
fn moved_by_loss(pool: &PoolConfig) -> f64 {
    let before = pool.placement();
    let live: Vec<bool> = (0..pool.servers.len()).map(|index| index != 0).collect();
    crate::placement::moved_share(&before, &before.with_live(&live))
}
