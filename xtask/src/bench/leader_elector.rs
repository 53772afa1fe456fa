//! `leader-elector` beside etcd.
//!
//! In reading order: `group` (three members of either kind), `http` and `load` (requests, and many
//! of them), then the groups of measurements: `renewals` (how many, at what cost), `failover` (a
//! member stops), `handover` (a holder goes), `footprint` (memory, size, start) and `crowd` (many
//! elections and watchers).

mod crowd;
mod failover;
mod footprint;
mod group;
mod handover;
mod http;
mod load;
mod renewals;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub(crate) use self::handover::LeadByConnection;
use self::load::Window;
use super::machine::{self, Layout};
use super::report::Report;
use super::{Options, binary_line, root};

/// Folder of the binary, and marker in the document.
const IMAGE: &str = "leader-elector";
/// Enough for 1,000 watchers and what the programs open besides.
const OPEN_FILES: u64 = 8_192;
/// Groups of measurements.
const GROUPS: [&str; 5] = ["renewals", "failover", "handover", "footprint", "crowd"];

/// What all groups of measurements work with.
struct Bench {
    options: Options,
    layout: Layout,
    ours: PathBuf,
    theirs: PathBuf,
    /// Home of the members' state and logs; gone at the end. On a disk, beside what cargo builds:
    /// the system's own may be in memory.
    folder: TempDir,
}

/// Measures what `options` ask for, prints it and writes the document.
pub(super) fn run(options: &Options) -> Result<()> {
    options.check_names("group", &GROUPS)?;
    if options.soak.is_some() {
        bail!("there is no soak of {IMAGE}; its simulation takes any number of seeds");
    }
    let target = root().join("target");
    std::fs::create_dir_all(&target)?;
    let bench = Bench {
        options: options.clone(),
        layout: Layout::new()?,
        ours: options.binary(IMAGE)?,
        theirs: machine::find("etcd")?,
        folder: tempfile::tempdir_in(target).context("create a folder for the members")?,
    };
    for program in ["setpriv", "taskset"] {
        machine::find(program)?;
    }
    machine::raise_open_files(OPEN_FILES);
    let report = measure(&bench)?;
    options.publish(&report, IMAGE)
}

fn measure(bench: &Bench) -> Result<Report> {
    let mut report = Report::new("leader-elector beside etcd", bench.head());
    footprint::run(bench, &mut report)?;
    renewals::run(bench, &mut report)?;
    handover::run(bench, &mut report)?;
    failover::run(bench, &mut report)?;
    crowd::run(bench, &mut report)?;
    Ok(report)
}

// === impl Bench ===

impl Bench {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn wants(&self, group: &str) -> bool {
        self.options.wants(group, group)
    }

    /// A number of rounds, or a tenth of it in a short run.
    fn rounds(&self, whole: usize) -> usize {
        if self.options.quick { whole.div_ceil(10) } else { whole }
    }

    /// How long a cell takes.
    fn window(&self) -> Window {
        let [warm, measured] = if self.options.quick { [200, 800] } else { [500, 5_000] };
        Window { warm: Duration::from_millis(warm), measured: Duration::from_millis(measured) }
    }

    /// Lines for the head of the report: machine, programs, method, command.
    fn head(&self) -> Vec<String> {
        let mut head = vec![self.options.command(IMAGE)];
        head.extend(machine::describe());
        head.push(format!("Programs: {}", machine::version_of("etcd", "--version")));
        head.push(binary_line(&self.ours));
        head.push(
            "Method: three members each on loopback, state of both on the same disk, default \
             timing of both (etcd: heartbeat 100 ms, election 1000 ms; ours as in its README); \
             members and load generator share all cores; every reply is checked"
                .to_owned(),
        );
        head
    }
}
