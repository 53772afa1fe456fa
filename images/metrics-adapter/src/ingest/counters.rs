//! What ingestion counts, as values: named and typed for the page in [`crate::metrics`].

use std::sync::atomic::{AtomicU64, Ordering};

use crate::graphite;
use crate::line::Reason;

/// All reasons, in the order of [`Counters::sample_errors`].
pub const REASONS: [Reason; 10] = [
    Reason::MalformedLine,
    Reason::MixedTaggingStyles,
    Reason::NotEnoughParts,
    Reason::InvalidExtendedAggregateType,
    Reason::MalformedComponent,
    Reason::MalformedValue,
    Reason::InvalidSampleFactor,
    Reason::MalformedContainerId,
    Reason::IllegalEvent,
    Reason::NotFinite,
];

/// All reasons of Graphite, in the order of [`Counters::graphite_errors`].
pub const GRAPHITE_REASONS: [graphite::Reason; 5] = [
    graphite::Reason::MalformedLine,
    graphite::Reason::TooLong,
    graphite::Reason::MalformedValue,
    graphite::Reason::NotANumber,
    graphite::Reason::MalformedTimestamp,
];

/// All kinds, in the order of [`Counters::events`].
pub const EVENT_KINDS: [EventKind; 6] = [
    EventKind::Counter,
    EventKind::Gauge,
    EventKind::Observer,
    EventKind::Set,
    EventKind::Event,
    EventKind::Check,
];

/// The label `type` of `events_total` and `events_conflict_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// `c`.
    Counter,
    /// `g`.
    Gauge,
    /// `ms`, `h`, `d`.
    Observer,
    /// `s`.
    Set,
    /// `_e{…}`: counted, makes no series.
    Event,
    /// `_sc`: a gauge of its status.
    Check,
}

/// Everything that the core has counted since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times the reader had something to take: datagrams of one call of the system, or a read.
    pub batches: u64,
    /// Lines that were not empty.
    pub lines: u64,
    /// Samples in them, refused ones too.
    pub samples: u64,
    /// Refused lines and samples, in the order of [`REASONS`].
    pub sample_errors: [u64; REASONS.len()],
    /// Samples with at least one label: that is what the original counts under this name.
    pub tags: u64,
    /// Tags that are none; others of the line are kept.
    pub tag_errors: u64,
    /// Events that came to something, in the order of [`EVENT_KINDS`]. A sampled timer is one event
    /// with a weight.
    pub events: [u64; EVENT_KINDS.len()],
    /// Events that no rule matched.
    pub events_unmapped: u64,
    /// Events that a rule with `action: map` matched.
    pub events_mapped: u64,
    /// Events that a rule with `action: drop` matched.
    pub events_dropped: u64,
    /// Counters that were to go down.
    pub illegal_negative_counter: u64,
    /// Rules that made no name.
    pub empty_metric_name: u64,
    /// Events refused because a limit of the registry was met.
    pub events_over_limit: u64,
    /// Events whose name is of another kind. At most [`CONFLICT_NAMES_MAX`] names; further ones
    /// are counted under [`CONFLICT_REST`].
    pub conflicts: Vec<Conflict>,
    /// Lines of Graphite.
    pub graphite_lines: u64,
    /// Lines of Graphite that are none, in the order of [`GRAPHITE_REASONS`].
    pub graphite_errors: [u64; GRAPHITE_REASONS.len()],
    /// Samples of Graphite that were too old when they came.
    pub graphite_expired: u64,
    /// Samples of Graphite that a rule discards.
    pub graphite_dropped: u64,
    /// Bad tags of Graphite lines.
    pub graphite_tag_errors: u64,
    /// The memory of lines.
    pub cache: CacheCounters,
    /// Sockets that are listened on.
    pub listeners: Vec<ListenerCounters>,
    /// Targets that lines are passed on to.
    pub relays: Vec<RelayCounters>,
}

