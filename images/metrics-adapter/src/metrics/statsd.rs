//! What `statsd_exporter` says of itself, under its names.

use std::sync::atomic::Ordering;

use management::docs::Metric;

use super::{Reading, Values, counter, gauge, load, number, single};
use crate::app::Process;
use crate::ingest::{Counters, EVENT_KINDS, ListenerCounters, Protocol, REASONS, Transport};

/// Every metric, in the order of [`readings`].
pub(super) const METRICS: [Metric; 26] = [
    counter("statsd_exporter_events_total", &["type"], "Events that came to something"),
    counter(
        "statsd_exporter_event_queue_flushed_total",
        &[],
        "Always 0: there is no queue that could be flushed",
    ),
    counter("statsd_exporter_events_unmapped_total", &[], "Events that no mapping matched"),
    counter("statsd_exporter_udp_packets_total", &[], "UDP packets read"),
    counter("statsd_exporter_udp_packet_drops_total", &[], "UDP packets that the kernel dropped"),
    counter("statsd_exporter_tcp_connections_total", &[], "TCP connections taken"),
    counter("statsd_exporter_tcp_connection_errors_total", &[], "TCP connections that failed"),
    counter(
        "statsd_exporter_tcp_too_long_lines_total",
        &[],
        "TCP connections closed because of a line that was too long",
    ),
    counter("statsd_exporter_unixgram_packets_total", &[], "Packets read from the unix socket"),
    counter("statsd_exporter_lines_total", &[], "Lines read"),
    counter("statsd_exporter_samples_total", &[], "Samples in them"),
    counter("statsd_exporter_sample_errors_total", &["reason"], "Lines and samples refused"),
    counter("statsd_exporter_tags_total", &[], "Samples with tags"),
    counter("statsd_exporter_tag_errors_total", &[], "Tags that are none"),
    counter(
        "statsd_exporter_config_reloads_total",
        &["outcome"],
        "Configuration read again: `success` or `failure`",
    ),
    gauge("statsd_exporter_loaded_mappings", &[], "Rules of the mapping in force"),
    counter(
        "statsd_exporter_events_conflict_total",
        &["type", "metric_name"],
        "Events whose name is of another kind",
    ),
    counter("statsd_exporter_events_error_total", &["reason"], "Events refused"),
    counter(
        "statsd_exporter_events_actions_total",
        &["action"],
        "Events that a rule mapped or dropped",
    ),
    gauge("statsd_exporter_metrics_total", &["type"], "Series there are"),
    counter("statsd_exporter_relay_packets_total", &["target"], "Packets passed on"),
    counter(
        "statsd_exporter_relay_long_lines_total",
        &["target"],
        "Lines too long to be passed on",
    ),
    counter("statsd_exporter_relay_lines_relayed_total", &["target"], "Lines passed on"),
    gauge("statsd_metric_mapper_cache_length", &[], "Lines remembered with their series"),
    counter("statsd_metric_mapper_cache_gets_total", &[], "Lines looked up"),
    counter("statsd_metric_mapper_cache_hits_total", &[], "Lines found"),
];

/// The values of [`METRICS`].
pub(super) fn readings(counters: &Counters, series: &[u64; 4], process: &Process) -> Vec<Reading> {
    let sum = |transport: Transport, read: fn(&ListenerCounters) -> u64| {
        let listeners = counters.listeners.iter();
        let of_kind = listeners.filter(|listener| {
            listener.transport == transport && listener.protocol == Protocol::Statsd
        });
        single(number(of_kind.map(read).sum()))
    };
    let relays = |read: fn(&crate::ingest::RelayCounters) -> u64| -> Values {
        let rows = counters.relays.iter();
        rows.map(|relay| (vec![relay.target.clone()], number(read(relay)))).collect()
    };
    let named = |rows: &[(&str, u64)]| -> Values {
        rows.iter().map(|(name, value)| (vec![(*name).to_owned()], number(*value))).collect()
    };
    let events = EVENT_KINDS.map(|kind| (kind.as_str(), counters.events(kind)));
    let errors = REASONS.map(|reason| (reason.as_str(), counters.sample_errors(reason)));
    let conflicts = counters
        .conflicts
        .iter()
        .map(|row| (vec![row.kind.as_str().to_owned(), row.name.clone()], number(row.count)));
    let reloads = [("success", &process.reloads.good), ("failure", &process.reloads.bad)]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)));
    let [counter, gauge, summary, histogram] = *series;
    let kinds =
        [("counter", counter), ("gauge", gauge), ("summary", summary), ("histogram", histogram)];
    let values: [Values; METRICS.len()] = [
        named(&events),
        single(0.0),
        single(number(counters.events_unmapped)),
        sum(Transport::Udp, |it| it.packets),
        sum(Transport::Udp, |it| it.kernel_drops),
        sum(Transport::Tcp, |it| it.connections),
        sum(Transport::Tcp, |it| it.connection_errors),
        sum(Transport::Tcp, |it| it.long_lines),
        sum(Transport::Unixgram, |it| it.packets),
        single(number(counters.lines)),
        single(number(counters.samples)),
        named(&errors),
        single(number(counters.tags)),
        single(number(counters.tag_errors)),
        named(&reloads),
        single(load(&process.reloads.mappings)),
        conflicts.collect(),
        named(&[
            ("illegal_negative_counter", counters.illegal_negative_counter),
            ("empty_metric_name", counters.empty_metric_name),
        ]),
        named(&[("map", counters.events_mapped), ("drop", counters.events_dropped)]),
        named(&kinds),
        relays(|relay| relay.packets),
        relays(|relay| relay.long_lines),
        relays(|relay| relay.lines),
        single(number(counters.cache.length)),
        single(number(counters.cache.gets)),
        single(number(counters.cache.hits)),
    ];
    METRICS.into_iter().zip(values).collect()
}
