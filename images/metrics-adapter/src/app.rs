//! Wiring: what was asked for is bound, started, watched and stopped here, and nothing decided.

mod process;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use clap::FromArgMatches;
use management::settings::{EffectiveValue, LogFormat, ProcessEnvironment, Source};
use management::{
    Builder, Critical, Drain, Effective, Endpoint, Handle, Loaded, Problem, Shared, Signal, State,
    Subcommand,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing::{debug, info, warn};

use crate::config::{self, Args, CheckArgs, Config, JmxArgs, Request, StatsdArgs};
use crate::ingest::Ingest;
use crate::pull;
use crate::web::{self, Site};
use crate::{IMAGE, docs, explain};
pub(crate) use process::Process;
use process::live;

/// How often the state of the process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Threads for what blocks, beside one for each pulled input and target that is asked: reloads,
/// names, heartbeats, slow hashes. A server that is down then keeps nobody else from them.
const BLOCKING_MORE: usize = 32;

/// The endpoints of this image's own.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: "POST",
    path: "/mgmt/v1/reload",
    about: "Read the configuration and all files that it names again",
}];

/// What has to end.
struct Stop {
    site: Arc<Site<Process>>,
}

/// Runs the process; the whole of `main`.
pub fn main() -> ExitCode {
    let argv = config::unlinked(std::env::args_os());
    let read = config::read_settings;
    management::enter_with::<Args>(&IMAGE, config::command(), argv, read, dispatch)
}

fn dispatch(mut loaded: Loaded<Args>) -> anyhow::Result<ExitCode> {
    if let Subcommand::Other(name, matches) = &loaded.subcommand
        && name == "docs"
    {
        return management::docs::run(matches, docs::splice_all);
    }
    if let Subcommand::Check(matches) = &loaded.subcommand {
        let check = CheckArgs::from_arg_matches(matches)?;
        let config = checked(&loaded, &check).load(&ProcessEnvironment)?;
        return match check.explain {
            true => explain::run(&config, &check),
            false => explain::summary(&config),
        };
    }
    let request = request(&mut loaded)?;
    let config = request.load(&ProcessEnvironment)?;
    match request.check_only() {
        true => explain::summary(&config),
        false => run(&loaded, request, config),
    }
}

/// What `check` looks at: the file of an original, or what would be run.
fn checked(loaded: &Loaded<Args>, check: &CheckArgs) -> Request {
    let args = loaded.args.clone();
    match (&check.mapping, &check.rules) {
        (Some(mapping), _) => Request::mapping(args, mapping),
        (None, Some(rules)) => Request::rules(args, rules),
        (None, None) => Request::Own { args, file: loaded.shared.config.clone() },
    }
}

/// The command line as a request; log flags of the original's go to our own.
fn request(loaded: &mut Loaded<Args>) -> anyhow::Result<Request> {
    let args = loaded.args.clone();
    let Subcommand::Other(name, matches) = &loaded.subcommand else {
        return Ok(Request::Own { args, file: loaded.shared.config.clone() });
    };
    if name == config::args::JMX {
        return Ok(Request::Jmx { args, jmx: JmxArgs::from_arg_matches(matches)? });
    }
    let statsd = StatsdArgs::from_arg_matches(matches)?;
    log_flags(&mut loaded.shared, &loaded.effective, &statsd);
    Ok(Request::Statsd { args, statsd: Box::new(statsd) })
}

/// Our own flags win where they were given.
fn log_flags(shared: &mut Shared, effective: &Effective, flags: &StatsdArgs) {
    let unset = |name| effective.get(name).is_none_or(|value| value.source == Source::Default);
    if let Some(level) = flags.log_level.as_ref().filter(|_| unset("log")) {
        shared.log.clone_from(level);
    }
    if flags.log_format.as_deref() == Some("json") && unset("log-format") {
        shared.log_format = LogFormat::Json;
    }
}

