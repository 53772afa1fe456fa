//! The metrics of the adapter itself, gathered from what the parts count when they are asked for.
//!
//! Those of `statsd_exporter` stand on its page in its mode, and on the probe port with ours
//! otherwise: a page of the application says nothing of us unless it always has.

mod own;
mod statsd;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use management::docs::Metric;
use management::{Network, Traffic, TrafficKind};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};

use crate::app::Process;
use crate::config::Mode;
use crate::exposition::{Family, Kind};
use crate::labels::Labels;
use crate::web::Site;

/// Reads the parts; registered once.
#[derive(Clone, Debug)]
pub struct Metrics {
    site: Arc<Site<Process>>,
    /// Where the page is.
    http: String,
}

/// Labels and value of each series of a metric.
type Values = Vec<(Vec<String>, f64)>;
/// A metric with its series.
type Reading = (Metric, Values);

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

/// Every metric of ours, and every metric in the manner of `statsd_exporter`, for the README.
#[must_use]
pub fn all() -> (Vec<Metric>, Vec<Metric>) {
    (own::all(), statsd::METRICS.to_vec())
}

/// What `statsd_exporter` says of itself on its page.
pub(crate) fn statsd(site: &Site<Process>) -> Vec<Family> {
    let Some(ingest) = &site.ingest else { return Vec::new() };
    let readings = statsd::readings(&ingest.counters(), &series(site), &site.actions);
    let mut families: Vec<Family> = readings.into_iter().map(family).collect();
    families.push(build_info("statsd_exporter_build_info", &[("branch", ""), ("revision", "")]));
    families
}

/// What `jmx_exporter` says of itself beside its scrapes.
pub(crate) fn jmx(site: &Site<Process>) -> Vec<Family> {
    let reloads = &site.actions.reloads;
    let count =
        |name, help, value: &AtomicU64| family((counter(name, &[], help), single(load(value))));
    vec![
        count(
            "jmx_config_reload_failure_total",
            "Reloads that found something wrong",
            &reloads.bad,
        ),
        count("jmx_config_reload_success_total", "Reloads that are in force", &reloads.good),
        build_info("jmx_exporter_build_info", &[("name", "jmx_prometheus_standalone")]),
    ]
}

fn build_info(name: &str, labels: &[(&str, &str)]) -> Family {
    let version = [("version", crate::IMAGE.version)];
    Family {
        name: name.to_owned(),
        help: "1, labelled with the version of the adapter".to_owned(),
        kind: Kind::Gauge,
        samples: vec![(Labels::new(labels.iter().chain(&version).copied()), 1.0)],
    }
}

/// Series there are, by kind in the order counter, gauge, summary, histogram.
fn series(site: &Site<Process>) -> [u64; 4] {
    registry(site).map_or([0; 4], |counters| counters.series)
}

fn registry(site: &Site<Process>) -> Option<crate::registry::Counters> {
    let registry = site.ingest.as_ref()?.registry();
    Some(registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner).counters())
}

fn family((metric, values): Reading) -> Family {
    let samples = values
        .into_iter()
        .map(|(labels, value)| (Labels::new(metric.labels.iter().zip(labels)), value));
    Family {
        name: metric.name.to_owned(),
        help: metric.help.to_owned(),
        kind: if metric.kind == "counter" { Kind::Counter } else { Kind::Gauge },
        samples: samples.collect(),
    }
}

fn single(value: f64) -> Values {
    vec![(Vec::new(), value)]
}

fn number(value: u64) -> f64 {
    value as f64
}

fn load(value: &AtomicU64) -> f64 {
    number(value.load(Ordering::Relaxed))
}

// === impl Metrics ===

impl Metrics {
    /// Metrics of this site; `http` is where the page is.
    pub(crate) fn new(site: Arc<Site<Process>>, http: String) -> Self {
        Self { site, http }
    }

    fn readings(&self) -> Vec<Reading> {
        let site = &*self.site;
        let counters = site.ingest.as_ref().map(|ingest| ingest.counters());
        let mut readings = own::site(site);
        if let Some(counters) = &counters {
            let registry = registry(site).unwrap_or_default();
            readings.extend(own::pushed(counters, &registry));
            if site.mode != Mode::Statsd {
                readings.extend(statsd::readings(counters, &registry.series, &site.actions));
            }
        }
        readings
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.readings().into_iter().flat_map(encoded).collect()
    }
}

/// In the terms of `management`'s page. A metric that cannot be made has a wrong name, which the
/// tests of this module would have told.
fn encoded((metric, values): Reading) -> Vec<MetricFamily> {
    let opts = Opts::new(metric.name, metric.help);
    let texts = |labels: &[String]| labels.to_vec();
    if metric.kind == "counter" {
        let Ok(vec) = CounterVec::new(opts, metric.labels) else { return Vec::new() };
        for (labels, value) in values {
            let labels = texts(&labels);
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            if let Ok(one) = vec.get_metric_with_label_values(&labels) {
                one.inc_by(value);
            }
        }
        return vec.collect();
    }
    let Ok(vec) = GaugeVec::new(opts, metric.labels) else { return Vec::new() };
    for (labels, value) in values {
        let labels = texts(&labels);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        if let Ok(one) = vec.get_metric_with_label_values(&labels) {
            one.set(value);
        }
    }
    vec.collect()
}

impl Network for Metrics {
    fn snapshot(&self) -> Vec<Traffic> {
        let counters = &self.site.counters;
        let read = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let page = Traffic {
            kind: TrafficKind::Listener,
            name: "page".to_owned(),
            address: self.http.clone(),
            open: read(&counters.open),
            connections: read(&counters.connections),
            bytes_in: 0,
            bytes_out: read(&counters.bytes_out),
            messages_in: read(&counters.requests),
            messages_out: read(&counters.requests).saturating_sub(read(&counters.in_flight)),
            errors: read(&counters.unauthorized)
                + read(&counters.busy)
                + read(&counters.tls_failed),
        };
        let mut all = vec![page];
        if let Some(ingest) = &self.site.ingest {
            all.extend(ingest.snapshot());
        }
        all.extend(self.site.live().pulled.iter().map(|pulled| {
            let counters = pulled.counters();
            Traffic {
                kind: TrafficKind::Upstream,
                name: pulled.name().to_owned(),
                address: pulled.config().kind.address(),
                open: u64::from(pulled.is_up() == Some(true)),
                connections: 0,
                bytes_in: 0,
                bytes_out: 0,
                messages_in: read(&counters.scrapes).saturating_sub(read(&counters.failures)),
                messages_out: read(&counters.scrapes),
                errors: read(&counters.failures),
            }
        }));
        all
    }
}
