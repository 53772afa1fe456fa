//! Which servers live: counted once for the whole process, whichever connection a failure came by.
//!
//! Workers share this and nothing else about servers. All of it is atomics that are only written
//! when something goes wrong or comes back, so the data path pays one relaxed load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Address, Compat, PoolConfig};

/// One server of a pool, as all workers see it.
#[derive(Debug)]
pub struct Server {
    /// Its name in placement, statistics and logs.
    pub label: String,
    /// Where it is.
    pub address: Address,
    /// Failures since the last answer.
    failures: AtomicU32,
    /// When the ejection may end, in ms of the process clock; 0: not ejected.
    ejected_until_ms: AtomicU64,
    /// When it was last ejected, in µs since the epoch, for nutcracker's statistics.
    ejected_at_us: AtomicU64,
    /// The last address its name resolved to; also held by the resolver.
    resolved: Mutex<Option<SocketAddr>>,
    /// Raised by workers, taken back by the resolver.
    wants_lookup: AtomicBool,
}

/// One pool, as all workers see it.
#[derive(Debug)]
pub struct PoolHealth {
    /// In the order of the pool's configuration.
    pub servers: Vec<Arc<Server>>,
    /// Goes up whenever the set of live servers changes.
    epoch: AtomicU64,
    /// When the first ejection ends unprobed, in ms of the process clock; 0: none.
    next_return_ms: AtomicU64,
    /// How often a server was ejected.
    pub ejections: AtomicU64,
    /// Clients of the pool at all workers; the next configuration of the pool counts on.
    pub clients: Arc<AtomicU32>,
    auto_eject: bool,
    failure_limit: u32,
    retry_timeout: Duration,
    /// Whether a server is asked before it is taken back. nutcracker does not ask.
    probes: bool,
}

impl Server {
    fn new(label: &str, address: &Address) -> Server {
        Server {
            label: label.to_owned(),
            address: address.clone(),
            failures: AtomicU32::new(0),
            ejected_until_ms: AtomicU64::new(0),
            ejected_at_us: AtomicU64::new(0),
            resolved: Mutex::new(None),
            wants_lookup: AtomicBool::new(false),
        }
    }

    /// Whether requests may go to it.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.ejected_until_ms.load(Relaxed) == 0
    }

    /// When the ejection may end, in ms of the process clock; `None` when it is live.
    pub fn ejected_until_ms(&self) -> Option<u64> {
        Some(self.ejected_until_ms.load(Relaxed)).filter(|&until| until != 0)
    }

    /// When it was last ejected, in µs since the epoch; 0 for never.
    pub fn ejected_at_us(&self) -> u64 {
        self.ejected_at_us.load(Relaxed)
    }

    /// It answered.
    #[inline]
    pub fn answered(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Failures since the last answer.
    pub fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Asks for a new look-up of its name.
    pub fn ask_for_lookup(&self) {
        self.wants_lookup.store(true, Relaxed);
    }

    /// Whether a look-up was asked for since the last call.
    pub fn takes_lookup(&self) -> bool {
        self.wants_lookup.swap(false, Relaxed)
    }

    /// The last good address of its name.
    pub fn resolved(&self) -> Option<SocketAddr> {
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the address; returns whether it is another one than before.
    pub fn set_resolved(&self, address: SocketAddr) -> bool {
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        resolved.replace(address) != Some(address)
    }
}

impl PoolHealth {
    /// The health of a new configuration; what `before` knows of the same servers is kept.
    pub fn new(pool: &PoolConfig, before: Option<&PoolHealth>) -> PoolHealth {
        let keep = |label: &str, address: &Address| {
            let same = |server: &&Arc<Server>| server.label == label && server.address == *address;
            before.and_then(|before| before.servers.iter().find(same)).cloned()
        };
        let servers = pool.servers.iter().map(|server| {
            keep(&server.label, &server.address)
                .unwrap_or_else(|| Arc::new(Server::new(&server.label, &server.address)))
        });
        let servers: Vec<Arc<Server>> = servers.collect();
        // A server that was ejected before this configuration has to come back in it.
        let next_return_ms = servers.iter().filter_map(|server| server.ejected_until_ms()).min();
        PoolHealth {
            servers,
            epoch: AtomicU64::new(1),
            next_return_ms: AtomicU64::new(next_return_ms.unwrap_or(0)),
            ejections: AtomicU64::new(before.map_or(0, |before| before.ejections.load(Relaxed))),
            clients: before.map_or_else(Arc::default, |before| Arc::clone(&before.clients)),
            auto_eject: pool.auto_eject_hosts,
            failure_limit: pool.server_failure_limit.max(1),
            retry_timeout: pool.server_retry_timeout,
            probes: pool.compat == Compat::Friendly,
        }
    }

    /// Changes when a server was ejected or taken back.
    #[inline]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Relaxed)
    }

    /// Whether ejected servers are asked before they are taken back.
    pub fn probes(&self) -> bool {
        self.probes
    }

    /// Which servers live, in the order of the configuration.
    pub fn live(&self) -> Vec<bool> {
        self.servers.iter().map(|server| server.is_live()).collect()
    }

    /// A connection to server `index` failed or was closed. At the limit the server is ejected;
    /// returns whether it was.
    pub fn failed(&self, index: usize, now_ms: u64) -> bool {
        let server = &self.servers[index];
        if !self.auto_eject || !server.is_live() {
            return false;
        }
        if server.failures.fetch_add(1, SeqCst) + 1 < self.failure_limit {
            return false;
        }
        let until = now_ms.saturating_add(self.retry_timeout.as_millis() as u64).max(1);
        if server.ejected_until_ms.compare_exchange(0, until, SeqCst, SeqCst).is_err() {
            return false;
        }
        server.failures.store(0, SeqCst);
        let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        server.ejected_at_us.store(since_epoch.as_micros() as u64, Relaxed);
        self.ejections.fetch_add(1, Relaxed);
        if !self.probes {
            let _ = self.next_return_ms.fetch_update(SeqCst, SeqCst, |next| {
                Some(if next == 0 { until } else { next.min(until) })
            });
        }
        self.epoch.fetch_add(1, SeqCst);
        true
    }

    /// A probe of server `index` was answered (or, without probes, its time is over).
    pub fn take_back(&self, index: usize) {
        let server = &self.servers[index];
        server.failures.store(0, SeqCst);
        if server.ejected_until_ms.swap(0, SeqCst) != 0 {
            self.epoch.fetch_add(1, SeqCst);
        }
    }

    /// A probe of server `index` failed: it stays out for another retry timeout.
    pub fn probe_failed(&self, index: usize, now_ms: u64) {
        let until = now_ms.saturating_add(self.retry_timeout.as_millis() as u64).max(1);
        self.servers[index].ejected_until_ms.store(until, SeqCst);
    }

    /// nutcracker's rule: a server whose time is over is taken back by the next request.
    #[inline]
    pub fn return_due(&self, now_ms: u64) {
        let next = self.next_return_ms.load(Relaxed);
        if next != 0 && now_ms > next {
            self.return_all_due(now_ms);
        }
    }

    #[cold]
    fn return_all_due(&self, now_ms: u64) {
        let mut next = 0u64;
        for (index, server) in self.servers.iter().enumerate() {
            match server.ejected_until_ms() {
                Some(until) if until < now_ms => self.take_back(index),
                Some(until) => next = if next == 0 { until } else { next.min(until) },
                None => {}
            }
        }
        self.next_return_ms.store(next, SeqCst);
    }
}