/// Serves until asked to stop.
fn run(loaded: &Loaded<Args>, request: Request, config: Config) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut effective = loaded.effective.clone();
    effective.insert("inputs", EffectiveValue::new(config.inputs(), Source::File));
    let builder = Builder::new(IMAGE, &loaded.shared)?.effective(effective);
    for warning in &config.warnings {
        warn!(warning, "configuration");
    }
    for note in &config.notes {
        debug!(note, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(config::INPUTS_MAX + config.pull.scrapes_max + BLOCKING_MORE)
        .build()?;
    let listen = config.web.listen.clone();
    let listener = config::bind_tcp(&listen).with_context(|| format!("listen on {listen}"))?;
    let http = listener.local_addr()?;
    let limits = config.pull;
    let mode = config.mode;
    let process = Process::new(request, &config, started);
    let (live, plan) = live(config, started, None)?;
    let rules = plan.as_ref().map_or(0, |plan| plan.mapping.rules().len() as u64);
    let ingest = plan.map(Ingest::bind).transpose()?;
    process.set_ingest(ingest.clone());
    process.reloads.mappings.store(rules, Ordering::Relaxed);
    let counters = Arc::clone(process.counters());
    let site = Arc::new(Site::new(mode, ingest.clone(), live, limits, counters, process));
    site.actions.set_site(&site);

    let metrics = crate::metrics::Metrics::new(Arc::clone(&site), http.to_string());
    let registry = prometheus::Registry::new();
    registry.register(Box::new(metrics.clone()))?;
    let second = Duration::from_secs(1);
    let inputs = Arc::clone(&site);
    let management = builder
        .registry(registry)
        .network(Arc::new(metrics))
        .check("inputs", Critical::No, second, second, move || {
            std::future::ready(process::inputs(&inputs))
        })
        .admin_routes(routes(Arc::clone(&site), runtime.handle().clone()), ENDPOINTS)
        .bind()?;
    let handle = management.spawn()?;
    info!(%http, "listening");
    if let Some(ingest) = &ingest {
        process::read(&handle, ingest)?;
    }
    start(&handle, runtime, listener, &site)?;
    handle.set_ready(true);
    let reason = handle.run(Stop { site });
    if let Some(ingest) = ingest {
        ingest.join();
    }
    Ok(reason.into())
}

fn start(
    handle: &Handle,
    runtime: Runtime,
    listener: std::net::TcpListener,
    site: &Arc<Site<Process>>,
) -> anyhow::Result<()> {
    site.actions.set_handle(handle.clone());
    let (tasks, reloaded) = (runtime.handle().clone(), Arc::clone(site));
    let log = handle.clone();
    handle.on_signal(Signal::Hup, move || {
        if let Err(error) = log.reopen_log() {
            warn!(%error, "opening the log anew failed");
        }
        let site = Arc::clone(&reloaded);
        tasks.spawn(async move {
            // Said in the log already.
            let _ = web::Actions::reload(&site.actions).await;
        });
    });
    let (tasks, site) = (handle.clone(), Arc::clone(site));
    handle.spawn_thread("io", move || {
        runtime.block_on(async move {
            let beat = tasks.heartbeat("io");
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tasks.fail(format!("listening: {error}")),
            };
            for pulled in &site.live().pulled {
                pulled.keep_alive();
            }
            tasks.spawn("page", web::serve(Arc::clone(&site), listener));
            loop {
                beat.beat();
                tokio::time::sleep(LOOK_EVERY).await;
                if tasks.state() == State::Stopped {
                    return;
                }
            }
        });
    })?;
    Ok(())
}

fn routes(site: Arc<Site<Process>>, runtime: tokio::runtime::Handle) -> Router {
    let reload = move || {
        let (site, runtime) = (Arc::clone(&site), runtime.clone());
        async move {
            let task = runtime.spawn(async move { web::Actions::reload(&site.actions).await });
            reloaded(task.await.unwrap_or_else(|error| Err(error.to_string())))
        }
    };
    Router::new().route("/reload", post(reload))
}

fn reloaded(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => axum::Json(serde_json::json!({"reloaded": true})).into_response(),
        Err(error) => Problem::unprocessable(error).into_response(),
    }
}

// === impl Stop ===

impl Drain for Stop {
    fn in_flight(&self) -> u64 {
        self.site.counters.in_flight.load(Ordering::Relaxed)
    }

    fn stop_accepting(&self) {
        self.site.accepting.send_replace(false);
    }

    fn close(&self) {
        if let Some(ingest) = &self.site.ingest {
            ingest.stop();
        }
        let live = self.site.live();
        let mut inputs = live.probes.sessions();
        inputs.extend(live.pulled.iter().cloned());
        pull::close(&inputs);
    }

    fn undrain(&self) {
        self.site.accepting.send_replace(true);
    }
}
