//! The recipe `leader-election`: its instances, what they say of themselves, and what the store saw.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::compose::Compose;
use crate::docker::{docker, inspect};
use crate::http::{Request, Response};
use crate::observer::{Look, Observer, Turn};
use crate::wait;

/// Instances of the application, each with its sidecar.
pub const INSTANCES: usize = 3;
/// From a fault to the next leader, on a busy machine. Far above what is promised, as timings are
/// recorded and not asserted.
pub const NEXT_LEADER_WITHIN: Duration = Duration::from_secs(60);
/// A look at an instance, which may be frozen.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How the application holds its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It renews.
    Renew,
    /// By a connection to its sidecar.
    Connection,
}

/// The running recipe.
pub struct LeaderElection {
    /// Looks at the sidecars all the time. First, so that it is dropped before the containers are.
    pub observer: Observer,
    /// The containers; dropping it removes them.
    pub compose: Arc<Compose>,
    store: SocketAddr,
}

/// What an instance says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Whether its lease holds.
    pub leading: bool,
    /// The token of its lease.
    pub token: Option<u64>,
    /// For how long the lease holds still.
    pub valid_for_ms: u64,
    /// Whether it was stopped between a read and a write.
    pub paused: bool,
    /// Number of the process that works.
    pub process: u32,
    /// Writes that the store took.
    pub accepted: u64,
    /// Writes that the store refused.
    pub refused: u64,
    /// Operations that failed otherwise.
    pub errors: u64,
}

/// What the store saw.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Writes taken.
    pub accepted: u64,
    /// Writes refused for their stale token.
    pub refused: u64,
    /// Writes taken with a token below the one before: none while tokens are checked.
    pub backwards: u64,
    /// Writes whose token another writer had used: must never be.
    pub shared_tokens: u64,
    /// Acknowledged items that are gone.
    pub lost: u64,
    /// Token of the last write.
    pub token: u64,
    /// Whether tokens are checked.
    pub fencing: bool,
    /// Who wrote last.
    pub writer: Option<String>,
}

/// Names and tokens of members of the group.
#[derive(Clone, Debug, Deserialize)]
pub struct Cluster {
    /// All members.
    pub members: Vec<Member>,
}

/// A member of the group.
#[derive(Clone, Debug, Deserialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its random id.
    pub id: String,
    /// `voter`, `learner` or `witness`.
    pub role: String,
    /// Whether it leads the group.
    pub leads: bool,
}

/// Name of the application's service, and of the member.
#[must_use]
pub fn app(instance: usize) -> String {
    format!("app-{instance}")
}

/// Name of the sidecar's service.
#[must_use]
pub fn sidecar(instance: usize) -> String {
    format!("leader-elector-{instance}")
}

// === impl LeaderElection ===

impl LeaderElection {
    /// Starts the recipe and waits until it is healthy and somebody leads.
    ///
    /// # Errors
    /// Those of [`Compose::start`], or nobody leads.
    pub fn start(hold: Hold) -> Result<Self> {
        let hold = match hold {
            Hold::Renew => "renew",
            Hold::Connection => "connection",
        };
        let compose = Arc::new(Compose::start_with("leader-election", &[("HOLD", hold)])?);
        let store = compose.address("store", 8000)?;
        let observer = Observer::start(INSTANCES, &look(&compose));
        let recipe = Self { observer, compose, store };
        recipe.observer.after(0, NEXT_LEADER_WITHIN)?;
        Ok(recipe)
    }

    /// Address of an instance on the host; another one after each start.
    ///
    /// # Errors
    /// It does not run.
    pub fn app(&self, instance: usize) -> Result<SocketAddr> {
        self.compose.address(&app(instance), 8000)
    }

    /// Address of a sidecar's probes on the host.
    ///
    /// # Errors
    /// Its application does not run.
    pub fn probe(&self, instance: usize) -> Result<SocketAddr> {
        self.compose.address(&app(instance), 9611)
    }

    /// Address of the store on the host.
    #[must_use]
    pub fn store(&self) -> SocketAddr {
        self.store
    }

