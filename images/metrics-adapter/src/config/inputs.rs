//! Inputs of the superset file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use management::{ConfigError, Place, Secret, Strings};

use super::remote::{Remote, remote};
use super::yaml::{Node, Section, Tree};
use super::{Args, Fingerprint, jmx, mapping, web};
use crate::jmx::attach::Selector;
use crate::jmx::session::Target;
use crate::keystore::NameCheck;
use crate::mapping::Mapping;
use crate::rules::JmxConfig;
use crate::rules::config::Address;

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
    /// Of what it was made.
    pub fingerprint: Fingerprint,
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
        process: Selector,
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
    let name = section.text("name")?.map_or_else(|| format!("{kind}-{index}"), str::to_owned);
    let labels = labels(section)?;
    let timeout = section.duration("timeout")?;
    let start_delay = section.duration("start-delay")?;
    let kind = kind_of(kind, section, node, args, env, Whom::Input)?;
    let rules = kind.rules();
    let fingerprint = Fingerprint::of_node(node, section.file(), rules, env);
    Ok(PulledConfig {
        name,
        labels,
        timeout: timeout.or_else(|| rules?.scrape_timeout),
        start_delay: start_delay.or_else(|| Some(rules?.start_delay)).unwrap_or_default(),
        fingerprint,
        kind,
    })
}

/// A module of `/probe`.
pub(super) fn module(
    kind: &str,
    section: &mut Section<'_>,
    node: &Node,
    args: &Args,
    env: &dyn Strings,
) -> Result<PulledKind, ConfigError> {
    kind_of(kind, section, node, args, env, Whom::Module)
}

/// Whether host and port are said here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Input,
    /// They come with the request.
    Module,
}

fn kind_of(
    kind: &str,
    section: &mut Section<'_>,
    node: &Node,
    args: &Args,
    env: &dyn Strings,
    whom: Whom,
) -> Result<PulledKind, ConfigError> {
    match (kind, whom) {
        ("jmx", _) => {
            let (path, rules) = rules(section, args, env)?;
            let target = jmx_target(section, node, &path, &rules, env, whom)?;
            Ok(PulledKind::Jmx { target, rules: Arc::new(rules) })
        }
        ("attach", Whom::Input) => {
            let (_, rules) = rules(section, args, env)?;
            let process = process(section, node)?;
            Ok(PulledKind::Attach { process, rules: Arc::new(rules) })
        }
        ("jolokia", _) => {
            let (_, rules) = rules(section, args, env)?;
            let remote = remote(section, node, env, whom)?;
            Ok(PulledKind::Jolokia { remote, rules: Arc::new(rules) })
        }
        ("json", _) => {
            let mapping = match section.path("mapping")? {
                Some(path) => mapping(&path)?,
                None => Mapping::default(),
            };
            Ok(PulledKind::Json(JsonConfig {
                remote: remote(section, node, env, whom)?,
                mapping: Arc::new(mapping),
                prefix: section.text("prefix")?.unwrap_or_default().to_owned(),
                strict: section.truth("strict")?.unwrap_or(false),
            }))
        }
        (_, Whom::Input) => Err(section.wrong_text(
            "type",
            node,
            kind,
            "statsd, graphite, jmx, attach, jolokia or json",
        )),
        (_, Whom::Module) => Err(section.wrong_text("type", node, kind, "jmx, jolokia or json")),
    }
}

/// The rules file of an input; without one, all beans by their default names.
fn rules(
    section: &mut Section<'_>,
    args: &Args,
    env: &dyn Strings,
) -> Result<(PathBuf, JmxConfig), ConfigError> {
    match section.path("rules")? {
        Some(path) => {
            let rules = jmx::rules_file(&path, args, env)?;
            Ok((path, rules))
        }
        None => {
            let path = section.file().to_owned();
            let rules = JmxConfig::parse("{}", env)
                .map_err(|error| ConfigError::message(Place::Start, error.message))?;
            Ok((path, rules))
        }
    }
}

