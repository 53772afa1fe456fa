//! Wiring: what was asked for is bound, started, watched and stopped here, and nothing decided.

mod background;
mod offline;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use management::settings::{FileSettings, FileValue, Source};
use management::{
    Builder, ConfigError, Critical, Drain, Endpoint, Handle, Heartbeat, Loaded, Place, Problem,
    Signal, Subcommand,
};
use tokio::net::TcpListener;
use tracing::info;

use crate::IMAGE;
use crate::config::args::{self, Args};
use crate::config::{ParsedFile, parse_pools};
use crate::fleet::{Fleet, FleetConfig};
use crate::metrics::Metrics;
use crate::reload::{Reloader, Trigger, report_findings};
use crate::statistics::Statistics;
use crate::worker::Worker;
use crate::{docs, prober, resolver};

/// A configuration file larger than this is a mistake.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest wait for the last replies once the proxy is to end.
const LAST_REPLIES: Duration = Duration::from_millis(900);

/// The endpoints of this image's own.
pub const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: "POST",
    path: "/mgmt/v1/reload",
    about: "Read the configuration file again; `?force=true` however many keys move",
}];

/// A configuration file as read.
struct File {
    text: String,
    parsed: ParsedFile,
}

/// Runs the process; the whole of `main`.
pub fn main() -> ExitCode {
    let given: RefCell<Option<File>> = RefCell::default();
    let wrong: RefCell<Option<PathBuf>> = RefCell::default();
    let read = |path: &Path| {
        if path == Path::new(args::CONFIG_FILE) && !path.exists() {
            // Nobody asked for this file, and `-V` needs none.
            return Ok(FileSettings::default());
        }
        let read = read_file(path).inspect_err(|_| *wrong.borrow_mut() = Some(path.to_owned()));
        let (file, settings) = read?;
        *given.borrow_mut() = Some(file);
        Ok(settings)
    };
    let code = management::enter::<Args>(&IMAGE, args::command(), read, |loaded| {
        dispatch(loaded, given.take())
    });
    match wrong.take() {
        Some(path) if args::tests_conf() => offline::test_conf_failed(&path),
        _ => code,
    }
}

