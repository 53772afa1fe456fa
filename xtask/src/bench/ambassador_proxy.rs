//! `ambassador-proxy` beside nutcracker.
//!
//! In reading order: `servers` (real servers and both proxies), `canned` (servers that cost next to
//! nothing), `workload` (requests and the exact replies they must get), `load` (closed and open
//! loop), then the groups: `rates` (CPU per request, throughput, scaling), `latency` (equal load),
//! `memory`, and on its own `soak`.

mod canned;
mod latency;
mod load;
mod memory;
mod rates;
mod servers;
mod soak;
mod workload;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use self::load::Window;
use super::machine::{self, Layout};
use super::report::Report;
use super::{Options, binary_line};

/// Folder of the binary, and marker in the document.
const IMAGE: &str = "ambassador-proxy";
/// Enough for 10,000 clients and what the programs open besides.
const OPEN_FILES: u64 = 32_768;
/// Clients of every workload.
const CLIENTS: usize = 50;
/// Groups of measurements.
const GROUPS: [&str; 5] = ["cpu", "throughput", "scaling", "latency", "memory"];

/// What all groups work with.
struct Bench {
    options: Options,
    layout: Layout,
    ours: PathBuf,
    theirs: PathBuf,
    /// Home of configuration files and logs; gone at the end.
    folder: TempDir,
    open_files: u64,
}

/// Measures what `options` ask for, prints it and writes the document.
pub(super) fn run(options: &Options) -> Result<()> {
    check_names(options)?;
    let bench = Bench {
        options: options.clone(),
        layout: Layout::new()?,
        ours: options.binary(IMAGE)?,
        theirs: machine::find("nutcracker")?,
        folder: tempfile::tempdir().context("create a temporary folder")?,
        open_files: machine::raise_open_files(OPEN_FILES),
    };
    for program in ["redis-server", "memcached", "setpriv", "taskset"] {
        machine::find(program)?;
    }
    let (report, marker, passed) = match options.soak {
        Some(duration) => {
            let (report, passed) = soak::run(&bench, duration)?;
            (report, "ambassador-proxy-soak", passed)
        }
        None => (measure(&bench)?, IMAGE, true),
    };
    options.publish(&report, marker)?;
    ensure!(passed, "the soak found what must never be, see above");
    Ok(())
}

fn measure(bench: &Bench) -> Result<Report> {
    let mut report = Report::new("ambassador-proxy beside nutcracker", bench.head());
    machine::stay_on(&bench.layout.rest)?;
    rates::cpu(bench, &mut report)?;
    rates::throughput(bench, &mut report)?;
    latency::run(bench, &mut report)?;
    memory::run(bench, &mut report)?;
    // Last, for on few cores it gives up the pinning.
    rates::scaling(bench, &mut report)?;
    Ok(report)
}

// === impl Bench ===

impl Bench {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How often a cell is measured with each proxy.
    fn rounds(&self) -> usize {
        if self.options.quick { 1 } else { 3 }
    }

    /// How long a cell takes. Five seconds hold at least 100,000 requests, and make what one tick
    /// of accounting may miss 0.1 %.
    fn window(&self) -> Window {
        let [warm, measured] = if self.options.quick { [100, 400] } else { [500, 5_000] };
        Window { warm: Duration::from_millis(warm), measured: Duration::from_millis(measured) }
    }

    /// Lines for the head of the report: machine, programs, method, command.
    fn head(&self) -> Vec<String> {
        let mut head = vec![self.options.command(IMAGE)];
        head.extend(machine::describe());
        head.push(format!(
            "Programs: {}; {}; {}",
            machine::version_of("nutcracker", "-V"),
            machine::version_of("redis-server", "--version"),
            machine::version_of("memcached", "-V"),
        ));
        head.push(binary_line(&self.ours));
        let window = self.window();
        if self.options.soak.is_none() {
            head.push(format!("Cores: {}", self.layout.describe()));
            head.push(format!(
                "Method: {CLIENTS} clients on loopback from one thread, every reply compared byte \
                 by byte; rounds per cell: {}, of {:.1} s, the two proxies by turns; medians, with \
                 the spread (highest less lowest round) in parentheses",
                self.rounds(),
                window.measured.as_secs_f64()
            ));
        }
        head
    }
}

/// Refuses a name that selects nothing.
fn check_names(options: &Options) -> Result<()> {
    let workloads = workload::ALL.iter().map(|workload| workload.name);
    let known: Vec<&str> = GROUPS.into_iter().chain(workloads).collect();
    options.check_names("group or workload", &known)
}
