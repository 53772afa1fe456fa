//! The command lines: ours, and those of the tools whose place is taken, as they are typed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _, ValueEnum};

use crate::IMAGE;

/// The name of the statsd command line, also as a link to the binary.
pub const STATSD: &str = "statsd_exporter";
/// The name of the JMX command line, also as a link to the binary.
pub const JMX: &str = "jmx_exporter";

/// What happens past a limit of series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverflowArg {
    /// One series `overflow="true"` per family.
    #[default]
    Fold,
    /// Nothing is kept.
    Drop,
}

/// Flags of this image; limits hold in every mode.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address of the page; without a host all addresses
    #[arg(long, value_name = "[HOST]:PORT", default_value = ":9102")]
    pub listen: String,
    /// Path of the page
    #[arg(long, value_name = "PATH", default_value = "/metrics", value_parser = http_path)]
    pub metrics_path: String,
    /// Take `PUT` and `POST` on `/-/reload` and `/-/quit`
    #[arg(long)]
    pub lifecycle: bool,
    /// Names of JMX metrics, see the rules of jmx_exporter
    #[arg(long, value_name = "NAMING", default_value = "jmx_1.x",
          value_parser = ["jmx_0.20", "jmx_1.x"])]
    pub naming: String,
    /// Most pushed series
    #[arg(long, value_name = "COUNT", default_value_t = 200_000,
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub series_max: u64,
    /// Most pushed series of one metric
    #[arg(long, value_name = "COUNT", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub family_series_max: u64,
    /// Most bytes of pushed series; past it there are no new ones, and quantiles become coarser
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20,
          value_parser = clap::value_parser!(u64).range(1 << 20..=1 << 40))]
    pub series_bytes_max: u64,
    /// Longest label value or metric name of what is pushed; longer ones are cut
    #[arg(long, value_name = "BYTES", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(16..=65_536))]
    pub label_bytes_max: u64,
    /// Past a limit of series: `fold` into one series with the label overflow, or `drop`
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub overflow: OverflowArg,
    /// Most connections to the page; more wait
    #[arg(long, value_name = "COUNT", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub connections_max: u64,
    /// Time for pulled inputs when the scraper does not say how long it waits
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub scrape_timeout: Duration,
    /// Longest time for pulled inputs, however long the scraper says that it waits
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub scrape_timeout_max: Duration,
    /// Taken off the time that the scraper waits, for the way back
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub scrape_margin: Duration,
    /// Oldest answer of a pulled input that is shown when a new one does not come in time
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub stale_max: Duration,
    /// Longest body of a pulled input; that of Jolokia takes about 15 times its length in memory
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20,
          value_parser = clap::value_parser!(u64).range(1024..=1 << 30))]
    pub body_bytes_max: u64,
    /// Most series of one pulled input; more are left out
    #[arg(long, value_name = "COUNT", default_value_t = 200_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub pulled_series_max: u64,
    /// Most targets of `/probe` whose connections are kept; none makes room while it is asked
    #[arg(long, value_name = "COUNT", default_value_t = 32,
          value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub target_sessions_max: u64,
    /// Most targets of `/probe` asked at the same time; more are refused with 503
    #[arg(long, value_name = "COUNT", default_value_t = 8,
          value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub target_scrapes_max: u64,
}