/// Reads the file: its pools, and the process settings in it.
fn read_file(path: &Path) -> Result<(File, FileSettings), ConfigError> {
    let place = |line| Place::File(path.to_owned(), line);
    let unreadable = |error: std::io::Error| {
        ConfigError::message(place(None), format!("reading the file: {error}"))
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        let message = format!("the file is longer than {FILE_BYTES_MAX} bytes");
        return Err(ConfigError::message(place(None), message));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let parsed = parse_pools(path, &text).map_err(|error| {
        let first = error.problems.first();
        let line = first.map(|problem| u64::from(problem.line));
        let mut lines = error.problems.iter().map(ToString::to_string);
        let mut message = lines.next().unwrap_or_default();
        for (problem, text) in error.problems.iter().skip(1).zip(lines) {
            message += &format!("\n{}:{}: {text}", path.display(), problem.line);
        }
        ConfigError::message(place(line), message)
    })?;
    let value = |(name, setting): (&String, &crate::config::Setting)| {
        let values = vec![setting.value.clone()];
        (name.clone(), FileValue { values, line: Some(u64::from(setting.line)) })
    };
    let values = parsed.settings.iter().map(value).collect();
    Ok((File { text, parsed }, FileSettings { path: path.to_owned(), values }))
}

fn dispatch(loaded: Loaded<Args>, file: Option<File>) -> anyhow::Result<ExitCode> {
    if loaded.args.version || loaded.args.describe_stats {
        return offline::describe(&loaded.args);
    }
    if let Subcommand::Other(name, matches) = &loaded.subcommand
        && name == "docs"
    {
        return management::docs::run(matches, docs::splice_all);
    }
    let path = loaded.shared.config.clone().context("no configuration file is given")?;
    let file = file.ok_or_else(|| {
        let expected = "it does not exist; name another one with -c".to_owned();
        ConfigError::message(Place::File(path.clone(), None), expected)
    })?;
    match &loaded.subcommand {
        Subcommand::Check(_) => offline::check(&path, &file.parsed),
        Subcommand::Other(_, matches) => offline::locate(matches, &file.parsed),
        Subcommand::Run if loaded.args.test_conf => offline::test_conf(&path),
        Subcommand::Run if loaded.args.daemonize && !loaded.args.background => {
            background::start(loaded.args.pid_file.as_deref())
        }
        Subcommand::Run => run(loaded, file, path),
    }
}

/// Serves until asked to stop.
fn run(loaded: Loaded<Args>, file: File, path: PathBuf) -> anyhow::Result<ExitCode> {
    let Loaded { args, mut shared, effective, .. } = loaded;
    let chosen =
        |name: &str| effective.get(name).is_some_and(|value| value.source != Source::Default);
    if chosen("verbose") && !chosen("log") {
        args.log_filter().clone_into(&mut shared.log);
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let known = runtime.block_on(resolver::look_ahead(&file.parsed.pools));
    let mut builder = Builder::new(IMAGE, &shared)?.effective(effective);
    if let Some(output) = &args.output {
        builder = builder.log_file(output)?;
    }
    report_findings(&file.parsed.pools);

    let heart: Arc<OnceLock<Vec<Heartbeat>>> = Arc::default();
    let config = FleetConfig { workers: args.worker_count(), bytes_max: args.memory_max };
    let (fleet, workers) = Fleet::bind(
        config,
        file.parsed.pools,
        |pool| resolver::apply(pool, &known),
        |index| alive(Arc::clone(&heart), index),
    )?;
    let fleet = Arc::new(fleet);
    let (trigger, reloader) = Reloader::new(
        Arc::clone(&fleet),
        path,
        file.text,
        args.reload_moved_max,
        args.watch_interval,
    );
    let registry = prometheus::Registry::new();
    registry.register(Box::new(Metrics::new(Arc::clone(&fleet))))?;
    let statistics = bind_statistics(&args)?;
    let live = Arc::clone(&fleet);
    let management = builder
        .registry(registry.clone())
        .network(Arc::new(Metrics::new(Arc::clone(&fleet))))
        .check("servers", Critical::No, Duration::from_secs(1), Duration::from_secs(1), move || {
            std::future::ready(servers_live(&live))
        })
        .admin_routes(routes(trigger.clone()), ENDPOINTS)
        .bind()?;
    log_addresses(&fleet, &management);
    let handle = management.spawn()?;
    let hearts = (0..config.workers).map(|index| handle.heartbeat(&format!("worker-{index}")));
    let _ = heart.set(hearts.collect());
    handle.on_signal(Signal::Usr1, move || trigger.signal("SIGUSR1"));
    handle.on_signal(Signal::Usr2, || {});

    let threads = start_workers(&handle, workers)?;
    let statistics =
        statistics.map(|listener| (Statistics::new(Arc::clone(&fleet), registry), listener));
    start_control(&handle, runtime, Arc::clone(&fleet), reloader, statistics, args.dns_interval)?;
    background::tell_parent(&args)?;
    handle.set_ready(true);
    let reason = handle.run(Stop(Arc::clone(&fleet)));
    wait_for_last_replies(threads);
    if let Some(pid_file) = &args.pid_file {
        // Somebody else may have removed it already.
        let _ = std::fs::remove_file(pid_file);
    }
    Ok(ExitCode::from(reason.code()))
}

/// What a worker calls to show that it lives.
fn alive(hearts: Arc<OnceLock<Vec<Heartbeat>>>, index: usize) -> Box<dyn Fn() + Send> {
    Box::new(move || {
        if let Some(heart) = hearts.get().and_then(|hearts| hearts.get(index)) {
            heart.beat();
        }
    })
}

/// Every pool must have a server to send requests to.
fn servers_live(fleet: &Fleet) -> Result<(), String> {
    for pool in fleet.pools() {
        if !pool.health.servers.iter().any(|server| server.is_live()) {
            return Err(format!("every server of pool {} is ejected", pool.conf.name));
        }
    }
    Ok(())
}

/// A connection costs a descriptor, so take as many as the system allows.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Less is no error; running out is met with a pause in accepting.
    let _ = setrlimit(Resource::Nofile, limit);
}

fn bind_statistics(args: &Args) -> anyhow::Result<Option<std::net::TcpListener>> {
    if args.stats_port == 0 {
        return Ok(None);
    }
    let address = (args.stats_addr, args.stats_port);
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("binding the statistics to {}:{}", address.0, address.1))?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

fn log_addresses(fleet: &Fleet, management: &management::Management) {
    for pool in fleet.pools() {
        let conf = &pool.conf;
        info!(
            pool = conf.name,
            listen = %conf.listen,
            protocol = %conf.protocol,
            servers = conf.servers.len(),
            "pool bound"
        );
    }
    info!(
        workers = fleet.workers().len(),
        probe = %management.probe_addr(),
        admin = %management.admin_addr(),
        "management bound"
    );
}

fn start_workers(
    handle: &Handle,
    workers: Vec<Worker>,
) -> anyhow::Result<Vec<std::thread::JoinHandle<()>>> {
    let start = |(index, worker): (usize, Worker)| {
        let ended = handle.clone();
        handle.spawn_thread(&format!("worker-{index}"), move || {
            if let Err(error) = worker.run() {
                ended.fail(format!("worker {index}: {error}"));
            }
        })
    };
    Ok(workers.into_iter().enumerate().map(start).collect::<Result<_, _>>()?)
}

/// Everything beside the data path runs in one thread.
fn start_control(
    handle: &Handle,
    runtime: tokio::runtime::Runtime,
    fleet: Arc<Fleet>,
    reloader: Reloader,
    statistics: Option<(Statistics, std::net::TcpListener)>,
    dns_interval: Duration,
) -> anyhow::Result<()> {
    let tasks = handle.clone();
    handle.spawn_thread("control", move || {
        runtime.block_on(async move {
            let all = [
                tasks.spawn("reload", reloader.run()),
                tasks.spawn("resolver", resolver::run(Arc::clone(&fleet), dns_interval)),
                tasks.spawn("prober", prober::run(fleet)),
            ];
            if let Some((statistics, listener)) = statistics {
                let failed = tasks.clone();
                tasks.spawn("statistics", async move {
                    match TcpListener::from_std(listener) {
                        Ok(listener) => statistics.run(listener).await,
                        Err(error) => failed.fail(format!("statistics: {error}")),
                    }
                });
            }
            for task in all {
                // A task that ends too early has been reported by its watch.
                let _ = task.await;
            }
        });
    })?;
    Ok(())
}

/// Waits for workers that still send last replies, within the margin of the grace.
fn wait_for_last_replies(threads: Vec<std::thread::JoinHandle<()>>) {
    let (done, all_done) = std::sync::mpsc::channel();
    let joiner = std::thread::Builder::new().name("joiner".to_owned()).spawn(move || {
        for thread in threads {
            let _ = thread.join();
        }
        let _ = done.send(());
    });
    if joiner.is_ok() {
        let _ = all_done.recv_timeout(LAST_REPLIES);
    }
}

// === Management's side ===

/// How the fleet stops.
struct Stop(Arc<Fleet>);

impl Drain for Stop {
    fn in_flight(&self) -> u64 {
        // A connected client is work under way: it may ask until it falls quiet.
        self.0.clients()
    }

    fn stop_accepting(&self) {
        self.0.drain();
    }

    fn close(&self) {
        self.0.close();
    }

    fn undrain(&self) {
        if let Err(error) = self.0.undrain() {
            tracing::error!(%error, "cannot accept again");
        }
    }
}

#[derive(Debug, Default, serde::Deserialize)]
struct ReloadQuery {
    #[serde(default)]
    force: bool,
}

fn routes(trigger: Trigger) -> Router {
    Router::new().route("/reload", post(reload)).with_state(trigger)
}

async fn reload(State(trigger): State<Trigger>, Query(query): Query<ReloadQuery>) -> Response {
    match trigger.request(query.force).await {
        Ok(report) => Json(report).into_response(),
        Err(reason) => Problem::unprocessable(reason).into_response(),
    }
}
