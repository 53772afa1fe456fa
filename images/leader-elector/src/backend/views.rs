//! Elections as a backend elsewhere was last seen to have them, for those who watch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Lease, View};
use crate::Boottime;

/// All elections seen or watched.
#[derive(Debug, Default)]
pub(super) struct Views(Mutex<BTreeMap<Arc<str>, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    /// Revision of the store up to which the view is true; what is older comes late and says
    /// nothing.
    known: u64,
    sender: watch::Sender<View>,
}

/// What was seen of an election.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Revision of the store as of which it is so.
    pub(super) known: u64,
    /// Version of the lease, not above that of any later change.
    pub(super) version: u64,
    /// The lease.
    pub(super) lease: Option<Lease>,
    /// A moment when it was so.
    pub(super) observed: Boottime,
}

// === impl Views ===

impl Views {
    /// Takes in what was seen, unless something newer was already.
    pub(super) fn update(&self, election: &Arc<str>, seen: Seen) {
        let mut entries = self.lock();
        let entry = entries.entry(Arc::clone(election)).or_default();
        if seen.known < entry.known {
            return;
        }
        entry.known = seen.known;
        entry.sender.send_if_modified(|view| {
            view.observed = view.observed.max(seen.observed);
            if view.lease == seen.lease {
                return false;
            }
            view.version = seen.version.max(view.version + 1);
            view.lease = seen.lease;
            true
        });
    }

    /// All views hold at `at` still.
    pub(super) fn observe(&self, at: Boottime) {
        for entry in self.lock().values() {
            entry.sender.send_if_modified(|view| {
                view.observed = view.observed.max(at);
                false
            });
        }
    }

    pub(super) fn get(&self, election: &str) -> Option<View> {
        self.lock().get(election).map(|entry| entry.sender.borrow().clone())
    }

    /// The election from now on.
    pub(super) fn subscribe(&self, election: &Arc<str>, known: u64) -> watch::Receiver<View> {
        let mut entries = self.lock();
        let entry = entries.entry(Arc::clone(election)).or_insert_with(|| Entry {
            known,
            sender: watch::Sender::new(View { version: known, ..View::default() }),
        });
        entry.sender.subscribe()
    }

    pub(super) fn list(&self) -> Vec<(Arc<str>, View)> {
        let view =
            |(name, entry): (&Arc<str>, &Entry)| (Arc::clone(name), entry.sender.borrow().clone());
        self.lock().iter().map(view).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::Session;

    fn lease(token: u64) -> Option<Lease> {
        let (holder, ttl) = ("a".into(), Duration::from_secs(1));
        Some(Lease { holder, session: Session(token), token, ttl, metadata: None })
    }

    fn seen(known: u64, version: u64, lease: Option<Lease>) -> Seen {
        Seen { known, version, lease, observed: Boottime(Duration::from_secs(known)) }
    }

    #[test]
    fn what_comes_late_says_nothing() {
        let (views, name) = (Views::default(), Arc::from("e"));
        let mut watch = views.subscribe(&name, 0);
        views.update(&name, seen(9, 9, None));
        assert!(!watch.has_changed().unwrap(), "free as before");
        views.update(&name, seen(7, 7, lease(7)));
        assert_eq!(views.get("e").unwrap().lease, None);
        views.update(&name, seen(12, 11, lease(11)));
        assert_eq!(watch.borrow_and_update().version, 11);
        views.update(&name, seen(13, 11, lease(11)));
        assert!(!watch.has_changed().unwrap(), "the same lease, seen again");
        assert_eq!(views.get("e").unwrap().observed, Boottime(Duration::from_secs(13)));
    }
}
