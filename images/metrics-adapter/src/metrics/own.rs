//! What nobody else says: limits met, kernel drops, scrapes.

use std::sync::atomic::AtomicU64;

use management::docs::Metric;

use super::{Reading, Values, counter, gauge, load, number, single};
use crate::app::Process;
use crate::ingest::{Counters, GRAPHITE_REASONS, ListenerCounters, RelayCounters};
use crate::pull::{self, Pulled};
use crate::registry;
use crate::rules::RuleCounters;
use crate::web::Site;

const LISTENER: &[&str] = &["protocol", "transport", "address"];

/// In the order of [`site`].
const SITE: [Metric; 23] = [
    counter("metrics_adapter_page_requests_total", &[], "Requests to the page"),
    gauge("metrics_adapter_page_in_flight", &[], "Requests under way"),
    counter("metrics_adapter_page_scrapes_total", &[], "Pages made"),
    counter(
        "metrics_adapter_page_seconds_total",
        &[],
        "Time that making them took, with waiting for pulled inputs",
    ),
    counter("metrics_adapter_page_unauthorized_total", &[], "Requests without right credentials"),
    counter("metrics_adapter_page_busy_total", &[], "Requests refused because of a limit"),
    counter("metrics_adapter_page_tls_failures_total", &[], "TLS handshakes that failed"),
    counter(
        "metrics_adapter_pulled_family_conflicts_total",
        &[],
        "Pulled families that became untyped because inputs disagree on their kind",
    ),
    counter(
        "metrics_adapter_pulled_series_conflicts_total",
        &[],
        "Pulled series left out because another one has the same name and labels",
    ),
    counter(
        "metrics_adapter_page_left_out_total",
        &["source"],
        "Series, `pushed` or `pulled`, that a page had no place for: another metric has or implies \
         their name, or the format forbids their value; counted by every page",
    ),
    counter("metrics_adapter_reloads_total", &["outcome"], "Reloads: `success` or `failure`"),
    gauge("metrics_adapter_input_up", &["input"], "1 while the last scrape of the input was good"),
    counter("metrics_adapter_input_scrapes_total", &["input"], "Scrapes begun"),
    counter("metrics_adapter_input_failures_total", &["input"], "Scrapes that failed"),
    counter("metrics_adapter_input_timeouts_total", &["input"], "Waiters whose time was up"),
    counter("metrics_adapter_input_stale_total", &["input"], "Waiters that got an older answer"),
    counter("metrics_adapter_input_shared_total", &["input"], "Waiters that shared a scrape"),
    counter(
        "metrics_adapter_input_dropped_series_total",
        &["input"],
        "Series left out because of the limit",
    ),
    counter(
        "metrics_adapter_input_rule_evaluations_total",
        &["input"],
        "Values that rules were tried on; the outcome of others was known",
    ),
    gauge("metrics_adapter_input_rule_plans", &["input"], "Places whose outcome is known"),
    counter(
        "metrics_adapter_input_rule_steps_exceeded_total",
        &["input"],
        "Matches given up because they would have taken too long",
    ),
    counter(
        "metrics_adapter_input_rule_refused_samples_total",
        &["input"],
        "Samples past the limit of one scrape",
    ),
    gauge("metrics_adapter_probe_sessions", &[], "Targets of /probe whose sessions are kept"),
];

