//! What is answered without serving: `check`.

use std::io::Write;
use std::process::ExitCode;

use crate::config::Config;

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
