//! The core of the proxy: bytes of clients and servers in, bytes for servers and clients out.
//!
//! A [`Core`] is one worker's share of the proxy. It does no I/O and knows no clock: a driver
//! (`worker`, or a test) tells it what arrived and what time it is, then writes what it finds in
//! the buffers of the connections listed as touched. So every interleaving of bytes, failures and
//! timeouts can be replayed in a test, byte by byte.
//!
//! The promise that everything here serves: a client gets exactly one reply for each request, in
//! the order of its requests, and never a byte of anybody else's.
//!
//! Reading order: `client` keeps the order of replies, `upstream` the order of expectations,
//! `fabric` leads from a key to a connection; `redis` and `memcache` decide what a request is,
//! `join` makes one reply of several, `passing` lets large requests through without holding them.

mod buffer;
pub mod client;
mod fabric;
mod failure;
mod join;
mod memcache;
mod passing;
mod pool;
mod redis;
mod reload;
mod replies;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
#[cfg(test)]
mod tests;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use slab::Slab;

pub use client::ClientId;
pub use failure::Failure;
pub use pool::PoolPlan;
pub use upstream::Link;

use crate::config::Protocol;
use crate::protocol::Scan;
use crate::stats::WorkerStats;
use client::{Client, Ending};
use fabric::Fabric;
use pool::Pool;

/// Most unanswered requests of one client; then it is not read until replies have left.
pub const IN_FLIGHT_MAX: usize = 1024;
/// Bytes of replies queued for a client above which it is not read, and servers that send more
/// for it are not read either.
pub const OUT_BYTES_HIGH: usize = 1024 * 1024;
/// Below this much the servers are read again.
const OUT_BYTES_LOW: usize = 256 * 1024;
/// Most bytes held for one client: a request that has to be whole, replies that wait to be joined.
pub const CLIENT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of replies that wait for earlier ones, or of a request that has to be whole, above which
/// a client is dropped once the memory budget is used up.
const HELD_BYTES_SPARED: usize = 1024 * 1024;
/// Most bytes queued for one connection to a server; beyond it requests fail at once.
pub const UPSTREAM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most unanswered requests on one connection to a server.
pub const UPSTREAM_REQUESTS_MAX: usize = 256 * 1024;
/// A request above this length is passed on as it comes, where one server gets all of it.
pub const PASSING_BYTES: usize = 256 * 1024;
/// Bytes of such a request that wait for the server before the client is not read.
const PASSING_BYTES_HIGH: usize = 256 * 1024;
/// A reply above this length is passed on as it comes.
pub const REPLY_PIECE_BYTES: usize = 64 * 1024;
/// How long a client may keep a server's connection from being read for others, in µs; no longer
/// than half the timeout of the pool, so that their requests do not time out.
const BLOCK_US_MAX: u64 = 5_000_000;

/// See the module.
#[derive(Debug)]
pub struct Core {
    clients: Slab<Client>,
    fabric: Fabric,
    touched: Vec<u32>,
    resumed: Vec<u32>,
    generation: u32,
    /// Clients that keep servers from being read.
    blocking: usize,
    /// The present millisecond, and the clients that have sent something in it.
    window: u64,
    window_active: u32,
    /// The clients that have in the last one.
    active: u32,
    /// When to look at them next, in µs.
    look_at_us: u64,
    stats: Arc<WorkerStats>,
}

impl Core {
    /// A core that may hold `bytes_max` bytes for all its connections.
    pub fn new(plans: Vec<PoolPlan>, bytes_max: usize, seed: u64, stats: Arc<WorkerStats>) -> Core {
        let pools = plans.into_iter().map(|plan| Some(Pool::new(plan, seed))).collect();
        Core {
            clients: Slab::new(),
            fabric: Fabric {
                pools,
                upstreams: Slab::new(),
                touched: Vec::new(),
                resumed: Vec::new(),
                now_us: 0,
                wall_offset_us: 0,
                next_deadline_us: upstream::NEVER,
                bytes: 0,
                bytes_max,
                stats: Arc::clone(&stats),
                split: Default::default(),
            },
            touched: Vec::new(),
            resumed: Vec::new(),
            generation: 0,
            blocking: 0,
            window: 0,
            window_active: 0,
            active: 0,
            look_at_us: upstream::NEVER,
            stats,
        }
    }

    /// Tells the time, in µs of a clock that never goes back.
    #[inline]
    pub fn set_now(&mut self, now_us: u64) {
        self.fabric.now_us = now_us;
        let window = now_us / 1_000;
        if window != self.window {
            // After a pause longer than that, nobody was active in the last one.
            self.active = if window == self.window + 1 { self.window_active } else { 0 };
            self.window_active = 0;
            self.window = window;
        }
    }

