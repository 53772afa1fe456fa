//! What every store does, run over both.

use std::sync::Arc;

use proptest::prelude::*;
use raft::eraftpb::{Entry, HardState, Snapshot};

use super::*;
use crate::bootstrap::{Founder, Group};

/// A store and a way to stop and start the process.
trait Machine {
    fn store(&mut self) -> &mut dyn Store;
    fn restart(&mut self);
}

struct Disk {
    folder: tempfile::TempDir,
    store: Option<DiskStore>,
}

impl Machine for MemoryStore {
    fn store(&mut self) -> &mut dyn Store {
        self
    }

    /// In memory nothing outlives a process; what does is the machine of the simulation.
    fn restart(&mut self) {}
}

impl Machine for Disk {
    fn store(&mut self) -> &mut dyn Store {
        let open = || DiskStore::open(&self.folder.path().join("a/b")).unwrap();
        self.store.get_or_insert_with(open)
    }

    fn restart(&mut self) {
        self.store = None;
    }
}

fn disk() -> Disk {
    Disk { folder: tempfile::tempdir().unwrap(), store: None }
}

/// Runs a test over both stores.
fn both(test: impl Fn(&mut dyn Machine)) {
    test(&mut MemoryStore::default());
    test(&mut disk());
}

pub(super) fn entries(term: u64, indices: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    let entry = |index| Entry {
        term,
        index,
        data: format!("{term}/{index}").into_bytes().into(),
        ..Entry::default()
    };
    indices.into_iter().map(entry).collect()
}

pub(super) fn state(term: u64, vote: u64, commit: u64) -> Option<HardState> {
    Some(HardState { term, vote, commit, ..HardState::default() })
}

pub(super) fn snapshot(term: u64, index: u64) -> Option<Snapshot> {
    let mut snapshot = Snapshot { data: vec![7; 100].into(), ..Snapshot::default() };
    snapshot.mut_metadata().index = index;
    snapshot.mut_metadata().term = term;
    snapshot.mut_metadata().mut_conf_state().voters = vec![1, 2, 3];
    Some(snapshot)
}

fn save(machine: &mut dyn Machine, write: Write) {
    machine.store().save(&Write { sync: true, ..write }).unwrap();
}

fn log(machine: &mut dyn Machine) -> Vec<(u64, u64)> {
    let saved = machine.store().load().unwrap();
    saved.entries.iter().map(|entry| (entry.term, entry.index)).collect()
}

#[test]
fn an_empty_store_is_empty() {
    both(|machine| {
        assert_eq!(machine.store().identity().unwrap(), None);
        assert_eq!(machine.store().load().unwrap(), Saved::default());
        machine.restart();
        assert_eq!(machine.store().load().unwrap(), Saved::default());
    });
}

#[test]
fn what_was_written_is_read_after_a_restart() {
    both(|machine| {
        let mut identity = Identity { id: 5, name: "a".into(), group: None };
        machine.store().set_identity(&identity).unwrap();
        let founder = Founder { id: 5, name: Arc::clone(&identity.name), witness: false };
        identity.group = Some(Group::of(vec![founder]));
        machine.store().set_identity(&identity).unwrap();
        let write = Write {
            snapshot: snapshot(1, 10),
            entries: entries(2, 11..=13),
            hard_state: state(2, 5, 12),
            ..Write::default()
        };
        save(machine, write.clone());
        machine.restart();
        assert_eq!(machine.store().identity().unwrap(), Some(identity));
        let saved = machine.store().load().unwrap();
        assert_eq!(Some(saved.snapshot), write.snapshot);
        assert_eq!(Some(saved.hard_state), write.hard_state);
        assert_eq!(saved.entries, write.entries);
    });
}

#[test]
fn an_overwritten_suffix_is_gone() {
    both(|machine| {
        save(machine, Write { entries: entries(1, 1..=6), ..Write::default() });
        save(machine, Write { entries: entries(2, 3..=4), ..Write::default() });
        assert_eq!(log(machine), [(1, 1), (1, 2), (2, 3), (2, 4)]);
        machine.restart();
        assert_eq!(log(machine), [(1, 1), (1, 2), (2, 3), (2, 4)]);
        save(machine, Write { entries: entries(3, 1..=1), ..Write::default() });
        assert_eq!(log(machine), [(3, 1)]);
    });
}

#[test]
fn a_snapshot_drops_what_it_covers() {
    both(|machine| {
        save(machine, Write { entries: entries(1, 1..=6), ..Write::default() });
        save(machine, Write { snapshot: snapshot(1, 4), first_index: 5, ..Write::default() });
        assert_eq!(log(machine), [(1, 5), (1, 6)]);
        machine.restart();
        assert_eq!(log(machine), [(1, 5), (1, 6)]);
        save(machine, Write { entries: entries(1, 7..=7), ..Write::default() });
        save(machine, Write { snapshot: snapshot(1, 7), ..Write::default() });
        assert_eq!(log(machine), []);
        save(machine, Write { entries: entries(1, 8..=8), ..Write::default() });
        assert_eq!(log(machine), [(1, 8)]);
    });
}

