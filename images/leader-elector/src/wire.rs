//! What members say to each other, and how it is written. No protobuf is parsed here or anywhere.
//!
//! The same encoding of Raft's own types is used for the network and the disk. A decoder checks
//! every length against a limit before it allocates; that a frame comes from a member at all, and
//! from one of the same group, is for [`crate::transport`] to check before it decodes.

mod raft_types;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use raft::eraftpb::Message;

use crate::codec::{CodecError, Reader, Writer};
use crate::election::{Command, NAME_BYTES_MAX};
use crate::replica::Proposal;
pub use raft_types::{
    ENTRIES_MAX, LEARNERS_MAX, VOTERS_MAX, decode_entry, decode_hard_state, decode_snapshot,
    encode_entry, encode_hard_state, encode_snapshot,
};

/// A frame is no longer than this, header and authentication included.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The version of the peer protocol; members of different versions do not talk.
pub const PROTOCOL_VERSION: u16 = 1;

/// Most proposals in one frame or log entry; a larger batch is cut.
pub const PROPOSALS_MAX: usize = 16 * 1024;

/// The first byte of a list of proposals, as it stays in the log across versions.
const PROPOSALS_VERSION: u64 = 1;

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

/// Appends a frame.
pub fn encode(frame: &Frame, writer: &mut Writer) {
    match frame {
        Frame::Raft(message) => {
            writer.number(0);
            raft_types::encode_message(message, writer);
        }
        Frame::Propose(proposals) => {
            writer.number(1);
            encode_proposals(proposals, writer);
        }
        Frame::Join(join) => {
            writer.number(2).number(join.id).text(&join.name).flag(join.witness);
        }
        Frame::Remove(name) => {
            writer.number(3).text(name);
        }
    }
}

/// Reads a frame that is all of `bytes`.
///
/// # Errors
/// The bytes are no frame, or one past a limit.
pub fn decode(bytes: &[u8]) -> Result<Frame, CodecError> {
    let mut reader = Reader::new(bytes);
    let frame = match reader.number()? {
        0 => Frame::Raft(raft_types::decode_message(&mut reader)?),
        1 => Frame::Propose(read_proposals(&mut reader)?),
        2 => Frame::Join(Join {
            id: reader.number()?,
            name: reader.text(NAME_BYTES_MAX)?,
            witness: reader.flag()?,
        }),
        3 => Frame::Remove(reader.text(NAME_BYTES_MAX)?),
        tag => return Err(CodecError::Tag(tag)),
    };
    reader.end()?;
    Ok(frame)
}

/// Appends proposals, as in a frame and as the data of a log entry.
pub fn encode_proposals(proposals: &[Proposal], writer: &mut Writer) {
    writer.number(PROPOSALS_VERSION).number(proposals.len() as u64);
    for proposal in proposals {
        writer.number(proposal.origin).number(proposal.request);
        proposal.command.write(writer);
    }
}

/// Reads proposals that are all of `bytes`.
///
/// # Errors
/// The bytes are no list of proposals of this version, or one past a limit.
pub fn decode_proposals(bytes: &[u8]) -> Result<Vec<Proposal>, CodecError> {
    let mut reader = Reader::new(bytes);
    let proposals = read_proposals(&mut reader)?;
    reader.end()?;
    Ok(proposals)
}

fn read_proposals(reader: &mut Reader<'_>) -> Result<Vec<Proposal>, CodecError> {
    match reader.number()? {
        PROPOSALS_VERSION => {}
        version => return Err(CodecError::Tag(version)),
    }
    let count = reader.count(PROPOSALS_MAX)?;
    let mut proposals = Vec::with_capacity(count);
    for _ in 0..count {
        proposals.push(Proposal {
            origin: reader.number()?,
            request: reader.number()?,
            command: Command::read(reader)?,
        });
    }
    Ok(proposals)
}
