//! What members say to each other, and how it is written. No protobuf is parsed here or anywhere.

use std::sync::Arc;

use raft::eraftpb::Message;

use crate::replica::Proposal;

/// A frame is no longer than this, header and authentication included.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The version of the peer protocol; members of different versions do not talk.
pub const PROTOCOL_VERSION: u16 = 1;

/// One message to another member.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Raft's own.
    Raft(Message),
    /// Commands for whoever leads the group. Passed on at most once; lost when nobody leads.
    Propose(Vec<Proposal>),
    /// A member that has no vote asks the leader to be let in.
    Join(Join),
    /// Asks the leader to remove a member.
    Remove(Arc<str>),
}

/// Who wants to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its id, random per initialised disk.
    pub id: u64,
    /// Its name; a member of that name with another id has lost its disk and is replaced.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
}
