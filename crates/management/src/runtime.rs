//! Bind, spawn, run: the management side of a process.
//!
//! Two phases, so that a port in use fails before any thread exists. After [`Management::spawn`]
//! everything happens on one thread called `management`; the image keeps a [`Handle`].

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use prometheus::Registry;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::health::{Check, Critical, Heartbeats, Outcomes};
use crate::lifecycle::{Machine, Plan};
use crate::logging::Logging;
use crate::network::Network;
use crate::security::TokenFile;
use crate::settings::{ConfigError, Effective, Place, Shared};
use crate::signals::Signal;
use crate::{Endpoint, Image, api, supervisor};

mod core;
mod handle;

use core::End;
pub(crate) use core::{Core, Requests};
pub use handle::Handle;

/// The memory for the last log lines.
const LOG_RING_BYTES: usize = 1024 * 1024;
/// A heartbeat older than this makes `/livez` fail.
const LIVE_STALL: Duration = Duration::from_secs(10);

/// Why management could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work; exit code 2.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener could not be bound.
    #[error("binding the {what} listener to {at}: {source}")]
    Bind {
        /// `probe` or `admin`.
        what: &'static str,
        /// Address or path.
        at: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The log file could not be opened.
    #[error("opening the log file {}: {source}", path.display())]
    LogFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The thread, its runtime or a signal handler could not be had.
    #[error("starting the management thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Everything an image hands over before it starts.
pub struct Builder {
    image: Image,
    shared: Shared,
    logs: Logging,
    effective: Effective,
    registry: Registry,
    checks: Vec<Check>,
    network: Option<Arc<dyn Network>>,
    routes: Router,
    endpoints: Vec<Endpoint>,
    live_stall: Duration,
    /// `None` for the signals of the process.
    signals: Option<mpsc::UnboundedReceiver<Signal>>,
    detached: bool,
}

/// Bound, not yet serving.
pub struct Management {
    core: Arc<Core>,
    parts: Parts,
}

/// What the management thread takes with it.
pub(crate) struct Parts {
    pub(crate) probe: TcpListener,
    pub(crate) admin: TcpListener,
    pub(crate) socket: Option<UnixListener>,
    pub(crate) routes: Router,
    pub(crate) checks: Vec<Check>,
    pub(crate) signals: Option<mpsc::UnboundedReceiver<Signal>>,
    pub(crate) detached: bool,
}

// === impl Builder ===

impl Builder {
    /// Installs the log of the process, and says there what the configuration warned of.
    ///
    /// # Errors
    /// [`StartError::Config`] for a log filter that is none; [`crate::load`] has checked it.
    pub fn new(image: Image, shared: &Shared) -> Result<Self, StartError> {
        let builder = Self::build(image, shared, false)?;
        builder.logs.install();
        for warning in &shared.warnings {
            tracing::warn!(target: "management", warning, "configuration");
        }
        Ok(builder)
    }

    /// For several in one process, as in tests: no log is installed (see [`Builder::dispatch`]),
    /// no signal handler either, and the process is never ended from here.
    ///
    /// # Errors
    /// As [`Builder::new`].
    pub fn detached(image: Image, shared: &Shared) -> Result<Self, StartError> {
        Self::build(image, shared, true)
    }

    fn build(image: Image, shared: &Shared, detached: bool) -> Result<Self, StartError> {
        let place = || Place::Flag("log".to_owned());
        let logs = Logging::new(shared, LOG_RING_BYTES)
            .map_err(|expected| ConfigError::message(place(), expected))?;
        Ok(Self {
            image,
            shared: shared.clone(),
            logs,
            effective: Effective::default(),
            registry: Registry::new(),
            checks: Vec::new(),
            network: None,
            routes: Router::new(),
            endpoints: Vec::new(),
            live_stall: LIVE_STALL,
            signals: None,
            detached,
        })
    }

    /// The log, for use with `tracing::dispatcher::with_default`.
    #[must_use]
    pub fn dispatch(&self) -> tracing::Dispatch {
        self.logs.dispatch()
    }

    /// What `/mgmt/v1/config` shows.
    #[must_use]
    pub fn effective(mut self, effective: Effective) -> Self {
        self.effective = effective;
        self
    }

    /// The image's metrics.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Log to a file instead of standard error; SIGHUP opens it anew.
    ///
    /// # Errors
    /// [`StartError::LogFile`].
    pub fn log_file(self, path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::LogFile { path: path.to_owned(), source };
        self.logs.to_file(path).map_err(failed)?;
        Ok(self)
    }

    /// A check, asked every `interval` on the management thread; it must not block, and an answer
    /// that takes longer than `timeout` counts as a failure. `Err` says what is wrong.
    #[must_use]
    pub fn check<F, A>(
        mut self,
        name: &str,
        critical: Critical,
        interval: Duration,
        timeout: Duration,
        ask: F,
    ) -> Self
    where
        F: Fn() -> A + Send + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        let ask = Box::new(move || -> crate::health::CheckFuture { Box::pin(ask()) });
        // A zero interval would be a busy loop.
        let interval = interval.max(Duration::from_millis(1));
        self.checks.push(Check { name: name.to_owned(), critical, interval, timeout, ask });
        self
    }

    /// The counters of listeners and upstreams.
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Admin endpoints of the image's own, with paths below `/mgmt/v1` (`/reload`). They stand
    /// under the same security rules and are listed in `GET /mgmt/v1`; a router cannot be asked
    /// for its paths, hence `endpoints`, whose paths are full.
    #[must_use]
    pub fn admin_routes(mut self, routes: Router, endpoints: &[Endpoint]) -> Self {
        self.routes = self.routes.merge(routes);
        self.endpoints.extend_from_slice(endpoints);
        self
    }

    /// The age of a heartbeat from which `/livez` fails; 10 s by default.
    #[must_use]
    pub fn live_stall(mut self, stall: Duration) -> Self {
        self.live_stall = stall;
        self
    }

    /// Signals from a channel instead of the system, for tests.
    #[must_use]
    pub fn signals(mut self, signals: mpsc::UnboundedReceiver<Signal>) -> Self {
        self.signals = Some(signals);
        self
    }

    /// Binds all listeners without serving.
    ///
    /// # Errors
    /// An address in use or refused; an admin address beyond loopback without a token; a token
    /// file that cannot be used.
    pub fn bind(self) -> Result<Management, StartError> {
        let shared = &self.shared;
        shared.check(self.effective.place("admin-addr"))?;
        let token = shared.admin_token_file.as_deref().map(|path| {
            TokenFile::open(path).map_err(|error| {
                let place = self.effective.place("admin-token-file");
                ConfigError::message(place, format!("reading {}: {error}", path.display()))
            })
        });
        let token = token.transpose()?;
        let probe = tcp("probe", shared.probe_addr)?;
        let admin = tcp("admin", shared.admin_addr)?;
        let socket = shared.admin_socket.as_deref().map(unix).transpose()?;
        let addr = |listener: &TcpListener| listener.local_addr().map_err(StartError::Thread);
        let outcomes = Outcomes::default();
        for check in &self.checks {
            outcomes.set(&check.name, check.critical, None);
        }
        let plan = Plan::new(shared.grace, shared.kubernetes);
        let core = Core {
            image: self.image,
            started_at: SystemTime::now(),
            started: Instant::now(),
            logs: self.logs,
            registry: self.registry,
            network: self.network,
            endpoints: self.endpoints,
            probe_addr: addr(&probe)?,
            admin_addr: addr(&admin)?,
            token,
            heartbeats: Heartbeats::new(self.live_stall),
            outcomes,
            requests: Requests::default(),
            log_streams: Arc::new(tokio::sync::Semaphore::new(api::LOG_STREAMS_MAX)),
            tasks: TaskTracker::new(),
            effective: Mutex::new(self.effective),
            machine: Mutex::new(Machine::new(plan)),
            changed: Notify::new(),
            drain: Mutex::new(None),
            ready: AtomicBool::new(false),
            ever_ready: AtomicBool::new(false),
            broken: Mutex::new(None),
            actions: Mutex::new(HashMap::new()),
            end: Mutex::new(End::default()),
            watched: Mutex::new(Vec::new()),
        };
        let parts = Parts {
            probe,
            admin,
            socket,
            routes: self.routes,
            checks: self.checks,
            signals: self.signals,
            detached: self.detached,
        };
        Ok(Management { core: Arc::new(core), parts })
    }
}

