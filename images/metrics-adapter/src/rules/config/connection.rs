//! Keys that say how the JVM is reached: `hostPort`, `jmxUrl`, `username`, `password`, `ssl`.

use std::path::PathBuf;

use management::{Secret, Strings};

use super::JmxConfigError;
use super::yaml::{At, Data};

/// Port of an RMI registry where none is named.
const REGISTRY_PORT: u16 = 1099;

/// Where a JVM is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `hostPort`, or `service:jmx:rmi:///jndi/rmi://HOST:PORT/NAME`: a registry is asked.
    Registry {
        /// Host of the registry; the brackets of an IPv6 address are taken off.
        host: String,
        /// Port of the registry.
        port: u16,
        /// Name bound there, usually `jmxrmi`.
        bound: String,
    },
    /// `service:jmx:rmi://…/stub/BASE64`: the serialised stub itself.
    Stub(String),
}

/// `ssl`: TLS towards the JVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JmxTls {
    /// Whether TLS is spoken.
    pub enabled: bool,
    /// Whether the registry is asked over TLS as well: true with TLS, unless the variable
    /// `RMI_REGISTRY_SSL_DISABLED` is `true`.
    pub registry: bool,
    /// Certificate and key shown to the JVM.
    pub key_store: Option<StoreFile>,
    /// Authorities trusted besides the built-in ones.
    pub trust_store: Option<StoreFile>,
    /// Protocols by their Java names (`TLSv1.3`); empty for the default.
    pub protocols: Vec<String>,
    /// Cipher suites by their Java names; empty for the default.
    pub ciphers: Vec<String>,
}

/// A key store or trust store in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// Where it is.
    pub path: PathBuf,
    /// `JKS`, `PKCS12`, …, as written; `None` lets the content decide.
    pub kind: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}

// === impl Address ===

impl Address {
    /// Reads `HOST:PORT`.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn from_host_port(text: &str) -> Result<Self, String> {
        let (host, port) = split_host_port(text)?;
        Ok(Self::Registry { host, port, bound: "jmxrmi".to_owned() })
    }

    /// Reads a `JMXServiceURL`. Only RMI can be spoken.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn from_url(text: &str) -> Result<Self, String> {
        let expected = "service:jmx:rmi:///jndi/rmi://HOST:PORT/jmxrmi";
        let rest = text.strip_prefix("service:jmx:").ok_or_else(|| expected.to_owned())?;
        let (protocol, rest) = rest.split_once("://").ok_or_else(|| expected.to_owned())?;
        if protocol != "rmi" {
            return Err(format!(
                "{expected}; the protocol {protocol} is not spoken here, only rmi"
            ));
        }
        // Between the slashes is where the server binds; a client has no use for it.
        let (_, path) = rest.split_once('/').ok_or_else(|| expected.to_owned())?;
        if let Some(stub) = path.strip_prefix("stub/") {
            return Ok(Self::Stub(stub.to_owned()));
        }
        let jndi = path.strip_prefix("jndi/").ok_or_else(|| expected.to_owned())?;
        let registry = jndi
            .strip_prefix("rmi://")
            .ok_or_else(|| format!("{expected}; only registries of RMI are known"))?;
        let (host_port, bound) = registry.split_once('/').unwrap_or((registry, ""));
        if bound.is_empty() {
            return Err(expected.to_owned());
        }
        let (host, port) = split_host_port(host_port)?;
        Ok(Self::Registry { host, port, bound: bound.to_owned() })
    }
}

fn split_host_port(text: &str) -> Result<(String, u16), String> {
    let expected = || "HOST:PORT".to_owned();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(expected)?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?,
        None if host.is_empty() || host.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(expected());
        }
        None => REGISTRY_PORT,
    };
    if host.contains(['/', '@', ' ']) {
        return Err(expected());
    }
    let host = if host.is_empty() { "localhost" } else { host };
    Ok((host.to_owned(), port))
}

