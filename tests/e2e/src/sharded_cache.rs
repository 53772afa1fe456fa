//! The recipe `sharded-cache`: its services, its application's interface and its counters.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::compose::Compose;
use crate::docker::docker;
use crate::http;

/// One of the two addresses the application knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// The memcached pool: ejects dead servers.
    Cache,
    /// The Redis pool: keys stay with their server.
    Db,
}

/// The running recipe.
pub struct ShardedCache {
    /// The containers; dropping it removes them.
    pub compose: Compose,
    app: SocketAddr,
    /// Statistics in nutcracker's format.
    stats: SocketAddr,
    /// Probes and metrics of the ambassador.
    probe: SocketAddr,
}

/// What the application counted while it wrote keys.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Filled {
    /// Keys stored.
    pub stored: u64,
    /// Keys refused, for whatever reason.
    pub errors: u64,
    /// The reasons, and how often each.
    pub error_texts: BTreeMap<String, u64>,
}

/// What the application counted while it read keys.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Read {
    /// The value that was written came back.
    pub hits: u64,
    /// No such key.
    pub misses: u64,
    /// Another value came back: must never happen.
    pub wrong: u64,
    /// Error replies, closed connections and timeouts.
    pub errors: u64,
    /// Their texts, and how often each.
    pub error_texts: BTreeMap<String, u64>,
}

// === impl Store ===

impl Store {
    /// Name of the pool, which is also the path in the application.
    #[must_use]
    pub fn pool(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Db => "db",
        }
    }

    /// The services behind the pool.
    #[must_use]
    pub fn servers(self) -> [&'static str; 3] {
        match self {
            Self::Cache => ["memcached-0", "memcached-1", "memcached-2"],
            Self::Db => ["redis-0", "redis-1", "redis-2"],
        }
    }
}

// === impl ShardedCache ===

impl ShardedCache {
    /// Starts the recipe and waits until it is healthy.
    ///
    /// # Errors
    /// Those of [`Compose::start`].
    pub fn start() -> Result<Self> {
        let compose = Compose::start("sharded-cache")?;
        let app = compose.address("app", 8000)?;
        let probe = compose.address("app", 9621)?;
        let stats = compose.address("app", 22222)?;
        Ok(Self { compose, app, stats, probe })
    }

    /// Address of the application's HTTP interface on the host.
    #[must_use]
    pub fn app(&self) -> SocketAddr {
        self.app
    }

    /// Address of the ambassador's probe listener on the host.
    #[must_use]
    pub fn probe(&self) -> SocketAddr {
        self.probe
    }

    /// Address of the ambassador's statistics on the host.
    #[must_use]
    pub fn stats_address(&self) -> SocketAddr {
        self.stats
    }

    /// Has the application write `count` keys.
    ///
    /// # Errors
    /// The application does not answer.
    pub fn fill(&self, store: Store, count: u32) -> Result<Filled> {
        let path = format!("/fill/{}?count={count}", store.pool());
        json(&http::request(self.app, "POST", &path, "")?)
    }

    /// Has the application read the first `count` keys that [`ShardedCache::fill`] writes.
    ///
    /// # Errors
    /// The application does not answer.
    pub fn read(&self, store: Store, count: u32) -> Result<Read> {
        let path = format!("/read/{}?count={count}", store.pool());
        json(&http::get(self.app, &path)?)
    }

    /// Keys that a server holds now, asked of the server itself.
    ///
    /// # Errors
    /// The server does not run.
    pub fn items(&self, server: &str) -> Result<u64> {
        let container = self.compose.container(server)?;
        let answer = if server.starts_with("redis") {
            docker(&["exec", &container, "redis-cli", "dbsize"])?
        } else {
            const STATS: &str = "exec 3<>/dev/tcp/127.0.0.1/11211 && \
                printf 'stats\\r\\nquit\\r\\n' >&3 && cat <&3";
            let stats = docker(&["exec", &container, "bash", "-c", STATS])?;
            let line = stats.lines().find_map(|it| it.strip_prefix("STAT curr_items "));
            line.context("no curr_items in the statistics of memcached")?.to_owned()
        };
        answer.trim().parse().with_context(|| format!("{server} counts {answer:?} keys"))
    }

    /// The statistics of one pool, as the ambassador keeps them.
    ///
    /// # Errors
    /// No statistics, or none of this pool.
    pub fn pool_stats(&self, store: Store) -> Result<Value> {
        let mut all: Value = json(&http::get(self.stats, "/stats")?)?;
        let pool = all.get_mut(store.pool()).context("the pool is not in the statistics")?;
        Ok(pool.take())
    }

    /// How often the ambassador took a server out of a pool.
    ///
    /// # Errors
    /// Those of [`ShardedCache::pool_stats`].
    pub fn ejections(&self, store: Store) -> Result<u64> {
        let stats = self.pool_stats(store)?;
        stats["server_ejects"].as_u64().context("no server_ejects in the statistics")
    }

    /// `docker <verb> <container of service>`: kill, start, pause, unpause, stop.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn tell(&self, verb: &str, service: &str) -> Result<()> {
        docker(&[verb, &self.compose.container(service)?]).map(drop)
    }
}

fn json<T: for<'a> Deserialize<'a>>(response: &http::Response) -> Result<T> {
    ensure!(response.status == 200, "answered {}: {}", response.status, response.body);
    serde_json::from_str(&response.body).with_context(|| format!("read {:?}", response.body))
}
