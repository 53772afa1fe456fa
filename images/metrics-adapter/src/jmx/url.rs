//! Addresses of JMX servers: `service:jmx:rmi:…`, as configurations and attach mode give them.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::session::Target;
use crate::java::{Limits, read_object};
use crate::rmi::Remote;
use crate::rules::config::Address;

/// Longest stub in base64; one with a socket factory has about a thousand bytes.
const STUB_CHARACTERS_MAX: usize = 64 * 1024;

impl Target {
    /// The target of a `JMXServiceURL`, without TLS and login: the name in a registry, or the
    /// serialised stub itself. Host of a stub is that of the address, or else the one that the stub
    /// was made with.
    ///
    /// # Errors
    /// Says what is wrong, or that the protocol (`jmxmp`, `iiop`, `remote+http`, `t3`) is none that
    /// can be spoken here.
    pub fn from_url(url: &str) -> Result<Self, String> {
        let mut target = Self::from_address(&Address::from_url(url)?)?;
        let server = url.strip_prefix("service:jmx:rmi://").and_then(|rest| rest.split('/').next());
        if target.stub.is_some()
            && let Some(server) = server.filter(|server| !server.is_empty())
        {
            target.host = host(server).to_owned();
        }
        Ok(target)
    }

    /// The target of an address of a configuration.
    ///
    /// # Errors
    /// Says what is wrong with a stub.
    pub fn from_address(address: &Address) -> Result<Self, String> {
        match address {
            Address::Registry { host, port, bound } => {
                Ok(Self { bound: bound.clone(), ..Self::new(host, *port) })
            }
            Address::Stub(stub) => {
                if stub.len() > STUB_CHARACTERS_MAX {
                    return Err(format!("a stub of more than {STUB_CHARACTERS_MAX} characters"));
                }
                let stub = STANDARD
                    .decode(stub.trim())
                    .map_err(|error| format!("a stub that is no base64: {error}"))?;
                let (graph, root) = read_object(&stub, &Limits::default())
                    .map_err(|error| format!("a stub that cannot be read: {error}"))?;
                let remote = Remote::from_stub(&graph, root)?;
                Ok(Self { stub: Some(stub), ..Self::new(&remote.host, remote.port) })
            }
        }
    }
}

/// `host`, `host:port` or `[v6]:port` without its port.
fn host(server: &str) -> &str {
    match server.rfind(']') {
        Some(end) => &server[..=end],
        None => server.split(':').next().unwrap_or(server),
    }
}
