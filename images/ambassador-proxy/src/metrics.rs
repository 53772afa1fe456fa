//! The metrics of the proxy, gathered from the counters of the workers when they are asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use management::docs::Metric;
use management::{Network, Traffic, TrafficKind};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts};

use crate::fleet::{Fleet, ServedPool};
use crate::statistics::{add_up, pool_values, server_values};
use crate::stats::{Descriptions, PoolStats, ServerStats, WorkerStats};

const PREFIX: &str = "ambassador_proxy_";

/// Reads a fleet; registered once.
#[derive(Debug)]
pub struct Metrics(Arc<Fleet>);

impl Metrics {
    /// Metrics of `fleet`.
    pub fn new(fleet: Arc<Fleet>) -> Metrics {
        Metrics(fleet)
    }
}

/// One metric with its values: labels and value of each.
struct Family {
    metric: Metric,
    values: Vec<(Vec<String>, u64)>,
}

/// Rows of counters as metrics: name, kind, meaning, from a table of descriptions.
fn metrics(level: &str, labels: &'static [&'static str], table: Descriptions) -> Vec<Metric> {
    let metric = |(name, kind, help): &(&'static str, &'static str, &'static str)| {
        // `server_connections` of a server need not say `server` twice.
        let bare = name.strip_prefix("server_").filter(|_| level != "pool").unwrap_or(name);
        let kind = if *kind == "counter" { "counter" } else { "gauge" };
        let total = if kind == "counter" { "_total" } else { "" };
        let unit = if *name == "server_ejected_at" { "_microseconds" } else { "" };
        // Leaked once: the names live as long as the process, as the table they come from does.
        let name: &'static str = format!("{PREFIX}{level}_{bare}{unit}{total}").leak();
        Metric { name, kind, labels, help }
    };
    table.iter().map(metric).collect()
}

/// Every metric, for registration and for the README.
pub fn all() -> &'static [Metric] {
    static ALL: std::sync::LazyLock<Vec<Metric>> = std::sync::LazyLock::new(|| {
        let mut all = metrics("pool", &["pool"], PoolStats::DESCRIPTIONS);
        all.extend(metrics("server", &["pool", "server"], ServerStats::DESCRIPTIONS));
        all.extend(metrics("proxy", &[], WorkerStats::DESCRIPTIONS));
        let gauge = |name, labels, help| Metric { name, kind: "gauge", labels, help };
        all.push(gauge(
            "ambassador_proxy_server_live",
            &["pool", "server"],
            "1 while requests go to the server, 0 while it is ejected",
        ));
        all.push(gauge("ambassador_proxy_proxy_workers", &[], "worker threads"));
        all.push(Metric {
            name: "ambassador_proxy_proxy_reloads_total",
            kind: "counter",
            labels: &[],
            help: "configurations taken up since the start",
        });
        all
    });
    &ALL
}

impl Metrics {
    /// All metrics with their values, in the order of [`all`].
    fn families(&self) -> Vec<Family> {
        let pools = self.0.pools();
        let mut columns: Vec<Vec<(Vec<String>, u64)>> = Vec::new();
        columns.extend(transpose(
            pools.iter().map(|pool| (vec![pool.conf.name.clone()], pool_values(pool))),
        ));
        let servers = pools.iter().flat_map(|pool| {
            (0..pool.health.servers.len())
                .map(|index| (server_labels(pool, index), server_values(pool, index)))
        });
        columns.extend(transpose(servers));
        let workers = self.0.workers();
        let sum = add_up(workers.iter().map(|worker| worker.stats.values()));
        columns.extend(sum.into_iter().map(|value| vec![(Vec::new(), value)]));
        let live = pools.iter().flat_map(|pool| {
            let servers = pool.health.servers.iter().enumerate();
            servers.map(|(index, server)| (server_labels(pool, index), u64::from(server.is_live())))
        });
        columns.push(live.collect());
        columns.push(vec![(Vec::new(), workers.len() as u64)]);
        columns.push(vec![(Vec::new(), self.0.reloads.load(Relaxed))]);
        let family = |(metric, values): (&Metric, _)| Family { metric: *metric, values };
        all().iter().zip(columns).map(family).collect()
    }
}

