//! How a group is founded, once, and how a newcomer finds out what it is part of. Pure.
//!
//! Every member draws a random id when its store is initialised and tells it, with its name, in the
//! hello of every connection. An empty member founds the group when exactly the expected number of
//! members (itself included) have said hello, all of them are empty, and all expect the same number:
//! the founders are then the sorted list of ids, the group's id is a hash of it, and since everybody
//! computes both alike, nobody has to be first. A member that sees a peer with a group whose
//! founders include its own id founds the same group; any other empty member joins as a learner.
//!
//! Safety needs no agreement here: a member is durably part of one group at most, an id is never
//! used again after its disk was wiped, and a group does nothing without a majority of its
//! founders' ids. So what founders decide from an old view can at worst leave one of them behind,
//! in a group that never gets a majority; [`stranded`] tells when it is safe to start over.

mod encoding;
mod founding;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use founding::{Decision, decide, stranded};

/// Most founders of a group: what `--expect` allows.
pub const FOUNDERS_MAX: usize = 99;
/// Longest `host:port`: a DNS name and a port.
pub const ADDRESS_BYTES_MAX: usize = 253 + 6;

/// The id of a group: a hash of its founders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u128);

/// A founder of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Founder {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
}

/// Who a member is; durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random, not 0, drawn when the store was initialised; never derived from the name.
    pub id: u64,
    /// The name it was started with.
    pub name: Arc<str>,
    /// The group, once it is part of one.
    pub group: Option<Group>,
}

/// A group as its members remember it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Who founded it, sorted by id.
    pub founders: Vec<Founder>,
}

/// What a member says of itself when a connection opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
    /// host:port where it is reached; `:port` if only that is known, and empty if it cannot be.
    pub advertise: Arc<str>,
    /// How many founders it expects; 0 if it founds nothing.
    pub expected: u16,
    /// The group it is part of.
    pub group: Option<Group>,
}
