//! Raft's types in our own encoding.
//!
//! What Raft keeps in bytes (commands, contexts, changes of membership) stays bytes. Optional parts
//! stay apart from empty ones, so that what is read equals what was written.

use raft::eraftpb::{
    ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};

use super::FRAME_BYTES_MAX;
use crate::codec::{CodecError, Reader, Writer};

/// Most entries in a message.
pub const ENTRIES_MAX: usize = 64 * 1024;
/// Most voters of a configuration: what `--expect` allows.
pub const VOTERS_MAX: usize = 99;
/// Most members without a vote.
pub const LEARNERS_MAX: usize = 1024;
/// Longest context of a message or an entry: a few numbers, or the name of a member.
const CONTEXT_BYTES_MAX: usize = 4096;

/// Messages that cross the network, by tag. What a node only tells itself has no tag: from outside
/// it would be a forgery.
const MESSAGE_TYPES: [MessageType; 14] = [
    MessageType::MsgPropose,
    MessageType::MsgAppend,
    MessageType::MsgAppendResponse,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgSnapshot,
    MessageType::MsgHeartbeat,
    MessageType::MsgHeartbeatResponse,
    MessageType::MsgTransferLeader,
    MessageType::MsgTimeoutNow,
    MessageType::MsgReadIndex,
    MessageType::MsgReadIndexResp,
    MessageType::MsgRequestPreVote,
    MessageType::MsgRequestPreVoteResponse,
];

/// The tag of messages that no member may send; no decoder takes it.
const LOCAL: u64 = 127;

pub(super) fn encode_message(message: &Message, writer: &mut Writer) {
    let tag = MESSAGE_TYPES.iter().position(|it| *it == message.msg_type);
    debug_assert!(tag.is_some(), "a local message is never sent");
    writer.number(tag.map_or(LOCAL, |tag| tag as u64));
    writer.number(message.to).number(message.from).number(message.term);
    writer.number(message.log_term).number(message.index);
    writer.number(message.commit).number(message.commit_term);
    writer.number(message.request_snapshot).flag(message.reject).number(message.reject_hint);
    writer.number(message.deprecated_priority).signed(message.priority);
    writer.slice(&message.context);
    writer.number(message.entries.len() as u64);
    for entry in &message.entries {
        encode_entry(entry, writer);
    }
    writer.flag(message.snapshot.is_some());
    if let Some(snapshot) = message.snapshot.as_ref() {
        encode_snapshot(snapshot, writer);
    }
}

pub(super) fn decode_message(reader: &mut Reader<'_>) -> Result<Message, CodecError> {
    let tag = reader.number()?;
    let known = usize::try_from(tag).ok().and_then(|tag| MESSAGE_TYPES.get(tag));
    let mut message = Message {
        msg_type: *known.ok_or(CodecError::Tag(tag))?,
        to: reader.number()?,
        from: reader.number()?,
        term: reader.number()?,
        log_term: reader.number()?,
        index: reader.number()?,
        commit: reader.number()?,
        commit_term: reader.number()?,
        request_snapshot: reader.number()?,
        reject: reader.flag()?,
        reject_hint: reader.number()?,
        deprecated_priority: reader.number()?,
        priority: reader.signed()?,
        context: reader.slice(CONTEXT_BYTES_MAX)?.to_vec().into(),
        ..Message::default()
    };
    let count = reader.count(ENTRIES_MAX)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(decode_entry(reader)?);
    }
    message.entries = entries.into();
    if reader.flag()? {
        message.set_snapshot(decode_snapshot(reader)?);
    }
    Ok(message)
}

/// Appends a log entry.
pub fn encode_entry(entry: &Entry, writer: &mut Writer) {
    writer.number(match entry.entry_type {
        EntryType::EntryNormal => 0,
        EntryType::EntryConfChange => 1,
        EntryType::EntryConfChangeV2 => 2,
    });
    writer.number(entry.term).number(entry.index).flag(entry.sync_log);
    writer.slice(&entry.context).slice(&entry.data);
}

/// Reads a log entry.
///
/// # Errors
/// The bytes are no entry, or one past a limit.
pub fn decode_entry(reader: &mut Reader<'_>) -> Result<Entry, CodecError> {
    Ok(Entry {
        entry_type: match reader.number()? {
            0 => EntryType::EntryNormal,
            1 => EntryType::EntryConfChange,
            2 => EntryType::EntryConfChangeV2,
            tag => return Err(CodecError::Tag(tag)),
        },
        term: reader.number()?,
        index: reader.number()?,
        sync_log: reader.flag()?,
        context: reader.slice(CONTEXT_BYTES_MAX)?.to_vec().into(),
        data: reader.slice(FRAME_BYTES_MAX)?.to_vec().into(),
        ..Entry::default()
    })
}

/// Appends term, vote and commit index.
pub fn encode_hard_state(state: &HardState, writer: &mut Writer) {
    writer.number(state.term).number(state.vote).number(state.commit);
}

/// Reads term, vote and commit index.
///
/// # Errors
/// The bytes are no hard state.
pub fn decode_hard_state(reader: &mut Reader<'_>) -> Result<HardState, CodecError> {
    Ok(HardState {
        term: reader.number()?,
        vote: reader.number()?,
        commit: reader.number()?,
        ..HardState::default()
    })
}

/// Appends a snapshot with its metadata.
pub fn encode_snapshot(snapshot: &Snapshot, writer: &mut Writer) {
    writer.flag(snapshot.metadata.is_some());
    if let Some(metadata) = snapshot.metadata.as_ref() {
        writer.number(metadata.index).number(metadata.term).flag(metadata.conf_state.is_some());
        if let Some(members) = metadata.conf_state.as_ref() {
            encode_conf_state(members, writer);
        }
    }
    writer.slice(&snapshot.data);
}

/// Reads a snapshot with its metadata.
///
/// # Errors
/// The bytes are no snapshot, or one past a limit.
pub fn decode_snapshot(reader: &mut Reader<'_>) -> Result<Snapshot, CodecError> {
    let mut snapshot = Snapshot::default();
    if reader.flag()? {
        let mut metadata = SnapshotMetadata {
            index: reader.number()?,
            term: reader.number()?,
            ..SnapshotMetadata::default()
        };
        if reader.flag()? {
            metadata.set_conf_state(decode_conf_state(reader)?);
        }
        snapshot.set_metadata(metadata);
    }
    snapshot.data = reader.slice(FRAME_BYTES_MAX)?.to_vec().into();
    Ok(snapshot)
}

fn encode_conf_state(state: &ConfState, writer: &mut Writer) {
    for ids in [&state.voters, &state.learners, &state.voters_outgoing, &state.learners_next] {
        writer.number(ids.len() as u64);
        for id in ids {
            writer.number(*id);
        }
    }
    writer.flag(state.auto_leave);
}

fn decode_conf_state(reader: &mut Reader<'_>) -> Result<ConfState, CodecError> {
    Ok(ConfState {
        voters: decode_ids(reader, VOTERS_MAX)?,
        learners: decode_ids(reader, LEARNERS_MAX)?,
        voters_outgoing: decode_ids(reader, VOTERS_MAX)?,
        learners_next: decode_ids(reader, LEARNERS_MAX)?,
        auto_leave: reader.flag()?,
        ..ConfState::default()
    })
}

fn decode_ids(reader: &mut Reader<'_>, max: usize) -> Result<Vec<u64>, CodecError> {
    let count = reader.count(max)?;
    (0..count).map(|_| reader.number()).collect()
}
