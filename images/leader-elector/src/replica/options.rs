//! How a replica, and the Raft library in it, is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::election::Planted;

/// How a replica is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it has no application.
    pub witness: bool,
    /// Length of a tick.
    pub tick: Duration,
    /// Ticks of silence before it stands for election.
    pub election_ticks: u16,
    /// Ticks between heartbeats.
    pub heartbeat_ticks: u16,
    /// Most voters.
    pub max_voters: u16,
    /// Members that stay however long they are silent.
    pub min_voters: u16,
    /// Silence after which others are removed; zero: never.
    pub dead_after: Duration,
    /// Source of all chance: election timeouts, request numbers.
    pub seed: u64,
    /// Wall clock seconds, used once, for the token base of a new group.
    pub wall_seconds: u64,
    /// No token is below.
    pub token_floor: u64,
    /// Entries applied between two snapshots.
    pub snapshot_every: u64,
    /// Bugs for the simulation to find.
    pub planted: PlantedBugs,
}

/// Bugs for the simulation to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlantedBugs {
    /// Those of the table.
    pub table: Planted,
    /// Answer linearizable reads from local state, trusting Raft leadership.
    pub lease_read: bool,
}

/// The library's defaults are unsafe here: without pre-vote and check-quorum a member behind a
/// partial partition deposes leaders for ever.
pub(super) fn raft_config(options: &Options, applied: u64) -> raft::Config {
    raft::Config {
        id: options.id,
        election_tick: usize::from(options.election_ticks),
        heartbeat_tick: usize::from(options.heartbeat_ticks),
        applied,
        max_size_per_msg: 1024 * 1024,
        max_inflight_msgs: 256,
        check_quorum: true,
        pre_vote: true,
        read_only_option: raft::ReadOnlyOption::Safe,
        max_uncommitted_size: 16 * 1024 * 1024,
        max_committed_size_per_ready: 1024 * 1024,
        ..raft::Config::default()
    }
}
