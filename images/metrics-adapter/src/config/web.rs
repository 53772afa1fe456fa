//! The page: where, for whom, and which targets it may be asked about.

use std::net::IpAddr;
use std::sync::Arc;

use management::{ConfigError, Strings};

use super::Fingerprint;
use super::inputs::PulledKind;
use super::yaml::{Node, Section};
use crate::keystore::{Store, TlsOptions};
use crate::web::auth::{Algorithm, Hash, User};

/// Most users of the page.
const USERS_MAX: usize = 1000;

/// The page.
#[derive(Clone, Debug)]
pub struct WebConfig {
    /// `[HOST]:PORT`.
    pub listen: String,
    /// Its path.
    pub metrics_path: String,
    /// `PUT` and `POST` on `/-/reload` and `/-/quit` are taken.
    pub lifecycle: bool,
    /// What `/` says.
    pub landing: Landing,
    /// TLS, if asked for.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Who may look; everybody when empty.
    pub users: Vec<User>,
    /// Most connections at a time.
    pub connections_max: usize,
}

/// What `/` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Landing {
    /// Our own.
    #[default]
    Own,
    /// That of `statsd_exporter`.
    Statsd,
    /// That of `jmx_exporter`.
    Jmx,
}

/// A module of `/probe`.
#[derive(Clone, Debug)]
pub struct ModuleConfig {
    /// Its name.
    pub name: String,
    /// What is done with a target; host and port in it are replaced.
    pub kind: PulledKind,
    /// Of what it was made.
    pub fingerprint: Fingerprint,
}

/// A target that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedTarget {
    /// Which hosts.
    pub host: AllowedHost,
    /// Which port.
    pub port: u16,
}

/// Hosts that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHost {
    /// This name or address.
    Exact(String),
    /// Names that end so, with at least one label before; begins with a dot.
    Suffix(String),
    /// Addresses in a network, written as addresses.
    Network(IpAddr, u8),
}

// === impl WebConfig ===

impl Default for WebConfig {
    fn default() -> Self {
        Self {
            listen: ":9102".to_owned(),
            metrics_path: "/metrics".to_owned(),
            lifecycle: false,
            landing: Landing::Own,
            tls: None,
            users: Vec::new(),
            connections_max: 64,
        }
    }
}

// === impl AllowedTarget ===

impl AllowedTarget {
    /// Reads `host:port`, `*.suffix:port` or `network/bits:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let host = if let Some((network, bits)) = host.split_once('/') {
            let network: IpAddr = network.trim_matches(['[', ']']).parse().ok()?;
            let bits = bits.parse().ok()?;
            let widest = if network.is_ipv4() { 32 } else { 128 };
            (bits <= widest).then_some(AllowedHost::Network(network, bits))?
        } else if let Some(suffix) = host.strip_prefix('*') {
            let plain = suffix.starts_with('.') && suffix.len() > 1 && !suffix.contains('*');
            plain.then(|| AllowedHost::Suffix(suffix.to_owned()))?
        } else {
            (!host.is_empty() && !host.contains('*')).then_some(AllowedHost::Exact(host))?
        };
        Some(Self { host, port })
    }

    /// Whether a target may be asked. A name is never resolved for this: it would have to be
    /// resolved again to connect, and could then be another address.
    #[must_use]
    pub fn allows(&self, host: &str, port: u16) -> bool {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        self.port == port
            && match &self.host {
                AllowedHost::Exact(exact) => *exact == host,
                AllowedHost::Suffix(suffix) => {
                    host.parse::<IpAddr>().is_err()
                        && host.len() > suffix.len()
                        && host.ends_with(suffix.as_str())
                }
                AllowedHost::Network(network, bits) => {
                    host.parse().is_ok_and(|ip| within(ip, *network, *bits))
                }
            }
    }
}

fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        // A shift by the whole width would overflow: no bits, all addresses.
        (a ^ b).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
    };
    match (ip.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

/// Users of the superset file.
pub(super) fn users(
    section: &mut Section<'_>,
    env: &dyn Strings,
) -> Result<Vec<User>, ConfigError> {
    let items = section.items("users")?;
    if let Some(item) = items.get(USERS_MAX) {
        return Err(section.wrong("users", item, format!("at most {USERS_MAX} users")));
    }
    let at = section.key("users");
    let file = section.file();
    items
        .iter()
        .enumerate()
        .map(|(index, node)| user(Section::new(file, format!("{at}[{index}]"), node)?, node, env))
        .collect()
}

fn user(mut section: Section<'_>, node: &Node, env: &dyn Strings) -> Result<User, ConfigError> {
    let name = section.required("name", node, "a text")?.to_owned();
    let password = section.secret("password", "password-file", env)?;
    let hash = section.text("password-hash")?;
    let salt = section.text("salt")?.unwrap_or_default();
    let algorithm = section.value("algorithm", Algorithm::EXPECTED, Algorithm::parse)?;
    let iterations = section.number("iterations", 1, 10_000_000)?;
    let iterations = iterations.and_then(|it| u32::try_from(it).ok());
    let user = match (password, hash, algorithm) {
        (Some(password), None, None) => User { name, hash: Hash::Plain(password) },
        (None, Some(hash), Some(algorithm)) => {
            let hash = Hash::salted(algorithm, hash, salt, iterations);
            let message = "password-hash is not made of hexadecimal digits";
            User { name, hash: hash.ok_or_else(|| section.refused(node, message))? }
        }
        _ => {
            let message = "expected password, or password-hash with algorithm and salt";
            return Err(section.refused(node, message));
        }
    };
    section.finish()?;
    Ok(user)
}

/// TLS of the page.
pub(super) fn tls(
    section: &mut Section<'_>,
    env: &dyn Strings,
) -> Result<Option<Arc<rustls::ServerConfig>>, ConfigError> {
    let Some(node) = section.node("tls") else { return Ok(None) };
    let mut inner = Section::new(section.file(), section.key("tls"), node)?;
    let mut options = tls_options(&mut inner, env)?;
    options.mutual = inner.truth("client-auth")?.unwrap_or(options.trust_store.is_some());
    let server = options.server().map_err(|error| inner.refused(node, &error.to_string()))?;
    inner.finish()?;
    Ok(Some(Arc::new(server)))
}

/// Certificates, keys and whom to trust: PEM files or key stores.
pub(super) fn tls_options(
    section: &mut Section<'_>,
    env: &dyn Strings,
) -> Result<TlsOptions, ConfigError> {
    let own = store(
        section,
        env,
        ["cert-file", "key-store", "key-store-type"],
        ["key-store-password", "key-store-password-file"],
    )?;
    let key = section.path("key-file")?;
    let trust_store = store(
        section,
        env,
        ["ca-file", "trust-store", "trust-store-type"],
        ["trust-store-password", "trust-store-password-file"],
    )?;
    Ok(TlsOptions {
        key_store: own.map(|store| Store { key_path: key, ..store }),
        alias: section.text("key-alias")?.map(str::to_owned),
        trust_store,
        protocols: section.texts("protocols")?,
        ciphers: section.texts("ciphers")?,
        mutual: false,
    })
}

fn store(
    section: &mut Section<'_>,
    env: &dyn Strings,
    [pem, path, kind]: [&'static str; 3],
    [password, password_file]: [&'static str; 2],
) -> Result<Option<Store>, ConfigError> {
    let node = section.node(path);
    let (pem, path) = (section.path(pem)?, section.path(path)?);
    let kind = section.text(kind)?.map(str::to_owned);
    let password = section.secret(password, password_file, env)?;
    match (pem, path, node) {
        (Some(_), Some(_), Some(node)) => {
            Err(section.refused(node, "a PEM file and a key store exclude each other"))
        }
        (Some(path), ..) => {
            Ok(Some(Store { path, type_name: Some("PEM".to_owned()), ..Store::default() }))
        }
        (None, Some(path), _) => {
            Ok(Some(Store { path, key_path: None, type_name: kind, password }))
        }
        _ => Ok(None),
    }
}

/// Modules of `/probe`.
pub(super) fn modules(
    section: &mut Section<'_>,
    args: &super::Args,
    env: &dyn Strings,
) -> Result<Vec<ModuleConfig>, ConfigError> {
    let Some(node) = section.node("modules") else { return Ok(Vec::new()) };
    let list = Section::new(section.file(), "modules", node)?;
    list.entries()
        .iter()
        .map(|(name, node)| {
            let mut module = Section::new(section.file(), format!("modules.{name}"), node)?;
            let kind = module.required("type", node, "jmx, jolokia or json")?;
            let kind = super::inputs::module(kind, &mut module, node, args, env)?;
            module.finish()?;
            let fingerprint = Fingerprint::of_node(node, section.file(), kind.rules(), env);
            Ok(ModuleConfig { name: name.clone(), kind, fingerprint })
        })
        .collect()
}
