//! A new set of pools for a running core.
//!
//! Clients stay where they are. A connection to a server stays when the server is the same one
//! (label and address) and is spoken to in the same way; any other finishes what it has been
//! asked and closes.

use std::sync::Arc;

use super::pool::{Pool, PoolPlan};
use super::{Core, Ending, touch};

impl Core {
    /// Serves these pools from now on. Returns the place of each, in the order given.
    pub fn reload(&mut self, plans: Vec<PoolPlan>, seed: u64) -> Vec<usize> {
        let mut places = Vec::with_capacity(plans.len());
        for plan in plans {
            let same = |pool: &Option<Pool>| {
                pool.as_ref().is_some_and(|pool| {
                    let (old, new) = (&pool.plan.conf, &plan.conf);
                    !pool.leaving
                        && old.name == new.name
                        && old.protocol == new.protocol
                        && old.listen == new.listen
                })
            };
            let place = match self.fabric.pools.iter().position(same) {
                Some(place) => {
                    self.replace_pool(place, plan, seed);
                    place
                }
                None => self.add_pool(plan, seed),
            };
            places.push(place);
        }
        for place in 0..self.fabric.pools.len() {
            if !places.contains(&place) && self.fabric.pools[place].is_some() {
                self.remove_pool(place);
            }
        }
        places
    }

    fn add_pool(&mut self, plan: PoolPlan, seed: u64) -> usize {
        let pool = Some(Pool::new(plan, seed));
        match self.fabric.pools.iter().position(Option::is_none) {
            Some(place) => {
                self.fabric.pools[place] = pool;
                place
            }
            None => {
                self.fabric.pools.push(pool);
                self.fabric.pools.len() - 1
            }
        }
    }

    /// Gives a pool its new plan and the connections that can stay.
    fn replace_pool(&mut self, place: usize, plan: PoolPlan, seed: u64) {
        let old = self.fabric.pool(place);
        let talk = |plan: &PoolPlan| {
            let conf = &plan.conf;
            let talk = (conf.redis_db, conf.redis_auth.clone(), conf.redis_user.clone());
            (talk, conf.resp3, conf.server_connections)
        };
        let same_talk = talk(&old.plan) == talk(&plan);
        let old_servers = old.plan.health.servers.clone();
        let links: Vec<_> = (0..old_servers.len()).map(|index| old.take_links(index)).collect();
        let mut pool = Pool::new(plan, seed);
        pool.clients = old.clients;
        let timeout_us = pool.timeout_us;
        let mut left_behind = Vec::new();
        for (links, server) in links.into_iter().zip(&old_servers) {
            let kept = pool.plan.health.servers.iter().position(|new| Arc::ptr_eq(new, server));
            let Some(index) = kept.filter(|_| same_talk) else {
                left_behind.extend(links.all());
                continue;
            };
            for upstream in links.all() {
                let up = &mut self.fabric.upstreams[upstream as usize];
                up.server = Some(index);
                let stats = Arc::clone(&pool.plan.counters.servers[index]);
                move_gauge(&up.stats, &stats, up.link == super::Link::Up);
                up.stats = stats;
                up.timeout_us = timeout_us;
            }
            pool.links[index] = links;
        }
        let clients = u64::from(pool.clients);
        pool.plan.counters.pool.client_connections.set(clients);
        self.fabric.pools[place] = Some(pool);
        for (_, client) in self.clients.iter_mut().filter(|(_, client)| client.pool == place) {
            // A key may have another connection from now on; what was asked before comes first.
            client.barrier = true;
        }
        self.abandon_others(place, &left_behind, same_talk);
    }

    /// Connections that no server of the pool has any more finish and close; all of them when
    /// they `stay` no longer.
    fn abandon_others(&mut self, place: usize, left_behind: &[u32], stay: bool) {
        let pool = self.fabric.pools[place].as_ref();
        let servers = pool.map(|pool| pool.plan.health.servers.clone()).unwrap_or_default();
        let mut idle = Vec::new();
        for (index, up) in &mut self.fabric.upstreams {
            if up.pool != place || up.dead {
                continue;
            }
            // A connection that a large request has for itself is in no list of links.
            let now = servers.iter().position(|server| Arc::ptr_eq(server, &up.shared));
            up.server = now.filter(|_| stay && !left_behind.contains(&(index as u32)));
            if up.server.is_none() && up.is_idle() {
                idle.push(index as u32);
            }
        }
        for upstream in idle {
            self.fabric.bury(upstream);
        }
    }

    /// A pool that the configuration has lost: its clients get what they have asked for, then go.
    fn remove_pool(&mut self, place: usize) {
        self.fabric.pool(place).leaving = true;
        for (_, client) in &mut self.clients {
            if client.pool == place {
                client.end(Ending::AfterReplies);
                touch(client, &mut self.touched);
            }
        }
        let pool = self.fabric.pool(place);
        let servers = pool.links.len();
        let links: Vec<u32> = (0..servers)
            .flat_map(|server| pool.take_links(server).all().collect::<Vec<_>>())
            .collect();
        self.abandon_others(place, &links, false);
        self.retire_pool_if_empty(place);
    }

    /// Frees the place of a pool that nobody uses any more.
    pub(super) fn retire_pool_if_empty(&mut self, place: usize) {
        let leaving = self.fabric.pools[place].as_ref().is_some_and(|pool| pool.leaving);
        if leaving
            && !self.fabric.upstreams.iter().any(|(_, up)| up.pool == place)
            && !self.clients.iter().any(|(_, client)| client.pool == place)
        {
            self.fabric.pools[place] = None;
        }
    }
}

/// A connection that is up is counted where its server is counted now.
fn move_gauge(from: &crate::stats::ServerStats, to: &crate::stats::ServerStats, up: bool) {
    if up && !std::ptr::eq(from, to) {
        from.server_connections.sub(1);
        to.server_connections.add(1);
    }
}
