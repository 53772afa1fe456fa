//! What can go wrong with a disk.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::InMemoryBackend;

use super::super::tests::{entries, state};
use super::*;

/// A disk that takes so many more bytes.
#[derive(Clone, Debug)]
struct Full {
    disk: Arc<InMemoryBackend>,
    left: Arc<AtomicU64>,
}

impl Full {
    fn take(&self, bytes: u64) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        let rest = left.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
        self.left.store(rest, Ordering::Relaxed);
        Ok(())
    }
}

impl StorageBackend for Full {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.take(len.saturating_sub(self.len()?))?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.take(0)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.take(data.len() as u64)?;
        self.disk.write(offset, data)
    }
}

fn write(index: u64) -> Write {
    let (entries, hard_state) = (entries(1, index..=index), state(1, 1, index));
    Write { entries, hard_state, sync: true, ..Write::default() }
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    // Full at many different points of a commit.
    for budget in (0..80).map(|step| step * 1111) {
        let disk = Arc::new(InMemoryBackend::new());
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let full = Full { disk, left: Arc::clone(&left) };
        let mut store = DiskStore::over(full.clone()).unwrap();
        store.save(&write(1)).unwrap();
        left.store(budget, Ordering::Relaxed);
        let mut index = 1;
        let failure = loop {
            match store.save(&write(index + 1)) {
                Ok(()) => index += 1,
                Err(error) => break error,
            }
        };
        assert!(format!("{failure:#}").starts_with("saving the replica's state: "));
        drop(store);
        left.store(u64::MAX, Ordering::Relaxed);
        let saved = DiskStore::over(full).unwrap().load().unwrap();
        let last = saved.entries.last().unwrap().index;
        assert!(last == index || last == index + 1, "the last write is there or not, as a whole");
        assert_eq!(saved.hard_state.commit, last);
        assert_eq!(saved.entries.len() as u64, last);
    }
}

#[test]
fn a_second_process_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let first = DiskStore::open(folder.path()).unwrap();
    let error = format!("{:#}", DiskStore::open(folder.path()).unwrap_err());
    assert!(error.ends_with("another process has it open"), "{error}");
    drop(first);
    DiskStore::open(folder.path()).unwrap();
}

#[test]
fn an_unknown_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskStore::open(folder.path()).unwrap();
    put_meta(&store.database, "format", &[2]).unwrap();
    drop(store);
    let error = format!("{:#}", DiskStore::open(folder.path()).unwrap_err());
    assert!(error.ends_with("its format is [2], and this version reads [1]"), "{error}");
}

#[test]
fn what_is_no_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), vec![b'x'; 4096]).unwrap();
    assert!(DiskStore::open(folder.path()).is_err());
    assert!(DiskStore::open(&folder.path().join(FILE)).is_err());
}

#[test]
fn others_cannot_look_into_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("state");
    drop(DiskStore::open(&inner).unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inner), mode(&inner.join(FILE))), (0o700, 0o600));
}

#[test]
fn the_file_stays_small_while_the_log_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = DiskStore::open(folder.path()).unwrap();
    let size = || std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    let round = |store: &mut DiskStore, round: u64| {
        let first = round * 100 + 1;
        for index in first..first + 100 {
            store.save(&write(index)).unwrap();
        }
        let snapshot = super::super::tests::snapshot(1, first + 99);
        store.save(&Write { snapshot, sync: true, ..Write::default() }).unwrap();
    };
    (0..3).for_each(|number| round(&mut store, number));
    let before = size();
    (3..12).for_each(|number| round(&mut store, number));
    assert!(size() <= 2 * before, "{} grew to {}", before, size());
}
