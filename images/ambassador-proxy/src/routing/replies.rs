//! The server side of the core: replies are found and handed to whom they belong, failures told
//! to everyone who waits.

use super::client::{Client, Ending};
use super::failure::Failure;
use super::upstream::{Expect, For, Link, Upstream, WHOLE};
use super::{Core, HELD_BYTES_SPARED, OUT_BYTES_HIGH, REPLY_PIECE_BYTES, touch};
use crate::protocol::Scan;
use crate::protocol::memcache::ReplyKind;

/// The end mark of a quiet meta command, which the client did not ask for.
const END_MARK: &[u8] = b"MN\r\n";

/// A piece of a reply.
#[derive(Clone, Copy)]
struct Piece<'a> {
    bytes: &'a [u8],
    /// It begins the reply.
    first: bool,
    /// It ends the reply.
    last: bool,
}

impl Core {
    /// Connections to be opened, written to or closed, each once; the list is handed over.
    #[inline]
    pub fn touched_upstreams(&mut self, list: &mut Vec<u32>) {
        debug_assert!(list.is_empty());
        std::mem::swap(list, &mut self.fabric.touched);
        for &upstream in list.iter() {
            self.fabric.upstreams[upstream as usize].touched = false;
            // What cannot be sent, or not yet, counts as well.
            self.fabric.account_upstream(upstream);
        }
    }

    /// Connections that can be read again, each once; the list is handed over.
    pub fn resumed_upstreams(&mut self, list: &mut Vec<u32>) {
        for &upstream in &self.fabric.resumed {
            if let Some(up) = self.fabric.upstreams.get_mut(upstream as usize) {
                up.resumed = false;
            }
        }
        list.append(&mut self.fabric.resumed);
    }

    /// The state of a connection; `None` when the driver is to drop it.
    #[inline]
    pub fn link(&self, upstream: u32) -> Option<Link> {
        let up = &self.fabric.upstreams[upstream as usize];
        (!up.dead).then_some(up.link)
    }

    /// Whether the table holds this connection.
    pub fn has_upstream(&self, upstream: u32) -> bool {
        self.fabric.upstreams.contains(upstream as usize)
    }

    /// The server a connection leads to.
    pub fn server(&self, upstream: u32) -> &std::sync::Arc<crate::health::Server> {
        &self.fabric.upstreams[upstream as usize].shared
    }

