//! One pool as a worker sees it: which server gets a key, and which connection leads there.

use std::sync::Arc;

use super::failure::Failure;
use crate::config::{Compat, EjectMode, PoolConfig, Protocol};
use crate::health::PoolHealth;
use crate::placement::Placement;
use crate::stats::PoolCounters;

/// Longest pause between two attempts to connect to a server that refuses.
const RETRY_US_MAX: u64 = 500_000;
/// First pause.
const RETRY_US_MIN: u64 = 5_000;
/// Connections for large requests that are kept for the next one, for each server.
const SPARE_MAX: usize = 2;

/// What all workers are given to serve a pool.
#[derive(Clone, Debug)]
pub struct PoolPlan {
    /// What the file says.
    pub conf: Arc<PoolConfig>,
    /// Which servers live; shared by all workers.
    pub health: Arc<PoolHealth>,
    /// Where this worker counts.
    pub counters: Arc<PoolCounters>,
}

/// The connections to one server.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// By protocol version (RESP2 and memcached, RESP3), then by number.
    shared: [Vec<Option<u32>>; 2],
    spare: Vec<u32>,
    /// No attempt to connect before this time.
    retry_at_us: u64,
    attempts: u32,
    /// Why the last attempt failed.
    last: Option<Failure>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) plan: PoolPlan,
    pub(crate) protocol: Protocol,
    pub(crate) strict: bool,
    pub(crate) timeout_us: Option<u64>,
    /// Clients connected through this worker.
    pub(crate) clients: u32,
    pub(crate) links: Vec<Links>,
    /// The configuration has lost it; it goes when its last connection does.
    pub(crate) leaving: bool,
    placement: Placement,
    epoch: u64,
    fail_fast: bool,
    random: u64,
}

impl Pool {
    pub(crate) fn new(plan: PoolPlan, seed: u64) -> Pool {
        let conf = &plan.conf;
        let links = conf.servers.iter().map(|_| Links::default()).collect();
        Pool {
            protocol: conf.protocol,
            strict: conf.compat == Compat::Strict,
            timeout_us: conf.timeout.map(|timeout| timeout.as_micros() as u64),
            clients: 0,
            links,
            leaving: false,
            placement: conf.placement(),
            epoch: 0,
            fail_fast: conf.eject_mode == EjectMode::FailFast,
            random: seed | 1,
            plan,
        }
    }

    /// The server that owns `key` now.
    #[inline]
    pub(crate) fn locate(&mut self, key: &[u8], now_us: u64) -> Result<usize, Failure> {
        let health = &self.plan.health;
        health.return_due(now_us / 1000);
        if health.epoch() != self.epoch {
            self.rebuild();
        }
        let random = &mut self.random;
        let server = self.placement.locate(key, || next_random(random));
        let server = server.ok_or(Failure::Refused)? as usize;
        if self.fail_fast && !self.plan.health.servers[server].is_live() {
            return Err(Failure::HostDown);
        }
        Ok(server)
    }

    #[cold]
    fn rebuild(&mut self) {
        self.epoch = self.plan.health.epoch();
        if !self.fail_fast {
            self.placement = self.placement.with_live(&self.plan.health.live());
        }
    }

    /// The connection for a client, if there is one.
    #[inline]
    pub(crate) fn link(&self, server: usize, resp3: bool, client: u32) -> Option<u32> {
        let links = &self.links[server].shared[usize::from(resp3)];
        // A client keeps to one connection, so that it reads what it wrote.
        *links.get(client as usize % self.connections())?
    }

    fn connections(&self) -> usize {
        (self.plan.conf.server_connections as usize).max(1)
    }

    pub(crate) fn set_link(&mut self, server: usize, resp3: bool, client: u32, upstream: u32) {
        let connections = self.connections();
        let links = &mut self.links[server].shared[usize::from(resp3)];
        links.resize(connections, None);
        links[client as usize % connections] = Some(upstream);
    }

    /// Forgets a connection.
    pub(crate) fn unlink(&mut self, server: usize, upstream: u32) {
        let links = &mut self.links[server];
        for link in links.shared.iter_mut().flatten() {
            if *link == Some(upstream) {
                *link = None;
            }
        }
        links.spare.retain(|&spare| spare != upstream);
    }

    /// All connections to a server, which are forgotten.
    pub(crate) fn take_links(&mut self, server: usize) -> Links {
        std::mem::take(&mut self.links[server])
    }

    /// Takes a kept connection for a large request.
    pub(crate) fn take_spare(&mut self, server: usize) -> Option<u32> {
        self.links[server].spare.pop()
    }

    /// Keeps a connection for the next large request; false if there are enough.
    pub(crate) fn keep_spare(&mut self, server: usize, upstream: u32) -> bool {
        let spare = &mut self.links[server].spare;
        let keep = spare.len() < SPARE_MAX;
        if keep {
            spare.push(upstream);
        }
        keep
    }

    /// Whether a connection may be tried now; otherwise why the last one failed.
    pub(crate) fn may_connect(&self, server: usize, now_us: u64) -> Result<(), Failure> {
        let links = &self.links[server];
        match links.last {
            Some(failure) if now_us < links.retry_at_us => Err(failure),
            _ => Ok(()),
        }
    }

    /// Counts a failure of a server, which may eject it.
    pub(crate) fn count_failure(&self, server: usize, now_us: u64) {
        let health = &self.plan.health;
        if health.failed(server, now_us / 1000) {
            let server = &health.servers[server].label;
            tracing::warn!(%server, "server ejected");
        }
    }

    /// A connection came up.
    pub(crate) fn connected(&mut self, server: usize) {
        let links = &mut self.links[server];
        links.attempts = 0;
        links.last = None;
    }

    /// A connection could not be made: the next attempt waits, longer each time, with jitter so
    /// that a fleet of proxies does not knock in step. A strict pool knows no pause.
    pub(crate) fn connect_failed(&mut self, server: usize, failure: Failure, now_us: u64) {
        if self.strict {
            return;
        }
        let jitter = u64::from(next_random(&mut self.random)) % 512 + 512;
        let links = &mut self.links[server];
        let pause = (RETRY_US_MIN << links.attempts.min(16)).min(RETRY_US_MAX);
        links.attempts += 1;
        links.retry_at_us = now_us + pause * jitter / 1024;
        links.last = Some(failure);
    }
}

impl Links {
    /// Every connection.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.shared.iter().flatten().flatten().chain(&self.spare).copied()
    }
}

/// xorshift64*: spreads keys of the `random` distribution and the pauses; nothing secret.
#[inline]
fn next_random(state: &mut u64) -> u32 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
}