/// Flags of `statsd_exporter`.
#[derive(Clone, Debug, clap::Args)]
pub struct StatsdArgs {
    /// Address of the page
    #[arg(long = "web.listen-address", value_name = "ADDR", default_value = ":9102")]
    pub listen: String,
    /// Path of the page
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics",
          value_parser = http_path)]
    pub telemetry_path: String,
    /// UDP address for statsd lines; empty for none
    #[arg(long = "statsd.listen-udp", value_name = "ADDR", default_value = ":9125")]
    pub listen_udp: String,
    /// TCP address for statsd lines; empty for none
    #[arg(long = "statsd.listen-tcp", value_name = "ADDR", default_value = ":9125")]
    pub listen_tcp: String,
    /// Unix datagram socket for statsd lines; empty for none
    #[arg(long = "statsd.listen-unixgram", value_name = "PATH", default_value = "")]
    pub listen_unixgram: String,
    /// Mode of the unix datagram socket
    #[arg(long = "statsd.unixsocket-mode", value_name = "MODE", default_value = "755",
          value_parser = octal)]
    pub unixsocket_mode: u32,
    /// Mapping file
    #[arg(long = "statsd.mapping-config", value_name = "FILE", default_value = "")]
    pub mapping_config: String,
    /// Receive buffer of UDP and unix sockets in bytes; 0 for 4 MiB, as far as the host allows
    #[arg(long = "statsd.read-buffer", value_name = "BYTES", default_value_t = 0)]
    pub read_buffer: usize,
    /// Names remembered; 64 lines are for each, since lines are remembered with their tags
    #[arg(long = "statsd.cache-size", value_name = "COUNT", default_value_t = 1000)]
    pub cache_size: usize,
    /// Taken and not used: there is one kind of cache
    #[arg(long = "statsd.cache-type", value_name = "TYPE", default_value = "lru",
          value_parser = ["lru", "random"])]
    pub cache_type: String,
    /// Taken and not used: there is no queue
    #[arg(long = "statsd.event-queue-size", value_name = "COUNT", default_value_t = 10_000)]
    pub event_queue_size: u64,
    /// Taken and not used: there is no queue
    #[arg(long = "statsd.event-flush-threshold", value_name = "COUNT", default_value_t = 1000)]
    pub event_flush_threshold: u64,
    /// Taken and not used: there is no queue
    #[arg(long = "statsd.event-flush-interval", value_name = "DURATION", default_value = "200ms")]
    pub event_flush_interval: String,
    /// Taken and not used: the system's buffer is the queue
    #[arg(long = "statsd.udp-packet-queue-size", value_name = "COUNT", default_value_t = 10_000)]
    pub udp_packet_queue_size: u64,
    /// UDP address that lines are passed on to; empty for none
    #[arg(long = "statsd.relay.address", value_name = "ADDR", default_value = "")]
    pub relay_address: String,
    /// Longest packet passed on
    #[arg(long = "statsd.relay.packet-length", value_name = "BYTES", default_value_t = 1400)]
    pub relay_packet_length: usize,
    /// Taken and not used: see `check --explain`
    #[arg(long = "debug.dump-fsm", value_name = "FILE", default_value = "")]
    pub dump_fsm: String,
    /// Log level
    #[arg(long = "log.level", value_name = "LEVEL",
          value_parser = ["debug", "info", "warn", "error"])]
    pub log_level: Option<String>,
    /// Log format
    #[arg(long = "log.format", value_name = "FORMAT", value_parser = ["logfmt", "json"])]
    pub log_format: Option<String>,
    /// What can be switched on and off.
    #[command(flatten)]
    pub switches: Switches,
}

/// Switches of `statsd_exporter`: `--flag`, `--no-flag`.
#[derive(Clone, Copy, Debug)]
pub struct Switches {
    /// `web.enable-lifecycle`.
    pub lifecycle: bool,
    /// `statsd.parse-dogstatsd-tags`.
    pub dogstatsd: bool,
    /// `statsd.parse-influxdb-tags`.
    pub influxdb: bool,
    /// `statsd.parse-librato-tags`.
    pub librato: bool,
    /// `statsd.parse-signalfx-tags`.
    pub signalfx: bool,
    /// `check-config`.
    pub check_config: bool,
}

/// Arguments of `jmx_exporter`.
#[derive(Clone, Debug, clap::Args)]
pub struct JmxArgs {
    /// Address of the page
    #[arg(value_name = "[HOST:]PORT")]
    pub listen: String,
    /// Rules file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// Show which rule each line, or each attribute of each bean, hits, and what comes of it
    #[arg(long)]
    pub explain: bool,
    /// The pulled input that is explained; lines of statsd are if none is named
    #[arg(long, value_name = "NAME", requires = "explain")]
    pub input: Option<String>,
    /// File with lines of statsd; standard input without
    #[arg(long, value_name = "FILE", requires = "explain")]
    pub lines: Option<PathBuf>,
    /// Look at this mapping file of statsd_exporter, and at no configuration
    #[arg(long, value_name = "FILE", conflicts_with = "rules")]
    pub mapping: Option<PathBuf>,
    /// Look at this rules file of jmx_exporter, and at no configuration
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
}

