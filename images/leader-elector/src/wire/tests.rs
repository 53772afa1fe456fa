//! Frames survive their encoding, and bytes from outside do no harm.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use raft::eraftpb::{
    ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata,
};

use super::*;
use crate::election::{Acquire, Session};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..64)
}

fn entry() -> impl Strategy<Value = Entry> {
    let kinds =
        vec![EntryType::EntryNormal, EntryType::EntryConfChange, EntryType::EntryConfChangeV2];
    let kind = prop::sample::select(kinds);
    (kind, any::<(u64, u64, bool)>(), bytes(), bytes()).prop_map(
        |(entry_type, (term, index, sync_log), data, context)| Entry {
            entry_type,
            term,
            index,
            sync_log,
            data: data.into(),
            context: context.into(),
            ..Entry::default()
        },
    )
}

fn conf_state() -> impl Strategy<Value = ConfState> {
    let ids = || vec(any::<u64>(), 0..6);
    (ids(), ids(), ids(), ids(), any::<bool>()).prop_map(
        |(voters, learners, voters_outgoing, learners_next, auto_leave)| ConfState {
            voters,
            learners,
            voters_outgoing,
            learners_next,
            auto_leave,
            ..ConfState::default()
        },
    )
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let metadata = (any::<(u64, u64)>(), prop::option::of(conf_state()));
    (bytes(), prop::option::of(metadata)).prop_map(|(data, metadata)| {
        let mut snapshot = Snapshot { data: data.into(), ..Snapshot::default() };
        if let Some(((index, term), members)) = metadata {
            let mut metadata = SnapshotMetadata { index, term, ..SnapshotMetadata::default() };
            if let Some(members) = members {
                metadata.set_conf_state(members);
            }
            snapshot.set_metadata(metadata);
        }
        snapshot
    })
}

fn message() -> impl Strategy<Value = Message> {
    let kind = prop::sample::select(vec![
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
    ]);
    let numbers = any::<([u64; 10], bool, i64)>();
    let parts = (bytes(), vec(entry(), 0..5), prop::option::of(snapshot()));
    (kind, numbers, parts).prop_map(
        |(msg_type, (n, reject, priority), (context, entries, snap))| {
            let mut message = Message {
                msg_type,
                to: n[0],
                from: n[1],
                term: n[2],
                log_term: n[3],
                index: n[4],
                commit: n[5],
                commit_term: n[6],
                request_snapshot: n[7],
                reject_hint: n[8],
                deprecated_priority: n[9],
                reject,
                priority,
                context: context.into(),
                entries: entries.into(),
                ..Message::default()
            };
            if let Some(snapshot) = snap {
                message.set_snapshot(snapshot);
            }
            message
        },
    )
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "[a-z0-9.-]{1,20}".prop_map(Arc::from)
}

fn command() -> impl Strategy<Value = Command> {
    let session = || any::<u64>().prop_map(Session);
    let maybe = || prop::option::of(name());
    prop_oneof![
        any::<u64>().prop_map(|token_base| Command::Init { token_base }),
        (name(), name(), session(), any::<(u32, i64, bool)>(), maybe(), maybe()).prop_map(
            |(election, holder, session, (ttl, priority, wait), metadata, request_id)| {
                let ttl = Duration::from_millis(u64::from(ttl));
                Command::Acquire(Acquire {
                    election,
                    holder,
                    session,
                    ttl,
                    priority,
                    wait,
                    metadata,
                    request_id,
                })
            }
        ),
        (name(), session(), any::<u64>()).prop_map(|(election, session, token)| Command::Renew {
            election,
            session,
            token
        }),
        (name(), session(), maybe()).prop_map(|(election, session, successor)| Command::Resign {
            election,
            session,
            token: session.0 / 2,
            successor
        }),
        (name(), session(), any::<(u64, u64)>()).prop_map(
            |(election, session, (token, sequence))| Command::Expire {
                election,
                session,
                token,
                sequence
            }
        ),
    ]
}

fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
    let proposal = (any::<(u64, u64)>(), command())
        .prop_map(|((origin, request), command)| Proposal { origin, request, command });
    vec(proposal, 0..8)
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        message().prop_map(Frame::Raft),
        proposals().prop_map(Frame::Propose),
        (any::<(u64, bool)>(), name()).prop_map(|((id, witness), name)| Frame::Join(Join {
            id,
            name,
            witness
        })),
        name().prop_map(Frame::Remove),
    ]
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut writer = Writer::default();
    encode(frame, &mut writer);
    writer.bytes
}

proptest! {
    #[test]
    fn frames_survive(frame in frame()) {
        prop_assert_eq!(decode(&encoded(&frame)), Ok(frame));
    }

    #[test]
    fn proposals_survive(proposals in proposals()) {
        let mut writer = Writer::default();
        encode_proposals(&proposals, &mut writer);
        prop_assert_eq!(decode_proposals(&writer.bytes), Ok(proposals));
    }

    #[test]
    fn what_the_store_keeps_survives(entry in entry(), snapshot in snapshot(), n: [u64; 3]) {
        let state = HardState { term: n[0], vote: n[1], commit: n[2], ..HardState::default() };
        let mut writer = Writer::default();
        encode_entry(&entry, &mut writer);
        encode_snapshot(&snapshot, &mut writer);
        encode_hard_state(&state, &mut writer);
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(decode_entry(&mut reader), Ok(entry));
        prop_assert_eq!(decode_snapshot(&mut reader), Ok(snapshot));
        prop_assert_eq!(decode_hard_state(&mut reader), Ok(state));
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn every_prefix_is_refused(frame in frame(), cut: prop::sample::Index) {
        let bytes = encoded(&frame);
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn trailing_bytes_are_refused(frame in frame(), extra: u8) {
        let mut bytes = encoded(&frame);
        bytes.push(extra);
        prop_assert_eq!(decode(&bytes), Err(CodecError::Trailing));
    }

    #[test]
    fn what_is_taken_has_one_form(tag in 0..4u8, rest in vec(any::<u8>(), 0..64)) {
        let bytes = [vec![tag], rest].concat();
        if let Ok(frame) = decode(&bytes) {
            prop_assert_eq!(encoded(&frame), bytes);
        }
    }

    #[test]
    fn a_flipped_byte_does_no_harm(frame in frame(), at: prop::sample::Index, to: u8) {
        let mut bytes = encoded(&frame);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(&bytes);
    }
}

#[test]
fn local_messages_have_no_tag() {
    for tag in 14..=127 {
        assert_eq!(decode(&[0, tag]), Err(CodecError::Tag(u64::from(tag))));
    }
}

#[test]
fn hostile_lengths_are_refused() {
    let large = |mut writer: Writer| {
        writer.number(u64::MAX);
        decode(&writer.bytes)
    };
    let mut proposals = Writer::default();
    proposals.number(1).number(PROPOSALS_VERSION);
    assert_eq!(large(proposals), Err(CodecError::Large));
    let mut name = Writer::default();
    name.number(3);
    assert_eq!(large(name), Err(CodecError::Large));
    let mut entries = Writer::default();
    entries.number(0);
    entries.bytes.extend([0; 14]);
    assert_eq!(large(entries), Err(CodecError::Large));
}

#[test]
fn too_many_voters_are_refused() {
    let with_voters = |count: u64| {
        let mut message = Message { msg_type: MessageType::MsgSnapshot, ..Message::default() };
        let members = message.mut_snapshot().mut_metadata().mut_conf_state();
        members.voters = (1..=count).collect();
        decode(&encoded(&Frame::Raft(message)))
    };
    assert!(with_voters(VOTERS_MAX as u64).is_ok());
    assert_eq!(with_voters(VOTERS_MAX as u64 + 1), Err(CodecError::Large));
}

#[test]
fn other_versions_of_proposals_are_refused() {
    assert_eq!(decode_proposals(&[2, 0]), Err(CodecError::Tag(2)));
}
