//! All workers together: started, given a new configuration, stopped.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Instant;

use crate::config::{Listen, PoolConfig, Pools};
use crate::health::PoolHealth;
use crate::routing::PoolPlan;
use crate::stats::{PoolCounters, PoolStats};
use crate::worker::{self, Command, Handle, Listener, Worker};

/// How the workers are set up.
#[derive(Clone, Copy, Debug)]
pub struct FleetConfig {
    /// How many, at least 1.
    pub workers: usize,
    /// Bytes that all of them together may hold for connections.
    pub bytes_max: usize,
}

/// One pool in service.
#[derive(Clone, Debug)]
pub struct ServedPool {
    /// What the file says.
    pub conf: Arc<PoolConfig>,
    /// Which servers live.
    pub health: Arc<PoolHealth>,
    /// The counters, one set for each worker.
    pub counters: Vec<Arc<PoolCounters>>,
}

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct ReloadReport {
    /// Pools that are new.
    pub added: Vec<String>,
    /// Pools that are gone.
    pub removed: Vec<String>,
    /// Pools that were there before, with the share of keys that got another server.
    pub moved_share: Vec<(String, f64)>,
}

/// Why a reload was refused; the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Too many keys would move.
    #[error(
        "pool {pool}: {share:.3} of its keys would get another server, more than the limit of \
         {limit:.3}"
    )]
    MovesTooMuch {
        /// The pool.
        pool: String,
        /// From 0 to 1.
        share: f64,
        /// From 0 to 1.
        limit: f64,
    },
    /// A new pool cannot listen.
    #[error("pool {pool}: cannot listen on {listen}: {error}")]
    Bind {
        /// The pool.
        pool: String,
        /// Where.
        listen: String,
        /// Why not.
        error: io::Error,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    config: FleetConfig,
    workers: Vec<Handle>,
    /// The pools in service; also read by statistics, probes and the resolver.
    pools: Mutex<Vec<ServedPool>>,
    clock: Instant,
    /// Goes up with each reload that was carried out.
    pub reloads: AtomicU64,
}

impl Fleet {
    /// Makes the workers and binds all listeners; nothing is served until [`Worker::run`] does.
    /// `prepare` sees each pool before any worker does.
    ///
    /// # Errors
    /// A pool cannot listen, or the kernel gives no event queue.
    pub fn bind(
        config: FleetConfig,
        pools: Pools,
        prepare: impl Fn(&ServedPool),
        mut alive: impl FnMut(usize) -> Box<dyn Fn() + Send>,
    ) -> Result<(Fleet, Vec<Worker>), ReloadError> {
        let clock = Instant::now();
        let make = |index: usize| {
            let seed = clock.elapsed().as_nanos() as u64 + index as u64 + 1;
            let bytes_max = config.bytes_max / config.workers;
            Worker::new(bytes_max, seed, clock, alive(index))
        };
        let made: io::Result<Vec<_>> = (0..config.workers).map(make).collect();
        let made = made.map_err(|error| ReloadError::Bind {
            pool: String::new(),
            listen: "event queue".to_owned(),
            error,
        })?;
        let (threads, workers) = made.into_iter().unzip();
        let reloads = AtomicU64::new(0);
        let fleet = Fleet { config, workers, pools: Mutex::default(), clock, reloads };
        let listeners = fleet.bind_new(&pools, &[])?;
        // Commands wait in the queues until the threads run.
        let _ = fleet.deal(pools, listeners, prepare);
        Ok((fleet, threads))
    }

    /// The pools in service.
    pub fn pools(&self) -> Vec<ServedPool> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The workers.
    pub fn workers(&self) -> &[Handle] {
        &self.workers
    }

    /// ms of the clock that the workers and the health of servers go by.
    pub fn now_ms(&self) -> u64 {
        self.clock.elapsed().as_millis() as u64
    }