    /// What an instance says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub fn instance(&self, instance: usize) -> Result<Instance> {
        json(&ask(self.app(instance)?, "GET", "/")?)
    }

    /// What the store saw.
    ///
    /// # Errors
    /// It does not answer.
    pub fn report(&self) -> Result<Report> {
        json(&ask(self.store, "GET", "/report")?)
    }

    /// Has the store check tokens, or not.
    ///
    /// # Errors
    /// It does not answer.
    pub fn fencing(&self, on: bool) -> Result<()> {
        let answer = ask(self.store, "POST", &format!("/fencing?on={on}"))?;
        ensure!(answer.status == 200, "the store answered {}", answer.status);
        Ok(())
    }

    /// The group as a sidecar knows it.
    ///
    /// # Errors
    /// It does not answer.
    pub fn cluster(&self, instance: usize) -> Result<Cluster> {
        json(&ask(self.app(instance)?, "GET", "/cluster")?)
    }

    /// The instance whose sidecar leads the group, as any sidecar knows it.
    ///
    /// # Errors
    /// None knows.
    pub fn group_leader(&self) -> Result<usize> {
        wait::until("a sidecar that leads the group", NEXT_LEADER_WITHIN, || {
            let clusters = (0..INSTANCES).filter_map(|it| self.cluster(it).ok());
            let mut members = clusters.flat_map(|cluster| cluster.members);
            let leader = members.find(|member| member.leads);
            Ok(leader.and_then(|it| it.name.strip_prefix("app-")?.parse().ok()))
        })
    }

    /// What a sidecar says of itself when asked from within its own network: whether it leads.
    ///
    /// # Errors
    /// It does not answer.
    pub fn leads_within(&self, instance: usize) -> Result<bool> {
        const ASK: &str = "import urllib.request as r; \
            print(r.urlopen('http://127.0.0.1:8000/leadership', timeout=5).read().decode())";
        let text = docker(&["exec", &self.id(&app(instance))?, "python3", "-c", ASK])?;
        let view: Value = serde_json::from_str(&text).with_context(|| format!("read {text:?}"))?;
        view["is_leader"].as_bool().with_context(|| format!("no is_leader in {text}"))
    }

    /// Whoever leads now, for a fault to be aimed at.
    ///
    /// # Errors
    /// Nobody leads.
    pub fn leader(&self) -> Result<Turn> {
        wait::until("a leader that holds", NEXT_LEADER_WITHIN, || {
            let latest = self.observer.latest();
            let holds = |turn: &Turn| {
                let instance = self.instance(turn.member);
                instance.is_ok_and(|it| it.leading && it.token == Some(turn.token))
            };
            Ok(latest.filter(holds))
        })
    }

    /// Does something to the one who leads, and waits for the next; returns both, and the time
    /// between.
    ///
    /// # Errors
    /// The deed fails, or nobody follows.
    pub fn follow(&self, deed: impl FnOnce(Turn) -> Result<()>) -> Result<(Turn, Turn, Duration)> {
        let old = self.leader()?;
        let start = Instant::now();
        deed(old)?;
        let new = self.observer.after(old.token, NEXT_LEADER_WITHIN)?;
        Ok((old, new, new.seen.saturating_duration_since(start)))
    }

    /// Waits until all containers are healthy, all members vote, and the store takes writes.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn settle(&self) -> Result<()> {
        self.compose.wait_healthy()?;
        let before = self.report()?.accepted;
        wait::until("a group that is whole and works", NEXT_LEADER_WITHIN, || {
            let whole = (0..INSTANCES).all(|it| {
                self.cluster(it).is_ok_and(|cluster| {
                    cluster.members.iter().filter(|it| it.role == "voter").count() == INSTANCES
                })
            });
            Ok((whole && self.report()?.accepted > before).then_some(()))
        })
    }

    /// Fails if anything was seen that must never be; of the store only while it checks tokens, for
    /// without them it loses updates.
    ///
    /// # Errors
    /// What was seen.
    pub fn verdict(&self) -> Result<()> {
        self.observer.verdict()?;
        let report = self.report()?;
        ensure!(report.shared_tokens == 0, "a token had two writers: {report:?}");
        if !report.fencing {
            return Ok(());
        }
        ensure!(report.backwards == 0, "an old token was taken after a new one: {report:?}");
        ensure!(report.lost == 0, "acknowledged items are gone: {report:?}");
        Ok(())
    }

    /// `docker <verb> <container of service>`: kill, start, pause, unpause, stop.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn tell(&self, verb: &str, service: &str) -> Result<()> {
        docker(&[verb, &self.id(service)?]).map(drop)
    }

    /// SIGKILL for the process that works, whose parent starts another.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn kill_application(&self, instance: usize) -> Result<()> {
        let address = self.app(instance)?;
        // No answer comes from the dead.
        let _ = ask(address, "POST", "/kill");
        Ok(())
    }

    /// Stops an instance between a read and a write, and waits until it stands there.
    ///
    /// # Errors
    /// It does not.
    pub fn pause(&self, instance: usize) -> Result<()> {
        ask(self.app(instance)?, "POST", "/pause")?;
        wait::until("a pause between a read and a write", NEXT_LEADER_WITHIN, || {
            Ok(self.instance(instance)?.paused.then_some(()))
        })
    }

    /// Lets a paused instance go on.
    ///
    /// # Errors
    /// It does not answer.
    pub fn resume(&self, instance: usize) -> Result<()> {
        ask(self.app(instance)?, "POST", "/resume").map(drop)
    }

    /// Cuts an instance and its sidecar off from everybody.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn cut(&self, instance: usize) -> Result<()> {
        docker(&["network", "disconnect", &self.network(), &self.id(&app(instance))?]).map(drop)
    }

    /// Ends the cut.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn mend(&self, instance: usize) -> Result<()> {
        let name = app(instance);
        let id = self.id(&name)?;
        docker(&["network", "connect", "--alias", &name, &self.network(), &id]).map(drop)
    }

    /// Address of an instance within the recipe's network.
    ///
    /// # Errors
    /// It does not run.
    pub fn inner_address(&self, instance: usize) -> Result<String> {
        const ADDRESS: &str = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        inspect(&self.id(&app(instance))?, ADDRESS)
    }

    /// Removes what a sidecar has on its disk; it must not run.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn wipe(&self, instance: usize) -> Result<()> {
        let image = inspect(&self.id(&app(instance))?, "{{.Config.Image}}")?;
        let volume = format!("{}_state-{instance}:/state", self.compose.project());
        let remove = "import os; [os.remove('/state/' + it) for it in os.listdir('/state')]";
        docker(&["run", "--rm", "-v", &volume, &image, "python3", "-c", remove]).map(drop)
    }

    fn network(&self) -> String {
        format!("{}_default", self.compose.project())
    }

    fn id(&self, service: &str) -> Result<String> {
        self.compose.container(service)
    }
}

