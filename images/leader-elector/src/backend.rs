//! Where leases live: one trait, and a module for each place.
//!
//! A backend keeps elections and grants leases with growing tokens; it decides nothing about when
//! this sidecar stops believing in one. For that it tells, with every grant, a moment before the
//! request that confirmed it was sent ([`Grant::since`]); [`crate::agent`] counts from there.

pub mod etcd;
pub mod kubernetes;
pub mod raft;
pub mod single;

mod http;
mod views;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Boottime;
pub use crate::election::{Acquire, Lease, Session};

/// What a backend's calls return.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A lease that was confirmed to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease: Lease,
    /// A moment before the last confirmed sign of life was sent; the lease ends nowhere before a
    /// whole time to live after it.
    pub since: Boottime,
}

/// An election as this sidecar knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The lease, if the election is held.
    pub lease: Option<Lease>,
    /// Grows with every change of the lease; never goes back.
    pub version: u64,
    /// When this was last known to be so; for a backend that hears of its own isolation late.
    pub observed: Boottime,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// What is known here, with its age.
    #[default]
    Local,
    /// Not older than the question.
    Linearizable,
}

/// A member of the group, for operators.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// Its random id, as 16 hexadecimal digits.
    pub id: String,
    /// `voter`, `learner` or `witness`.
    pub role: &'static str,
    /// Whether it leads the group (not an election).
    pub leads: bool,
    /// Whether it was heard of lately, as far as is known here.
    pub reachable: bool,
}

/// The group, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClusterStatus {
    /// `raft`, `etcd`, `kubernetes` or `single`.
    pub backend: &'static str,
    /// The id of the group, if it has one.
    pub group: Option<String>,
    /// The name of the member that answers.
    pub name: String,
    /// Whether a majority answers.
    pub quorum: bool,
    /// Term of the group.
    pub term: u64,
    /// Log index applied here.
    pub applied: u64,
    /// All members; none where the backend knows none.
    pub members: Vec<MemberStatus>,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Somebody else holds the lease.
    #[error("the election is held by {}", .leader.holder)]
    Held {
        /// The lease.
        leader: Lease,
        /// When asking again makes sense.
        retry_after: Duration,
    },
    /// The lease is held under the same name by another session.
    #[error("{} holds the election in another session", .0.holder)]
    DuplicateId(Lease),
    /// The candidacy is over; who leads instead.
    #[error("the lease was lost")]
    Lost(Option<Lease>),
    /// Nobody of that name waits.
    #[error("no candidate of that name waits")]
    NoCandidate,
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A limit was reached.
    #[error("{0}")]
    Limit(&'static str),
    /// The backend cannot do this.
    #[error("the backend {0} cannot do this")]
    Unsupported(&'static str),
    /// Nothing was changed: no majority, or the store cannot be reached.
    #[error("no quorum: {0}")]
    NoQuorum(String),
    /// It may or may not have been carried out.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}

/// A place where leases live.
///
/// Every implementation passes the suite in `tests/it/conformance`.
pub trait Backend: Send + Sync {
    /// `raft`, `etcd`, `kubernetes` or `single`.
    fn name(&self) -> &'static str;

    /// Takes the election; with `wait` above zero stands in its queue for so long at most, kept
    /// alive from here, and leaves it when the future is dropped. `acquire.wait` is set from it.
    fn acquire(&self, acquire: Acquire, wait: Duration) -> Reply<'_, Grant>;

    /// Shows a sign of life of a lease. Fails with [`Failure::Lost`] if it is over.
    fn renew<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
    ) -> Reply<'a, Grant>;

    /// Gives a lease up; [`Failure::Lost`] if it was not held.
    fn resign<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
        successor: Option<Arc<str>>,
    ) -> Reply<'a, ()>;

    /// The election now.
    fn read<'a>(&'a self, election: &'a Arc<str>, consistency: Consistency) -> Reply<'a, View>;

    /// The election from now on: always the latest view, intermediate ones may be skipped. Cheap
    /// for an election watched already.
    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>>;

    /// All elections known here.
    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>>;

    /// The highest token given in an election, for [`crate::api`]'s check of a token.
    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64>;

    /// Whether requests can be carried out, in a word; `Err` says why not.
    ///
    /// # Errors
    /// No quorum is known.
    fn ready(&self) -> Result<(), String>;

    /// The group.
    fn cluster(&self) -> ClusterStatus;

    /// Removes a member for good.
    fn remove_member<'a>(&'a self, name: &'a str) -> Reply<'a, ()> {
        let _ = name;
        Box::pin(async { Err(Failure::Unsupported(self.name())) })
    }
}
