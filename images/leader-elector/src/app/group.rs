//! A member of the group of sidecars, put together: store, connections, driver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use management::Handle;
use tracing::{info, warn};

use super::pulse::Pulse;
use crate::backend::raft::Raft;
use crate::bootstrap::Hello;
use crate::config::{Config, PeerAuth, RaftConfig};
use crate::discovery::Discovery;
use crate::driver::{self, Driver, Input, Mailbox, Peers, Shared};
use crate::metrics::GroupParts;
use crate::replica::{Options, PlantedBugs};
use crate::store::{DiskStore, MemoryStore, Store};
use crate::transport::{Inbox, Outbox, Transport};
use crate::wire::Frame;

/// Entries applied between two snapshots.
const SNAPSHOT_EVERY: u64 = 1000;

/// A member that is bound and not started.
pub(super) struct Group {
    driver: Driver,
    transport: Transport,
    discovery: Discovery,
    mailbox: Mailbox,
    shared: Arc<Shared>,
    listen: SocketAddr,
    election: Duration,
    pulse: Arc<Pulse>,
}

/// What remains of a started member for others.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) mailbox: Mailbox,
    pub(super) metrics: GroupParts,
}

// === impl Group ===

impl Group {
    /// Opens the store and binds the peer port.
    pub(super) async fn bind(config: &Config, raft: &RaftConfig) -> anyhow::Result<Self> {
        if matches!(raft.auth, PeerAuth::None) && !raft.is_alone() {
            warn!("anybody who reaches the peer port can take part in the group");
        }
        let mut store: Box<dyn Store> = match &raft.data_dir {
            Some(folder) => Box::new(DiskStore::open(folder)?),
            None => Box::new(MemoryStore::default()),
        };
        let identity = driver::identity(&mut *store, &config.id)?;
        let (mailbox, inbox) = driver::mailbox();
        let mut hello = Hello {
            id: identity.id,
            name: Arc::clone(&config.id),
            witness: raft.witness,
            advertise: raft.advertise.as_deref().unwrap_or_default().into(),
            expected: raft.expect,
            group: identity.group.clone(),
        };
        let entrance = Arc::new(Entrance(mailbox.clone()));
        let transport =
            Transport::bind(raft.listen, (&raft.auth).into(), hello.clone(), entrance).await?;
        let listen = transport.local_addr()?;
        info!(%listen, id = format_args!("{:016x}", identity.id), "peer port bound");
        if raft.advertise.is_none() {
            // Others know the address that we come from, and lack only the port.
            hello.advertise = format!(":{}", listen.port()).into();
            transport.outbox().set_hello(hello.clone());
        }
        let options = options(config, raft, identity.id)?;
        let peers = Box::new(Exit(transport.outbox()));
        let driver = Driver::new(inbox, store, peers, identity, options, hello, raft.is_alone());
        let shared = driver.shared();
        let discovery = Discovery::new(&raft.discovery, raft.expect);
        let election = 2 * raft.election_timeout();
        let pulse = Arc::new(Pulse::new("driver"));
        Ok(Self { driver, transport, discovery, mailbox, shared, listen, election, pulse })
    }

    /// The backend that this member is.
    pub(super) fn backend(&self) -> Arc<Raft> {
        Arc::new(Raft::new(self.mailbox.clone(), Arc::clone(&self.shared), self.election))
    }

    /// Whether the driver's thread turns.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    pub(super) fn running(&self) -> Running {
        let metrics = GroupParts {
            shared: Arc::clone(&self.shared),
            counters: self.transport.counters(),
            listen: self.listen.to_string(),
        };
        Running { mailbox: self.mailbox.clone(), metrics }
    }

    /// Starts the driver's thread, and the connections on the runtime of the caller.
    pub(super) fn start(self, handle: &Handle) -> anyhow::Result<()> {
        let Self { driver, transport, discovery, mailbox, pulse, .. } = self;
        let beat = handle.heartbeat("driver");
        let failed = handle.clone();
        handle.spawn_thread("driver", move || {
            let turned = || {
                beat.beat();
                pulse.beat();
            };
            if let Err(error) = driver.run(turned) {
                failed.fail(format!("the group's state: {error:#}"));
            }
        })?;
        let mut known = transport.known();
        let targets = discovery.targets();
        handle.spawn("peers", transport.run(targets));
        handle.spawn("discovery", discovery.run());
        handle.spawn("acquaintance", async move {
            loop {
                let now = known.borrow_and_update().clone();
                let told = Input::Peers { hellos: now.hellos, unanswered: now.unanswered };
                // The mailbox is full of what is more urgent: it is told again soon.
                let retry = !mailbox.tell(told);
                let pause = Duration::from_millis(if retry { 10 } else { 1000 });
                let _ = tokio::time::timeout(pause, known.changed()).await;
            }
        });
        Ok(())
    }
}

fn options(config: &Config, raft: &RaftConfig, id: u64) -> anyhow::Result<Options> {
    Ok(Options {
        id,
        name: Arc::clone(&config.id),
        witness: raft.witness,
        tick: raft.tick,
        election_ticks: raft.election_ticks,
        heartbeat_ticks: raft.heartbeat_ticks,
        max_voters: raft.max_voters,
        min_voters: raft.min_voters,
        dead_after: raft.dead_after.unwrap_or_default(),
        seed: driver::random()?,
        wall_seconds: wall_seconds()?,
        token_floor: raft.token_floor,
        snapshot_every: SNAPSHOT_EVERY,
        planted: PlantedBugs::default(),
    })
}

/// Seconds of the wall clock: what the tokens of a new group start from, and nothing else.
pub(super) fn wall_seconds() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("read the wall clock")?;
    Ok(since.as_secs())
}

// === the seams between driver and connections ===

struct Entrance(Mailbox);

struct Exit(Outbox);

impl Inbox for Entrance {
    fn frame(&self, from: u64, frame: Frame) {
        // Dropped when the driver cannot keep up, as a network may.
        let _ = self.0.tell(Input::Frame { from, frame });
    }

    fn unreachable(&self, id: u64) {
        let _ = self.0.tell(Input::Unreachable(id));
    }
}

impl Peers for Exit {
    fn send(&self, to: u64, frame: Frame) -> bool {
        self.0.send(to, frame)
    }

    fn greet(&self, hello: Hello) {
        self.0.set_hello(hello);
    }
}
