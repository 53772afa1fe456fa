//! Wiring: what was asked for is bound, started, watched and stopped here, and nothing decided.

mod group;
mod offline;
mod pulse;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use management::settings::ProcessEnvironment;
use management::{Builder, Critical, Drain, Handle, Loaded, State, Subcommand};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing::{info, warn};

use crate::agent::{Action, Agent, AgentConfig};
use crate::api::{self, Api, ApiConfig};
use crate::backend::Backend;
use crate::backend::etcd::Etcd;
use crate::backend::kubernetes::Kubernetes;
use crate::backend::single::Single;
use crate::campaign::{self, CampaignConfig, Probe};
use crate::config::{self, Args, BackendConfig, Config, LostAction, ProbeConfig};
use crate::driver::Input;
use crate::metrics::Metrics;
use crate::{IMAGE, docs};
use group::{Group, Running, wall_seconds};

/// How often the state of the process is looked at, so that leases are given up at once when it is
/// to end, before the pause that others need to hear of it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The endpoints of this image's own.
pub const ENDPOINTS: &[management::Endpoint] = api::admin::ENDPOINTS;

/// The place where leases live, bound and not started.
enum Place {
    Group(Box<Group>),
    Single(Arc<Single>),
    /// Whatever runs on tasks of its own.
    Remote,
}

/// What has to end.
struct Stop {
    agent: Arc<Agent>,
    group: Option<Running>,
}

/// Runs the process; the whole of `main`.
pub fn main() -> ExitCode {
    let read = management::settings::yaml_settings_file;
    management::enter::<Args>(&IMAGE, config::command(), read, |loaded| dispatch(&loaded))
}

fn dispatch(loaded: &Loaded<Args>) -> anyhow::Result<ExitCode> {
    if let Subcommand::Other(_, matches) = &loaded.subcommand {
        return management::docs::run(matches, docs::splice_all);
    }
    let config = Config::new(&loaded.args, &loaded.effective, &ProcessEnvironment)?;
    match loaded.subcommand {
        Subcommand::Check(_) => offline::check(&config),
        _ => run(loaded, config),
    }
}

