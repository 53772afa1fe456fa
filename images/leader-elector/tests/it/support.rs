//! A sidecar in this process, a client of its own, and waiting for conditions.

pub(crate) mod apiserver;
mod client;
pub(crate) mod etcd;
mod faulty;
mod group;
mod random;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leader_elector::agent::{Action, Agent, AgentConfig};
use leader_elector::api::{Api, ApiConfig};
use leader_elector::backend::single::Single;
use leader_elector::backend::{Acquire, Backend, Session};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use client::{Connection, Event, Reply};
pub(crate) use faulty::{Fault, Faulty};
pub(crate) use group::{Group, Member, wait_for};
pub(crate) use random::Random;

/// Longest wait for anything in these tests; only a failing test waits that long.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);
/// Tokens of these tests are above this.
pub(crate) const TOKEN_BASE: u64 = 1_700_000_000 << 20;

/// A sidecar; it ends when this is dropped.
pub(crate) struct Sidecar {
    pub(crate) addr: SocketAddr,
    pub(crate) agent: Arc<Agent>,
    pub(crate) api: Arc<Api>,
    pub(crate) tasks: JoinSet<()>,
}

/// A backend that runs until this is dropped.
pub(crate) struct Store {
    pub(crate) single: Arc<Single>,
    _tasks: JoinSet<()>,
}

// === impl Store ===

impl Store {
    pub(crate) fn start() -> Self {
        let single = Single::new("solo".into(), TOKEN_BASE);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&single).run());
        Self { single, _tasks: tasks }
    }
}

// === impl Sidecar ===

/// A sidecar of a name, as most tests want it.
pub(crate) fn config(id: &str) -> AgentConfig {
    AgentConfig {
        id: id.into(),
        elections: vec!["jobs".into(), "mail".into()],
        ttl: Duration::from_secs(30),
        ttl_min: Duration::from_millis(200),
        priority: 0,
        on_lost: Action::None,
        stop_margin: Duration::ZERO,
        witness: false,
    }
}

impl Sidecar {
    pub(crate) async fn start(backend: Arc<dyn Backend>, id: &str) -> Self {
        Self::with(backend, config(id), ApiConfig::default()).await
    }

    pub(crate) async fn with(
        backend: Arc<dyn Backend>,
        config: AgentConfig,
        api: ApiConfig,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let agent = Agent::new(backend, config);
        let api = Api::new(Arc::clone(&agent), api);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&agent).run());
        tasks.spawn(Arc::clone(&api).serve(listener));
        Self { addr, agent, api, tasks }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.addr).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.connect().await.call("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.connect().await.call("POST", path, &[], body).await
    }

    /// Takes an election, and gives its session and token as the body of a renewal.
    pub(crate) async fn lead(&self, election: &str, body: &str) -> (Value, String) {
        let reply = self.post(&format!("/v1/elections/{election}/acquire"), body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let lease = reply.json();
        let renewal = format!(r#"{{"session":{},"token":{}}}"#, lease["session"], lease["token"]);
        (lease, renewal)
    }

    pub(crate) async fn leads(&self, election: &str) -> bool {
        self.get(&format!("/v1/elections/{election}/is-leader")).await.status == 200
    }
}

/// A candidate for `jobs` past every sidecar.
pub(crate) fn candidate(name: &str, session: u64) -> Acquire {
    Acquire {
        election: "jobs".into(),
        holder: name.into(),
        session: Session(session),
        ttl: WAIT_MAX,
        priority: 0,
        wait: true,
        metadata: None,
        request_id: None,
    }
}

/// Polls a condition; a test fails if it does not come to hold.
pub(crate) async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < WAIT_MAX, "waited too long until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A port on 127.0.0.1 that the kernel just had free.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
