//! `/probe`: targets named by the scraper, within what was allowed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{Answer, Deadlines, Origin, Pulled};
use crate::config::{AllowedTarget, ModuleConfig, PullLimits, PulledConfig};

/// Modules, allowed targets, and the sessions that are kept.
#[derive(Debug)]
pub struct Probes {
    modules: Vec<ModuleConfig>,
    targets: Vec<AllowedTarget>,
    limits: PullLimits,
    /// In the order of their last use.
    sessions: Mutex<Vec<Session>>,
    /// A place for each target that is being asked, until that has come to its end: who asked may
    /// have gone before.
    scrapes: Arc<Semaphore>,
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
        let scrapes = Arc::new(Semaphore::new(limits.scrapes_max));
        Self { modules, targets, limits, sessions: Mutex::default(), scrapes }
    }

    /// The same with other modules and targets. What is being asked keeps its place.
    #[must_use]
    pub fn with(&self, modules: Vec<ModuleConfig>, targets: Vec<AllowedTarget>) -> Self {
        let (limits, scrapes) = (self.limits, Arc::clone(&self.scrapes));
        Self { modules, targets, limits, sessions: Mutex::default(), scrapes }
    }

    /// Whether these modules and targets are the ones that there are.
    #[must_use]
    pub fn is_of(&self, modules: &[ModuleConfig], targets: &[AllowedTarget]) -> bool {
        let same = |(one, other): (&ModuleConfig, &ModuleConfig)| {
            one.name == other.name && one.fingerprint == other.fingerprint
        };
        self.targets == targets
            && self.modules.len() == modules.len()
            && self.modules.iter().zip(modules).all(same)
    }

    /// Whether there is anything that could be asked.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.modules.is_empty()
    }

    /// Sessions kept.
    #[must_use]
    pub fn sessions(&self) -> Vec<Arc<Pulled>> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().map(|session| Arc::clone(&session.pulled)).collect()
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
        let pulled = self.session(module, target, host, port)?;
        pulled.scrape(deadlines).await.ok_or(ProbeError::Busy)
    }

    /// The session of a target, made if there is none and a place for it; of those that are not
    /// being asked the one that was not used for longest goes.
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
        let full = sessions.len() >= self.limits.sessions_max;
        let idle = sessions.iter().position(|session| !session.pulled.is_running());
        if self.scrapes.available_permits() == 0 || full && idle.is_none() {
            return Err(ProbeError::Busy);
        }
        let config = PulledConfig {
            name: format!("{}@{target}", module.name),
            labels: Vec::new(),
            kind: module.kind.at(host, port),
            timeout: None,
            start_delay: Duration::ZERO,
            fingerprint: module.fingerprint,
        };
        let places = Some(Arc::clone(&self.scrapes));
        let origin = Origin { places, ..Origin::new(Instant::now()) };
        let pulled = Pulled::new(config, self.limits, origin)
            .map_err(|error| ProbeError::Client(format!("{error:#}")))?;
        pulled.keep_alive();
        if let Some(index) = idle.filter(|_| full) {
            sessions.remove(index);
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
