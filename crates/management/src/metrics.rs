//! The metrics every image has, and the page that joins them with the image's own.
//!
//! Written by hand rather than as collectors: most are readings taken at the moment of the scrape.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use prometheus::{Encoder, TextEncoder};
use tokio::time::Instant;

use crate::docs::Metric;
use crate::health::{Critical, Status};
use crate::network::TrafficKind;
use crate::runtime::Core;

#[cfg(test)]
mod tests;

const fn metric(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// What every image exposes beside its own metrics.
pub const METRICS: &[Metric] = &[
    metric("build_info", "gauge", &["image", "version", "git"], "Always 1; says what runs"),
    metric("process_cpu_seconds_total", "counter", &[], "User and system CPU time spent"),
    metric("process_resident_memory_bytes", "gauge", &[], "Resident memory"),
    metric("process_virtual_memory_bytes", "gauge", &[], "Virtual memory"),
    metric("process_open_fds", "gauge", &[], "Open file descriptors"),
    metric("process_max_fds", "gauge", &[], "Most file descriptors that may be open"),
    metric("process_threads", "gauge", &[], "Threads"),
    metric("process_start_time_seconds", "gauge", &[], "Start of the process since the epoch"),
    metric("mgmt_state", "gauge", &["state"], "1 for the state the process is in"),
    metric("mgmt_live", "gauge", &[], "1 when /livez passes"),
    metric("mgmt_ready", "gauge", &[], "1 when /readyz passes"),
    metric("mgmt_in_flight", "gauge", &[], "Requests that a drain would wait for"),
    metric("mgmt_heartbeat_age_seconds", "gauge", &["name"], "Time since a heartbeat was seen"),
    metric("mgmt_check_passing", "gauge", &["check", "critical"], "1 when a health check passes"),
    metric("mgmt_log_events_total", "counter", &["level"], "Events logged"),
    metric(
        "mgmt_log_dropped_total",
        "counter",
        &[],
        "Lines that readers of /logs were too slow for",
    ),
    metric("mgmt_http_requests_total", "counter", &["listener"], "Requests to the interface"),
    metric("net_connections_open", "gauge", &["kind", "name"], "Connections open"),
    metric("net_connections_total", "counter", &["kind", "name"], "Connections made"),
    metric("net_bytes_total", "counter", &["kind", "name", "direction"], "Bytes moved"),
    metric("net_messages_total", "counter", &["kind", "name", "direction"], "Messages moved"),
    metric(
        "net_errors_total",
        "counter",
        &["kind", "name"],
        "Connections and messages that failed",
    ),
];

/// The whole page, in Prometheus' text format 0.0.4.
pub(crate) fn render(core: &Core) -> Result<String, prometheus::Error> {
    let mut page = Page::default();
    let git = crate::runtime::git();
    page.family("build_info");
    page.value(&[core.image.name, core.image.version, git], 1.0);
    process(&mut page, core);
    state(&mut page, core);
    log_and_requests(&mut page, core);
    network(&mut page, core);
    let mut own = Vec::new();
    TextEncoder::new().encode(&core.registry.gather(), &mut own)?;
    page.text.push_str(&String::from_utf8_lossy(&own));
    Ok(page.text)
}

/// A page being written. A family that [`METRICS`] does not list is not written, so that the
/// generated tables are complete.
#[derive(Default)]
struct Page {
    text: String,
    current: Option<&'static Metric>,
}

// === impl Page ===

impl Page {
    fn family(&mut self, name: &str) {
        self.current = METRICS.iter().find(|metric| metric.name == name);
        debug_assert!(self.current.is_some(), "{name} is not listed");
        if let Some(metric) = self.current {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "# HELP {} {}", metric.name, metric.help);
            let _ = writeln!(self.text, "# TYPE {} {}", metric.name, metric.kind);
        }
    }

    fn value(&mut self, labels: &[&str], value: f64) {
        let Some(metric) = self.current else { return };
        self.text.push_str(metric.name);
        let pairs: Vec<String> = metric
            .labels
            .iter()
            .zip(labels)
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        if !pairs.is_empty() {
            let _ = write!(self.text, "{{{}}}", pairs.join(","));
        }
        let _ = writeln!(self.text, " {value}");
    }

    fn single(&mut self, name: &str, value: f64) {
        self.family(name);
        self.value(&[], value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"")
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn number(value: u64) -> f64 {
    value as f64
}

fn process(page: &mut Page, core: &Core) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command in the second field may hold spaces, so fields count from its end.
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // Numbered from 1 in proc_pid_stat(5), the third being the first after the command.
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
    let ticks = number(rustix::param::clock_ticks_per_second().max(1));
    page.single("process_cpu_seconds_total", number(field(14) + field(15)) / ticks);
    let page_bytes = rustix::param::page_size() as u64;
    page.single("process_resident_memory_bytes", number(field(24) * page_bytes));
    page.single("process_virtual_memory_bytes", number(field(23)));
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        // The directory being read is one of them.
        page.single("process_open_fds", number((entries.count() as u64).saturating_sub(1)));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    page.single("process_max_fds", limit.map_or(f64::INFINITY, number));
    page.single("process_threads", number(field(20)));
    let start = core.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.single("process_start_time_seconds", start.as_secs_f64());
}

fn state(page: &mut Page, core: &Core) {
    let (now, state) = (Instant::now(), core.state());
    page.family("mgmt_state");
    page.value(&[state.as_str()], 1.0);
    page.single("mgmt_live", f64::from(u8::from(core.stalled(now).is_empty())));
    page.single("mgmt_ready", f64::from(u8::from(core.readiness() != Status::Fail)));
    page.single("mgmt_in_flight", number(core.in_flight()));
    page.family("mgmt_heartbeat_age_seconds");
    for (name, age) in core.heartbeats.sample(now) {
        page.value(&[&name], age.as_secs_f64());
    }
    page.family("mgmt_check_passing");
    for (name, outcome) in core.outcomes.all() {
        let critical = if outcome.critical == Critical::Yes { "true" } else { "false" };
        let passing = matches!(outcome.result, Some(Ok(())));
        page.value(&[&name, critical], f64::from(u8::from(passing)));
    }
}

fn log_and_requests(page: &mut Page, core: &Core) {
    page.family("mgmt_log_events_total");
    for (level, count) in core.logs.ring.events() {
        page.value(&[level], number(count));
    }
    page.single("mgmt_log_dropped_total", number(core.logs.ring.dropped()));
    page.family("mgmt_http_requests_total");
    for (listener, count) in core.requests.all() {
        page.value(&[listener], number(count));
    }
}

fn network(page: &mut Page, core: &Core) {
    let all: Vec<_> = core.network.iter().flat_map(|network| network.snapshot()).collect();
    let kind = |kind| match kind {
        TrafficKind::Listener => "listener",
        TrafficKind::Upstream => "upstream",
    };
    page.family("net_connections_open");
    for traffic in &all {
        page.value(&[kind(traffic.kind), &traffic.name], number(traffic.open));
    }
    page.family("net_connections_total");
    for traffic in &all {
        page.value(&[kind(traffic.kind), &traffic.name], number(traffic.connections));
    }
    page.family("net_bytes_total");
    for traffic in &all {
        page.value(&[kind(traffic.kind), &traffic.name, "in"], number(traffic.bytes_in));
        page.value(&[kind(traffic.kind), &traffic.name, "out"], number(traffic.bytes_out));
    }
    page.family("net_messages_total");
    for traffic in &all {
        page.value(&[kind(traffic.kind), &traffic.name, "in"], number(traffic.messages_in));
        page.value(&[kind(traffic.kind), &traffic.name, "out"], number(traffic.messages_out));
    }
    page.family("net_errors_total");
    for traffic in &all {
        page.value(&[kind(traffic.kind), &traffic.name], number(traffic.errors));
    }
}