#[test]
fn a_snapshot_that_contradicts_the_log_drops_all_of_it() {
    both(|machine| {
        save(machine, Write { entries: entries(1, 1..=6), ..Write::default() });
        let entries = entries(3, 5..=5);
        save(machine, Write { snapshot: snapshot(2, 4), entries, ..Write::default() });
        assert_eq!(log(machine), [(3, 5)]);
        save(machine, Write { snapshot: snapshot(3, 100), ..Write::default() });
        machine.restart();
        assert_eq!(log(machine), []);
    });
}

#[test]
fn gaps_are_refused_and_change_nothing() {
    both(|machine| {
        save(machine, Write { entries: entries(1, 1..=3), ..Write::default() });
        save(machine, Write { snapshot: snapshot(1, 2), ..Write::default() });
        let wrong = [
            Write { entries: entries(1, 5..=6), ..Write::default() },
            Write { entries: entries(1, 2..=4), ..Write::default() },
            Write { entries: entries(1, [4, 6]), ..Write::default() },
            Write { first_index: 4, ..Write::default() },
            Write { snapshot: snapshot(1, 1), ..Write::default() },
        ];
        for write in wrong {
            assert!(machine.store().save(&write).is_err(), "{write:?}");
            assert!(machine.store().save(&Write { sync: true, ..write }).is_err());
        }
        machine.restart();
        assert_eq!(log(machine), [(1, 3)]);
    });
}

#[test]
fn unsynced_writes_are_read_before_and_after_the_next() {
    both(|machine| {
        save(machine, Write { hard_state: state(1, 1, 0), ..Write::default() });
        let commit = Write { hard_state: state(1, 1, 5), ..Write::default() };
        machine.store().save(&commit).unwrap();
        assert_eq!(machine.store().load().unwrap().hard_state.commit, 5);
        save(machine, Write { entries: entries(1, 1..=1), ..Write::default() });
        assert_eq!(machine.store().load().unwrap().hard_state.commit, 5);
        machine.store().save(&Write { entries: entries(1, 2..=2), ..commit.clone() }).unwrap();
        machine.store().save(&Write { hard_state: state(1, 1, 7), ..Write::default() }).unwrap();
        machine.restart();
        let saved = machine.store().load().unwrap();
        assert_eq!((saved.hard_state.commit, saved.entries.len()), (7, 2));
    });
}

#[test]
fn a_crash_takes_what_was_not_synced() {
    let mut store = MemoryStore::default();
    let write = |term, indices, sync| Write {
        entries: entries(term, indices),
        hard_state: state(term, 0, 0),
        sync,
        ..Write::default()
    };
    store.save(&write(1, 1..=2, false)).unwrap();
    store.save(&write(1, 3..=3, true)).unwrap();
    store.save(&write(2, 2..=5, false)).unwrap();
    assert_eq!(store.unsynced(), 1);
    assert_eq!(store.load().unwrap().entries.len(), 5);
    store.crash();
    let saved = store.load().unwrap();
    assert_eq!((saved.entries, saved.hard_state.term), (entries(1, 1..=3), 1));
    store.save(&write(3, 4..=4, true)).unwrap();
    assert_eq!(store.load().unwrap().entries.len(), 4);
}

/// A write that is right for a log, as chosen by numbers.
fn arbitrary(extent: Extent, choice: &[u64; 5]) -> Write {
    let [kind, at, count, term, sync] = *choice;
    let mut write = Write { sync: sync % 2 == 0, ..Write::default() };
    let mut extent = extent;
    if kind % 5 == 0 {
        let index = extent.covered + at % (extent.next - extent.covered + 3);
        write.snapshot = snapshot(term % 3, index);
        let known = index == extent.covered;
        extent.covered = index;
        extent.first = index + 1;
        // Its entries follow right on it, which is always allowed.
        extent.next = if known { extent.next } else { extent.first };
    }
    if kind % 2 == 0 {
        let from = extent.first + at % (extent.next - extent.first + 1);
        write.entries = entries(term % 3, from..from + count % 4);
    }
    write.hard_state = (kind % 3 == 0).then(|| state(term, 0, at)).flatten();
    write
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_are_alike(choices in prop::collection::vec(any::<[u64; 5]>(), 1..40)) {
        let (mut memory, mut disk) = (MemoryStore::default(), disk());
        for choice in &choices {
            let saved = memory.load().unwrap();
            prop_assert_eq!(&saved, &disk.store().load().unwrap());
            let write = arbitrary(Extent::of(&saved), choice);
            memory.save(&write).unwrap();
            disk.store().save(&write).unwrap();
            if choice[4] % 7 == 0 {
                disk.restart();
            }
        }
        prop_assert_eq!(memory.load().unwrap(), disk.store().load().unwrap());
    }
}
