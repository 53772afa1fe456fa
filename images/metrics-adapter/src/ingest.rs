//! Pushed inputs: one thread reads all statsd and Graphite sockets and owns what they say.
//!
//! One thread, because gauges that are shifted, conflicts of kinds and limits need an order, and
//! because it takes several million lines a second (see docs/benchmarks.md): more than a sidecar's
//! application sends.
//!
//! [`Core`] decides what a line does and is pure; `reader` is the thread, with `sockets`,
//! `receive` (datagrams), `framing` (streams) and `relay` for what it touches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use management::{Network, Traffic, TrafficKind};
use mio::Waker;

use crate::line::Dialects;
use crate::mapping::Mapping;
use crate::registry::{Limits, Registry, Seconds};

mod cache;
mod core;
mod counters;
mod fair;
mod framing;
mod reader;
mod receive;
mod relay;
mod sockets;
mod streams;
#[cfg(test)]
mod tests;

pub use self::core::Core;
pub use counters::{
    CONFLICT_NAMES_MAX, CONFLICT_REST, CacheCounters, Conflict, Counters, EVENT_KINDS, EventKind,
    GRAPHITE_REASONS, ListenerCounters, Protocol, REASONS, RelayCounters, Transport,
};
pub use fair::Fair;
use reader::Reader;

/// Longest wait for the end of the reader, which takes two seconds at most.
const JOIN_MAX: Duration = Duration::from_secs(3);
/// Bytes of lines taken before who waits for a lock has its turn: some milliseconds at most, when
/// every line is short and new.
const HOLD_BYTES: usize = 32 << 10;

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
    pub graphite_ttl: Duration,
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
    // Locked in this order.
    registry: Fair<Registry>,
    core: Fair<Core>,
    started: Instant,
    listeners: Vec<Arc<sockets::Counts>>,
    relays: Vec<Arc<relay::Counts>>,
    waker: Arc<Waker>,
    stopping: AtomicBool,
    phase: Mutex<Phase>,
    ended: Condvar,
}

/// What the reader is at.
#[derive(Debug)]
enum Phase {
    Bound(Box<Reader>),
    Running,
    Ended,
}

/// Core and registry, locked when the first line comes, and given up in between.
struct Hold<'a> {
    ingest: &'a Ingest,
    beat: &'a dyn Fn(),
    locked: Option<Locked<'a>>,
    /// Bytes that may be taken before the locks are given up.
    left: usize,
}

/// Core and registry.
struct Locked<'a> {
    core: MutexGuard<'a, Core>,
    registry: MutexGuard<'a, Registry>,
    now: Seconds,
}

// === impl Ingest ===

impl Ingest {
    /// Binds every socket without reading.
    ///
    /// # Errors
    /// An address or file that cannot be had, said with its name.
    pub fn bind(config: IngestConfig) -> anyhow::Result<Arc<Self>> {
        let reader = Reader::bind(&config)?;
        let mut core = Core::new(config.dialects, config.mapping, config.cache_size);
        core.remap_graphite(config.graphite_mapping, config.graphite_ttl);
        Ok(Arc::new(Self {
            core: Fair::new(core),
            registry: Fair::new(Registry::new(config.limits)),
            started: Instant::now(),
            listeners: reader.counts(),
            relays: reader.relay_counts(),
            waker: reader.waker(),
            stopping: AtomicBool::new(false),
            phase: Mutex::new(Phase::Bound(Box::new(reader))),
            ended: Condvar::new(),
        }))
    }

    /// Reads until [`Ingest::stop`]; then what is in the sockets already, for at most a second, and
    /// gives what waits for relays another second. Calls `beat` at least every second.
    ///
    /// # Errors
    /// The system cannot wait for the sockets any more. A second call does nothing.
    pub fn run(&self, beat: impl Fn()) -> std::io::Result<()> {
        let mut phase = self.phase();
        let reader = match std::mem::replace(&mut *phase, Phase::Running) {
            Phase::Bound(reader) => reader,
            other => {
                *phase = other;
                return Ok(());
            }
        };
        drop(phase);
        let result = reader.run(self, &beat);
        *self.phase() = Phase::Ended;
        self.ended.notify_all();
        result
    }