    /// Tells what has to be added to the time to get µs since the epoch, for `TIME`.
    pub fn set_wall_offset(&mut self, offset_us: u64) {
        self.fabric.wall_offset_us = offset_us;
    }

    /// Opens the connections of all pools that want them ahead of the first request.
    pub fn preconnect(&mut self) {
        for index in 0..self.fabric.pools.len() {
            let wants = |pool: &Pool| pool.plan.conf.preconnect;
            if self.fabric.pools[index].as_ref().is_some_and(wants) {
                self.fabric.preconnect(index);
            }
        }
    }

    // === Clients ===

    /// A client has connected to the pool in place `pool`.
    ///
    /// # Errors
    /// The pool has as many clients as it may have; the reply, if any, says so.
    pub fn accept(&mut self, pool: usize) -> Result<ClientId, &'static [u8]> {
        let now_us = self.fabric.now_us;
        let served = self.fabric.pools[pool].as_mut().ok_or(&b""[..])?;
        let (limit, clients) = (served.plan.conf.client_connections, &served.plan.health.clients);
        if clients.fetch_add(1, Relaxed) >= limit && limit > 0 {
            clients.fetch_sub(1, Relaxed);
            self.stats.refused_clients.add(1);
            return Err(match served.protocol {
                Protocol::Redis => b"-ERR max number of clients reached\r\n",
                Protocol::Memcache => b"SERVER_ERROR max number of clients reached\r\n",
            });
        }
        self.generation = self.generation.wrapping_add(1);
        let entry = self.clients.vacant_entry();
        let id = ClientId { index: entry.key() as u32, generation: self.generation };
        let mut client = Client::new(id, pool, served.protocol, now_us);
        client.session.authenticated = served.plan.conf.redis_auth.is_none();
        entry.insert(client);
        served.clients += 1;
        served.plan.counters.pool.client_connections.add(1);
        self.stats.accepted.add(1);
        Ok(id)
    }

    /// Whether the driver is to read from this client now. If not, it will be listed as resumed
    /// when that has changed.
    #[inline]
    pub fn client_wants_read(&mut self, index: u32) -> bool {
        let client = &mut self.clients[index as usize];
        let wants = match &client.passing {
            Some(passing) => passing.upstream.is_none_or(|up| !self.fabric.passing_is_full(up)),
            None => client.takes_requests(),
        };
        client.paused = !wants;
        wants && client.is_heard() && !client.eof
    }

    /// Bytes have arrived from a client.
    #[inline]
    pub fn client_input(&mut self, index: u32, bytes: &[u8]) {
        let client = &mut self.clients[index as usize];
        if client.last_input_us / 1_000 != self.window {
            self.window_active += 1;
        }
        client.last_input_us = self.fabric.now_us;
        if client.remainder.is_empty() {
            let used = take_requests(client, &mut self.fabric, bytes);
            if client.is_heard() {
                client.remainder.extend_from_slice(&bytes[used..]);
            }
        } else {
            client.remainder.extend_from_slice(bytes);
            take_remainder(client, &mut self.fabric);
        }
        self.after_client(index);
    }

    /// Goes on with the requests of a client that was listed as resumed.
    pub fn client_resume(&mut self, index: u32) {
        let client = &mut self.clients[index as usize];
        client.resumed = false;
        client.paused = false;
        take_remainder(client, &mut self.fabric);
        self.after_client(index);
    }

    /// What every event of a client ends with: limits, accounts, the driver's lists.
    #[inline]
    fn after_client(&mut self, index: u32) {
        let client = &mut self.clients[index as usize];
        self.fabric.account_client(client);
        if client.is_over_limit()
            || (self.fabric.is_over_budget() && client.remainder.len() > HELD_BYTES_SPARED)
        {
            self.stats.over_memory.add(1);
            client.end(Ending::Now);
        }
        if !client.out.is_empty() || client.is_finished() {
            touch(client, &mut self.touched);
        }
    }

    /// The client will send no more.
    pub fn client_eof(&mut self, index: u32) {
        let client = &mut self.clients[index as usize];
        let pool = self.fabric.pool(client.pool);
        if !client.eof && client.ending == Ending::Open {
            pool.plan.counters.pool.client_eof.add(1);
        }
        client.eof = true;
        if client.passing.is_some() {
            // Half a request: the server must not take it for a whole one.
            client.end(Ending::Now);
        }
        touch(client, &mut self.touched);
    }

    /// The connection of a client has failed.
    pub fn client_failed(&mut self, index: u32) {
        let client = &mut self.clients[index as usize];
        if client.ending != Ending::Now {
            self.fabric.pool(client.pool).plan.counters.pool.client_err.add(1);
        }
        client.end(Ending::Now);
        touch(client, &mut self.touched);
    }

    /// The bytes to be sent to a client.
    #[inline]
    pub fn client_output(&self, index: u32) -> &[u8] {
        self.clients[index as usize].out.pending()
    }

    /// So many of them were sent.
    #[inline]
    pub fn client_sent(&mut self, index: u32, bytes: usize) {
        let client = &mut self.clients[index as usize];
        client.out.consume(bytes);
        self.fabric.account_client(client);
        if !client.blocks.is_empty() && client.out.len() < OUT_BYTES_LOW {
            unblock(client, &mut self.fabric);
            self.blocking -= 1;
        }
        if client.paused && !client.resumed && client.takes_requests() {
            client.resumed = true;
            self.resumed.push(index);
        }
    }

    /// Clients to be written to or closed, each once; the list is handed over.
    #[inline]
    pub fn touched_clients(&mut self, list: &mut Vec<u32>) {
        debug_assert!(list.is_empty());
        std::mem::swap(list, &mut self.touched);
        for &index in list.iter() {
            self.clients[index as usize].touched = false;
        }
    }

    /// Clients that can be read again, each once; the list is handed over.
    pub fn resumed_clients(&mut self, list: &mut Vec<u32>) {
        list.append(&mut self.resumed);
    }

    /// Whether the client is to be closed now.
    #[inline]
    pub fn client_is_finished(&self, index: u32) -> bool {
        self.clients[index as usize].is_finished()
    }

    /// Whether the table still holds this client.
    pub fn has_client(&self, index: u32) -> bool {
        self.clients.contains(index as usize)
    }

    /// The driver has closed the client; replies that are still to come will find nobody.
    pub fn remove_client(&mut self, index: u32) {
        let mut client = self.clients.remove(index as usize);
        if !client.blocks.is_empty() {
            unblock(&mut client, &mut self.fabric);
            self.blocking -= 1;
        }
        self.fabric.bytes -= client.accounted;
        if let Some(upstream) = client.passing.as_ref().and_then(|passing| passing.upstream) {
            // The server has half a request, which only closing can end.
            self.drop_half_request(upstream);
        }
        let pool = self.fabric.pool(client.pool);
        pool.clients -= 1;
        pool.plan.health.clients.fetch_sub(1, Relaxed);
        pool.plan.counters.pool.client_connections.sub(1);
        self.resumed.retain(|&resumed| resumed != index);
        if client.touched {
            self.touched.retain(|&touched| touched != index);
        }
        self.retire_pool_if_empty(client.pool);
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Unanswered requests of all clients.
    pub fn in_flight(&self) -> usize {
        self.clients.iter().map(|(_, client)| client.in_flight()).sum()
    }

    /// How many clients have sent something in the last full millisecond.
    #[inline]
    pub fn active(&self) -> u32 {
        self.active
    }

    // === Time ===

    /// The time by which [`Core::expire`] is to be called, in µs; `u64::MAX` for never.
    #[inline]
    pub fn next_deadline_us(&self) -> u64 {
        self.fabric.next_deadline_us.min(self.look_at_us)
    }

    /// Fails what has waited too long.
    pub fn expire(&mut self) {
        let now_us = self.fabric.now_us;
        if now_us >= self.fabric.next_deadline_us {
            self.expire_requests();
        }
        if now_us >= self.look_at_us {
            self.cut_off_slow_clients(now_us);
        }
    }

    /// Closes clients that have kept a server from being read for others for too long.
    fn cut_off_slow_clients(&mut self, now_us: u64) {
        self.look_at_us = upstream::NEVER;
        for (index, client) in &mut self.clients {
            if client.blocks.is_empty() || client.ending == Ending::Now {
                continue;
            }
            let id = client.id;
            let since_us = client.blocks_since_us;
            let blocked = client.blocks.iter().map(|&up| &self.fabric.upstreams[up as usize]);
            let cut_us = blocked.clone().map(|up| since_us + up.patience_us()).min();
            let cut_us = cut_us.unwrap_or(upstream::NEVER);
            if now_us < cut_us {
                self.look_at_us = self.look_at_us.min(cut_us);
                continue;
            }
            let others_wait = blocked
                .filter(|up| now_us >= since_us + up.patience_us())
                .any(|up| up.others_wait(id));
            if !others_wait {
                self.look_at_us = self.look_at_us.min(now_us + BLOCK_US_MAX / 8);
            } else {
                self.stats.slow_clients.add(1);
                client.end(Ending::Now);
                touch(client, &mut self.touched);
                tracing::warn!(client = index, "client does not read its replies, closed");
            }
        }
    }

    /// Closes clients that have been quiet for `quiet_us`, for a proxy that is to stop. Returns
    /// how many are left.
    pub fn close_quiet(&mut self, quiet_us: u64) -> usize {
        let now_us = self.fabric.now_us;
        for (_, client) in &mut self.clients {
            let quiet = client.in_flight() == 0
                && client.remainder.is_empty()
                && client.passing.is_none()
                && now_us >= client.last_input_us + quiet_us;
            if quiet {
                client.end(Ending::AfterReplies);
                touch(client, &mut self.touched);
            }
        }
        self.clients.len()
    }
}

