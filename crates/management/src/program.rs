//! How an image's `main` enters.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Command};

use crate::runtime::StartError;
use crate::settings::{ConfigError, FileSettings, Invocation, Loaded, ProcessEnvironment, load};
use crate::{Image, healthcheck};

/// Loads the configuration of this process and runs the image with it; says what went wrong.
///
/// The exit code is 0 when asked to stop (or for help), 2 for a wrong configuration (any
/// [`ConfigError`] in the chain of the error that `run` gives), 1 for every other failure, and
/// what `run` gives otherwise. `healthcheck` is answered here; `check` and the image's own
/// subcommands reach `run` in [`Loaded::subcommand`].
pub fn enter<A: Args>(
    image: &Image,
    command: Command,
    file: impl FnOnce(&Path) -> Result<FileSettings, ConfigError>,
    run: impl FnOnce(Loaded<A>) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    enter_with(image, command, std::env::args_os(), file, run)
}

/// As [`enter`], with a command line that the image has rewritten: one that is also called by the
/// name of the tool it replaces. `argv` begins with the program's name.
pub fn enter_with<A: Args>(
    image: &Image,
    command: Command,
    argv: impl IntoIterator<Item = OsString>,
    file: impl FnOnce(&Path) -> Result<FileSettings, ConfigError>,
    run: impl FnOnce(Loaded<A>) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    match load(image, command, argv, &ProcessEnvironment, file) {
        Err(error) => error.report(image.name),
        Ok(Invocation::Healthcheck(request)) => healthcheck::main(&request),
        Ok(Invocation::Program(loaded)) => run(*loaded).unwrap_or_else(|error| {
            crate::logging::last_words(image.name, &error);
            ExitCode::from(if misconfigured(&error) { 2 } else { 1 })
        }),
    }
}

/// Whether the user is to blame: a transparent [`StartError`] hides what it carries from the chain.
fn misconfigured(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let start = cause.downcast_ref::<StartError>();
        cause.is::<ConfigError>() || matches!(start, Some(StartError::Config(_)))
    })
}
