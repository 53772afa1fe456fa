//! The server side of a worker: pools, connections to their servers, what is queued on them.

use std::sync::Arc;

use slab::Slab;

use super::client::{Client, ClientId};
use super::failure::Failure;
use super::pool::Pool;
use super::redis::SplitPlan;
use super::upstream::{Expect, For, Link, NEVER, Sent, Upstream, WHOLE};
use super::{PASSING_BYTES_HIGH, UPSTREAM_BYTES_MAX, UPSTREAM_REQUESTS_MAX};
use crate::config::Protocol;
use crate::protocol::memcache::ReplyKind;
use crate::protocol::resp;
use crate::stats::WorkerStats;

/// Time to connect where the pool has no timeout of its own.
const CONNECT_US: u64 = 5_000_000;

/// The reply that a request is to get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) seq: u64,
    pub(crate) fragment: u16,
    pub(crate) kind: ReplyKind,
}

/// Who sends a request, as far as it matters for the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender {
    pub(crate) id: ClientId,
    pub(crate) pool: usize,
    pub(crate) resp3: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Fabric {
    pub(crate) pools: Vec<Option<Pool>>,
    pub(crate) upstreams: Slab<Upstream>,
    /// Connections with something to send, to open or to close.
    pub(crate) touched: Vec<u32>,
    /// Connections that can be read again.
    pub(crate) resumed: Vec<u32>,
    pub(crate) now_us: u64,
    /// What the driver's clock lacks to the time of day.
    pub(crate) wall_offset_us: u64,
    /// No deadline is earlier.
    pub(crate) next_deadline_us: u64,
    /// Bytes held for clients and servers.
    pub(crate) bytes: usize,
    pub(crate) bytes_max: usize,
    pub(crate) stats: Arc<WorkerStats>,
    /// Room for the next split, kept between requests.
    pub(crate) split: SplitPlan,
}

impl Fabric {
    #[inline]
    pub(crate) fn pool(&mut self, index: usize) -> &mut Pool {
        self.pools[index].as_mut().expect("a pool outlives its clients and connections")
    }