/// In the order of [`pushed`].
const PUSHED: [Metric; 41] = [
    gauge("metrics_adapter_series", &["kind"], "Pushed series there are"),
    gauge("metrics_adapter_families", &[], "Pushed metrics there are"),
    gauge("metrics_adapter_registry_bytes", &[], "Memory of pushed series, about"),
    gauge(
        "metrics_adapter_registry_reserved_bytes",
        &[],
        "The same with what is set aside, which is what the limit bounds",
    ),
    counter(
        "metrics_adapter_observations_coarsened_total",
        &[],
        "Observations that a summary or native histogram had no memory to keep apart",
    ),
    counter("metrics_adapter_series_expired_total", &[], "Pushed series forgotten by their ttl"),
    counter(
        "metrics_adapter_series_overflowed_total",
        &[],
        "New series that met a limit, and went into an overflow series or nowhere",
    ),
    counter("metrics_adapter_events_over_limit_total", &[], "Events lost because of a limit"),
    counter(
        "metrics_adapter_labels_renamed_total",
        &[],
        "Labels renamed because their name is reserved",
    ),
    counter(
        "metrics_adapter_labels_cut_total",
        &[],
        "Label values and names cut because they were too long",
    ),
    counter(
        "metrics_adapter_series_conflicts_total",
        &[],
        "New series refused because their name is of another kind",
    ),
    counter(
        "metrics_adapter_ingest_batches_total",
        &[],
        "Times that the reader of pushed inputs had something to take",
    ),
    gauge("metrics_adapter_cache_entries", &[], "Lines remembered with their series"),
    gauge("metrics_adapter_cache_bytes", &[], "Bytes of their keys"),
    counter("metrics_adapter_cache_gets_total", &[], "Lines looked up"),
    counter("metrics_adapter_cache_hits_total", &[], "Lines found"),
    counter("metrics_adapter_cache_evictions_total", &[], "Lines forgotten to make room"),
    counter("metrics_adapter_graphite_lines_total", &[], "Lines of Graphite"),
    counter("metrics_adapter_graphite_errors_total", &["reason"], "Lines of Graphite refused"),
    counter(
        "metrics_adapter_graphite_expired_total",
        &[],
        "Samples of Graphite that came too late",
    ),
    counter("metrics_adapter_graphite_dropped_total", &[], "Samples that a rule discards"),
    counter("metrics_adapter_graphite_tag_errors_total", &[], "Tags of Graphite refused"),
    counter("metrics_adapter_listener_packets_total", LISTENER, "Datagrams, or reads of a stream"),
    counter("metrics_adapter_listener_bytes_total", LISTENER, "Bytes read"),
    counter(
        "metrics_adapter_listener_kernel_drops_total",
        LISTENER,
        "Datagrams that the kernel dropped because the receive buffer was full",
    ),
    gauge("metrics_adapter_listener_receive_buffer_bytes", LISTENER, "Receive buffer"),
    counter("metrics_adapter_listener_truncated_total", LISTENER, "Datagrams longer than is read"),
    counter("metrics_adapter_listener_connections_total", LISTENER, "Connections taken"),
    gauge("metrics_adapter_listener_connections", LISTENER, "Connections open"),
    counter("metrics_adapter_listener_refused_total", LISTENER, "Connections past the limit"),
    counter(
        "metrics_adapter_listener_idle_closed_total",
        LISTENER,
        "Connections closed to make room, idle for longest",
    ),
    counter(
        "metrics_adapter_listener_cut_total",
        LISTENER,
        "Connections closed at the end of the process within a line or with bytes unread",
    ),
    counter("metrics_adapter_listener_errors_total", LISTENER, "Connections that failed"),
    counter("metrics_adapter_listener_long_lines_total", LISTENER, "Lines that did not end"),
    counter("metrics_adapter_relay_packets_total", &["target"], "Packets passed on"),
    counter("metrics_adapter_relay_bytes_total", &["target"], "Bytes passed on"),
    counter("metrics_adapter_relay_lines_total", &["target"], "Lines passed on"),
    counter("metrics_adapter_relay_long_lines_total", &["target"], "Lines that no packet takes"),
    counter(
        "metrics_adapter_relay_dropped_lines_total",
        &["target"],
        "Lines dropped because the target is down or slow",
    ),
    counter("metrics_adapter_relay_errors_total", &["target"], "Failures to connect or send"),
    gauge(
        "metrics_adapter_relay_connected",
        &["target"],
        "1 while there is a socket to the target",
    ),
];

pub(super) fn all() -> Vec<Metric> {
    SITE.iter().chain(&PUSHED).copied().collect()
}

