//! The group of sidecars keeps what every backend promises.
//!
//! Three members as in a process each, with their real drivers; frames go from mailbox to mailbox,
//! and can be held back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leader_elector::backend::Backend;
use leader_elector::backend::raft::Raft;
use leader_elector::bootstrap::Hello;
use leader_elector::driver::{self, Driver, Input, Mailbox, Peers};
use leader_elector::election::Table;
use leader_elector::replica::{Options, PlantedBugs};
use leader_elector::store::MemoryStore;
use leader_elector::wire::Frame;

use crate::conformance::{Place, conformance, until};

conformance!(Group);

/// Three members.
struct Group {
    network: Arc<Network>,
    sidecars: Vec<Arc<dyn Backend>>,
    /// The way to the first member.
    first: Mailbox,
}

#[derive(Default)]
struct Network {
    mailboxes: Mutex<BTreeMap<u64, Mailbox>>,
    cut: AtomicBool,
}

/// One member's way to the others.
struct Link {
    own: u64,
    network: Arc<Network>,
}

impl Peers for Link {
    fn send(&self, to: u64, frame: Frame) -> bool {
        if self.network.cut.load(Ordering::Relaxed) {
            return false;
        }
        let mailboxes = self.network.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let input = Input::Frame { from: self.own, frame };
        mailboxes.get(&to).is_some_and(|mailbox| mailbox.tell(input))
    }

    fn greet(&self, _: Hello) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        // The drivers end with their last mailbox.
        self.network.mailboxes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Place for Group {
    async fn start() -> Self {
        let network: Arc<Network> = Arc::default();
        let mut sidecars: Vec<Arc<dyn Backend>> = Vec::new();
        let mut hellos = BTreeMap::new();
        let mut first = 0;
        for number in 1..=3 {
            let name: Arc<str> = format!("member-{number}").into();
            let mut store = MemoryStore::default();
            let identity = driver::identity(&mut store, &name).unwrap();
            let id = identity.id;
            first = if number == 1 { id } else { first };
            let hello = Hello {
                id,
                name: Arc::clone(&name),
                witness: false,
                advertise: "".into(),
                expected: 3,
                group: None,
            };
            hellos.insert(id, hello.clone());
            let options = options(id, name);
            let election = options.tick * 2 * u32::from(options.election_ticks);
            let (mailbox, inbox) = driver::mailbox();
            let link = Box::new(Link { own: id, network: Arc::clone(&network) });
            let driver = Driver::new(inbox, Box::new(store), link, identity, options, hello, false);
            sidecars.push(Arc::new(Raft::new(mailbox.clone(), driver.shared(), election)));
            network.mailboxes.lock().unwrap().insert(id, mailbox);
            std::thread::spawn(move || driver.run(|| {}));
        }
        for mailbox in network.mailboxes.lock().unwrap().values() {
            assert!(mailbox.tell(Input::Peers { hellos: hellos.clone(), unanswered: 0 }));
        }
        let first = network.mailboxes.lock().unwrap()[&first].clone();
        let place = Self { network, sidecars, first };
        until("a leader of the group", async || {
            place.sidecars.iter().all(|sidecar| sidecar.ready().is_ok())
        })
        .await;
        place
    }

    fn sidecars(&self) -> [Arc<dyn Backend>; 2] {
        [Arc::clone(&self.sidecars[0]), Arc::clone(&self.sidecars[1])]
    }

    async fn waiting(&self, election: &str) -> Option<usize> {
        let election = election.to_owned();
        let (reply, waiting) = tokio::sync::oneshot::channel();
        let look = move |table: &Table| {
            let _ = reply.send(table.election(&election).map_or(0, |it| it.queue.len()));
        };
        assert!(self.first.tell(Input::Look(Box::new(look))));
        waiting.await.ok()
    }

    async fn cut(&mut self, off: bool) {
        self.network.cut.store(off, Ordering::Relaxed);
    }
}

fn options(id: u64, name: Arc<str>) -> Options {
    Options {
        id,
        name,
        witness: false,
        tick: Duration::from_millis(10),
        election_ticks: 16,
        heartbeat_ticks: 4,
        max_voters: 5,
        min_voters: 3,
        dead_after: Duration::ZERO,
        seed: id,
        wall_seconds: 1_700_000_000,
        token_floor: 0,
        snapshot_every: 20,
        planted: PlantedBugs::default(),
    }
}