    #[inline]
    pub(crate) fn is_over_budget(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Whether there is memory for a further request.
    #[inline]
    pub(crate) fn admits(&self) -> Sent {
        if self.is_over_budget() {
            self.stats.over_memory.add(1);
            return Err(Failure::OutOfMemory);
        }
        Ok(())
    }

    /// The time of day in µs since the epoch.
    pub(crate) fn wall_us(&self) -> u64 {
        self.wall_offset_us.wrapping_add(self.now_us)
    }

    /// Lists a connection for the driver's attention.
    #[inline]
    pub(crate) fn touch(&mut self, upstream: u32) {
        let up = &mut self.upstreams[upstream as usize];
        if !up.touched {
            up.touched = true;
            self.touched.push(upstream);
        }
    }

    /// Queues a request for a server. `write` appends it; without `wanted` no reply will come.
    #[inline]
    pub(crate) fn send(
        &mut self,
        sender: Sender,
        server: usize,
        wanted: Option<Wanted>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, Failure> {
        let upstream = match self.pool(sender.pool).link(server, sender.resp3, sender.id.index) {
            Some(upstream) => upstream,
            None => self.open(sender, server, None)?,
        };
        let now_us = self.now_us;
        let up = &mut self.upstreams[upstream as usize];
        if up.out.len() > UPSTREAM_BYTES_MAX || up.fifo.len() >= UPSTREAM_REQUESTS_MAX {
            return Err(Failure::QueueFull);
        }
        let before = up.out.len();
        write(up.out.tail());
        let bytes = (up.out.len() - before) as u64;
        if let Some(wanted) = wanted {
            let to = For::Client { id: sender.id, seq: wanted.seq, fragment: wanted.fragment };
            let deadline_us = up.timeout_us.map_or(NEVER, |timeout| now_us + timeout);
            up.fifo.push_back(Expect { to, kind: wanted.kind, deadline_us });
            self.next_deadline_us = self.next_deadline_us.min(deadline_us);
        }
        up.unsent += 1;
        up.stats.requests.add(1);
        up.stats.request_bytes.add(bytes);
        if !up.touched {
            up.touched = true;
            self.touched.push(upstream);
        }
        Ok(upstream)
    }

    /// The room for a split, empty.
    pub(crate) fn take_plan(&mut self) -> SplitPlan {
        let mut plan = std::mem::take(&mut self.split);
        plan.clear();
        plan
    }

    /// Gives the room back.
    pub(crate) fn keep_plan(&mut self, plan: SplitPlan) {
        self.split = plan;
    }

    /// Where the keys of a fragment are to be written; `None` if it has failed.
    #[inline]
    pub(crate) fn fragment_tail(
        &mut self,
        plan: &SplitPlan,
        fragment: u16,
    ) -> Option<&mut Vec<u8>> {
        let (upstream, _) = plan.fragments[usize::from(fragment)].upstream?;
        Some(self.upstreams[upstream as usize].out.tail())
    }

    /// All fragments have their keys.
    pub(crate) fn fragments_done(&mut self, pool: usize, plan: SplitPlan) {
        for (upstream, before) in plan.fragments.iter().filter_map(|target| target.upstream) {
            let up = &self.upstreams[upstream as usize];
            up.stats.request_bytes.add((up.out.len() - before) as u64);
        }
        let count = plan.fragments.len() as u64;
        self.pool(pool).plan.counters.pool.fragments.add(count);
        self.keep_plan(plan);
    }

    /// Makes a new connection: queues what has to be said first and lists it for the driver.
    fn open(
        &mut self,
        sender: Sender,
        server: usize,
        owner: Option<ClientId>,
    ) -> Result<u32, Failure> {
        let now_us = self.now_us;
        let pool = self.pool(sender.pool);
        pool.may_connect(server, now_us)?;
        let timeout_us = pool.timeout_us;
        let mut up = Upstream {
            pool: sender.pool,
            server: Some(server),
            shared: Arc::clone(&pool.plan.health.servers[server]),
            stats: Arc::clone(&pool.plan.counters.servers[server]),
            resp3: sender.resp3,
            link: Link::Down,
            out: Default::default(),
            handshake_bytes: 0,
            handshake_replies: 0,
            fifo: Default::default(),
            expired: 0,
            remainder: Vec::new(),
            scanner: Upstream::new_scanner(pool.protocol),
            streaming: false,
            blocked_by: 0,
            owner,
            release_when_sent: false,
            unsent: 0,
            touched: true,
            resumed: false,
            dead: false,
            accounted: 0,
            timeout_us,
            connect_deadline_us: now_us + timeout_us.unwrap_or(CONNECT_US),
        };
        if pool.protocol == Protocol::Redis {
            greet(&mut up, pool, now_us);
        }
        self.next_deadline_us = self.next_deadline_us.min(up.connect_deadline_us);
        let upstream = self.upstreams.insert(up) as u32;
        if owner.is_none() {
            self.pool(sender.pool).set_link(server, sender.resp3, sender.id.index, upstream);
        }
        self.touched.push(upstream);
        Ok(upstream)
    }

    /// Opens the connections of a pool ahead of the first request (`preconnect`).
    pub(crate) fn preconnect(&mut self, pool: usize) {
        let id = ClientId { index: 0, generation: 0 };
        for server in 0..self.pool(pool).links.len() {
            // A failure is not an error yet; the first request tries again.
            let _ = self.open(Sender { id, pool, resp3: false }, server, None);
        }
    }

    /// A connection that one large request has for itself.
    pub(crate) fn open_for_passing(
        &mut self,
        sender: Sender,
        server: usize,
    ) -> Result<u32, Failure> {
        let spare = match sender.resp3 {
            false => self.pool(sender.pool).take_spare(server),
            true => None,
        };
        match spare {
            Some(upstream) => {
                self.upstreams[upstream as usize].owner = Some(sender.id);
                Ok(upstream)
            }
            None => self.open(sender, server, Some(sender.id)),
        }
    }

    /// The request that has a connection for itself has got its reply.
    pub(crate) fn release(&mut self, upstream: u32) {
        let up = &mut self.upstreams[upstream as usize];
        let (pool, server, resp3) = (up.pool, up.server, up.resp3);
        up.owner = None;
        up.release_when_sent = false;
        let keep = up.is_idle()
            && !resp3
            && server.is_some_and(|server| self.pool(pool).keep_spare(server, upstream));
        if !keep {
            self.bury(upstream);
        }
    }

    /// Marks a connection as to be closed by the driver; its pool forgets it.
    pub(crate) fn bury(&mut self, upstream: u32) {
        let up = &mut self.upstreams[upstream as usize];
        let (pool, server) = (up.pool, up.server);
        up.dead = true;
        if let Some(server) = server {
            self.pool(pool).unlink(server, upstream);
        }
        self.touch(upstream);
    }

    /// Whether a client that passes a large request on has to wait for the server to take it.
    pub(crate) fn passing_is_full(&self, upstream: u32) -> bool {
        self.upstreams[upstream as usize].out.len() > PASSING_BYTES_HIGH
    }

    /// Keeps the time of a large request: it runs while bytes wait for the server, anew with
    /// each `progress`, and rests while the server waits for the client.
    pub(crate) fn watch_passing(&mut self, upstream: u32, progress: bool) {
        let now_us = self.now_us;
        let up = &mut self.upstreams[upstream as usize];
        let (Some(timeout), waits) = (up.timeout_us, !up.out.is_empty()) else { return };
        let Some(expect) = up.fifo.back_mut().filter(|_| up.expired == 0) else { return };
        if !waits {
            expect.deadline_us = NEVER;
        } else if progress || expect.deadline_us == NEVER {
            expect.deadline_us = now_us + timeout;
            self.next_deadline_us = self.next_deadline_us.min(expect.deadline_us);
        }
    }

    /// Recomputes the earliest deadline.
    pub(crate) fn refresh_deadline(&mut self) {
        let deadlines = self.upstreams.iter().map(|(_, up)| up.next_deadline_us());
        self.next_deadline_us = deadlines.min().unwrap_or(NEVER);
    }

    /// Brings the account of a client up to date.
    #[inline]
    pub(crate) fn account_client(&mut self, client: &mut Client) {
        let footprint = client.footprint();
        self.bytes = self.bytes + footprint - client.accounted;
        client.accounted = footprint;
    }

    /// Brings the account of a connection up to date.
    #[inline]
    pub(crate) fn account_upstream(&mut self, upstream: u32) {
        let up = &mut self.upstreams[upstream as usize];
        let footprint = up.footprint();
        self.bytes = self.bytes + footprint - up.accounted;
        up.accounted = footprint;
    }
}

/// Queues what a Redis server has to be told before the first request: password, then protocol,
/// then database. Requests wait for its end, so that none runs in the wrong database.
fn greet(up: &mut Upstream, pool: &Pool, now_us: u64) {
    let conf = &pool.plan.conf;
    let mut say = |args: &[&[u8]]| {
        resp::push_request(up.out.tail(), args);
        let deadline_us = pool.timeout_us.map_or(NEVER, |timeout| now_us + timeout);
        up.fifo.push_back(Expect { to: For::Handshake, kind: ReplyKind::Line, deadline_us });
        up.handshake_replies += 1;
    };
    if let Some(password) = &conf.redis_auth {
        match &conf.redis_user {
            Some(user) => say(&[b"AUTH", user.as_bytes(), password.expose().as_bytes()]),
            None => say(&[b"AUTH", password.expose().as_bytes()]),
        }
    }
    if up.resp3 {
        say(&[b"HELLO", b"3"]);
    }
    if conf.redis_db > 0 {
        say(&[b"SELECT", conf.redis_db.to_string().as_bytes()]);
    }
    up.handshake_bytes = up.out.len();
}

/// Wants the whole reply to `seq`.
pub(crate) fn whole(seq: u64, kind: ReplyKind) -> Option<Wanted> {
    Some(Wanted { seq, fragment: WHOLE, kind })
}
