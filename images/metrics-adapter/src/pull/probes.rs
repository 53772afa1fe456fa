//! `/probe`: targets named by the scraper, within what was allowed.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::{Answer, Deadlines, Pulled};
use crate::config::{AllowedTarget, ModuleConfig, PullLimits, PulledConfig};

/// Modules, allowed targets, and the sessions that are kept.
#[derive(Debug)]
pub struct Probes {
    modules: Vec<ModuleConfig>,
    targets: Vec<AllowedTarget>,
    limits: PullLimits,
    /// In the order of their last use.
    sessions: Mutex<Vec<Session>>,
    scrapes: Semaphore,
}

#[derive(Debug)]
struct Session {
    module: String,
    target: String,
    pulled: Arc<Pulled>,
}

/// Why a target is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No `host:port`.
    #[error("target: expected host:port")]
    Target,
    /// It is on no list.
    #[error("the target is not on the list of allowed targets")]
    Forbidden,
    /// There is no such module.
    #[error("there is no module of this name")]
    Module,
    /// Too many are being asked.
    #[error("too many targets are being asked")]
    Busy,
    /// The client could not be made.
    #[error("{0}")]
    Client(String),
}

// === impl Probes ===

impl Probes {
    /// No sessions yet.
    #[must_use]
    pub fn new(
        modules: Vec<ModuleConfig>,
        targets: Vec<AllowedTarget>,
        limits: PullLimits,
    ) -> Self {
        let scrapes = Semaphore::new(limits.scrapes_max);
        Self { modules, targets, limits, sessions: Mutex::default(), scrapes }
    }

    /// Whether there is anything that could be asked.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.modules.is_empty()
    }

    /// Sessions kept.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Asks a target with a module; the first one if none is named.
    ///
    /// # Errors
    /// [`ProbeError`] when it is not asked at all.
    pub async fn probe(
        &self,
        target: &str,
        module: Option<&str>,
        deadlines: Deadlines,
    ) -> Result<Answer, ProbeError> {
        let (host, port) = host_port(target).ok_or(ProbeError::Target)?;
        if !self.targets.iter().any(|allowed| allowed.allows(host, port)) {
            return Err(ProbeError::Forbidden);
        }
        let module = match module {
            Some(name) => self.modules.iter().find(|module| module.name == name),
            None => self.modules.first(),
        };
        let module = module.ok_or(ProbeError::Module)?;
        let Ok(_place) = self.scrapes.try_acquire() else {
            return Err(ProbeError::Busy);
        };
        let pulled = self.session(module, target, host, port)?;
        Ok(pulled.scrape(deadlines).await)
    }

    /// The session of a target, made if there is none; the one that was not used for longest goes.
    fn session(
        &self,
        module: &ModuleConfig,
        target: &str,
        host: &str,
        port: u16,
    ) -> Result<Arc<Pulled>, ProbeError> {
        let target = target.to_ascii_lowercase();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sessions.iter().position(|it| it.module == module.name && it.target == target);
        if let Some(index) = known {
            let session = sessions.remove(index);
            let pulled = Arc::clone(&session.pulled);
            sessions.push(session);
            return Ok(pulled);
        }
        let config = PulledConfig {
            name: format!("{}@{target}", module.name),
            labels: Vec::new(),
            kind: module.kind.at(host, port),
            timeout: None,
            start_delay: std::time::Duration::ZERO,
        };
        let pulled = Pulled::new(config, self.limits)
            .map_err(|error| ProbeError::Client(format!("{error:#}")))?;
        pulled.keep_alive();
        if sessions.len() >= self.limits.sessions_max {
            sessions.remove(0);
        }
        let module = module.name.clone();
        sessions.push(Session { module, target, pulled: Arc::clone(&pulled) });
        Ok(pulled)
    }
}

/// `host:port` in two, of nothing but what names and addresses are made of.
pub(crate) fn host_port(target: &str) -> Option<(&str, u16)> {
    let (host, port) = target.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bare = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok().then_some(inner)?,
        None => host,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let named = !bare.is_empty() && bare.len() <= 253 && bare.chars().all(plain);
    (named || bare.contains(':') && host.starts_with('[')).then_some((bare, port))
}
