//! The metrics of the sidecar, gathered from what the parts count when they are asked for.
//!
//! Elections become labels only if a flag named them: those that applications make up as they go
//! would be series without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use management::docs::Metric;
use management::{Network, Traffic, TrafficKind};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};

use crate::agent::Agent;
use crate::api::Api;
use crate::driver::Shared;
use crate::transport::{Counters, Refused};

/// What is counted about the group of sidecars.
#[derive(Clone)]
pub struct GroupParts {
    /// The driver's side.
    pub shared: Arc<Shared>,
    /// The connections' side.
    pub counters: Arc<Counters>,
    /// The peer port.
    pub listen: String,
}

/// Reads the parts; registered once.
#[derive(Clone)]
pub struct Metrics {
    agent: Arc<Agent>,
    api: Arc<Api>,
    /// Where the API listens.
    http: String,
    group: Option<GroupParts>,
}

/// Values of a metric: labels and value of each.
type Values = Vec<(Vec<String>, f64)>;

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: "counter", labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: "gauge", labels, help }
}

/// Every metric of this sidecar's own, in the order of [`Metrics::own`].
const OWN: [Metric; 12] = [
    gauge(
        "leader_elector_is_leader",
        &["election"],
        "1 while a lease of the election is held through this sidecar and not past its deadline",
    ),
    gauge(
        "leader_elector_token",
        &["election"],
        "fencing token of the lease held through this sidecar; 0 without one",
    ),
    gauge(
        "leader_elector_valid_seconds",
        &["election"],
        "time left until the deadline of the lease held through this sidecar",
    ),
    gauge("leader_elector_leases_held", &[], "leases held through this sidecar"),
    gauge("leader_elector_ready", &[], "1 while requests can be carried out: a quorum is known"),
    counter("leader_elector_acquisitions_total", &[], "leases gained"),
    counter("leader_elector_losses_total", &[], "leases that ended against the application's will"),
    counter("leader_elector_resignations_total", &[], "leases given up"),
    counter(
        "leader_elector_renewals_total",
        &["result"],
        "renewals: `confirmed`, or `failed` because nobody could confirm them",
    ),
    counter(
        "leader_elector_api_requests_total",
        &["result"],
        "requests of applications: `ok`, `refused` (4xx), `failed` (5xx)",
    ),
    gauge(
        "leader_elector_api_watchers",
        &[],
        "connections that watch, poll or are bound to a lease",
    ),
    counter("leader_elector_api_watchers_refused_total", &[], "such connections past the limit"),
];

/// Every metric of a member of the group, in the order of [`GroupParts::values`].
const GROUP: [Metric; 13] = [
    gauge("leader_elector_group_leader", &[], "1 while this member leads the group"),
    gauge("leader_elector_group_term", &[], "term of the group"),
    gauge("leader_elector_group_applied", &[], "log index applied here"),
    gauge("leader_elector_group_log_entries", &[], "entries of the log kept here"),
    gauge("leader_elector_group_members", &["role"], "members: `voter` or `learner`"),
    gauge("leader_elector_group_elections", &[], "elections in the replicated table"),
    counter("leader_elector_store_writes_total", &[], "transactions written to the store"),
    counter("leader_elector_store_write_seconds_total", &[], "time that they took"),
    counter("leader_elector_peer_frames_total", &["direction"], "frames: `in` or `out`"),
    counter("leader_elector_peer_bytes_total", &["direction"], "bytes of frames: `in` or `out`"),
    gauge("leader_elector_peer_connections", &["direction"], "connections open: `in` or `out`"),
    counter(
        "leader_elector_peer_dropped_total",
        &[],
        "frames not sent, for want of a connection or of room in its queue",
    ),
    counter(
        "leader_elector_peer_refused_total",
        &["reason"],
        "connections and frames refused on the peer port",
    ),
];

/// Every metric, for the README.
#[must_use]
pub fn all() -> Vec<Metric> {
    OWN.iter().chain(&GROUP).copied().collect()
}

// === impl Metrics ===

impl Metrics {
    /// Metrics of these parts; `http` is where the API listens.
    #[must_use]
    pub fn new(agent: Arc<Agent>, api: Arc<Api>, http: String, group: Option<GroupParts>) -> Self {
        Self { agent, api, http, group }
    }

