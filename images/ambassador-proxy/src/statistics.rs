//! nutcracker's statistics: on connecting, one line of JSON, then the connection closes.
//!
//! The same port also speaks HTTP (`/stats`, `/metrics`): who sends `GET` first gets an answer in
//! kind. Who sends nothing gets the line after a moment.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::NUTCRACKER_VERSION;
use crate::fleet::{Fleet, ServedPool};
use crate::stats::{Descriptions, PoolStats, ServerStats};

/// How long a client has to begin with `GET` before it gets the line.
const SNIFF: Duration = Duration::from_millis(200);
/// Longest life of a connection.
const LIFE: Duration = Duration::from_secs(10);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// Serves the statistics of a fleet.
#[derive(Debug)]
pub struct Statistics {
    fleet: Arc<Fleet>,
    registry: Registry,
    started: Instant,
    source: String,
}

impl Statistics {
    /// Statistics of `fleet`, and of `registry` under `/metrics`.
    pub fn new(fleet: Arc<Fleet>, registry: Registry) -> Statistics {
        let source = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Statistics { fleet, registry, started: Instant::now(), source }
    }

    /// The line, in nutcracker's form.
    pub fn line(&self) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        let workers = self.fleet.workers();
        let accepted: u64 = workers.iter().map(|worker| worker.stats.accepted.get()).sum();
        let pools = self.fleet.pools();
        let connections: u64 = pools.iter().map(connections).sum();
        let mut line = json!({
            "service": "nutcracker",
            "source": self.source,
            "version": NUTCRACKER_VERSION,
            "uptime": self.started.elapsed().as_secs(),
            "timestamp": now,
            "total_connections": accepted,
            "curr_connections": connections,
        });
        if let Value::Object(members) = &mut line {
            for pool in &pools {
                members.insert(pool.conf.name.clone(), pool_json(pool));
            }
        }
        format!("{line}\n")
    }

    /// Serves for as long as the process runs.
    pub async fn run(self, listener: TcpListener) {
        let this = Arc::new(self);
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let permit = Arc::clone(&permits).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let this = Arc::clone(&this);
                    tasks.spawn(async move {
                        this.serve(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for statistics");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while tasks.try_join_next().is_some() {}
        }
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut begin = [0; 4];
        let peeked = tokio::time::timeout(SNIFF, stream.peek(&mut begin)).await;
        // The first segment of a request may hold less of it than the whole word.
        let begun = &begin[..peeked.ok().and_then(Result::ok).unwrap_or(0)];
        if !begun.is_empty() && (b"GET ".starts_with(begun) || b"HEAD".starts_with(begun)) {
            return management::serve_connection(stream, self.router(), LIFE).await;
        }
        let line = self.line();
        let sent = tokio::time::timeout(LIFE, async {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await
        });
        // Who has gone needs no statistics.
        let _ = sent.await;
    }

    fn router(self: Arc<Self>) -> Router {
        let (stats, metrics) = (Arc::clone(&self), self);
        let stats = move || async move { ([(CONTENT_TYPE, "application/json")], stats.line()) };
        let metrics = move || async move {
            let mut text = Vec::new();
            // Writing to memory cannot fail, and the families are well formed by construction.
            let _ = TextEncoder::new().encode(&metrics.registry.gather(), &mut text);
            ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text)
        };
        Router::new()
            .route("/", get(stats.clone()))
            .route("/stats", get(stats))
            .route("/metrics", get(metrics))
    }
}

/// Connections of clients and to servers.
fn connections(pool: &ServedPool) -> u64 {
    let servers = pool.counters.iter().flat_map(|counters| &counters.servers);
    let upstream: u64 = servers.map(|server| server.server_connections.get()).sum();
    u64::from(pool.health.clients.load(Relaxed)) + upstream
}

/// The counters of a pool, all workers added up.
pub fn pool_values(pool: &ServedPool) -> Vec<u64> {
    let mut sum = add_up(pool.counters.iter().map(|counters| counters.pool.values()));
    let ejects = PoolStats::DESCRIPTIONS.iter().position(|row| row.0 == "server_ejects");
    if let Some(ejects) = ejects {
        sum[ejects] = pool.health.ejections.load(Relaxed);
    }
    sum
}

/// The counters of a server, all workers added up.
pub fn server_values(pool: &ServedPool, index: usize) -> Vec<u64> {
    let mut sum = add_up(pool.counters.iter().map(|counters| counters.servers[index].values()));
    let ejected = ServerStats::DESCRIPTIONS.iter().position(|row| row.0 == "server_ejected_at");
    if let Some(ejected) = ejected {
        sum[ejected] = pool.health.servers[index].ejected_at_us();
    }
    sum
}

/// Adds tables of counters up, place by place.
pub fn add_up(tables: impl Iterator<Item = Vec<u64>>) -> Vec<u64> {
    tables
        .reduce(|mut sum, table| {
            for (sum, value) in sum.iter_mut().zip(table) {
                *sum = sum.wrapping_add(value);
            }
            sum
        })
        .unwrap_or_default()
}

fn named(descriptions: Descriptions, values: Vec<u64>) -> Map<String, Value> {
    let pairs = descriptions.iter().zip(values);
    pairs.map(|((name, ..), value)| ((*name).to_owned(), value.into())).collect()
}

fn pool_json(pool: &ServedPool) -> Value {
    let mut members = named(PoolStats::DESCRIPTIONS, pool_values(pool));
    for (index, server) in pool.health.servers.iter().enumerate() {
        let values = named(ServerStats::DESCRIPTIONS, server_values(pool, index));
        members.insert(server.label.clone(), values.into());
    }
    members.into()
}

/// What `-D` prints.
pub fn describe() -> String {
    let mut out = String::from("pool stats:\n");
    let mut rows = |descriptions: Descriptions| {
        for (name, kind, meaning) in descriptions {
            out += &format!("  {name:<20}\"{meaning}\" ({kind})\n");
        }
    };
    rows(PoolStats::DESCRIPTIONS);
    out += "\nserver stats:\n";
    let mut rows = |descriptions: Descriptions| {
        for (name, kind, meaning) in descriptions {
            out += &format!("  {name:<20}\"{meaning}\" ({kind})\n");
        }
    };
    rows(ServerStats::DESCRIPTIONS);
    out
}
