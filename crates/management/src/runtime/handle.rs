//! What an image keeps: its way to say how it is, and to be told when to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::time::Instant;

use super::Core;
use crate::health::{Heartbeat, lock};
use crate::lifecycle::{Drain, ExitReason, Request, State};
use crate::settings::Effective;
use crate::signals::Signal;

/// The image's side of management. Cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct Handle {
    core: Arc<Core>,
}

/// A thread watched by its handle.
pub(crate) struct Watched {
    name: String,
    thread: Box<dyn FnMut() -> Option<Result<(), String>> + Send>,
}

/// Reports when it is dropped: at the end of a task or thread, also by panic or abort.
struct Guard {
    core: Arc<Core>,
    what: String,
}

// === impl Handle ===

impl Handle {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Where the probes are served.
    #[must_use]
    pub fn probe_addr(&self) -> SocketAddr {
        self.core.probe_addr
    }

    /// Where the admin interface is served.
    #[must_use]
    pub fn admin_addr(&self) -> SocketAddr {
        self.core.admin_addr
    }

    /// The state of the process.
    #[must_use]
    pub fn state(&self) -> State {
        self.core.state()
    }

    /// Registers a heartbeat; `/livez` fails when it stops for 10 s. Beat at least every second,
    /// busy or idle.
    #[must_use]
    pub fn heartbeat(&self, name: &str) -> Heartbeat {
        self.core.heartbeats.register(name, Instant::now())
    }

    /// The image's own word on readiness. The first `true` also ends the starting state; until
    /// then the process is not ready.
    pub fn set_ready(&self, ready: bool) {
        self.core.set_ready(ready);
    }

    /// The image's own word on liveness: with a reason, `/livez` fails. For an image that stands
    /// for its application, and wants that restarted; its own dependencies belong in checks.
    pub fn set_broken(&self, reason: Option<String>) {
        *lock(&self.core.broken) = reason;
    }

    /// Spawns a watched task on the runtime of the caller: if it ends before the process was asked
    /// to stop, the process ends with 1 and an error in the log that names it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, name: &str, future: F) -> tokio::task::JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let guard = Guard { core: Arc::clone(&self.core), what: format!("task {name}") };
        self.core.tasks.spawn(async move {
            future.await;
            drop(guard);
        })
    }

    /// Starts a watched thread: as [`Handle::spawn`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn_thread(
        &self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let guard = Guard { core: Arc::clone(&self.core), what: format!("thread {name}") };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            run();
            drop(guard);
        })
    }

    /// Watches a thread that exists already. Its end is noticed within a tenth of the stall, 1 s.
    pub fn watch<T: Send + 'static>(&self, name: &str, thread: JoinHandle<T>) {
        let mut thread = Some(thread);
        let poll = move || {
            let finished = thread.take_if(|thread| thread.is_finished())?;
            Some(finished.join().map(drop).map_err(|panic| {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
            }))
        };
        let watched = Watched { name: name.to_owned(), thread: Box::new(poll) };
        lock(&self.core.watched).push(watched);
    }

    /// Gives up: the process ends with 1, and the reason is logged.
    pub fn fail(&self, reason: impl Into<String>) {
        self.core.fail(reason.into());
    }

    /// Asks for the shutdown sequence, as SIGTERM does.
    pub fn shutdown(&self) {
        // Taken in every state.
        let _ = self.core.request(Request::Shutdown);
    }

    /// Runs `action` on a signal, on the management thread, instead of the default. SIGTERM and
    /// SIGINT belong to the shutdown sequence: an action for them is never run.
    pub fn on_signal(&self, signal: Signal, action: impl Fn() + Send + Sync + 'static) {
        self.core.on_signal(signal, Arc::new(action));
    }

    /// Opens the log file anew, as SIGHUP does by default.
    ///
    /// # Errors
    /// The file cannot be opened; lines go on into the old one.
    pub fn reopen_log(&self) -> io::Result<()> {
        self.core.logs.reopen()
    }

    /// One log level more (1) or less (-1), as SIGTTIN and SIGTTOU do by default.
    pub fn step_log_level(&self, step: i8) {
        if let Err(error) = self.core.logs.step_level(step) {
            tracing::warn!(target: "management", %error, "changing the log level failed");
        }
    }

    /// Changes what `/mgmt/v1/config` shows, for example after a reload.
    pub fn update_effective(&self, change: impl FnOnce(&mut Effective)) {
        change(&mut lock(&self.core.effective));
    }

    /// Waits for the request to stop (SIGTERM, SIGINT, `POST /mgmt/v1/lifecycle/shutdown`) or a
    /// failure, and runs the shutdown sequence. Blocks the calling thread; the sequence itself,
    /// and every call of `drain`, is on the management thread. Return the reason from `main` as
    /// [`std::process::ExitCode`]: should `main` not come to its end within the margin of the
    /// grace (at least 1 s), the process is ended from here.
    ///
    /// # Panics
    /// Inside an async context; use [`Handle::run_async`] there.
    pub fn run(&self, drain: impl Drain + 'static) -> ExitReason {
        self.core.set_drain(Arc::new(drain));
        let gone = |_| ExitReason::Failed("management ended".to_owned());
        self.core.wait().blocking_recv().unwrap_or_else(gone)
    }

    /// As [`Handle::run`], without blocking.
    pub async fn run_async(&self, drain: impl Drain + 'static) -> ExitReason {
        self.core.set_drain(Arc::new(drain));
        let gone = |_| ExitReason::Failed("management ended".to_owned());
        self.core.wait().await.unwrap_or_else(gone)
    }
}

// === impl Watched ===

impl Watched {
    /// Looks after one thread; false when it has ended and been reported.
    pub(crate) fn alive(&mut self, core: &Core) -> bool {
        match (self.thread)() {
            None => true,
            Some(Ok(())) => {
                core.ended(&format!("thread {}", self.name));
                false
            }
            Some(Err(panic)) => {
                core.ended(&format!("thread {} panicked: {panic}, and", self.name));
                false
            }
        }
    }
}

// === impl Guard ===

impl Drop for Guard {
    fn drop(&mut self) {
        self.core.ended(&self.what);
    }
}