    /// The driver has begun to connect.
    pub fn upstream_connecting(&mut self, upstream: u32) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        up.link = Link::Connecting;
        self.fabric.next_deadline_us = self.fabric.next_deadline_us.min(up.connect_deadline_us);
    }

    /// The connection is up.
    pub fn upstream_up(&mut self, upstream: u32) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        up.link = Link::Up;
        up.stats.server_connections.add(1);
        let (pool, server) = (up.pool, up.server);
        if let Some(server) = server {
            self.fabric.pool(pool).connected(server);
        }
        self.fabric.touch(upstream);
    }

    /// The bytes that can be sent to a server now.
    #[inline]
    pub fn upstream_output(&self, upstream: u32) -> &[u8] {
        self.fabric.upstreams[upstream as usize].sendable()
    }

    /// So many of them were sent.
    #[inline]
    pub fn upstream_sent(&mut self, upstream: u32, bytes: usize) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        up.sent(bytes);
        let (owner, release) = (up.owner, up.release_when_sent && up.out.is_empty());
        self.fabric.account_upstream(upstream);
        if let Some(owner) = owner {
            let client = self.clients.get_mut(owner.index as usize);
            if let Some(client) = client.filter(|client| client.id == owner)
                && client.paused
                && !client.resumed
                && !self.fabric.passing_is_full(upstream)
            {
                client.resumed = true;
                self.resumed.push(owner.index);
            }
            let client = self.clients.get(owner.index as usize);
            if client.is_some_and(|client| client.id == owner && client.passing.is_some()) {
                self.fabric.watch_passing(upstream, true);
            }
        }
        if release {
            self.fabric.release(upstream);
        }
        self.close_if_left_behind(upstream);
    }

    /// Closes a connection whose server is no longer of the pool once it has done its work.
    fn close_if_left_behind(&mut self, upstream: u32) {
        let up = &self.fabric.upstreams[upstream as usize];
        if up.server.is_none() && up.is_idle() && !up.dead {
            self.fabric.bury(upstream);
        }
    }

    /// Whether the driver is to read from this connection now. If not, it will be listed as
    /// resumed when that has changed.
    #[inline]
    pub fn upstream_wants_read(&self, upstream: u32) -> bool {
        let up = &self.fabric.upstreams[upstream as usize];
        up.blocked_by == 0 && !up.dead
    }

    /// Bytes have arrived from a server.
    #[inline]
    pub fn upstream_input(&mut self, upstream: u32, bytes: &[u8]) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        let taken = if up.remainder.is_empty() {
            self.take_replies(upstream, bytes).map(|used| {
                let up = &mut self.fabric.upstreams[upstream as usize];
                up.remainder.extend_from_slice(&bytes[used..]);
            })
        } else {
            let mut remainder = std::mem::take(&mut up.remainder);
            remainder.extend_from_slice(bytes);
            self.take_replies(upstream, &remainder).map(|used| {
                if used == remainder.len() {
                    return;
                }
                remainder.drain(..used);
                self.fabric.upstreams[upstream as usize].remainder = remainder;
            })
        };
        if let Err(failure) = taken {
            self.upstream_gone(upstream, failure);
            return;
        }
        self.fabric.account_upstream(upstream);
        self.close_if_left_behind(upstream);
    }

    /// Hands out the replies in `bytes`. Returns how many bytes are done with.
    #[inline]
    fn take_replies(&mut self, upstream: u32, bytes: &[u8]) -> Result<usize, Failure> {
        let mut at = 0;
        while at < bytes.len() {
            let up = &mut self.fabric.upstreams[upstream as usize];
            if up.dead {
                return Ok(bytes.len());
            }
            let Some(&expect) = up.fifo.front() else {
                // What nobody asked for would shift all replies after it by one.
                self.stats.stray_replies.add(1);
                return Err(Failure::Invalid);
            };
            let rest = &bytes[at..];
            match up.scanner.scan(rest, expect.kind) {
                Ok(Scan::Done(length)) => {
                    let first = !up.streaming;
                    up.streaming = false;
                    up.scanner.reset();
                    up.fifo.pop_front();
                    up.expired = up.expired.saturating_sub(1);
                    up.stats.responses.add(1);
                    up.stats.response_bytes.add(length as u64);
                    let piece = Piece { bytes: &rest[..length], first, last: true };
                    if let Err(failure) = self.hand_out(upstream, expect, piece) {
                        // The reply was not handed out, so its request fails with the others.
                        self.fabric.upstreams[upstream as usize].fifo.push_front(expect);
                        return Err(failure);
                    }
                    at += length;
                }
                Ok(Scan::More { need }) => {
                    if up.streaming || need > REPLY_PIECE_BYTES {
                        at += self.hand_out_piece(upstream, expect, rest)?;
                    }
                    return Ok(at);
                }
                Err(error) => {
                    let server = &up.shared.label;
                    tracing::warn!(%server, %error, "server does not speak the protocol");
                    return Err(Failure::Invalid);
                }
            }
        }
        Ok(at)
    }

    /// Passes on what has arrived of a large reply.
    fn hand_out_piece(
        &mut self,
        upstream: u32,
        expect: Expect,
        bytes: &[u8],
    ) -> Result<usize, Failure> {
        let now_us = self.fabric.now_us;
        let up = &mut self.fabric.upstreams[upstream as usize];
        let length = up.scanner.passable(bytes.len());
        if length == 0 {
            return Ok(0);
        }
        up.scanner.took(length);
        let first = !up.streaming;
        up.streaming = true;
        up.stats.response_bytes.add(length as u64);
        if let (Some(head), Some(timeout), 0) = (up.fifo.front_mut(), up.timeout_us, up.expired) {
            // It is being answered, so it has not timed out.
            head.deadline_us = now_us + timeout;
        }
        self.hand_out(upstream, expect, Piece { bytes: &bytes[..length], first, last: false })?;
        Ok(length)
    }

    /// Hands a piece of a reply to whom it belongs.
    #[inline]
    fn hand_out(&mut self, upstream: u32, expect: Expect, piece: Piece<'_>) -> Result<(), Failure> {
        if piece.first {
            self.judge(upstream, piece.bytes)?;
        }
        let owned = self.fabric.upstreams[upstream as usize].owner.is_some();
        let (id, seq, fragment) = match expect.to {
            For::Client { id, seq, fragment } => (id, seq, fragment),
            For::Handshake => return self.greeted(upstream, piece.bytes),
            For::Nobody => {
                self.stats.late_replies.add(u64::from(piece.last));
                if owned && piece.last {
                    self.finish_passing(upstream);
                }
                return Ok(());
            }
        };
        if let Some(client) = self.clients.get_mut(id.index as usize)
            && client.id == id
        {
            let mut bytes = piece.bytes;
            if expect.kind == ReplyKind::MetaQuiet && piece.last {
                bytes = bytes.strip_suffix(END_MARK).unwrap_or(bytes);
            }
            match (fragment, piece.first && piece.last) {
                (WHOLE, true) => client.reply(seq, bytes),
                (WHOLE, false) => client.reply_piece(seq, bytes, piece.last),
                (fragment, _) => client.fragment(seq, fragment, bytes, piece.last),
            }
            self.after_reply(upstream, id.index);
        }
        if owned && piece.last {
            self.finish_passing(upstream);
        }
        Ok(())
    }

    /// What every reply to a client ends with: limits, accounts, lists.
    #[inline]
    fn after_reply(&mut self, upstream: u32, index: u32) {
        let client = &mut self.clients[index as usize];
        self.fabric.account_client(client);
        if client.is_over_limit()
            || (self.fabric.is_over_budget() && client.held_back() > HELD_BYTES_SPARED)
        {
            self.stats.over_memory.add(1);
            client.end(Ending::Now);
        }
        if client.out.len() > OUT_BYTES_HIGH && !client.blocks.contains(&upstream) {
            if client.blocks.is_empty() {
                self.blocking += 1;
                client.blocks_since_us = self.fabric.now_us;
            }
            client.blocks.push(upstream);
            let up = &mut self.fabric.upstreams[upstream as usize];
            up.blocked_by += 1;
            self.look_at_us = self.look_at_us.min(client.blocks_since_us + up.patience_us());
        }
        if !client.out.is_empty() || client.is_finished() {
            touch(client, &mut self.touched);
        }
        if client.paused && !client.resumed && client.takes_requests() {
            client.resumed = true;
            self.resumed.push(index);
        }
    }

    /// The reply to a large request is complete; its connection is free, once all is sent.
    fn finish_passing(&mut self, upstream: u32) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        let Some(owner) = up.owner else { return };
        let client = self.clients.get(owner.index as usize).filter(|client| client.id == owner);
        let under_way = client
            .and_then(|client| client.passing.as_ref())
            .is_some_and(|passing| passing.upstream == Some(upstream));
        if !under_way && up.out.is_empty() {
            self.fabric.release(upstream);
        } else if !under_way {
            up.release_when_sent = true;
        }
    }

    /// Whether a reply speaks for the health of its server or against it.
    #[inline]
    fn judge(&mut self, upstream: u32, reply: &[u8]) -> Result<(), Failure> {
        let up = &self.fabric.upstreams[upstream as usize];
        let transient = reply.first() == Some(&b'-')
            && [&b"-OOM"[..], b"-BUSY ", b"-LOADING"].iter().any(|text| reply.starts_with(text));
        if !transient {
            up.shared.answered();
            return Ok(());
        }
        let (pool, server) = (up.pool, up.server);
        if self.fabric.pool(pool).strict {
            // twemproxy swallows the reply and closes the connection.
            return Err(Failure::Invalid);
        }
        self.count_failure(pool, server);
        Ok(())
    }

    /// The answer to what the proxy said while connecting.
    fn greeted(&mut self, upstream: u32, reply: &[u8]) -> Result<(), Failure> {
        let up = &mut self.fabric.upstreams[upstream as usize];
        if reply.starts_with(b"-") {
            let (server, reply) = (&up.shared.label, reply.trim_ascii_end().escape_ascii());
            tracing::warn!(%server, %reply, "server refused the handshake");
            return Err(Failure::Handshake);
        }
        up.handshake_replies -= 1;
        if up.handshake_replies == 0 {
            self.fabric.touch(upstream);
        }
        Ok(())
    }

    fn count_failure(&mut self, pool: usize, server: Option<usize>) {
        let now_ms = self.fabric.now_us / 1000;
        let Some(server) = server else { return };
        let health = &self.fabric.pool(pool).plan.health;
        if health.failed(server, now_ms) {
            let server = &health.servers[server].label;
            tracing::warn!(%server, "server ejected");
        }
    }

    /// A connection has failed or was closed. Everyone who waits for it is told.
    pub fn upstream_gone(&mut self, upstream: u32, failure: Failure) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        if up.dead {
            return;
        }
        let waiting = std::mem::take(&mut up.fifo);
        let idle = waiting.is_empty() && up.out.is_empty();
        let (pool, server, link) = (up.pool, up.server, up.link);
        match failure {
            Failure::Closed => up.stats.server_eof.add(1),
            Failure::TimedOut => up.stats.server_timedout.add(1),
            _ => up.stats.server_err.add(1),
        }
        let reset = (up.owner.take(), std::mem::take(&mut up.remainder));
        up.out.clear(0);
        self.fabric.account_upstream(upstream);
        self.fabric.bury(upstream);
        let now_us = self.fabric.now_us;
        if let (Some(server), true) = (server, link != Link::Up) {
            self.fabric.upstreams[upstream as usize].shared.ask_for_lookup();
            self.fabric.pool(pool).connect_failed(server, failure, now_us);
        }
        // A server may close a connection that nobody uses; only twemproxy minds.
        if !idle || self.fabric.pool(pool).strict || link != Link::Up {
            self.count_failure(pool, server);
        }
        if let Some(owner) = reset.0 {
            self.passing_failed(owner, upstream);
        }
        for expect in waiting {
            self.tell_failure(pool, expect, failure);
        }
    }

    /// Drops a connection that has half a request, for its client is gone. The server is not to
    /// blame, and nobody waits.
    pub(super) fn drop_half_request(&mut self, upstream: u32) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        up.owner = None;
        up.fifo.clear();
        up.out.clear(0);
        if !up.dead {
            self.fabric.bury(upstream);
        }
    }

    /// The server of a large request is gone: the rest of the request is discarded.
    fn passing_failed(&mut self, owner: super::ClientId, upstream: u32) {
        let client = self.clients.get_mut(owner.index as usize);
        let Some(client) = client.filter(|client| client.id == owner) else { return };
        if let Some(passing) = &mut client.passing
            && passing.upstream == Some(upstream)
        {
            passing.upstream = None;
        }
        if client.paused && !client.resumed {
            client.resumed = true;
            self.resumed.push(owner.index);
        }
    }

    /// Tells whoever waits for a reply that none will come.
    fn tell_failure(&mut self, pool: usize, expect: Expect, failure: Failure) {
        let For::Client { id, seq, fragment } = expect.to else { return };
        let Some(client) = self.clients.get_mut(id.index as usize) else { return };
        if client.id != id {
            return;
        }
        let counters = &self.fabric.pool(pool).plan.counters;
        counters.pool.forward_error.add(1);
        tell(client, seq, fragment, failure);
        self.fabric.account_client(client);
        touch(client, &mut self.touched);
        if client.paused && !client.resumed && client.takes_requests() {
            client.resumed = true;
            self.resumed.push(id.index);
        }
    }

    /// The driver has dropped a connection that was marked as dead.
    pub fn remove_upstream(&mut self, upstream: u32) {
        let up = self.fabric.upstreams.remove(upstream as usize);
        self.fabric.bytes -= up.accounted;
        if up.link == Link::Up {
            up.stats.server_connections.sub(1);
        }
        if up.blocked_by > 0 {
            self.forget_blocked(upstream);
        }
        self.fabric.resumed.retain(|&resumed| resumed != upstream);
        if up.touched {
            self.fabric.touched.retain(|&touched| touched != upstream);
        }
        self.retire_pool_if_empty(up.pool);
    }

    /// A connection is gone that clients kept from being read.
    fn forget_blocked(&mut self, upstream: u32) {
        for (_, client) in &mut self.clients {
            let before = client.blocks.len();
            client.blocks.retain(|&blocked| blocked != upstream);
            if before > 0 && client.blocks.is_empty() {
                self.blocking -= 1;
            }
        }
    }

    /// Brings the gauges of the statistics up to date.
    pub fn refresh_gauges(&mut self) {
        for pool in self.fabric.pools.iter().flatten() {
            for stats in &pool.plan.counters.servers {
                for gauge in [
                    &stats.in_queue,
                    &stats.in_queue_bytes,
                    &stats.out_queue,
                    &stats.out_queue_bytes,
                ] {
                    gauge.set(0);
                }
            }
        }
        for (_, up) in &self.fabric.upstreams {
            up.stats.in_queue.add(up.unsent);
            up.stats.in_queue_bytes.add(up.out.len() as u64);
            up.stats.out_queue.add((up.fifo.len() as u64).saturating_sub(up.unsent));
        }
        self.stats.bytes_held.set(self.fabric.bytes as u64);
    }

    /// Fails the requests whose time is over.
    pub(super) fn expire_requests(&mut self) {
        let now_us = self.fabric.now_us;
        let due = |(index, up): (usize, &Upstream)| {
            (!up.dead && up.next_deadline_us() <= now_us).then_some(index as u32)
        };
        let due: Vec<u32> = self.fabric.upstreams.iter().filter_map(due).collect();
        for upstream in due {
            self.expire_upstream(upstream, now_us);
        }
        self.fabric.refresh_deadline();
    }

    fn expire_upstream(&mut self, upstream: u32, now_us: u64) {
        let up = &mut self.fabric.upstreams[upstream as usize];
        let (pool, server) = (up.pool, up.server);
        let handshakes = up.handshake_replies > 0 || up.link != Link::Up;
        let head_us = up.fifo.front().map_or(u64::MAX, |head| head.deadline_us);
        let hopeless =
            up.timeout_us.is_none_or(|timeout| head_us.saturating_add(timeout) <= now_us);
        let connects = up.link == Link::Connecting && up.connect_deadline_us <= now_us;
        if connects || handshakes || hopeless || self.fabric.pool(pool).strict {
            // twemproxy gives the connection up with the first late reply.
            return self.upstream_gone(upstream, Failure::TimedOut);
        }
        // Only the late ones fail; their replies, should they still come, are for nobody.
        let mut late = Vec::new();
        let up = &mut self.fabric.upstreams[upstream as usize];
        while let Some(expect) = up.fifo.get_mut(up.expired) {
            if expect.deadline_us > now_us {
                break;
            }
            late.push(*expect);
            expect.to = For::Nobody;
            up.expired += 1;
        }
        up.stats.server_timedout.add(1);
        for expect in late {
            self.tell_failure(pool, expect, Failure::TimedOut);
        }
        self.count_failure(pool, server);
    }
}

/// Puts the failure in the place of the reply.
fn tell(client: &mut Client, seq: u64, fragment: u16, failure: Failure) {
    let reply = failure.reply(client.protocol);
    if fragment != WHOLE {
        client.fragment_failed(seq, reply.as_bytes());
    } else if client.has_started(seq) {
        client.break_off();
    } else {
        client.reply(seq, reply.as_bytes());
    }
}
