//! What the peer port counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection or a frame was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not our protocol at all.
    #[error("not the protocol of members")]
    Garbage,
    /// Another version of the protocol.
    #[error("another version of the protocol")]
    Version,
    /// Another way of authentication, a wrong secret or a wrong certificate.
    #[error("not authenticated")]
    Auth,
    /// The handshake took too long.
    #[error("the handshake took too long")]
    Slow,
    /// Too many connections.
    #[error("too many connections")]
    Limit,
    /// A frame longer than allowed.
    #[error("a frame longer than allowed")]
    Oversized,
    /// A frame with a wrong authentication code.
    #[error("a frame with a wrong code")]
    Forged,
    /// A genuine frame out of its order.
    #[error("a frame out of order")]
    Replayed,
    /// A frame of another group.
    #[error("a frame of another group")]
    Foreign,
    /// A frame that cannot be decoded.
    #[error("a frame that makes no sense")]
    Malformed,
    /// A frame for somebody else.
    #[error("a frame for another member")]
    Misdirected,
    /// Another process with this member's id.
    #[error("another process has this member's id: the disk of one is a copy")]
    Copied,
}

/// Counts since the start of the process; `open_*` are how many there are now.
#[derive(Debug, Default)]
pub struct Counters {
    refused: [AtomicU64; Refused::ALL.len()],
    /// Frames received and passed on.
    pub frames_in: AtomicU64,
    /// Frames given to the network.
    pub frames_out: AtomicU64,
    /// Bytes received after handshakes.
    pub bytes_in: AtomicU64,
    /// Bytes sent after handshakes.
    pub bytes_out: AtomicU64,
    /// Frames that were not sent: no connection, or its queue was full.
    pub dropped: AtomicU64,
    /// Frames that came before this member was part of a group.
    pub early: AtomicU64,
    /// Connections of members accepted.
    pub accepted: AtomicU64,
    /// Connections to members made.
    pub dialed: AtomicU64,
    /// Accepted connections open now.
    pub open_in: AtomicU64,
    /// Dialed connections open now.
    pub open_out: AtomicU64,
}

// === impl Refused ===

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 12] = [
        Self::Garbage,
        Self::Version,
        Self::Auth,
        Self::Slow,
        Self::Limit,
        Self::Oversized,
        Self::Forged,
        Self::Replayed,
        Self::Foreign,
        Self::Malformed,
        Self::Misdirected,
        Self::Copied,
    ];

    /// Its name as a label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::Version => "version",
            Self::Auth => "auth",
            Self::Slow => "slow",
            Self::Limit => "limit",
            Self::Oversized => "oversized",
            Self::Forged => "forged",
            Self::Replayed => "replayed",
            Self::Foreign => "foreign",
            Self::Malformed => "malformed",
            Self::Misdirected => "misdirected",
            Self::Copied => "copied",
        }
    }
}

// === impl Counters ===

impl Counters {
    /// How often something was refused for this reason.
    #[must_use]
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused[reason as usize].load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self, reason: Refused) {
        add(&self.refused[reason as usize], 1);
    }
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

/// Counts something that is there until this is dropped.
pub(super) struct Gauge<'c>(&'c AtomicU64);

impl<'c> Gauge<'c> {
    pub(super) fn up(counter: &'c AtomicU64) -> Self {
        add(counter, 1);
        Self(counter)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
