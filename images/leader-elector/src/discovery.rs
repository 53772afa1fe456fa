//! Addresses of members: what was asked for, as a list that may change.
//!
//! Names of members in a list are for people; which member answers at an address, it says itself.
//! A name is resolved by whoever dials it, each time; only where one name stands for all members
//! are its addresses looked up here, again and again.

mod list;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::config::{DiscoveryConfig, PEERS_MAX};
pub use list::{ListError, parse};

/// Pause between two looks at the file: files on Kubernetes' volumes change once a minute at most.
const FILE_LOOK: Duration = Duration::from_secs(1);
/// Pause between two look-ups of the common name.
const NAME_LOOK: Duration = Duration::from_secs(3);
/// Longest look-up.
const LOOKUP: Duration = Duration::from_secs(5);
/// A file of members is not longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a member may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Who it should be, if that is known.
    pub name: Option<Arc<str>>,
    /// host:port, an IPv6 address in brackets; not resolved.
    pub address: String,
}

/// A source of addresses.
#[derive(Debug)]
pub struct Discovery {
    targets: watch::Sender<Vec<Target>>,
    source: Source,
}

/// Where addresses come from.
#[derive(Debug)]
enum Source {
    /// All there are.
    Fixed,
    /// A name with an address for each member, as host:port.
    Name(String),
    File(PathBuf),
}

// === impl Discovery ===

impl Discovery {
    /// The source that was asked for; a template is for `expect` members.
    #[must_use]
    pub fn new(config: &DiscoveryConfig, expect: u16) -> Self {
        let (targets, source) = match config {
            DiscoveryConfig::Static(peers) => {
                let target = |peer: &crate::config::PeerConfig| Target {
                    name: Some(Arc::clone(&peer.name)),
                    address: peer.address.clone(),
                };
                (peers.iter().map(target).collect(), Source::Fixed)
            }
            DiscoveryConfig::Template(template) => (numbered(template, expect), Source::Fixed),
            DiscoveryConfig::Dns { host, port } => {
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                (Vec::new(), Source::Name(format!("{host}:{port}")))
            }
            DiscoveryConfig::File(path) => (Vec::new(), Source::File(path.clone())),
        };
        Self { targets: watch::Sender::new(targets), source }
    }

    /// The addresses; none yet when they are still to be looked up.
    #[must_use]
    pub fn targets(&self) -> watch::Receiver<Vec<Target>> {
        self.targets.subscribe()
    }

    /// Keeps the addresses up to date, for ever.
    pub async fn run(self) {
        let Self { targets, source } = self;
        let pause = match &source {
            Source::Fixed => return std::future::pending().await,
            Source::Name(_) => NAME_LOOK,
            Source::File(_) => FILE_LOOK,
        };
        let mut tick = interval(pause);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // So that a reason is told once, and not with each look.
        let mut told = String::new();
        loop {
            tick.tick().await;
            match source.look().await {
                Ok(found) => {
                    told.clear();
                    publish(&targets, found);
                }
                Err(error) if error == told => {}
                Err(error) => {
                    let from = source.shown();
                    tracing::warn!(target: "discovery", from, error, "looking for members failed");
                    told = error;
                }
            }
        }
    }
}

// === impl Source ===

impl Source {
    async fn look(&self) -> Result<Vec<Target>, String> {
        match self {
            Self::Fixed => Ok(Vec::new()),
            Self::Name(name) => look_up(name).await,
            Self::File(path) => {
                let text = read(path).await.map_err(|error| error.to_string())?;
                parse(&text).map_err(|error| error.to_string())
            }
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Fixed => String::new(),
            Self::Name(name) => name.clone(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// The members of a template, from 0.
fn numbered(template: &str, count: u16) -> Vec<Target> {
    let address = |number: u16| template.replace("{i}", &number.to_string());
    (0..count).map(|number| Target { name: None, address: address(number) }).collect()
}

async fn look_up(name: &str) -> Result<Vec<Target>, String> {
    let found = timeout(LOOKUP, lookup_host(name)).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?;
    let found = found.map_err(|error| error.to_string())?;
    let target =
        |address: std::net::SocketAddr| Target { name: None, address: address.to_string() };
    Ok(found.take(PEERS_MAX).map(target).collect())
}

async fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).await?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let message = format!("longer than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// Tells a list if it differs from the last one, whatever the order.
fn publish(targets: &watch::Sender<Vec<Target>>, mut found: Vec<Target>) {
    found.sort();
    found.dedup();
    targets.send_if_modified(|old| {
        let different = *old != found;
        if different {
            tracing::info!(target: "discovery", members = found.len(), "addresses have changed");
            *old = found;
        }
        different
    });
}
