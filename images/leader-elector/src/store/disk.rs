//! A store in one file, by redb: what one call writes is there after a crash, or none of it.
//!
//! Raft says of most writes of the commit index alone that they need not be durable. Those wait in
//! memory for the next write and share its transaction: as safe, and half the work.

#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use raft::eraftpb::HardState;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    Table, TableDefinition, WriteTransaction,
};

use super::{Extent, Saved, Store, Write};
use crate::bootstrap::Identity;
use crate::codec::{CodecError, Reader, Writer};
use crate::wire;

/// The file in the data folder.
const FILE: &str = "state.redb";
/// Changes when an older version could not read the file.
const FORMAT: &[u8] = &[1];
/// Pages kept in memory. After the start the file is hardly read, and every page of the log that
/// is written next was just written.
const CACHE_BYTES: usize = 1024 * 1024;

const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const SNAPSHOT: TableDefinition<'static, (), &[u8]> = TableDefinition::new("snapshot");
/// Entries by index, and the hard state after all of them: a commit writes every page on the way to
/// what changed anew, and so the newest entry and the hard state share their pages.
const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// No entry has this index.
const HARD_STATE: u64 = u64::MAX;

/// A store on a disk.
#[derive(Debug)]
pub struct DiskStore {
    database: Database,
    extent: Extent,
    /// Not in the file yet.
    unwritten: Option<HardState>,
    /// Used again for each value.
    buffer: Writer,
}

// === impl DiskStore ===

impl DiskStore {
    /// Opens the state in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// Another process has it open, the disk refuses, or the state is not understood.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let doing = || format!("opening the state in {}", folder.display());
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).with_context(doing)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(folder.join(FILE)).with_context(doing)?;
        let backend = FileBackend::new(file).with_context(doing)?;
        let store = Self::over(backend).with_context(doing)?;
        // So that the file's name is as durable as what is in it.
        File::open(folder).and_then(|folder| folder.sync_all()).with_context(doing)?;
        Ok(store)
    }

    fn over(backend: impl StorageBackend) -> anyhow::Result<Self> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = match builder.create_with_backend(backend) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => bail!("another process has it open"),
            Err(error) => return Err(error.into()),
        };
        check_format(&database)?;
        let saved = read(&database)?;
        let extent = Extent::of(&saved);
        Ok(Self { database, extent, unwritten: None, buffer: Writer::default() })
    }

    fn write(&mut self, write: &Write, after: Extent) -> anyhow::Result<()> {
        let mut transaction = self.database.begin_write()?;
        if !write.sync {
            transaction.set_durability(Durability::None)?;
        }
        if let Some(snapshot) = &write.snapshot {
            let bytes = encoded(&mut self.buffer, |to| wire::encode_snapshot(snapshot, to));
            transaction.open_table(SNAPSHOT)?.insert((), bytes)?;
        }
        let mut log = transaction.open_table(LOG)?;
        drop_entries(&mut log, self.extent.first, after.first.min(self.extent.next))?;
        drop_entries(&mut log, after.next.max(self.extent.first), self.extent.next)?;
        for entry in &write.entries {
            let bytes = encoded(&mut self.buffer, |to| wire::encode_entry(entry, to));
            log.insert(entry.index, bytes)?;
        }
        if let Some(state) = write.hard_state.as_ref().or(self.unwritten.as_ref()) {
            let bytes = encoded(&mut self.buffer, |to| wire::encode_hard_state(state, to));
            log.insert(HARD_STATE, bytes)?;
        }
        drop(log);
        transaction.commit()?;
        self.unwritten = None;
        self.extent = after;
        Ok(())
    }

    fn term(&self, index: u64) -> anyhow::Result<Option<u64>> {
        let log = self.database.begin_read()?.open_table(LOG)?;
        let Some(bytes) = log.get(index)? else { return Ok(None) };
        Ok(Some(decoded(bytes.value(), wire::decode_entry)?.term))
    }
}

impl Store for DiskStore {
    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        let meta = self.database.begin_read()?.open_table(META)?;
        let Some(bytes) = meta.get("identity")? else { return Ok(None) };
        decoded(bytes.value(), Identity::read).context("reading who this member is").map(Some)
    }

    fn set_identity(&mut self, identity: &Identity) -> anyhow::Result<()> {
        let doing = "remembering who this member is";
        let bytes = encoded(&mut self.buffer, |to| identity.write(to));
        put_meta(&self.database, "identity", bytes).context(doing)
    }

    fn load(&self) -> anyhow::Result<Saved> {
        let mut saved = read(&self.database).context("reading the replica's state")?;
        if let Some(state) = &self.unwritten {
            saved.hard_state = state.clone();
        }
        Ok(saved)
    }

    fn save(&mut self, write: &Write) -> anyhow::Result<()> {
        if *write == Write::default() {
            return Ok(());
        }
        let more = write.snapshot.is_some() || !write.entries.is_empty();
        let after = self.extent.after(write, |index| self.term(index))?;
        if !write.sync && !more {
            self.unwritten = write.hard_state.clone().or(self.unwritten.take());
            return Ok(());
        }
        self.write(write, after).context("saving the replica's state")
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        // Not needed to be correct; it spares the next start some work.
        let rest = Write { sync: true, ..Write::default() };
        if self.unwritten.is_some()
            && let Err(error) = self.write(&rest, self.extent)
        {
            let error = format!("{error:#}");
            tracing::warn!(target: "store", error, "writing the commit index failed");
        }
    }
}

fn check_format(database: &Database) -> anyhow::Result<()> {
    let transaction = database.begin_write()?;
    let meta = transaction.open_table(META)?;
    let found = meta.get("format")?.map(|format| format.value().to_vec());
    match found {
        Some(format) if format == FORMAT => return Ok(()),
        Some(format) => bail!("its format is {format:?}, and this version reads {FORMAT:?}"),
        None => drop(meta),
    }
    // All tables now, so that nobody has to ask whether they exist.
    transaction.open_table(SNAPSHOT)?;
    transaction.open_table(LOG)?;
    transaction.open_table(META)?.insert("format", FORMAT)?;
    Ok(transaction.commit()?)
}

fn put_meta(database: &Database, key: &str, value: &[u8]) -> anyhow::Result<()> {
    let transaction: WriteTransaction = database.begin_write()?;
    transaction.open_table(META)?.insert(key, value)?;
    Ok(transaction.commit()?)
}

fn read(database: &Database) -> anyhow::Result<Saved> {
    let transaction = database.begin_read()?;
    let mut saved = Saved::default();
    if let Some(bytes) = transaction.open_table(SNAPSHOT)?.get(())? {
        saved.snapshot = decoded(bytes.value(), wire::decode_snapshot)?;
    }
    let log = transaction.open_table(LOG)?;
    for item in log.range(..HARD_STATE)? {
        saved.entries.push(decoded(item?.1.value(), wire::decode_entry)?);
    }
    if let Some(bytes) = log.get(HARD_STATE)? {
        saved.hard_state = decoded(bytes.value(), wire::decode_hard_state)?;
    }
    Ok(saved)
}

fn drop_entries(
    log: &mut Table<'_, u64, &'static [u8]>,
    first: u64,
    next: u64,
) -> anyhow::Result<()> {
    if first < next {
        log.retain_in(first..next, |_, _| false)?;
    }
    Ok(())
}

fn encoded(buffer: &mut Writer, write: impl FnOnce(&mut Writer)) -> &[u8] {
    buffer.bytes.clear();
    write(buffer);
    &buffer.bytes
}

fn decoded<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, CodecError>,
) -> anyhow::Result<T> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}