/// Lists a client for the driver's attention.
#[inline]
fn touch(client: &mut Client, touched: &mut Vec<u32>) {
    if !client.touched {
        client.touched = true;
        touched.push(client.id.index);
    }
}

/// Lets the servers be read again that waited for this client.
fn unblock(client: &mut Client, fabric: &mut Fabric) {
    for upstream in client.blocks.drain(..) {
        let Some(up) = fabric.upstreams.get_mut(upstream as usize) else { continue };
        up.blocked_by = up.blocked_by.saturating_sub(1);
        if up.blocked_by > 0 {
            continue;
        }
        let deadline_us = up.restart_clocks(fabric.now_us);
        fabric.next_deadline_us = fabric.next_deadline_us.min(deadline_us);
        if !up.resumed {
            up.resumed = true;
            fabric.resumed.push(upstream);
        }
    }
}

/// Takes what can be taken of the bytes kept for a client.
fn take_remainder(client: &mut Client, fabric: &mut Fabric) {
    let mut remainder = std::mem::take(&mut client.remainder);
    let used = take_requests(client, fabric, &remainder);
    if used == remainder.len() || !client.is_heard() {
        remainder = Vec::new();
    } else if used > 0 {
        remainder.drain(..used);
    }
    client.remainder = remainder;
}

