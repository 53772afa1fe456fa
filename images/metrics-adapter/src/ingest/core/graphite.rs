//! Lines of Graphite: gauges that are forgotten when they are not sent any more.
//!
//! They are never remembered: their senders send each path once in ten seconds or a minute.

use std::time::Duration;

use super::{Change, Core, merge};
use crate::graphite::{self, Graphite};
use crate::ingest::EventKind;
use crate::mapping::{Action, MetricType};
use crate::registry::{Registry, Seconds, Shape, Spec};

impl Core {
    /// Takes lines of Graphite. `unix_now` is what their times are compared with: a sample that is
    /// older than its series would live is not worth one.
    pub fn graphite(&mut self, registry: &mut Registry, bytes: &[u8], now: Seconds, unix_now: u64) {
        for line in bytes.split(|&byte| byte == b'\n') {
            match graphite::parse(line) {
                Ok(None) => continue,
                Ok(Some(sample)) => self.graphite_sample(registry, &sample, now, unix_now),
                Err(reason) => self.counters.graphite_errors[reason as usize] += 1,
            }
            self.counters.graphite_lines += 1;
        }
    }

    fn graphite_sample(
        &mut self,
        registry: &mut Registry,
        sample: &Graphite<'_>,
        now: Seconds,
        unix_now: u64,
    ) {
        let counters = &mut self.counters;
        counters.graphite_tag_errors += sample.bad_tags as u64;
        let mapping = &self.graphite_mapping;
        let found = mapping.find(sample.name, MetricType::Gauge);
        let settings = found.as_ref().map_or(&mapping.unmapped, |found| &found.rule.settings);
        let ttl = if settings.ttl.is_zero() { self.graphite_ttl } else { settings.ttl };
        let sent = Duration::from_secs(sample.timestamp.unwrap_or(unix_now));
        if !ttl.is_zero() && sent.saturating_add(ttl) < Duration::from_secs(unix_now) {
            counters.graphite_expired += 1;
            return;
        }
        let (name, labels) = match &found {
            Some(found) if found.rule.action == Action::Drop => {
                counters.graphite_dropped += 1;
                return;
            }
            Some(found) if found.name.is_empty() => {
                counters.empty_metric_name += 1;
                return;
            }
            Some(found) => (graphite::escape_path(&found.name), &found.labels[..]),
            None => (graphite::escape_path(sample.name), &[][..]),
        };
        let labels = merge(&sample.tags, labels, settings.honor_labels);
        let default_help;
        let help = if let Some(help) = &settings.help {
            help
        } else {
            default_help = format!("Graphite metric {name}");
            &default_help
        };
        let spec = Spec { name: &name, help, shape: Shape::Gauge, labels: &labels, ttl };
        if let Some(id) = super::intern(counters, registry, EventKind::Gauge, &spec, now) {
            let value = sample.value * settings.scale.unwrap_or(1.0);
            Change::Set(value).apply("", registry, id, now);
        }
    }
}