/// A look at a sidecar by way of its application, at an address that is looked up again when nobody
/// answers there.
fn look(compose: &Arc<Compose>) -> Look {
    let compose = Arc::clone(compose);
    let addresses: Mutex<BTreeMap<usize, SocketAddr>> = Mutex::default();
    Arc::new(move |instance| {
        let known = || addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let address = known().get(&instance).copied();
        let address = address.or_else(|| compose.address(&app(instance), 8000).ok())?;
        let request = Request { path: "/leadership", timeout: LOOK_WITHIN, ..Request::default() };
        let Ok(answer) = request.send(address) else {
            known().remove(&instance);
            return None;
        };
        known().insert(instance, address);
        let view: Value = serde_json::from_str(&answer.body).ok()?;
        view["is_leader"].as_bool()?.then(|| view["leader"]["token"].as_u64())?
    })
}

fn ask(address: SocketAddr, method: &str, path: &str) -> Result<Response> {
    Request { method, path, timeout: LOOK_WITHIN * 5, ..Request::default() }.send(address)
}

fn json<T: for<'a> Deserialize<'a>>(response: &Response) -> Result<T> {
    ensure!(response.status == 200, "answered {}: {}", response.status, response.body);
    serde_json::from_str(&response.body).with_context(|| format!("read {:?}", response.body))
}
