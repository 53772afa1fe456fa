//! Inputs of the superset file.

use std::sync::Arc;
use std::time::Duration;

use management::{ConfigError, Secret, Strings};

use super::Args;
use super::yaml::{Node, Section};
use crate::jmx::session::Target;
use crate::mapping::Mapping;
use crate::rules::JmxConfig;

/// A pulled input.
#[derive(Clone, Debug)]
pub struct PulledConfig {
    /// Its name; also the label `input` where there are several.
    pub name: String,
    /// Labels of all its series.
    pub labels: Vec<(String, String)>,
    /// What is asked, and how.
    pub kind: PulledKind,
    /// Its own time for an answer, which a scraper can only shorten.
    pub timeout: Option<Duration>,
    /// How long it is not asked after the start.
    pub start_delay: Duration,
}

/// What is asked, and how.
#[derive(Clone, Debug)]
pub enum PulledKind {
    /// A JVM over RMI.
    Jmx {
        /// Where.
        target: Target,
        /// Which beans, and what becomes of them.
        rules: Arc<JmxConfig>,
    },
    /// A JVM in the same process namespace.
    Attach {
        /// Which process.
        process: AttachTarget,
        /// Which beans, and what becomes of them.
        rules: Arc<JmxConfig>,
    },
    /// A JVM with a Jolokia agent.
    Jolokia {
        /// Where.
        remote: Remote,
        /// Which beans, and what becomes of them.
        rules: Arc<JmxConfig>,
    },
    /// A document.
    Json(JsonConfig),
}

/// A JVM by its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachTarget {
    /// Its number.
    Pid(u32),
    /// The only process whose command line has this in it.
    Command(String),
}

/// Something that answers HTTP.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Whole URL.
    pub url: String,
    /// User and password.
    pub credentials: Option<(String, Secret)>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Trusted authorities in PEM; else those of the system.
    pub ca_pem: Option<Vec<u8>>,
}

/// A document whose numbers are wanted.
#[derive(Clone, Debug)]
pub struct JsonConfig {
    /// Where.
    pub remote: Remote,
    /// What becomes of the paths.
    pub mapping: Arc<Mapping>,
    /// Put before every path.
    pub prefix: String,
    /// Leave out what no rule matches.
    pub strict: bool,
}

/// An input that is pulled.
pub(super) fn pulled(
    kind: &str,
    index: usize,
    section: &mut Section<'_>,
    node: &Node,
    args: &Args,
    env: &dyn Strings,
) -> Result<PulledConfig, ConfigError> {
    let _ = (index, args, env, kind);
    Err(section.refused(node, "not yet"))
}

/// A module of `/probe`.
pub(super) fn module(
    kind: &str,
    section: &mut Section<'_>,
    node: &Node,
    args: &Args,
    env: &dyn Strings,
) -> Result<PulledKind, ConfigError> {
    let _ = (args, env, kind);
    Err(section.refused(node, "not yet"))
}

// === impl PulledKind ===

impl PulledKind {
    /// Whom it is asked of, for people.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Jmx { target, .. } => format!("{}:{}", target.host, target.port),
            Self::Attach { process: AttachTarget::Pid(pid), .. } => format!("process {pid}"),
            Self::Attach { process: AttachTarget::Command(part), .. } => format!("process {part}"),
            Self::Jolokia { remote, .. } => remote.url.clone(),
            Self::Json(json) => json.remote.url.clone(),
        }
    }

    /// The same, asked of another host and port.
    #[must_use]
    pub fn at(&self, host: &str, port: u16) -> Self {
        let mut other = self.clone();
        match &mut other {
            Self::Jmx { target, .. } => {
                target.host = host.to_owned();
                target.port = port;
            }
            Self::Attach { .. } => {}
            Self::Jolokia { remote, .. } => remote.place(host, port),
            Self::Json(json) => json.remote.place(host, port),
        }
        other
    }
}

impl Remote {
    /// Replaces host and port of the URL.
    fn place(&mut self, host: &str, port: u16) {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("http", &self.url));
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        self.url = format!("{scheme}://{host}:{port}{path}");
    }
}
