//! What is answered without serving: `check`, `locate`, `-t`, `-V`, `-D`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::ArgMatches;

use crate::config::ParsedFile;
use crate::config::args::Args;
use crate::config::lint::lint;
use crate::{IMAGE, NUTCRACKER_VERSION, locate, statistics};

/// `-V` and `-D`.
pub(super) fn describe(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "This is nutcracker-{NUTCRACKER_VERSION}")?;
    writeln!(out, "{} {}", IMAGE.name, IMAGE.version)?;
    if args.describe_stats {
        writeln!(out, "\n{}", statistics::describe())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `-t`, in nutcracker's words; a file that is wrong never comes so far.
pub(super) fn test_conf(path: &Path) -> anyhow::Result<ExitCode> {
    let path = path.display();
    writeln!(std::io::stderr(), "nutcracker: configuration file '{path}' syntax is ok")?;
    Ok(ExitCode::SUCCESS)
}

/// `check`: what the linter finds.
pub(super) fn check(path: &Path, file: &ParsedFile) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for warning in &file.warnings {
        writeln!(out, "{}:{}: {warning}", path.display(), warning.line)?;
    }
    for finding in file.pools.0.iter().flat_map(lint) {
        writeln!(out, "{}:{finding}", path.display())?;
    }
    let (pools, servers) = (file.pools.0.len(), file.pools.0.iter().map(|pool| pool.servers.len()));
    writeln!(out, "{}: ok, pools: {pools}, servers: {}", path.display(), servers.sum::<usize>())?;
    Ok(ExitCode::SUCCESS)
}

/// `locate`: where keys are, and why.
pub(super) fn locate(matches: &ArgMatches, file: &ParsedFile) -> anyhow::Result<ExitCode> {
    let name = matches.get_one::<String>("pool").context("--pool is missing")?;
    let pool = file.pools.get(name).with_context(|| {
        let known: Vec<&str> = file.pools.0.iter().map(|pool| pool.name.as_str()).collect();
        format!("there is no pool {name}; the file has {}", known.join(", "))
    })?;
    let mut out = std::io::stdout().lock();
    for key in matches.get_many::<String>("key").into_iter().flatten() {
        let explanation = locate::locate(pool, key.as_bytes());
        if matches.get_flag("json") {
            writeln!(out, "{}", serde_json::to_string(&explanation)?)?;
        } else {
            writeln!(out, "{explanation}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `-t` of a file that is wrong: nutcracker's words and exit code.
pub(super) fn test_conf_failed(path: &Path) -> ExitCode {
    let path = path.display();
    // Without standard error there is nobody to tell.
    let _ =
        writeln!(std::io::stderr(), "nutcracker: configuration file '{path}' syntax is invalid");
    ExitCode::FAILURE
}