// === reading ===

/// `hostPort` or `jmxUrl`.
pub(super) fn address(top: &At<'_>) -> Result<Option<Address>, JmxConfigError> {
    match (top.some("hostPort"), top.some("jmxUrl")) {
        (Some(_), Some(at)) => {
            Err(at.error("there is hostPort as well, expected only one of them"))
        }
        (Some(at), None) => {
            Address::from_host_port(at.as_text()?.trim()).map(Some).map_err(|what| at.wrong(&what))
        }
        (None, Some(at)) => {
            let text = at.as_text()?;
            // The originals take an empty one for none.
            if text.trim().is_empty() {
                return Ok(None);
            }
            Address::from_url(text.trim()).map(Some).map_err(|what| at.wrong(&what))
        }
        (None, None) => Ok(None),
    }
}

/// `ssl`: a boolean or a map.
pub(super) fn tls(top: &At<'_>, env: &dyn Strings) -> Result<JmxTls, JmxConfigError> {
    let Some(at) = top.some("ssl") else { return Ok(JmxTls::default()) };
    let mut tls = JmxTls::default();
    if matches!(at.node.data, Data::Map(_)) {
        tls.enabled = at.boolean("enabled")?.unwrap_or(false);
        tls.key_store = store(&at, "keyStore", env)?;
        tls.trust_store = store(&at, "trustStore", env)?;
        tls.protocols = words(&at, "protocols")?;
        tls.ciphers = words(&at, "ciphers")?;
    } else {
        tls.enabled = at.as_boolean().map_err(|_| at.wrong("true, false or a map"))?;
    }
    let plain = env.get("RMI_REGISTRY_SSL_DISABLED");
    tls.registry = tls.enabled && !plain.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok(tls)
}

/// A `keyStore` or `trustStore`.
pub(super) fn store(
    at: &At<'_>,
    name: &str,
    env: &dyn Strings,
) -> Result<Option<StoreFile>, JmxConfigError> {
    let Some(at) = at.map(name)? else { return Ok(None) };
    let path = at.text("filename")?.filter(|path| !path.trim().is_empty());
    let path = path.ok_or_else(|| at.error("found no filename, expected one"))?;
    let kind = at.text("type")?;
    let password = secret(&at, "password", env)?;
    Ok(Some(StoreFile { path: path.into(), kind, password }))
}

/// A list of words, empty where there is none.
pub(super) fn words(at: &At<'_>, name: &str) -> Result<Vec<String>, JmxConfigError> {
    at.some(name).map(|at| at.as_words()).transpose().map(Option::unwrap_or_default)
}

/// A text that may be `${VARIABLE}` as a whole, and a secret at that.
pub(super) fn secret(
    at: &At<'_>,
    name: &str,
    env: &dyn Strings,
) -> Result<Option<Secret>, JmxConfigError> {
    Ok(resolved(at, name, env)?.map(Secret::from))
}

/// A text that may be `${VARIABLE}` as a whole. `${}` is itself; a variable that is unset or blank
/// is an error; its value is trimmed.
pub(super) fn resolved(
    at: &At<'_>,
    name: &str,
    env: &dyn Strings,
) -> Result<Option<String>, JmxConfigError> {
    let Some(at) = at.some(name) else { return Ok(None) };
    let text = at.as_text()?;
    let variable = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let variable = match variable {
        None | Some("") => return Ok(Some(text)),
        Some(variable) => variable.trim(),
    };
    if variable.is_empty() {
        return Err(at.error("found ${} with blanks, expected the name of a variable in it"));
    }
    let value = env.get(variable).map(|value| value.trim().to_owned());
    match value {
        None => Err(at.error(format!("the variable {variable} is not set"))),
        Some(value) if value.is_empty() => {
            Err(at.error(format!("the variable {variable} is empty")))
        }
        value => Ok(value),
    }
}