/// Serves until asked to stop.
fn run(loaded: &Loaded<Args>, config: Config) -> anyhow::Result<ExitCode> {
    let builder = Builder::new(IMAGE, &loaded.shared)?.effective(loaded.effective.clone());
    for warning in &config.warnings {
        warn!(warning, "configuration");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (place, backend) = runtime.block_on(bind_backend(&config))?;
    let running = match &place {
        Place::Group(group) => Some(group.running()),
        _ => None,
    };
    let listener = runtime.block_on(async {
        let listen = &config.api.listen;
        TcpListener::bind(listen).await.with_context(|| format!("listen for the API on {listen}"))
    })?;
    let http = listener.local_addr()?;
    let campaign = config.campaign.as_ref().map(campaign_of).transpose()?;
    let agent = Agent::new(Arc::clone(&backend), agent_config(&config)?);
    let mut api_config = ApiConfig { token: config.api.token.clone(), ..ApiConfig::default() };
    if let Place::Group(group) = &place {
        let pulse = group.pulse();
        api_config.live = Arc::new(move || pulse.check());
    }
    let api = Api::new(Arc::clone(&agent), api_config);

    let second = Duration::from_secs(1);
    let metrics = Metrics::new(
        Arc::clone(&agent),
        Arc::clone(&api),
        http.to_string(),
        running.as_ref().map(|group| group.metrics.clone()),
    );
    let registry = prometheus::Registry::new();
    registry.register(Box::new(metrics.clone()))?;
    let ready = Arc::clone(&backend);
    let management = builder
        .registry(registry)
        .network(Arc::new(metrics))
        .check("quorum", Critical::Yes, second / 4, second, move || {
            std::future::ready(ready.ready())
        })
        .admin_routes(api::admin::routes(Arc::clone(&agent), runtime.handle().clone()), ENDPOINTS)
        .bind()?;
    let handle = management.spawn()?;
    info!(%http, backend = backend.name(), id = &*config.id, "listening");

    let stop = Stop { agent: Arc::clone(&agent), group: running };
    start(&handle, runtime, place, Parts { agent, api, listener, campaign })?;
    handle.set_ready(true);
    Ok(handle.run(stop).into())
}

/// What runs on the runtime.
struct Parts {
    agent: Arc<Agent>,
    api: Arc<Api>,
    listener: TcpListener,
    campaign: Option<CampaignConfig>,
}

async fn bind_backend(config: &Config) -> anyhow::Result<(Place, Arc<dyn Backend>)> {
    Ok(match &config.backend {
        BackendConfig::Raft(raft) => {
            let group = Group::bind(config, raft).await?;
            let backend = group.backend();
            (Place::Group(Box::new(group)), backend)
        }
        BackendConfig::Single { token_floor } => {
            let base = (wall_seconds()? << 20).max(*token_floor);
            let single = Single::new(Arc::clone(&config.id), base);
            (Place::Single(Arc::clone(&single)), single)
        }
        BackendConfig::Etcd(etcd) => {
            (Place::Remote, Arc::new(Etcd::start(etcd, Arc::clone(&config.id))?))
        }
        BackendConfig::Kubernetes(kubernetes) => {
            let (id, default) = (Arc::clone(&config.id), Arc::clone(&config.elections[0]));
            (Place::Remote, Arc::new(Kubernetes::start(kubernetes, id, default)?))
        }
    })
}

fn agent_config(config: &Config) -> anyhow::Result<AgentConfig> {
    Ok(AgentConfig {
        id: Arc::clone(&config.id),
        elections: config.elections.clone(),
        ttl: config.ttl,
        ttl_min: config.ttl_min,
        priority: config.priority,
        on_lost: match &config.on_lost.action {
            LostAction::None => Action::None,
            LostAction::Webhook(url) => Action::webhook(url)?,
            LostAction::Signal { signal, process } => {
                Action::Signal { signal: *signal, process: Some(process.clone()) }
            }
            LostAction::Liveness => Action::Liveness,
        },
        stop_margin: config.on_lost.margin,
        witness: matches!(&config.backend, BackendConfig::Raft(raft) if raft.witness),
    })
}

fn campaign_of(config: &config::CampaignConfig) -> anyhow::Result<CampaignConfig> {
    let probe = |probe: &ProbeConfig| {
        Ok(match probe {
            ProbeConfig::Http(url) => Probe::http(url)?,
            ProbeConfig::Tcp(port) => Probe::Port(*port),
            ProbeConfig::File(path) => Probe::File(path.clone()),
        })
    };
    Ok(CampaignConfig {
        probes: config.probes.iter().map(probe).collect::<anyhow::Result<_>>()?,
        interval: config.interval,
        failures: config.failures,
    })
}

/// Everything but the driver runs in one thread.
fn start(handle: &Handle, runtime: Runtime, place: Place, parts: Parts) -> anyhow::Result<()> {
    let tasks = handle.clone();
    handle.spawn_thread("io", move || {
        runtime.block_on(async move {
            let beat = tasks.heartbeat("io");
            match place {
                Place::Group(group) => {
                    if let Err(error) = group.start(&tasks) {
                        tasks.fail(format!("{error:#}"));
                    }
                }
                Place::Single(single) => {
                    tasks.spawn("expiry", single.run());
                }
                Place::Remote => {}
            }
            let Parts { agent, api, listener, campaign } = parts;
            tasks.spawn("agent", Arc::clone(&agent).run());
            tasks.spawn("api", api.serve(listener));
            if let Some(config) = campaign {
                tasks.spawn("campaign", campaign::run(Arc::clone(&agent), config));
            }
            loop {
                beat.beat();
                tasks.set_broken(agent.liveness().err());
                if tasks.state() == State::Draining && !agent.is_stopping() {
                    agent.stop();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    })?;
    Ok(())
}

// === impl Stop ===

impl Drain for Stop {
    fn in_flight(&self) -> u64 {
        self.agent.in_flight()
    }

    fn stop_accepting(&self) {
        self.agent.stop();
        if let Some(group) = &self.group {
            // Whoever leads the group hands that on too; should it be lost, the group elects.
            let _ = group.mailbox.tell(Input::Yield);
        }
    }

    fn close(&self) {}

    fn undrain(&self) {
        self.agent.resume();
    }
}