fn server_labels(pool: &ServedPool, index: usize) -> Vec<String> {
    vec![pool.conf.name.clone(), pool.health.servers[index].label.clone()]
}

/// From one row of values for each label set to one column for each metric.
fn transpose(rows: impl Iterator<Item = (Vec<String>, Vec<u64>)>) -> Vec<Vec<(Vec<String>, u64)>> {
    let mut columns: Vec<Vec<(Vec<String>, u64)>> = Vec::new();
    for (labels, values) in rows {
        columns.resize_with(values.len(), Vec::new);
        for (column, value) in columns.iter_mut().zip(values) {
            column.push((labels.clone(), value));
        }
    }
    columns
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families().into_iter().flat_map(|family| family.collect()).collect()
    }
}

impl Family {
    fn collect(self) -> Vec<MetricFamily> {
        let options = Opts::new(self.metric.name, self.metric.help);
        let labels = self.metric.labels;
        // The names are constants that a test has registered, so these cannot fail.
        if self.metric.kind == "counter" {
            let Ok(vec) = IntCounterVec::new(options, labels) else { return Vec::new() };
            for (labels, value) in self.values {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                vec.with_label_values(&labels).inc_by(value);
            }
            vec.collect()
        } else {
            let Ok(vec) = GaugeVec::new(options, labels) else { return Vec::new() };
            for (labels, value) in self.values {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                vec.with_label_values(&labels).set(value as f64);
            }
            vec.collect()
        }
    }
}

impl Network for Metrics {
    fn snapshot(&self) -> Vec<Traffic> {
        let mut traffic = Vec::new();
        for pool in self.0.pools() {
            let sum = |of: fn(&ServerStats) -> u64| -> u64 {
                let servers = pool.counters.iter().flat_map(|counters| &counters.servers);
                servers.map(|server| of(server)).sum()
            };
            let clients = |of: fn(&PoolStats) -> u64| -> u64 {
                pool.counters.iter().map(|counters| of(&counters.pool)).sum()
            };
            traffic.push(Traffic {
                kind: TrafficKind::Listener,
                name: pool.conf.name.clone(),
                address: pool.conf.listen.to_string(),
                open: u64::from(pool.health.clients.load(Relaxed)),
                connections: clients(|stats| {
                    stats.client_eof.get() + stats.client_err.get() + stats.client_connections.get()
                }),
                bytes_in: sum(|stats| stats.request_bytes.get()),
                bytes_out: sum(|stats| stats.response_bytes.get()),
                messages_in: sum(|stats| stats.requests.get()),
                messages_out: sum(|stats| stats.responses.get()),
                errors: clients(|stats| stats.client_err.get() + stats.forward_error.get()),
            });
            for (index, server) in pool.health.servers.iter().enumerate() {
                let sum = |of: fn(&ServerStats) -> u64| -> u64 {
                    pool.counters.iter().map(|counters| of(&counters.servers[index])).sum()
                };
                traffic.push(Traffic {
                    kind: TrafficKind::Upstream,
                    name: format!("{}/{}", pool.conf.name, server.label),
                    address: server.address.to_string(),
                    open: sum(|stats| stats.server_connections.get()),
                    connections: sum(|stats| {
                        stats.server_eof.get()
                            + stats.server_err.get()
                            + stats.server_connections.get()
                    }),
                    bytes_in: sum(|stats| stats.response_bytes.get()),
                    bytes_out: sum(|stats| stats.request_bytes.get()),
                    messages_in: sum(|stats| stats.responses.get()),
                    messages_out: sum(|stats| stats.requests.get()),
                    errors: sum(|stats| stats.server_err.get() + stats.server_timedout.get()),
                });
            }
        }
        traffic
    }
}