/// Name, default and help of each switch.
const SWITCHES: [(&str, bool, &str); 6] = [
    ("web.enable-lifecycle", false, "Take PUT and POST on /-/reload and /-/quit"),
    ("statsd.parse-dogstatsd-tags", true, "Read tags of DogStatsD"),
    ("statsd.parse-influxdb-tags", true, "Read tags of InfluxDB"),
    ("statsd.parse-librato-tags", true, "Read tags of Librato"),
    ("statsd.parse-signalfx-tags", true, "Read tags of SignalFX"),
    ("check-config", false, "Check the configuration and end"),
];

/// The command line with all its modes.
#[must_use]
pub fn command() -> Command {
    let about = "Take the command line of statsd_exporter";
    let statsd = StatsdArgs::augment_args(Command::new(STATSD).about(about));
    let about = "Take the command line of jmx_exporter (standalone)";
    let jmx = JmxArgs::augment_args(Command::new(JMX).about(about));
    management::command::<Args>(&IMAGE)
        .mut_subcommand("check", CheckArgs::augment_args)
        .subcommand(statsd.version(IMAGE.version))
        .subcommand(jmx.version(IMAGE.version))
        .subcommand(management::docs::subcommand())
}

/// The command line of this process, as if a link's name had been typed as the subcommand.
#[must_use]
pub fn unlinked(argv: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut argv: Vec<OsString> = argv.into_iter().collect();
    let name = argv.first().and_then(|name| Path::new(name).file_name()).and_then(OsStr::to_str);
    if let Some(name @ (STATSD | JMX)) = name {
        let name = OsString::from(name);
        argv.insert(1, name);
    }
    argv
}

fn http_path(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
    match text.starts_with('/') && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("expected a path that begins with /".to_owned()),
    }
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("expected an octal mode such as 755".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    management::duration::parse(text).map_err(|error| error.to_string())
}

// === impl OverflowArg ===

impl ValueEnum for OverflowArg {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Fold, Self::Drop]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Fold => "fold",
            Self::Drop => "drop",
        }))
    }
}

// === impl StatsdArgs ===

impl StatsdArgs {
    /// What nobody typed.
    #[must_use]
    pub fn defaults() -> Self {
        let command = Self::augment_args(Command::new(STATSD));
        let matches = command.try_get_matches_from([STATSD]);
        let flags = matches.and_then(|matches| Self::from_arg_matches(&matches));
        flags.expect("every flag has a default or is optional")
    }
}

// === impl Switches ===

impl clap::Args for Switches {
    fn augment_args(mut command: Command) -> Command {
        for (name, default, help) in SWITCHES {
            let off: &'static str = SWITCHES_OFF[index(name)];
            let help = if default { format!("{help} (on; --no-{name})") } else { help.to_owned() };
            let on = Arg::new(name)
                .long(name)
                .overrides_with_all([name, off])
                .action(ArgAction::SetTrue)
                .help(help);
            let off = Arg::new(off)
                .long(off)
                .overrides_with_all([name, off])
                .action(ArgAction::SetTrue)
                .hide(true);
            command = command.arg(on).arg(off);
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

const SWITCHES_OFF: [&str; 6] = [
    "no-web.enable-lifecycle",
    "no-statsd.parse-dogstatsd-tags",
    "no-statsd.parse-influxdb-tags",
    "no-statsd.parse-librato-tags",
    "no-statsd.parse-signalfx-tags",
    "no-check-config",
];

fn index(name: &str) -> usize {
    SWITCHES.iter().position(|(known, ..)| *known == name).unwrap_or_default()
}

impl clap::FromArgMatches for Switches {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let [lifecycle, dogstatsd, influxdb, librato, signalfx, check_config] =
            std::array::from_fn(|index| {
                let (name, default, _) = SWITCHES[index];
                match default {
                    true => !matches.get_flag(SWITCHES_OFF[index]),
                    false => matches.get_flag(name),
                }
            });
        Ok(Self { lifecycle, dogstatsd, influxdb, librato, signalfx, check_config })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
