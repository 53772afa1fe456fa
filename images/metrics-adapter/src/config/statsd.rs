//! The command line of `statsd_exporter`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use management::{ConfigError, Place};

use super::args::{Args, StatsdArgs};
use super::pushed::READ_BUFFER;
use super::web::{Landing, WebConfig};
use super::{Config, Mode, is_listen, mapping};
use crate::ingest::IngestConfig;
use crate::line::Dialects;
use crate::mapping::Mapping;

/// The original remembers names; here a line is remembered with its tags, so that one name stands
/// for many.
const LINES_PER_NAME: usize = 64;
/// Graphite is not spoken in this mode.
const UNUSED: Duration = Duration::from_secs(300);

pub(super) fn load(args: &Args, flags: &StatsdArgs) -> Result<Config, ConfigError> {
    let none = |text: &str| text.is_empty();
    if none(&flags.listen_udp) && none(&flags.listen_tcp) && none(&flags.listen_unixgram) {
        let message = "at least one of UDP, TCP and unixgram must be listened on";
        return Err(ConfigError::message(Place::Flag("statsd.listen-udp".to_owned()), message));
    }
    let listened = |flag: &str, text: &str| match text {
        "" => Ok(Vec::new()),
        text if is_listen(text) => Ok(vec![text.to_owned()]),
        text => Err(wrong(flag, text, "[HOST]:PORT, or nothing")),
    };
    if !is_listen(&flags.listen) {
        return Err(wrong("web.listen-address", &flags.listen, "[HOST]:PORT"));
    }
    if !(1..=65_507).contains(&flags.relay_packet_length) {
        let found = flags.relay_packet_length.to_string();
        return Err(wrong("statsd.relay.packet-length", &found, "a number from 1 to 65507"));
    }
    let relay = match flags.relay_address.as_str() {
        "" => Vec::new(),
        address if is_listen(address) => vec![format!("udp://{address}")],
        address => return Err(wrong("statsd.relay.address", address, "HOST:PORT, or nothing")),
    };
    let mapping = match flags.mapping_config.as_str() {
        "" => Mapping::default(),
        path => mapping(Path::new(path))?,
    };
    let switches = flags.switches;
    let ingest = IngestConfig {
        udp: listened("statsd.listen-udp", &flags.listen_udp)?,
        tcp: listened("statsd.listen-tcp", &flags.listen_tcp)?,
        unixgram: Some(flags.listen_unixgram.as_str()).filter(|it| !none(it)).map(PathBuf::from),
        unixgram_mode: flags.unixsocket_mode,
        graphite_tcp: Vec::new(),
        graphite_udp: Vec::new(),
        read_buffer: match flags.read_buffer {
            0 => READ_BUFFER,
            bytes => bytes,
        },
        dialects: Dialects {
            dogstatsd: switches.dogstatsd,
            influxdb: switches.influxdb,
            librato: switches.librato,
            signalfx: switches.signalfx,
        },
        mapping: Arc::new(mapping),
        graphite_mapping: Arc::new(Mapping::default()),
        graphite_ttl: UNUSED,
        limits: args.limits(),
        cache_size: flags.cache_size.saturating_mul(LINES_PER_NAME),
        relay,
        relay_packet_bytes_max: flags.relay_packet_length,
    };
    let web = WebConfig {
        listen: flags.listen.clone(),
        metrics_path: flags.telemetry_path.clone(),
        lifecycle: switches.lifecycle,
        landing: Landing::Statsd,
        connections_max: super::size(args.connections_max),
        ..WebConfig::default()
    };
    let config = Config::new(Mode::Statsd, web, args.pull_limits());
    Ok(Config { ingest: Some(ingest), notes: unused(flags), ..config })
}

/// Flags that change nothing here, where they were changed.
fn unused(flags: &StatsdArgs) -> Vec<String> {
    let changed = [
        ("statsd.cache-type", flags.cache_type != "lru"),
        ("statsd.event-queue-size", flags.event_queue_size != 10_000),
        ("statsd.event-flush-threshold", flags.event_flush_threshold != 1000),
        ("statsd.event-flush-interval", flags.event_flush_interval != "200ms"),
        ("statsd.udp-packet-queue-size", flags.udp_packet_queue_size != 10_000),
        ("debug.dump-fsm", !flags.dump_fsm.is_empty()),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(name, _)| format!("--{name} is taken and changes nothing here"))
        .collect()
}

fn wrong(flag: &str, found: &str, expected: &str) -> ConfigError {
    ConfigError::new(Place::Flag(flag.to_owned()), None, found, expected)
}