    /// Serves these pools from now on, and waits until every worker does. Refused when a pool
    /// would move more than `moved_max` of its keys. `prepare` sees each pool before any worker
    /// does.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub fn reload(
        &self,
        pools: Pools,
        moved_max: f64,
        prepare: impl Fn(&ServedPool),
    ) -> Result<ReloadReport, ReloadError> {
        let before = self.pools();
        let mut report = ReloadReport::default();
        for pool in &pools.0 {
            let Some(old) = before.iter().find(|old| old.conf.name == pool.name) else {
                report.added.push(pool.name.clone());
                continue;
            };
            let share = old.conf.moved_share(pool);
            if share > moved_max {
                let pool = pool.name.clone();
                return Err(ReloadError::MovesTooMuch { pool, share, limit: moved_max });
            }
            report.moved_share.push((pool.name.clone(), share));
        }
        let gone = before.iter().filter(|old| pools.get(&old.conf.name).is_none());
        report.removed = gone.map(|old| old.conf.name.clone()).collect();
        let listeners = self.bind_new(&pools, &before)?;
        for done in self.deal(pools, listeners, prepare) {
            // An error means that the worker is gone, and the process with it.
            let _ = done.recv();
        }
        self.reloads.fetch_add(1, Relaxed);
        Ok(report)
    }

    /// Binds the listeners that no pool in service has yet.
    fn bind_new(
        &self,
        pools: &Pools,
        before: &[ServedPool],
    ) -> Result<Vec<Option<Vec<Listener>>>, ReloadError> {
        let mut bound = Vec::new();
        for pool in &pools.0 {
            let held = |old: &&ServedPool| old.conf.listen == pool.listen;
            let keeps = before.iter().find(held).is_some_and(|old| {
                old.conf.name == pool.name && old.conf.protocol == pool.protocol
            });
            if keeps {
                bound.push(None);
                continue;
            }
            // A pool that was renamed takes the port over from one that is still bound.
            let taken_over = before.iter().any(|old| held(&old));
            let listeners = worker::bind(pool, self.config.workers, taken_over);
            bound.push(Some(listeners.map_err(|error| ReloadError::Bind {
                pool: pool.name.clone(),
                listen: pool.listen.to_string(),
                error,
            })?));
        }
        Ok(bound)
    }

    /// Hands the pools to every worker.
    fn deal(
        &self,
        pools: Pools,
        listeners: Vec<Option<Vec<Listener>>>,
        prepare: impl Fn(&ServedPool),
    ) -> Vec<mpsc::Receiver<()>> {
        let mut served = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let before: HashMap<&str, &ServedPool> =
            served.iter().map(|pool| (pool.conf.name.as_str(), pool)).collect();
        let workers = self.config.workers;
        let next: Vec<ServedPool> = pools
            .0
            .into_iter()
            .map(|conf| serve(before.get(conf.name.as_str()).copied(), conf, workers))
            .collect();
        next.iter().for_each(prepare);
        let mut per_worker: Vec<Vec<(PoolPlan, Option<Listener>)>> =
            (0..workers).map(|_| Vec::new()).collect();
        for (pool, mut listeners) in next.iter().zip(listeners) {
            for (index, plans) in per_worker.iter_mut().enumerate() {
                let plan = PoolPlan {
                    conf: Arc::clone(&pool.conf),
                    health: Arc::clone(&pool.health),
                    counters: Arc::clone(&pool.counters[index]),
                };
                plans.push((plan, listeners.as_mut().and_then(Vec::pop)));
            }
        }
        *served = next;
        drop(served);
        let send = |(worker, pools): (&Handle, _)| {
            let (done, receiver) = mpsc::sync_channel(1);
            worker.send(Command::Reload { pools, done });
            receiver
        };
        self.workers.iter().zip(per_worker).map(send).collect()
    }

    /// Stops accepting; clients that fall quiet are closed.
    pub fn drain(&self) {
        for worker in &self.workers {
            worker.send(Command::Drain);
        }
    }

    /// Accepts again.
    ///
    /// # Errors
    /// A port has been taken by somebody else.
    pub fn undrain(&self) -> Result<(), ReloadError> {
        let pools = self.pools();
        let mut per_worker: Vec<Vec<Listener>> = self.workers.iter().map(|_| Vec::new()).collect();
        for pool in &pools {
            let listeners = worker::bind(&pool.conf, self.config.workers, false);
            let listeners = listeners.map_err(|error| ReloadError::Bind {
                pool: pool.conf.name.clone(),
                listen: pool.conf.listen.to_string(),
                error,
            })?;
            for (worker, listener) in per_worker.iter_mut().zip(listeners) {
                worker.push(listener);
            }
        }
        for (worker, listeners) in self.workers.iter().zip(per_worker) {
            worker.send(Command::Undrain(listeners));
        }
        Ok(())
    }

    /// Closes every client once it has its replies, then ends the workers.
    pub fn close(&self) {
        for worker in &self.workers {
            worker.send(Command::Close);
        }
    }

    /// Clients connected now.
    pub fn clients(&self) -> u64 {
        self.pools().iter().map(|pool| u64::from(pool.health.clients.load(Relaxed))).sum()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.send(Command::Stop);
        }
        for pool in self.pools() {
            if let Listen::Unix { path, .. } = &pool.conf.listen {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Puts a pool in service; what an earlier configuration of it has counted goes on.
fn serve(before: Option<&ServedPool>, conf: PoolConfig, workers: usize) -> ServedPool {
    let health = PoolHealth::new(&conf, before.map(|before| &*before.health));
    let counters = (0..workers).map(|index| {
        let before = before.map(|before| (before, &before.counters[index]));
        let servers = health.servers.iter().map(|server| {
            before
                .and_then(|(before, counters)| {
                    let same = |old: &Arc<_>| Arc::ptr_eq(old, server);
                    let at = before.health.servers.iter().position(same)?;
                    Some(Arc::clone(&counters.servers[at]))
                })
                .unwrap_or_default()
        });
        let servers = servers.collect();
        let pool = before.map_or_else(Arc::<PoolStats>::default, |(_, old)| Arc::clone(&old.pool));
        Arc::new(PoolCounters { pool, servers })
    });
    let counters = counters.collect();
    ServedPool { conf: Arc::new(conf), health: Arc::new(health), counters }
}
