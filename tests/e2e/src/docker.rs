//! The `docker` command, one call at a time.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Whether a Docker engine answers the client.
#[must_use]
pub fn engine_answers() -> bool {
    docker(&["version", "--format", "{{.Server.Version}}"]).is_ok()
}

/// Whether the engine has an image of this name.
#[must_use]
pub fn has_image(name: &str) -> bool {
    docker(&["image", "inspect", "--format", "{{.Id}}", name]).is_ok()
}

/// Runs `docker` and returns what it printed, without the final line end.
///
/// # Errors
/// No such command, or a failure, with what it said on stderr.
pub fn docker(arguments: &[&str]) -> Result<String> {
    output(Command::new("docker").args(arguments))
}

/// One field of a container, by a Go template such as `{{.State.ExitCode}}`.
///
/// # Errors
/// Those of [`docker`].
pub fn inspect(container: &str, template: &str) -> Result<String> {
    docker(&["container", "inspect", "--format", template, container])
}

/// Runs a command to its end without input and returns its stdout, trimmed.
///
/// # Errors
/// The command cannot be started or fails; the message carries its stderr.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", command.get_program().display()))?;
    if !result.status.success() {
        let said = String::from_utf8_lossy(&result.stderr);
        bail!("{command:?} failed ({}): {}", result.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&result.stdout).trim_end().to_owned())
}