/// Takes as many requests as `bytes` hold and the client may have in flight. Returns how many
/// bytes are done with; the rest is to be shown again, with what follows it.
#[inline]
fn take_requests(client: &mut Client, fabric: &mut Fabric, bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        if client.passing.is_some() {
            at += passing::pass(client, fabric, &bytes[at..]);
            if client.passing.is_some() || client.ending != Ending::Open {
                return at;
            }
        }
        if at == bytes.len() {
            return at;
        }
        if !client.takes_requests() {
            client.paused = true;
            return at;
        }
        let scanned = client.scanner.scan(&bytes[at..]);
        if let Ok(Scan::Done(length) | Scan::More { need: length }) = scanned
            && length as u64 > fabric.pool(client.pool).plan.conf.request_max
        {
            refuse_bytes(client, fabric, "request too large");
            return bytes.len();
        }
        match scanned {
            Ok(Scan::Done(length)) => {
                client.barrier = false;
                let frame = &bytes[at..at + length];
                match client.protocol {
                    Protocol::Redis => redis::take(client, fabric, frame),
                    Protocol::Memcache => memcache::take(client, fabric, frame),
                }
                client.scanner.reset();
                at += length;
            }
            Ok(Scan::More { need }) => {
                if need > PASSING_BYTES {
                    match passing::begin(client, fabric, &bytes[at..]) {
                        passing::Begun::Passing(taken) => {
                            at += taken;
                            continue;
                        }
                        passing::Begun::Held | passing::Begun::Waiting => {}
                    }
                }
                return at;
            }
            Err(error) => {
                refuse_bytes(client, fabric, error.0);
                return bytes.len();
            }
        }
    }
}

/// The bytes are not of the protocol: tell the client, then close, for nothing after them can be
/// understood. A strict pool closes at once, as twemproxy does, and replies on their way are lost.
fn refuse_bytes(client: &mut Client, fabric: &mut Fabric, why: &str) {
    fabric.stats.protocol_errors.add(1);
    let pool = fabric.pool(client.pool);
    pool.plan.counters.pool.client_err.add(1);
    if pool.strict {
        client.end(Ending::Now);
        return;
    }
    client.answer(
        match client.protocol {
            Protocol::Redis => format!("-ERR Protocol error: {why}\r\n"),
            Protocol::Memcache => format!("CLIENT_ERROR {why}\r\n"),
        }
        .as_bytes(),
    );
    client.end(Ending::AfterReplies);
}
