//! The flags every image has.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Arg, ArgMatches, Command, ValueEnum, ValueHint};

use super::{ConfigError, Effective, Place, Strings};
use crate::{Image, duration};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// The shared flags, typed and checked against each other.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The configuration file in force.
    pub config: Option<PathBuf>,
    /// Where the open, read-only probes are served.
    pub probe_addr: SocketAddr,
    /// Where the admin interface is served.
    pub admin_addr: SocketAddr,
    /// A unix socket for the admin interface beside it, mode 0600.
    pub admin_socket: Option<PathBuf>,
    /// File with the bearer token of the admin interface.
    pub admin_token_file: Option<PathBuf>,
    /// Log filter: a level, or directives such as `info,hyper=warn`.
    pub log: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// From the request to stop to the end of the process.
    pub grace: Duration,
    /// Whether this process runs in Kubernetes, where an endpoint is still sent traffic for some
    /// seconds after the request to stop.
    pub kubernetes: bool,
    /// Whether colour is unwanted (`NO_COLOR`).
    pub no_color: bool,
    /// Said in the log once there is one, such as an unknown variable.
    pub warnings: Vec<String>,
}

// === impl LogFormat ===

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Plain, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Plain => "plain",
            Self::Json => "json",
        }))
    }
}

/// The shared flags as clap arguments; their ids are their long names.
pub(super) fn arguments(image: &Image) -> Vec<Arg> {
    let flag = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading("Shared by all images")
    };
    vec![
        flag("config", "FILE", "Configuration file")
            .value_parser(clap::value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .global(true),
        flag("probe-addr", "ADDR", "Address of the probes, open and read-only")
            .value_parser(address)
            .default_value(format!("0.0.0.0:{}", image.probe_port))
            .global(true),
        flag("admin-addr", "ADDR", "Address of the admin interface")
            .value_parser(address)
            .default_value(format!("127.0.0.1:{}", image.admin_port)),
        flag("admin-socket", "PATH", "Unix socket of the admin interface, mode 0600")
            .value_parser(clap::value_parser!(PathBuf)),
        flag("admin-token-file", "FILE", "File with the bearer token of the admin interface")
            .value_parser(clap::value_parser!(PathBuf)),
        flag("log", "FILTER", "Log level, or directives such as info,hyper=warn")
            .value_parser(filter)
            .default_value("info"),
        flag("log-format", "FORMAT", "Form of log lines")
            .value_parser(clap::value_parser!(LogFormat))
            .default_value("plain"),
        flag("grace", "DURATION", "Time from the request to stop to the end of the process")
            .value_parser(grace)
            .default_value("30s"),
    ]
}

// === impl Shared ===

impl Shared {
    /// The shared flags of an image at their defaults, outside Kubernetes.
    #[must_use]
    pub fn defaults(image: &Image) -> Self {
        Self {
            config: None,
            probe_addr: SocketAddr::from(([0, 0, 0, 0], image.probe_port)),
            admin_addr: SocketAddr::from(([127, 0, 0, 1], image.admin_port)),
            admin_socket: None,
            admin_token_file: None,
            log: "info".to_owned(),
            log_format: LogFormat::Plain,
            grace: Duration::from_secs(30),
            kubernetes: false,
            no_color: false,
            warnings: Vec::new(),
        }
    }

    pub(super) fn collect(
        image: &Image,
        matches: &ArgMatches,
        effective: &Effective,
        env: &dyn Strings,
    ) -> Result<Self, ConfigError> {
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let addr = |name: &str| matches.get_one::<SocketAddr>(name).copied();
        let own = Self::defaults(image);
        let shared = Self {
            config: effective.file.clone(),
            probe_addr: addr("probe-addr").unwrap_or(own.probe_addr),
            admin_addr: addr("admin-addr").unwrap_or(own.admin_addr),
            admin_socket: path("admin-socket"),
            admin_token_file: path("admin-token-file"),
            log: matches.get_one::<String>("log").cloned().unwrap_or(own.log),
            log_format: matches.get_one("log-format").copied().unwrap_or_default(),
            grace: matches.get_one::<Duration>("grace").copied().unwrap_or(own.grace),
            kubernetes: env.get("KUBERNETES_SERVICE_HOST").is_some(),
            no_color: env.get("NO_COLOR").is_some_and(|value| !value.is_empty()),
            warnings: Vec::new(),
        };
        shared.check(effective.place("admin-addr"))?;
        Ok(shared)
    }

    /// Refuses values that do not fit together.
    ///
    /// # Errors
    /// An admin address beyond loopback without a token file.
    pub(crate) fn check(&self, admin_addr: Place) -> Result<(), ConfigError> {
        if self.admin_addr.ip().is_loopback() || self.admin_token_file.is_some() {
            return Ok(());
        }
        let key = matches!(admin_addr, Place::File(..)).then_some("admin-addr");
        let expected = "a loopback address, or a token file given with --admin-token-file";
        Err(ConfigError::new(admin_addr, key, &self.admin_addr.to_string(), expected))
    }
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:9600 or [::1]:9600")
}

fn filter(text: &str) -> Result<String, String> {
    crate::logging::parse_filter(text).map(|_| text.to_owned())
}

/// Under a tenth of a second nothing could be drained; over an hour nobody waits.
fn grace(text: &str) -> Result<Duration, String> {
    let grace = duration::parse(text).map_err(|error| error.to_string())?;
    match grace {
        grace if grace < Duration::from_millis(100) || grace > Duration::from_hours(1) => {
            Err("expected a duration from 100ms to 1h".to_owned())
        }
        grace => Ok(grace),
    }
}

/// Only so that a table of the shared flags alone can be rendered.
pub(crate) fn bare_command(image: &Image) -> Command {
    Command::new(image.name).args(arguments(image))
}
