//! Who is connected, and by which connection a member is reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use super::handshake::{Process, Session};
use super::outbox::Route;
use super::{Counters, Credentials, Inbox, Known, Refused, lock};
use crate::bootstrap::Hello;

/// What all connections of a transport share.
pub(super) struct Shared {
    pub(super) credentials: Credentials,
    pub(super) process: Process,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) counters: Arc<Counters>,
    /// What this member says of itself.
    pub(super) own: watch::Sender<Arc<Hello>>,
    pub(super) known: watch::Sender<Known>,
    /// That there may be other addresses to dial than before.
    pub(super) changed: Notify,
    /// That somebody is back, so that it makes sense to dial again at once.
    pub(super) nudge: Notify,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// Numbers connections and hellos, newest last.
    last: u64,
    connections: HashMap<u64, Connection>,
    routes: HashMap<u64, Arc<Route>>,
    /// Addresses given by discovery.
    targets: BTreeSet<String>,
    /// Addresses at which this member itself answers.
    own: BTreeSet<String>,
}

struct Connection {
    hello: Hello,
    /// When the hello came.
    heard: u64,
    /// Of one that was dialed.
    dialed: Option<(String, Arc<Route>)>,
}

/// A connection in the table, until this is dropped.
pub(super) struct Entry {
    shared: Arc<Shared>,
    number: u64,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        credentials: Credentials,
        process: Process,
        inbox: Arc<dyn Inbox>,
        own: Hello,
    ) -> Self {
        Self {
            credentials,
            process,
            inbox,
            counters: Arc::default(),
            own: watch::Sender::new(Arc::new(own)),
            known: watch::Sender::new(Known::default()),
            changed: Notify::new(),
            nudge: Notify::new(),
            table: Mutex::default(),
        }
    }

    /// Whether a connection is one of this member to itself.
    pub(super) fn is_own(&self, session: &Session) -> Result<bool, Refused> {
        match session.hello.id == self.own.borrow().id {
            false => Ok(false),
            true if session.process == self.process => Ok(true),
            true => Err(Refused::Copied),
        }
    }

    /// The newest connection to a member.
    pub(super) fn route(&self, id: u64) -> Option<Arc<Route>> {
        lock(&self.table).routes.get(&id).cloned()
    }

    /// An accepted connection has opened.
    pub(super) fn accepted(self: &Arc<Self>, hello: Hello) -> Entry {
        self.opened(hello, None)
    }

    /// A dialed connection has opened.
    pub(super) fn dialed(self: &Arc<Self>, address: &str, hello: Hello, via: Arc<Route>) -> Entry {
        self.opened(hello, Some((address.to_owned(), via)))
    }

    fn opened(self: &Arc<Self>, hello: Hello, dialed: Option<(String, Arc<Route>)>) -> Entry {
        let number = self.update(|table| {
            table.last += 1;
            let heard = table.last;
            table.connections.insert(heard, Connection { hello, heard, dialed });
            heard
        });
        self.nudge.notify_waiters();
        Entry { shared: Arc::clone(self), number }
    }

    /// Whether this member itself answers at an address.
    pub(super) fn set_own(&self, address: &str, own: bool) {
        if own != lock(&self.table).own.contains(address) {
            self.update(|table| {
                if own { table.own.insert(address.to_owned()) } else { table.own.remove(address) }
            });
        }
    }

    pub(super) fn set_targets(&self, targets: BTreeSet<String>) {
        self.update(|table| table.targets = targets);
    }

    /// What should be dialed: what discovery gave, what members said that cannot be discovered, and
    /// what is connected already and the only way to somebody.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        let table = lock(&self.table);
        let own = self.own.borrow().id;
        let mut wanted = table.targets.clone();
        let dialed = || table.connections.values().filter_map(|it| Some((it, it.dialed.as_ref()?)));
        for (connection, (address, _)) in dialed() {
            let id = connection.hello.id;
            let target = |other: &str| other != address && table.targets.contains(other);
            if !dialed().any(|(it, (other, _))| it.hello.id == id && target(other)) {
                wanted.insert(address.clone());
            }
        }
        for connection in table.connections.values().filter(|it| it.dialed.is_none()) {
            let hello = &connection.hello;
            let reached = table.routes.contains_key(&hello.id) || hello.id == own;
            if !reached && !hello.advertise.is_empty() && !table.own.contains(&*hello.advertise) {
                wanted.insert(hello.advertise.to_string());
            }
        }
        wanted
    }

    /// Changes the table and all that follows from it.
    fn update<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = lock(&self.table);
        let result = change(&mut table);
        table.routes = table
            .newest(|connection| connection.dialed.as_ref().map(|(_, route)| Arc::clone(route)));
        let known = Known {
            hellos: BTreeMap::from_iter(table.newest(|it| Some(it.hello.clone()))),
            unanswered: table.unanswered(),
        };
        // Under the lock, so that an older one never replaces a newer one.
        self.known.send_if_modified(|old| {
            let different = *old != known;
            *old = known;
            different
        });
        drop(table);
        self.changed.notify_one();
        result
    }
}

// === impl Table ===

impl Table {
    /// Something of each member, by the connection that was heard of last.
    fn newest<T>(&self, of: impl Fn(&Connection) -> Option<T>) -> HashMap<u64, T> {
        let mut connections: Vec<&Connection> = self.connections.values().collect();
        connections.sort_by_key(|connection| connection.heard);
        connections.into_iter().filter_map(|it| Some((it.hello.id, of(it)?))).collect()
    }

    fn unanswered(&self) -> usize {
        let dialed = |address: &&String| {
            let at = |it: &Connection| it.dialed.as_ref().is_some_and(|(at, _)| at == *address);
            self.connections.values().any(at) || self.own.contains(*address)
        };
        self.targets.iter().filter(|address| !dialed(address)).count()
    }
}

// === impl Entry ===

impl Entry {
    /// The other side has changed.
    pub(super) fn heard(&self, hello: Hello) {
        self.shared.update(|table| {
            table.last += 1;
            let heard = table.last;
            if let Some(connection) = table.connections.get_mut(&self.number) {
                if let Some((_, route)) = &connection.dialed {
                    route.set_group(hello.group_id());
                }
                (connection.hello, connection.heard) = (hello, heard);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let closed = self.shared.update(|table| table.connections.remove(&self.number));
        let Some(Connection { hello, dialed: Some(_), .. }) = closed else { return };
        if self.shared.route(hello.id).is_none() {
            self.shared.inbox.unreachable(hello.id);
        }
    }
}
