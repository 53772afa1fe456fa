//! The command line: nutcracker's flags unchanged, and this proxy's own.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use management::duration;

use crate::{IMAGE, NUTCRACKER_VERSION};

/// Where the configuration is looked for, as in Debian's nutcracker.
pub const CONFIG_FILE: &str = "/etc/nutcracker/nutcracker.yml";
/// Most workers without being asked for more: a sidecar is to stay small.
const WORKERS_DEFAULT_MAX: usize = 4;
/// Most workers at all.
const WORKERS_MAX: usize = 64;

/// The flags as typed.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Worker threads; 0 for one a core, at most 4
    #[arg(long, value_name = "N", default_value = "0", value_parser = workers)]
    pub workers: usize,

    /// Bytes held for all connections (units K, M, G); beyond it requests are refused
    #[arg(long, value_name = "BYTES", default_value = "512M", value_parser = bytes)]
    pub memory_max: usize,

    /// Largest share of keys a reload may move to other servers, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share)]
    pub reload_moved_max: f64,

    /// How often the configuration file is looked at for changes; 0s for never
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    pub watch_interval: Duration,

    /// How often the names of servers are looked up again
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    pub dns_interval: Duration,

    /// Check the configuration file, say so as nutcracker does, exit with 0 or 1
    #[arg(short = 't', long)]
    pub test_conf: bool,

    /// Run in the background
    #[arg(short = 'd', long)]
    pub daemonize: bool,

    /// Print the meaning of all statistics and exit
    #[arg(short = 'D', long)]
    pub describe_stats: bool,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,

    /// nutcracker's logging level, from 0 to 11; `--log` goes before it
    #[arg(short = 'v', long, value_name = "N", default_value = "5",
          value_parser = clap::value_parser!(u8).range(0..=11))]
    pub verbose: u8,

    /// Log to this file; SIGHUP opens it anew
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Port of the statistics; 0 for none
    #[arg(short = 's', long, value_name = "PORT", default_value = "22222")]
    pub stats_port: u16,

    /// Address of the statistics
    #[arg(short = 'a', long, value_name = "ADDR", default_value = "0.0.0.0")]
    pub stats_addr: IpAddr,

    /// Accepted for nutcracker; statistics are always of this moment (ms)
    #[arg(short = 'i', long, value_name = "MS", default_value = "30000")]
    pub stats_interval: u64,

    /// Write the process id to this file
    #[arg(short = 'p', long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// Accepted for nutcracker; buffers here have the size they need
    #[arg(short = 'm', long, value_name = "BYTES", default_value = "16384",
          value_parser = clap::value_parser!(u32).range(512..=16_777_216))]
    pub mbuf_size: u32,

    /// This process has been put in the background by its parent
    #[arg(long, hide = true)]
    pub background: bool,
}

/// The command with everything this image adds to the shared one.
pub fn command() -> Command {
    let key = Arg::new("key").required(true).num_args(1..).help("Keys to look up");
    let pool = Arg::new("pool").long("pool").required(true).help("Name of the pool");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer in JSON");
    let locate = Command::new("locate")
        .about("Say which server of a pool has a key, and why")
        .args([pool, json, key]);
    management::command::<Args>(&IMAGE)
        .disable_version_flag(true)
        .infer_long_args(true)
        .mut_arg("config", |arg| {
            arg.short('c').visible_alias("conf-file").default_value(CONFIG_FILE)
        })
        .subcommand(locate)
        .subcommand(management::docs::subcommand())
        .after_help(format!("Takes the command line of nutcracker {NUTCRACKER_VERSION} unchanged."))
}

/// Whether this process was started as `nutcracker -t`; known even if all else is wrong.
pub fn tests_conf() -> bool {
    let matches = command().ignore_errors(true).try_get_matches_from(std::env::args_os());
    matches.is_ok_and(|matches| matches.get_flag("test_conf"))
}

impl Args {
    /// How many workers to run.
    pub fn worker_count(&self) -> usize {
        match self.workers {
            0 => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                cores.min(WORKERS_DEFAULT_MAX)
            }
            workers => workers,
        }
    }

    /// The log filter that nutcracker's level stands for.
    pub fn log_filter(&self) -> &'static str {
        // 0 to 3 are emergencies and errors, 4 warnings, 5 notices, 6 and more details.
        match self.verbose {
            0..=3 => "error",
            4 => "warn",
            5 => "info",
            6..=10 => "debug",
            _ => "trace",
        }
    }
}

fn workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers) if workers <= WORKERS_MAX => Ok(workers),
        _ => Err(format!("expected a number from 0 to {WORKERS_MAX}")),
    }
}

fn share(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1"),
    }
}

fn bytes(text: &str) -> Result<usize, &'static str> {
    const EXPECTED: &str = "expected a number of bytes from 1M, such as 512M";
    let text = text.trim_end_matches('B').trim_end_matches('i');
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: usize = number.parse().map_err(|_| EXPECTED)?;
    number.checked_mul(unit).filter(|&bytes| bytes >= 1 << 20).ok_or(EXPECTED)
}