/// The values of [`SITE`].
pub(super) fn site(site: &Site<Process>) -> Vec<Reading> {
    let counters = &site.counters;
    let live = site.live();
    let inputs = |read: &dyn Fn(&Pulled) -> Option<f64>| -> Values {
        let each = live.pulled.iter();
        each.filter_map(|it| Some((vec![it.name().to_owned()], read(it)?))).collect()
    };
    let counted = |read: fn(&pull::Counters) -> &AtomicU64| {
        inputs(&|pulled| Some(load(read(pulled.counters()))))
    };
    let rules = |read: fn(&RuleCounters) -> u64| {
        inputs(&|pulled| pulled.rules().map(|counters| number(read(&counters))))
    };
    let reloads = &site.actions.reloads;
    let outcome = |name: &str, value| (vec![name.to_owned()], load(value));
    let values: [Values; SITE.len()] = [
        single(load(&counters.requests)),
        single(load(&counters.in_flight)),
        single(load(&counters.scrapes)),
        single(load(&counters.scrape_micros) / 1e6),
        single(load(&counters.unauthorized)),
        single(load(&counters.busy)),
        single(load(&counters.tls_failed)),
        single(load(&counters.family_conflicts)),
        single(load(&counters.series_dropped)),
        vec![
            outcome("pushed", &counters.pushed_left_out),
            outcome("pulled", &counters.pulled_left_out),
        ],
        vec![outcome("success", &reloads.good), outcome("failure", &reloads.bad)],
        inputs(&|pulled| pulled.is_up().map(|up| f64::from(u8::from(up)))),
        counted(|it| &it.scrapes),
        counted(|it| &it.failures),
        counted(|it| &it.timeouts),
        counted(|it| &it.stale),
        counted(|it| &it.shared),
        counted(|it| &it.dropped),
        rules(|it| it.evaluations),
        rules(|it| it.plans),
        rules(|it| it.step_limit_hits),
        rules(|it| it.refused_samples),
        single(number(live.probes.sessions().len() as u64)),
    ];
    SITE.into_iter().zip(values).collect()
}

/// The values of [`PUSHED`].
pub(super) fn pushed(counters: &Counters, registry: &registry::Counters) -> Vec<Reading> {
    let listeners = |read: fn(&ListenerCounters) -> u64| -> Values {
        let row = |it: &ListenerCounters| {
            let labels = [it.protocol.as_str(), it.transport.as_str(), &it.address];
            (labels.map(str::to_owned).to_vec(), number(read(it)))
        };
        counters.listeners.iter().map(row).collect()
    };
    let relays = |read: fn(&RelayCounters) -> u64| -> Values {
        let row = |it: &RelayCounters| (vec![it.target.clone()], number(read(it)));
        counters.relays.iter().map(row).collect()
    };
    let kinds = ["counter", "gauge", "summary", "histogram"].iter().zip(registry.series);
    let graphite = GRAPHITE_REASONS.iter().zip(counters.graphite_errors);
    let graphite =
        graphite.map(|(reason, count)| (vec![reason.as_str().to_owned()], number(count)));
    let cache = &counters.cache;
    let values: [Values; PUSHED.len()] = [
        kinds.map(|(kind, value)| (vec![(*kind).to_owned()], number(value))).collect(),
        single(number(registry.families)),
        single(number(registry.bytes)),
        single(number(registry.bytes_reserved)),
        single(number(registry.coarsened)),
        single(number(registry.expired)),
        single(number(registry.overflowed)),
        single(number(counters.events_over_limit)),
        single(number(registry.renamed_labels)),
        single(number(registry.cut)),
        single(number(registry.conflicts)),
        single(number(counters.batches)),
        single(number(cache.length)),
        single(number(cache.bytes)),
        single(number(cache.gets)),
        single(number(cache.hits)),
        single(number(cache.evictions)),
        single(number(counters.graphite_lines)),
        graphite.collect(),
        single(number(counters.graphite_expired)),
        single(number(counters.graphite_dropped)),
        single(number(counters.graphite_tag_errors)),
        listeners(|it| it.packets),
        listeners(|it| it.bytes),
        listeners(|it| it.kernel_drops),
        listeners(|it| it.receive_buffer_bytes),
        listeners(|it| it.truncated),
        listeners(|it| it.connections),
        listeners(|it| it.open),
        listeners(|it| it.connections_refused),
        listeners(|it| it.connections_idle),
        listeners(|it| it.connections_cut),
        listeners(|it| it.connection_errors),
        listeners(|it| it.long_lines),
        relays(|it| it.packets),
        relays(|it| it.bytes),
        relays(|it| it.lines),
        relays(|it| it.long_lines),
        relays(|it| it.dropped_lines),
        relays(|it| it.errors),
        relays(|it| u64::from(it.connected)),
    ];
    PUSHED.into_iter().zip(values).collect()
}
