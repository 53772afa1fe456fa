//! `-d`: the parent starts the same program again without its terminal, waits until it is up (or
//! is not) and says so with its exit code.
//!
//! Starting anew instead of forking keeps the process free of unsafe code, and no thread can be
//! lost on the way.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

use crate::config::args::Args;

/// What the child says to its parent when it serves.
const UP: &str = "up";

/// Starts the child and waits for its word.
pub(super) fn start(pid_file: Option<&Path>) -> anyhow::Result<ExitCode> {
    if let Some(directory) = pid_file.and_then(Path::parent) {
        let missing = !directory.as_os_str().is_empty() && !directory.is_dir();
        anyhow::ensure!(!missing, "the pid file's directory {} is missing", directory.display());
    }
    let program = std::env::current_exe().context("finding this program")?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--background")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting the background process")?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim() == UP {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait()?;
    anyhow::bail!("the background process ended with {status}; see its log (-o)")
}

/// As the child: leaves the parent's session and terminal, and tells that it is up. Also writes
/// the pid file, which is for the process that stays.
pub(super) fn tell_parent(args: &Args) -> anyhow::Result<()> {
    if let Some(path) = &args.pid_file {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .with_context(|| format!("writing the pid file {}", path.display()))?;
    }
    if !args.background {
        return Ok(());
    }
    rustix::process::setsid().context("leaving the session of the terminal")?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{UP}")?;
    stdout.flush()?;
    // The parent's pipe must not stay open for as long as this process lives.
    let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(null)?;
    Ok(())
}
