//! What is answered without serving: `check` and `docs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ArgMatches;

use crate::config::Config;
use crate::docs;

/// `check`: the configuration is right, or this would not be reached.
pub(super) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for warning in &config.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let (elections, backend) = (config.elections.len(), config.backend_kind());
    writeln!(out, "ok, id: {}, elections: {elections}, backend: {backend:?}", config.id)?;
    Ok(ExitCode::SUCCESS)
}

/// `docs`: the generated tables of a README.
pub(super) fn docs(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let path = matches.get_one::<PathBuf>("readme").context("the README is missing")?;
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let fresh = docs::splice_all(&text)?;
    if fresh == text {
        return Ok(ExitCode::SUCCESS);
    }
    if matches.get_flag("check") {
        anyhow::bail!("{} is stale; run `cargo xtask docs`", path.display());
    }
    std::fs::write(path, fresh).with_context(|| path.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
