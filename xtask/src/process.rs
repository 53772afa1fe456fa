//! Running other programs, and what every command wants to know of the workspace.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A command in the root folder, without input.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(e2e::root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(env!("CARGO"), arguments)
}

/// Shows a command, runs it with its output passing through, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("start {shown}"))?;
    ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

/// Shows a command and runs it; its output is only shown when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let output = command.output().with_context(|| format!("start {shown}"))?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("{shown}: {}", output.status);
    }
    Ok(())
}

/// Runs a command silently and tells whether it succeeded.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = command(program, arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command as a person would type it, but for quoting.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Whether the environment says that nobody is watching and nothing may be left out.
#[expect(clippy::disallowed_methods, reason = "the one variable the automation heeds")]
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// All images: the folders of `images/`, sorted.
pub(crate) fn all_images() -> Result<Vec<String>> {
    let folder = e2e::root().join("images");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The images a command was asked for, or all when it was asked for none.
pub(crate) fn chosen_images(asked: &[String]) -> Result<Vec<String>> {
    let all = all_images()?;
    for name in asked {
        ensure!(all.contains(name), "no image {name}; there are: {}", all.join(", "));
    }
    Ok(if asked.is_empty() { all } else { asked.to_vec() })
}
