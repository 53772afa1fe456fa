//! `test`: everything a newcomer needs to trust the tree, with the sums at the end.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::docker;

use crate::process::{all_images, cargo, in_ci, shown};
use crate::{images, setup, stand_ins};

/// Links fast and is optimised enough to be honest about behaviour.
const PROFILE: &str = "release";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave the end-to-end ring out.
    #[arg(long)]
    no_e2e: bool,
}

/// Sums over all test binaries of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// One ring of tests and how it went.
struct Ring {
    name: &'static str,
    counts: Counts,
    /// Why it was skipped, or what failed, by name.
    note: String,
}

/// Whether nothing failed; the sum is the last line.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let counts = run_counted(args.no_e2e)?;
    println!("{counts}");
    Ok(counts.is_success())
}

/// Runs all rings and says how each went; the caller prints the sum, so that it comes last.
pub(crate) fn run_counted(no_e2e: bool) -> Result<Counts> {
    setup::for_tests()?;
    // One that fails is no reason not to know about the others.
    let unit = cargo_test("unit and image tests", &["test", "--no-fail-fast"])?;
    let rings = [unit, end_to_end(no_e2e)?];
    println!();
    for ring in &rings {
        println!("{}: {}{}", ring.name, ring.counts, ring.note);
    }
    Ok(rings.iter().fold(Counts::default(), |sum, ring| sum.plus(ring.counts)))
}

fn end_to_end(left_out: bool) -> Result<Ring> {
    let name = "end-to-end tests";
    let why = match (left_out, docker::engine_answers()) {
        (true, _) => "left out by --no-e2e",
        (false, false) => "no Docker engine answers",
        (false, true) => {
            stand_ins::provide()?;
            images::build(&all_images()?, PROFILE)?;
            return cargo_test(name, &["test", "--package", "e2e", "--no-fail-fast"]);
        }
    };
    let tests = end_to_end_names()?;
    let number = tests.len() as u64;
    let note = format!(" ({why}: {})", tests.join(", "));
    // Where nobody watches, a ring that silently stays away would never be missed.
    let counts = if in_ci() && !left_out {
        Counts { failed: number, ..Counts::default() }
    } else {
        Counts { skipped: number, ..Counts::default() }
    };
    Ok(Ring { name, counts, note })
}

fn end_to_end_names() -> Result<Vec<String>> {
    let mut list = cargo(&["test", "--quiet", "--package", "e2e", "--test", "it", "--", "--list"]);
    let output = list.output().context("list the end-to-end tests")?;
    ensure!(output.status.success(), "{} failed", shown(&list));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Runs `cargo test`, passing its output through, and adds up what the binaries report.
fn cargo_test(name: &'static str, arguments: &[&str]) -> Result<Ring> {
    let mut command: Command = cargo(arguments);
    println!("$ {}", shown(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo test")?;
    let stdout = child.stdout.take().expect("piped above");
    let mut counts = Counts::default();
    let mut note = String::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("read from cargo test")?).into_owned();
        println!("{line}");
        counts = counts.plus(Counts::parse(&line).unwrap_or_default());
        if let Some(test) = failed_test(&line) {
            note.push_str("\n  failed: ");
            note.push_str(test);
        }
    }
    let status = child.wait().context("wait for cargo test")?;
    if !status.success() && counts.failed == 0 {
        // It did not compile, or a binary died before it could count.
        counts.failed = 1;
        note.push_str("\n  failed: to build, or to run to the end");
    }
    Ok(Ring { name, counts, note })
}

/// The name in `test NAME ... FAILED`.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

// === impl Counts ===

impl Counts {
    /// Whether nothing failed.
    pub(crate) fn is_success(self) -> bool {
        self.failed == 0
    }

    fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn parse(line: &str) -> Option<Self> {
        let parts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        let number = |word: &str| {
            let part = parts.split("; ").find(|part| part.ends_with(word))?;
            part.split(' ').next()?.parse().ok()
        };
        Some(Self {
            passed: number(" passed")?,
            failed: number(" failed")?,
            skipped: number(" ignored")?,
        })
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests;