    /// Asks the reader to come to its end. Series and counters can be read ever after.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // It ends within a second even if it cannot be woken.
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "waking the reader failed");
        }
    }

    /// Waits until the reader has come to its end, for at most three seconds. Who ends the process
    /// before loses what the reader still holds for relays.
    pub fn join(&self) {
        let is_running = |phase: &mut Phase| matches!(phase, Phase::Running);
        let waited = self.ended.wait_timeout_while(self.phase(), JOIN_MAX, is_running);
        if waited.is_ok_and(|(_, result)| result.timed_out()) {
            tracing::warn!("the reader of pushed inputs did not end in time");
        }
    }

    /// The series; hold it for a slice of a page only, the reader waits meanwhile. Between two
    /// slices it has its turn.
    pub fn registry(&self) -> &Fair<Registry> {
        &self.registry
    }

    /// Seconds on the clock of the registry.
    #[must_use]
    pub fn now(&self) -> Seconds {
        Seconds::try_from(self.started.elapsed().as_secs()).unwrap_or(Seconds::MAX)
    }

    /// Takes another mapping of statsd lines; remembered lines are forgotten, series stay.
    pub fn remap(&self, mapping: Mapping) {
        self.core().remap(Arc::new(mapping));
    }

    /// Takes another mapping of Graphite lines; series stay. Series without a time to live of their
    /// own get `ttl`.
    pub fn remap_graphite(&self, mapping: Mapping, ttl: Duration) {
        self.core().remap_graphite(Arc::new(mapping), ttl);
    }

    /// Everything counted so far; what the kernel dropped is asked for now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        sockets::read_kernel_drops(self.listeners.iter().map(|counts| &**counts));
        let mut counters = self.core().counters();
        counters.listeners = self.listeners.iter().map(|counts| counts.reading()).collect();
        counters.relays = self.relays.iter().map(|counts| counts.reading()).collect();
        counters
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// For lines that may be many; calls `beat` now and then.
    fn hold<'a>(&'a self, beat: &'a dyn Fn()) -> Hold<'a> {
        Hold { ingest: self, beat, locked: None, left: HOLD_BYTES }
    }

    fn lock(&self) -> Locked<'_> {
        #[cfg(test)]
        HELD.set(true);
        // What a panicking holder left is counted wrongly at worst.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        Locked { core: self.core(), registry, now: self.now() }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for Ingest {
    fn snapshot(&self) -> Vec<Traffic> {
        let Counters { listeners, relays, .. } = self.counters();
        let listeners = listeners.into_iter().map(|listener| Traffic {
            kind: TrafficKind::Listener,
            name: format!("{}-{}", listener.protocol.as_str(), listener.transport.as_str()),
            address: listener.address,
            open: listener.open,
            connections: listener.connections,
            bytes_in: listener.bytes,
            bytes_out: 0,
            messages_in: listener.packets,
            messages_out: 0,
            errors: listener.kernel_drops
                + listener.connections_refused
                + listener.connection_errors
                + listener.long_lines,
        });
        let relays = relays.into_iter().map(|relay| Traffic {
            kind: TrafficKind::Upstream,
            name: "relay".to_owned(),
            address: relay.target,
            open: u64::from(relay.connected),
            connections: 0,
            bytes_in: 0,
            bytes_out: relay.bytes,
            messages_in: 0,
            messages_out: relay.packets,
            errors: relay.errors,
        });
        listeners.chain(relays).collect()
    }
}

// === impl Hold ===

impl<'a> Hold<'a> {
    /// Counts a batch.
    fn begin(&mut self) {
        self.locked().core.begin();
    }

    /// Takes whole lines.
    #[inline]
    fn take(&mut self, protocol: Protocol, lines: &[u8]) {
        let mut rest = lines;
        loop {
            let (lines, later) = cut(rest, self.left);
            self.locked().take(protocol, lines);
            self.left = self.left.saturating_sub(lines.len());
            if self.left == 0 {
                self.release();
            }
            if later.is_empty() {
                return;
            }
            rest = later;
        }
    }

    /// Lets others have their turn.
    #[cold]
    fn release(&mut self) {
        self.locked = None;
        self.left = HOLD_BYTES;
        (self.beat)();
    }

    #[inline]
    fn locked(&mut self) -> &mut Locked<'a> {
        self.locked.get_or_insert_with(|| self.ingest.lock())
    }
}

/// Cuts after the first line that ends at `bytes` or later.
#[inline]
fn cut(lines: &[u8], bytes: usize) -> (&[u8], &[u8]) {
    if lines.len() <= bytes {
        return (lines, &[]);
    }
    let end = memchr::memchr(b'\n', &lines[bytes..]);
    lines.split_at(end.map_or(lines.len(), |end| bytes + end + 1))
}

// Whether this thread has the locks: whoever does what may take long asks in tests.
#[cfg(test)]
thread_local!(static HELD: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });

#[cfg(test)]
impl Drop for Locked<'_> {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

// === impl Locked ===

impl Locked<'_> {
    /// Takes whole lines.
    #[inline]
    fn take(&mut self, protocol: Protocol, lines: &[u8]) {
        match protocol {
            Protocol::Statsd => self.core.datagram(&mut self.registry, lines, self.now),
            Protocol::Graphite => {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                self.core.graphite(&mut self.registry, lines, self.now, unix.as_secs());
            }
        }
    }

    fn sweep(&mut self) {
        self.core.sweep(&mut self.registry, self.now);
    }
}