// === impl Management ===

impl Management {
    /// Where the probes are, with the port the system chose for port 0.
    #[must_use]
    pub fn probe_addr(&self) -> SocketAddr {
        self.core.probe_addr
    }

    /// Where the admin interface is.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.core.admin_addr
    }

    /// Starts the management thread and installs signal handlers.
    ///
    /// # Errors
    /// [`StartError::Thread`].
    pub fn spawn(self) -> Result<Handle, StartError> {
        let (core, parts) = (self.core, self.parts);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let setup = {
            let _entered = runtime.enter();
            supervisor::Setup::new(&core, parts).map_err(StartError::Thread)?
        };
        // Before the thread, so that it is the first line of every log.
        tracing::info!(
            target: "management",
            image = core.image.name,
            version = core.image.version,
            probe = %core.probe_addr,
            admin = %core.admin_addr,
            "management is up"
        );
        let thread_core = Arc::clone(&core);
        std::thread::Builder::new()
            .name("management".to_owned())
            .spawn(move || {
                let logs = thread_core.logs.clone();
                let detached = setup.detached();
                let serve = || runtime.block_on(supervisor::run(thread_core, setup));
                match detached {
                    true => tracing::dispatcher::with_default(&logs.dispatch(), serve),
                    false => serve(),
                }
            })
            .map_err(StartError::Thread)?;
        Ok(Handle::new(core))
    }
}

fn tcp(what: &'static str, addr: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Bind { what, at: addr.to_string(), source };
    let listener = TcpListener::bind(addr).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Binds beside the path and renames, so that the socket is never there with another mode than
/// 0600, and a socket left by a dead process is replaced.
fn unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed =
        |source| StartError::Bind { what: "admin", at: path.display().to_string(), source };
    if UnixStream::connect(path).is_ok() {
        return Err(failed(std::io::ErrorKind::AddrInUse.into()));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let bind = || {
        let listener = UnixListener::bind(&beside)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&beside, path)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(failed)
}

/// The commit the binary was built from, when the build says so.
pub(crate) fn git() -> &'static str {
    option_env!("BUILD_GIT_COMMIT").unwrap_or("unknown")
}
