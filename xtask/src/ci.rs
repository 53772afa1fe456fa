//! `ci`: everything that must hold before a merge, with the time of each step.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{cargo, run as run_command};
use crate::{docs, setup, test};

type Step = (&'static str, fn() -> Result<()>);

/// Quick ones first. The tests are the last step, and apart, as their sum is the last line.
const CHECKS: [Step; 5] = [
    ("setup", setup::run),
    ("fmt", || run_command(&mut cargo(&["fmt", "--all", "--check"]))),
    ("clippy", || {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        run_command(&mut cargo(&clippy))
    }),
    ("docs", || docs::run(&docs::Args { check: true })),
    // Without the advisory database, which needs a network that the gate may not have.
    ("deny", || run_command(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]))),
];

/// Runs every step even when an earlier one failed: one run tells all there is to mend.
pub(crate) fn run() -> Result<bool> {
    let mut report = Vec::new();
    let mut all_ok = true;
    let mut timed = |name: &'static str, step: &mut dyn FnMut() -> Result<()>| {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        report.push(format!("{name:<8}{verdict:<8}{:>6.1} s", start.elapsed().as_secs_f64()));
        if let Err(error) = result {
            println!("{name}: {error:#}");
            all_ok = false;
        }
    };
    for (name, step) in CHECKS {
        timed(name, &mut || step());
    }
    let mut counts = None;
    timed("test", &mut || {
        let all = counts.insert(test::run_counted(false)?);
        if all.is_success() { Ok(()) } else { bail!("tests failed") }
    });
    println!("\n{}", report.join("\n"));
    if let Some(counts) = counts {
        println!("{counts}");
    }
    Ok(all_ok)
}