/// Names that [`Counters::conflicts`] tells apart.
pub const CONFLICT_NAMES_MAX: usize = 256;
/// Stands for all other names; no metric can have it.
pub const CONFLICT_REST: &str = "<other>";

/// One row of `events_conflict_total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What came.
    pub kind: EventKind,
    /// The name that is taken.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// The memory of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Lines remembered.
    pub length: u64,
    /// Bytes of their keys.
    pub bytes: u64,
    /// Lookups.
    pub gets: u64,
    /// Lookups that found something.
    pub hits: u64,
    /// Lines forgotten to make room.
    pub evictions: u64,
}

/// A reading of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerCounters {
    /// What it is.
    pub transport: Transport,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Address or path, with the port that the kernel gave.
    pub address: String,
    /// Datagrams, or reads of a stream.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Datagrams longer than what can be read (unix only): their last line is lost.
    pub truncated: u64,
    /// Datagrams that the kernel threw away because nobody had read the ones before. Unix
    /// datagrams are never thrown away: their sender waits or is told.
    pub kernel_drops: u64,
    /// Receive buffer in bytes, as the kernel accounts it (it doubles what is asked for).
    pub receive_buffer_bytes: u64,
    /// Connections taken.
    pub connections: u64,
    /// Connections open.
    pub open: u64,
    /// Connections closed at once because there are too many.
    pub connections_refused: u64,
    /// Connections closed because they were idle and others found no place.
    pub connections_idle: u64,
    /// Connections closed here in the middle of a line or with bytes unread, which are lost.
    pub connections_cut: u64,
    /// Connections that ended with an error, and failures to take one.
    pub connection_errors: u64,
    /// Connections closed because a line did not end.
    pub long_lines: u64,
}

/// How bytes come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// Unix datagram.
    Unixgram,
}

/// What bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// statsd in any dialect.
    Statsd,
    /// Graphite plaintext.
    Graphite,
}

/// A reading of one relay target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayCounters {
    /// As configured.
    pub target: String,
    /// Packets handed to the system.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lines put into packets.
    pub lines: u64,
    /// Lines that no packet can take.
    pub long_lines: u64,
    /// Lines thrown away because the target is down or slow.
    pub dropped_lines: u64,
    /// Failures to resolve, connect or send.
    pub errors: u64,
    /// Whether there is a socket to it.
    pub connected: bool,
}

/// Written by the reader only, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

// === impl EventKind ===

impl EventKind {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Observer => "observer",
            Self::Set => "set",
            Self::Event => "event",
            Self::Check => "check",
        }
    }
}

// === impl Counters ===

impl Counters {
    pub(super) fn refused(&mut self, reason: Reason) {
        self.sample_errors[reason as usize] += 1;
    }

    /// How often lines or samples were refused so.
    #[must_use]
    pub fn sample_errors(&self, reason: Reason) -> u64 {
        self.sample_errors[reason as usize]
    }

    /// How many events of a kind came to something.
    #[must_use]
    pub fn events(&self, kind: EventKind) -> u64 {
        self.events[kind as usize]
    }

    pub(super) fn conflict(&mut self, kind: EventKind, name: &str) {
        let same = |row: &&mut Conflict| row.kind == kind && row.name == name;
        if let Some(row) = self.conflicts.iter_mut().find(same) {
            row.count += 1;
        } else if name == CONFLICT_REST || self.conflicts.len() < CONFLICT_NAMES_MAX {
            self.conflicts.push(Conflict { kind, name: name.to_owned(), count: 1 });
        } else {
            self.conflict(kind, CONFLICT_REST);
        }
    }
}

// === impl Transport ===

impl Transport {
    /// As it stands in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Unixgram => "unixgram",
        }
    }
}

// === impl Protocol ===

impl Protocol {
    /// As it stands in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statsd => "statsd",
            Self::Graphite => "graphite",
        }
    }
}

// === impl Meter ===

impl Meter {
    /// There is one writer, so that no read-modify-write is needed.
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// For readings that several threads take.
    pub(super) fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
