//! Inputs `statsd` and `graphite` of the superset file. All of a kind share one mapping, because
//! they share one registry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use management::ConfigError;

use super::yaml::{Node, Section};
use super::{Args, is_listen, mapping, size};
use crate::ingest::IngestConfig;
use crate::line::Dialects;
use crate::mapping::Mapping;

const ALL: Dialects = Dialects { dogstatsd: true, influxdb: true, librato: true, signalfx: true };
/// Lines remembered, unless a file says otherwise. A line that is not costs five times as much.
const CACHE_SIZE: usize = 65_536;
/// Receive buffer asked for, unless a file or flag says otherwise: the system's default holds some
/// hundred datagrams, a burst has thousands.
pub(super) const READ_BUFFER: usize = 4 << 20;

/// An empty plan: nothing is listened on.
pub(super) fn plan(args: &Args) -> IngestConfig {
    IngestConfig {
        udp: Vec::new(),
        tcp: Vec::new(),
        unixgram: None,
        unixgram_mode: 0o755,
        graphite_tcp: Vec::new(),
        graphite_udp: Vec::new(),
        read_buffer: READ_BUFFER,
        dialects: ALL,
        mapping: Arc::new(Mapping::default()),
        graphite_mapping: Arc::new(Mapping::default()),
        graphite_ttl: Duration::from_secs(300),
        limits: args.limits(),
        cache_size: CACHE_SIZE,
        relay: Vec::new(),
        relay_packet_bytes_max: 1400,
    }
}

/// Which kinds have been read, to refuse a second one that says something else.
#[derive(Default)]
pub(super) struct Seen {
    statsd: Option<(Option<PathBuf>, Dialects)>,
    graphite: Option<(Option<PathBuf>, Duration)>,
}

/// Adds an input `statsd`.
pub(super) fn statsd(
    plan: &mut IngestConfig,
    section: &mut Section<'_>,
    node: &Node,
    seen: &mut Seen,
) -> Result<(), ConfigError> {
    plan.udp.append(&mut listened(section, "udp")?);
    plan.tcp.append(&mut listened(section, "tcp")?);
    let before = plan.unixgram.clone();
    if let Some(path) = section.path("unixgram")? {
        if before.is_some() {
            return Err(section.refused(node, "only one input has a unixgram socket"));
        }
        plan.unixgram = Some(path);
    }
    let octal = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    if let Some(mode) = section.value("unixgram-mode", "an octal mode such as 755", octal)? {
        plan.unixgram_mode = mode;
    }
    if let Some(bytes) = section.number("read-buffer", 0, 1 << 30)? {
        plan.read_buffer = size(bytes);
    }
    if let Some(lines) = section.number("cache-size", 0, 10_000_000)? {
        plan.cache_size = size(lines);
    }
    plan.relay.append(&mut relays(section)?);
    if let Some(bytes) = section.number("relay-packet-length", 1, 65_507)? {
        plan.relay_packet_bytes_max = size(bytes);
    }
    let path = section.path("mapping")?;
    let dialects = dialects(section)?;
    match &seen.statsd {
        Some(known) if *known != (path.clone(), dialects) => {
            let message = "all statsd inputs have the same mapping and dialects";
            return Err(section.refused(node, message));
        }
        Some(_) => {}
        None => {
            if let Some(path) = &path {
                plan.mapping = Arc::new(mapping(path)?);
            }
            plan.dialects = dialects;
        }
    }
    seen.statsd = Some((path, dialects));
    if plan.udp.is_empty() && plan.tcp.is_empty() && plan.unixgram.is_none() {
        return Err(section.refused(node, "expected udp, tcp or unixgram"));
    }
    Ok(())
}

/// Adds an input `graphite`.
pub(super) fn graphite(
    plan: &mut IngestConfig,
    section: &mut Section<'_>,
    node: &Node,
    seen: &mut Seen,
) -> Result<(), ConfigError> {
    plan.graphite_udp.append(&mut listened(section, "udp")?);
    plan.graphite_tcp.append(&mut listened(section, "tcp")?);
    let path = section.path("mapping")?;
    let ttl = section.duration("ttl")?.unwrap_or(plan.graphite_ttl);
    match &seen.graphite {
        Some(known) if *known != (path.clone(), ttl) => {
            let message = "all graphite inputs have the same mapping and ttl";
            return Err(section.refused(node, message));
        }
        Some(_) => {}
        None => {
            if let Some(path) = &path {
                plan.graphite_mapping = Arc::new(mapping(path)?);
            }
            plan.graphite_ttl = ttl;
        }
    }
    seen.graphite = Some((path, ttl));
    if plan.graphite_udp.is_empty() && plan.graphite_tcp.is_empty() {
        return Err(section.refused(node, "expected udp or tcp"));
    }
    Ok(())
}

fn listened(section: &mut Section<'_>, key: &'static str) -> Result<Vec<String>, ConfigError> {
    let node = section.node(key);
    let texts = section.texts(key)?;
    match (texts.iter().find(|text| !is_listen(text)), node) {
        (Some(_), Some(node)) => Err(section.wrong(key, node, "[HOST]:PORT, or a list of them")),
        _ => Ok(texts),
    }
}

fn relays(section: &mut Section<'_>) -> Result<Vec<String>, ConfigError> {
    let node = section.node("relay");
    let texts = section.texts("relay")?;
    let good = |text: &String| {
        let address = text.strip_prefix("udp://").or_else(|| text.strip_prefix("tcp://"));
        let path = text.strip_prefix("unix://");
        address.is_some_and(is_listen) || path.is_some_and(|path| path.starts_with('/'))
    };
    match (texts.iter().all(good), node) {
        (false, Some(node)) => {
            let expected = "udp://HOST:PORT, tcp://HOST:PORT or unix:///PATH";
            Err(section.wrong("relay", node, expected))
        }
        _ => Ok(texts),
    }
}

fn dialects(section: &mut Section<'_>) -> Result<Dialects, ConfigError> {
    let Some(node) = section.node("dialects") else { return Ok(ALL) };
    let mut dialects =
        Dialects { dogstatsd: false, influxdb: false, librato: false, signalfx: false };
    for name in section.texts("dialects")? {
        *match name.as_str() {
            "dogstatsd" => &mut dialects.dogstatsd,
            "influxdb" => &mut dialects.influxdb,
            "librato" => &mut dialects.librato,
            "signalfx" => &mut dialects.signalfx,
            _ => {
                let expected = "a list of dogstatsd, influxdb, librato, signalfx";
                return Err(section.wrong("dialects", node, expected));
            }
        } = true;
    }
    Ok(dialects)
}