    /// The values of [`OWN`].
    fn own(&self) -> [Values; OWN.len()] {
        let (agent, api) = (self.agent.counters(), self.api.counters());
        let now = crate::Boottime::now();
        let (mut leads, mut tokens, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for election in &self.agent.config().elections {
            let standing = self.agent.standing(election);
            let label = vec![election.to_string()];
            let left = standing.as_ref().map_or(0.0, |it| it.valid_for(now).as_secs_f64());
            let token = standing.as_ref().map_or(0.0, |it| number(it.lease.token));
            leads.push((label.clone(), f64::from(u8::from(standing.is_some()))));
            tokens.push((label.clone(), token));
            valid.push((label, left));
        }
        let [requests, refused, failed] = [&api.requests, &api.refused, &api.failed].map(load);
        [
            leads,
            tokens,
            valid,
            one(self.agent.held() as f64),
            one(f64::from(u8::from(self.agent.ready().is_ok()))),
            one(load(&agent.gained)),
            one(load(&agent.lost)),
            one(load(&agent.resigned)),
            labelled([("confirmed", load(&agent.renewed)), ("failed", load(&agent.not_renewed))]),
            labelled([
                // Those under way are none yet.
                ("ok", (requests - refused - failed).max(0.0)),
                ("refused", refused),
                ("failed", failed),
            ]),
            one(self.api.watchers() as f64),
            one(load(&api.watchers_refused)),
        ]
    }
}

impl GroupParts {
    /// The values of [`GROUP`].
    fn values(&self) -> [Values; GROUP.len()] {
        let (status, counters) = (self.shared.status(), &self.counters);
        let (writes, took) = self.shared.writes();
        let refused = Refused::ALL.map(|reason| (reason.label(), number(counters.refused(reason))));
        [
            one(f64::from(u8::from(status.leads))),
            one(number(status.term)),
            one(number(status.applied)),
            one(number(status.log_entries)),
            labelled([
                ("voter", status.voters.len() as f64),
                ("learner", status.learners.len() as f64),
            ]),
            one(self.shared.views().len() as f64),
            one(number(writes)),
            one(took.as_secs_f64()),
            labelled([("in", load(&counters.frames_in)), ("out", load(&counters.frames_out))]),
            labelled([("in", load(&counters.bytes_in)), ("out", load(&counters.bytes_out))]),
            labelled([("in", load(&counters.open_in)), ("out", load(&counters.open_out))]),
            one(load(&counters.dropped)),
            labelled(refused),
        ]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let own = OWN.iter().zip(self.own());
        let group = self.group.as_ref().map(|group| GROUP.iter().zip(group.values()));
        let all = own.chain(group.into_iter().flatten());
        all.flat_map(|(metric, values)| family(metric, values)).collect()
    }
}

impl Network for Metrics {
    fn snapshot(&self) -> Vec<Traffic> {
        let relaxed = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let api = self.api.counters();
        let listener = |name: &str, address: &str| Traffic {
            kind: TrafficKind::Listener,
            name: name.to_owned(),
            address: address.to_owned(),
            open: 0,
            connections: 0,
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            messages_out: 0,
            errors: 0,
        };
        let requests = relaxed(&api.requests);
        let mut all = vec![Traffic {
            open: self.api.watchers() as u64,
            messages_in: requests,
            messages_out: requests,
            errors: relaxed(&api.failed),
            ..listener("api", &self.http)
        }];
        if let Some(group) = &self.group {
            let counters = &group.counters;
            all.push(Traffic {
                open: relaxed(&counters.open_in),
                connections: relaxed(&counters.accepted),
                bytes_in: relaxed(&counters.bytes_in),
                messages_in: relaxed(&counters.frames_in),
                errors: Refused::ALL.iter().map(|reason| counters.refused(*reason)).sum(),
                ..listener("peers", &group.listen)
            });
            all.push(Traffic {
                kind: TrafficKind::Upstream,
                open: relaxed(&counters.open_out),
                connections: relaxed(&counters.dialed),
                bytes_out: relaxed(&counters.bytes_out),
                messages_out: relaxed(&counters.frames_out),
                errors: relaxed(&counters.dropped),
                ..listener("peers", "")
            });
        }
        all
    }
}

fn family(metric: &Metric, values: Values) -> Vec<MetricFamily> {
    let options = Opts::new(metric.name, metric.help);
    // The names are constants that a test has registered, so these cannot fail.
    if metric.kind == "counter" {
        let Ok(vec) = CounterVec::new(options, metric.labels) else { return Vec::new() };
        for (labels, value) in values {
            vec.with_label_values(&labels).inc_by(value);
        }
        vec.collect()
    } else {
        let Ok(vec) = GaugeVec::new(options, metric.labels) else { return Vec::new() };
        for (labels, value) in values {
            vec.with_label_values(&labels).set(value);
        }
        vec.collect()
    }
}

fn one(value: f64) -> Values {
    vec![(Vec::new(), value)]
}

fn labelled<const N: usize>(values: [(&str, f64); N]) -> Values {
    values.into_iter().map(|(label, value)| (vec![label.to_owned()], value)).collect()
}

fn load(counter: &AtomicU64) -> f64 {
    number(counter.load(Ordering::Relaxed))
}

/// Prometheus knows doubles alone; tokens stay below what they hold exactly.
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::agent::{Action, AgentConfig};
    use crate::api::ApiConfig;
    use crate::backend::single::Single;

    fn metrics() -> Metrics {
        let config = AgentConfig {
            id: "a".into(),
            elections: vec!["jobs".into()],
            ttl: Duration::from_secs(5),
            ttl_min: Duration::from_secs(1),
            priority: 0,
            on_lost: Action::None,
            stop_margin: Duration::ZERO,
            witness: false,
        };
        let agent = Agent::new(Single::new("a".into(), 1), config);
        let api = Api::new(Arc::clone(&agent), ApiConfig::default());
        let shared = Arc::new(Shared::new("a".into(), 1));
        let counters = Arc::<Counters>::default();
        let group = GroupParts { shared, counters, listen: "0.0.0.0:4041".to_owned() };
        Metrics::new(agent, api, "127.0.0.1:4040".to_owned(), Some(group))
    }

    #[test]
    fn every_metric_has_its_values() {
        let families = metrics().collect();
        let names: Vec<&str> = families.iter().map(MetricFamily::name).collect();
        let all = all();
        let expected: Vec<&str> = all.iter().map(|metric| metric.name).collect();
        assert_eq!(names, expected);
        for (family, metric) in families.iter().zip(all) {
            let labels = family.get_metric()[0].get_label();
            let labels: Vec<&str> = labels.iter().map(|label| label.name()).collect();
            assert_eq!(labels, metric.labels, "{}", metric.name);
            assert_eq!(metric.kind == "counter", metric.name.ends_with("_total"));
        }
    }

    #[test]
    fn they_are_taken_by_a_registry() {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(metrics())).unwrap();
        assert_eq!(registry.gather().len(), all().len());
        assert_eq!(metrics().snapshot().len(), 3);
    }
}