/// What the rules file says, and what stands in the input instead of it.
fn jmx_target(
    section: &mut Section<'_>,
    node: &Node,
    path: &Path,
    rules: &JmxConfig,
    env: &dyn Strings,
    whom: Whom,
) -> Result<Target, ConfigError> {
    let mut target = jmx::target(path, rules)?;
    if whom == Whom::Input {
        let read = |text: &str| {
            let address =
                Address::from_host_port(text).or_else(|_| Address::from_url(text)).ok()?;
            Target::from_address(&address).ok()
        };
        let expected = "HOST:PORT, or service:jmx:rmi:///jndi/rmi://HOST:PORT/jmxrmi";
        if let Some(place) = section.value("target", expected, read)? {
            let Target { host, port, bound, stub, .. } = place;
            target = Target { host, port, bound, stub, ..target };
        } else if rules.address.is_none() {
            return Err(section.refused(node, "target is missing, expected HOST:PORT"));
        }
    }
    if let Some(login) = credentials(section, node, env)? {
        target.credentials = Some(login);
    }
    if let Some(advertised) = section.truth("advertised-host")? {
        target.advertised_host = advertised;
    }
    if let Some(inner) = section.node("tls") {
        let mut tls = Section::new(section.file(), section.key("tls"), inner)?;
        let options = web::tls_options(&mut tls, env)?;
        target.registry_tls = tls.truth("registry")?.unwrap_or(true);
        let config = options.client(NameCheck::Never);
        target.tls = Some(Arc::new(config.map_err(|it| tls.refused(inner, &it.to_string()))?));
        tls.finish()?;
    }
    Ok(target)
}

pub(super) fn credentials(
    section: &mut Section<'_>,
    node: &Node,
    env: &dyn Strings,
) -> Result<Option<(String, Secret)>, ConfigError> {
    let name = section.text("username")?;
    match (name, section.secret("password", "password-file", env)?) {
        (Some(name), Some(password)) => Ok(Some((name.to_owned(), password))),
        (None, None) => Ok(None),
        _ => Err(section.refused(node, "username and password belong together")),
    }
}

fn process(section: &mut Section<'_>, node: &Node) -> Result<Selector, ConfigError> {
    let pid = section.number("pid", 1, 1 << 22)?.and_then(|pid| i32::try_from(pid).ok());
    let pattern = |text: &str| regex::RegexBuilder::new(text).size_limit(1 << 20).build().ok();
    let command = section.value("command", "a regular expression", pattern)?;
    match (pid, command) {
        (Some(pid), None) => Ok(Selector::Pid(pid)),
        (None, Some(pattern)) => Ok(Selector::Pattern(pattern)),
        _ => Err(section.refused(node, "expected pid or command")),
    }
}

/// Labels of all series of an input, in the order of their names.
fn labels(section: &mut Section<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(node) = section.node("labels") else { return Ok(Vec::new()) };
    let inner = Section::new(section.file(), section.key("labels"), node)?;
    let good = |name: &str| {
        let mut bytes = name.bytes();
        let first = bytes.next().is_some_and(|it| it.is_ascii_alphabetic() || it == b'_');
        first && !name.starts_with("__") && bytes.all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    let label = |(name, node): &(String, Node)| match &node.value {
        Tree::Scalar(text) if good(name) => Ok((name.clone(), text.clone())),
        _ => Err(inner.wrong(name, node, "the name of a label and a text")),
    };
    let mut labels: Vec<_> = inner.entries().iter().map(label).collect::<Result<_, _>>()?;
    labels.sort();
    Ok(labels)
}

// === impl PulledConfig ===

impl PulledConfig {
    /// Whether an input made of the other would be the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        // Labels may come from there being other inputs.
        self.name == other.name
            && self.labels == other.labels
            && self.fingerprint == other.fingerprint
    }
}

// === impl PulledKind ===

impl PulledKind {
    /// The rules of a kind that has beans.
    #[must_use]
    pub fn rules(&self) -> Option<&JmxConfig> {
        match self {
            Self::Jmx { rules, .. } | Self::Attach { rules, .. } | Self::Jolokia { rules, .. } => {
                Some(rules)
            }
            Self::Json(_) => None,
        }
    }

    /// Whom it is asked of, for people.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Jmx { target, .. } => format!("{}:{}", target.host, target.port),
            Self::Attach { process: Selector::Pid(pid), .. } => format!("process {pid}"),
            Self::Attach { process: Selector::Pattern(part), .. } => format!("process {part}"),
            Self::Jolokia { remote, .. } => remote.origin(),
            Self::Json(json) => json.remote.origin(),
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
                target.stub = None;
            }
            Self::Attach { .. } => {}
            Self::Jolokia { remote, .. } => remote.place(host, port),
            Self::Json(json) => json.remote.place(host, port),
        }
        other
    }
}
