//! `metrics-adapter` beside collectd, for statsd, and the JDK's own client, for JMX.
//!
//! In reading order: `programs` (ours and collectd, started), `socket` (what the kernel dropped),
//! `page` (a scrape), `blast` (the load), `java` (a JVM with beans, and the JDK's client), then the
//! groups of measurements: `statsd` (lines a second), `memory` (series), `scrape` (a large page),
//! `jmx` (beans) and `footprint` (size and start).

mod blast;
mod footprint;
mod java;
mod jmx;
mod memory;
mod page;
mod programs;
mod scrape;
mod socket;
mod statsd;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::machine::{self, Layout};
use super::report::Report;
use super::{Options, binary_line, root};

/// Folder of the binary, and marker in the document.
const IMAGE: &str = "metrics-adapter";
/// Groups of measurements.
const GROUPS: [&str; 5] = ["statsd", "memory", "scrape", "jmx", "footprint"];

/// What all groups of measurements work with.
struct Bench {
    options: Options,
    layout: Layout,
    ours: PathBuf,
    collectd: PathBuf,
    /// Home of files and logs; gone at the end. On a disk, beside what cargo builds.
    folder: TempDir,
}

/// Measures what `options` ask for, prints it and writes the document.
pub(super) fn run(options: &Options) -> Result<()> {
    options.check_names("group", &GROUPS)?;
    if options.soak.is_some() {
        bail!("there is no soak of {IMAGE}");
    }
    let target = root().join("target");
    std::fs::create_dir_all(&target)?;
    for program in ["setpriv", "taskset", "java", "javac"] {
        machine::find(program)?;
    }
    let bench = Bench {
        options: options.clone(),
        layout: Layout::new()?,
        ours: options.binary(IMAGE)?,
        collectd: machine::find("collectd")?,
        folder: tempfile::tempdir_in(target).context("create a folder for the programs")?,
    };
    let report = measure(&bench)?;
    options.publish(&report, IMAGE)
}

fn measure(bench: &Bench) -> Result<Report> {
    // The load must not run where the program under test does.
    machine::stay_on(&bench.layout.rest)?;
    let title = "metrics-adapter beside collectd and the JDK's client";
    let mut report = Report::new(title, bench.head());
    for (group, run) in [
        ("statsd", statsd::run as fn(&Bench, &mut Report) -> Result<()>),
        ("memory", memory::run),
        ("scrape", scrape::run),
        ("jmx", jmx::run),
        ("footprint", footprint::run),
    ] {
        if bench.options.wants(group, group) {
            run(bench, &mut report)?;
        }
    }
    Ok(report)
}

// === impl Bench ===

impl Bench {
    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A number as it is, or a part of it in a short run.
    fn scaled(&self, whole: usize, part: usize) -> usize {
        if self.options.quick { whole.div_ceil(part) } else { whole }
    }

    /// Lines for the head of the report: machine, programs, method, command.
    fn head(&self) -> Vec<String> {
        let mut head = vec![self.options.command(IMAGE)];
        head.extend(machine::describe());
        let programs = [programs::collectd_version(), machine::version_of("java", "-version")];
        head.push(format!("Programs: {}", programs.join("; ")));
        head.push(binary_line(&self.ours));
        head.push(format!(
            "Cores: program under test on {}, load generator and JVM with beans on {}",
            machine::list(&self.layout.tested),
            machine::list(&self.layout.rest)
        ));
        head.push(
            "Method: everything on loopback; CPU is user and system time of all threads of the \
             program under test; what the kernel dropped is read from /proc/net/udp; medians, with \
             the spread (highest less lowest round) in parentheses"
                .to_owned(),
        );
        head
    }
}
