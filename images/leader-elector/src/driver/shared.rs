//! What the driver lets others see without asking it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::Boottime;
use crate::backend::View;
use crate::bootstrap::Group;
use crate::election::{Change, ELECTIONS_MAX, Table};
use crate::replica::Status;

/// Elections kept here at once, but for those that are held or watched: above what the table has.
const ELECTIONS_KEPT_MAX: usize = 2 * ELECTIONS_MAX;

/// How far a member has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It was just started.
    #[default]
    Starting,
    /// It waits for others, and why.
    Waiting(&'static str),
    /// It is part of a group.
    Member,
}

/// Written by the driver, read by all.
pub struct Shared {
    name: Arc<str>,
    id: u64,
    phase: Mutex<Phase>,
    group: Mutex<Option<Group>>,
    status: Mutex<Status>,
    reachable: Mutex<Vec<u64>>,
    elections: Mutex<HashMap<Arc<str>, Election>>,
    /// The version of elections that are not among them.
    forgotten: AtomicU64,
    contact: AtomicU64,
    stranded: AtomicBool,
    saves: AtomicU64,
    saves_nanos: AtomicU64,
}

/// An election as applied here.
struct Election {
    sender: watch::Sender<View>,
    /// The highest token given in it.
    token: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can be left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Shared: for readers ===

impl Shared {
    /// Name of this member.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Id of this member.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How far this member has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    /// The group, once there is one.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        lock(&self.group).clone()
    }

    /// Where the replica stood at the end of its last turn.
    #[must_use]
    pub fn status(&self) -> Status {
        lock(&self.status).clone()
    }

    /// Ids of the members that answer.
    #[must_use]
    pub fn reachable(&self) -> Vec<u64> {
        lock(&self.reachable).clone()
    }

    /// When a leader of the group was last heard of here.
    #[must_use]
    pub fn contact(&self) -> Boottime {
        Boottime(Duration::from_nanos(self.contact.load(Ordering::Relaxed)))
    }

    /// Writes to the store so far, and the time they took.
    #[must_use]
    pub fn writes(&self) -> (u64, Duration) {
        let nanos = self.saves_nanos.load(Ordering::Relaxed);
        (self.saves.load(Ordering::Relaxed), Duration::from_nanos(nanos))
    }

    /// The election as applied here.
    #[must_use]
    pub fn view(&self, election: &str) -> View {
        let view = lock(&self.elections).get(election).map(|it| it.sender.borrow().clone());
        View { observed: self.contact(), ..view.unwrap_or_else(|| self.unknown()) }
    }

    /// The highest token given in an election, as applied here; 0 before the first.
    #[must_use]
    pub fn token_highest(&self, election: &str) -> u64 {
        lock(&self.elections).get(election).map_or(0, |known| known.token)
    }

    /// The election from now on.
    #[must_use]
    pub fn watch(&self, election: &Arc<str>) -> watch::Receiver<View> {
        let mut elections = lock(&self.elections);
        if let Some(known) = elections.get(election) {
            return known.sender.subscribe();
        }
        let (sender, receiver) = watch::channel(self.unknown());
        if elections.len() >= ELECTIONS_KEPT_MAX {
            // Of the rest nothing is known that an unknown one does not have as well.
            elections.retain(|_, it| {
                it.sender.receiver_count() > 0 || it.sender.borrow().lease.is_some()
            });
        }
        elections.insert(Arc::clone(election), Election { sender, token: 0 });
        receiver
    }

    /// What is known of an election that nobody asked for yet, or that was forgotten.
    fn unknown(&self) -> View {
        View { version: self.forgotten.load(Ordering::Relaxed), ..View::default() }
    }

    /// All elections applied here, by name.
    #[must_use]
    pub fn views(&self) -> Vec<(Arc<str>, View)> {
        let observed = self.contact();
        let elections = lock(&self.elections);
        let known = elections.iter().filter(|(_, it)| it.sender.borrow().version > 0);
        let view = |it: &Election| View { observed, ..it.sender.borrow().clone() };
        let mut views: Vec<_> = known.map(|(name, it)| (Arc::clone(name), view(it))).collect();
        views.sort_by(|one, other| one.0.cmp(&other.0));
        views
    }
}

// === impl Shared: for the driver ===

impl Shared {
    pub(crate) fn new(name: Arc<str>, id: u64) -> Self {
        Self {
            name,
            id,
            phase: Mutex::default(),
            group: Mutex::default(),
            status: Mutex::default(),
            reachable: Mutex::default(),
            elections: Mutex::default(),
            forgotten: AtomicU64::new(0),
            contact: AtomicU64::new(0),
            stranded: AtomicBool::new(false),
            saves: AtomicU64::new(0),
            saves_nanos: AtomicU64::new(0),
        }
    }

    /// Whether that is news.
    pub(super) fn set_phase(&self, phase: Phase) -> bool {
        let before = std::mem::replace(&mut *lock(&self.phase), phase.clone());
        before != phase
    }

    /// Whether that is news.
    pub(super) fn set_stranded(&self, stranded: bool) -> bool {
        self.stranded.swap(stranded, Ordering::Relaxed) != stranded
    }

    pub(super) fn started(&self, group: &Group) {
        self.set_phase(Phase::Member);
        *lock(&self.group) = Some(group.clone());
    }

    pub(super) fn set_status(&self, status: Status) {
        *lock(&self.status) = status;
    }

    pub(super) fn set_reachable(&self, ids: &[u64]) {
        *lock(&self.reachable) = ids.to_vec();
    }

    pub(super) fn set_contact(&self, now: Boottime) {
        self.contact.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn saved(&self, took: Duration) {
        self.saves.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.saves_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn publish(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let observed = Boottime::now();
        // Commands that share an entry share its version: only what the last of them left may be
        // seen, or who saw less and comes back with that version would never be told the rest.
        let last = changes.into_iter().map(|change| (Arc::clone(&change.election), change));
        let last: HashMap<Arc<str>, Change> = last.collect();
        let mut elections = lock(&self.elections);
        for Change { election, version, token, lease } in last.into_values() {
            let view = View { lease, version, observed };
            match elections.get_mut(&election) {
                Some(known) => {
                    known.token = token;
                    known.sender.send_replace(view);
                }
                None => {
                    let sender = watch::channel(view).0;
                    elections.insert(election, Election { sender, token });
                }
            }
        }
    }

    pub(super) fn set_forgotten(&self, version: u64) {
        self.forgotten.store(version, Ordering::Relaxed);
    }

    pub(super) fn publish_table(&self, table: &Table) {
        self.set_forgotten(table.version_forgotten());
        let changes = table.elections().map(|(name, election)| Change {
            election: Arc::clone(name),
            version: election.version,
            token: election.token,
            lease: election.held.as_ref().map(|held| held.lease.clone()),
        });
        self.publish(changes.collect());
    }
}
