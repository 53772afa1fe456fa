//! Tables for READMEs, rendered from the code they describe.
//!
//! An image renders its tables, and a test compares the README with [`splice`] of itself, so a
//! table cannot drift.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::settings::settable;
use crate::{Endpoint, Image};

#[cfg(test)]
mod tests;

/// A metric, as documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Label names.
    pub labels: &'static [&'static str],
    /// What it says, without a full stop.
    pub help: &'static str,
}

/// Why a table could not be put in place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text has no <!-- generated:{0} --> followed by <!-- /generated:{0} -->")]
pub struct MarkerError(String);

/// The hidden subcommand `docs README [--check]` of an image; its matches go to [`run`].
#[must_use]
pub fn subcommand() -> Command {
    Command::new("docs")
        .hide(true)
        .about("Write the generated tables of a README")
        .arg(Arg::new("readme").required(true).value_parser(clap::value_parser!(PathBuf)))
        .arg(Arg::new("check").long("check").action(ArgAction::SetTrue))
}

/// Writes the README anew with the tables that `splice_all` puts in, or only compares.
///
/// # Errors
/// The README cannot be read or written, lacks a marker, or is stale where it should be compared.
pub fn run(
    matches: &ArgMatches,
    splice_all: impl Fn(&str) -> Result<String, MarkerError>,
) -> anyhow::Result<ExitCode> {
    let path = matches.get_one::<PathBuf>("readme").context("the README is missing")?;
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let fresh = splice_all(&text)?;
    if fresh == text {
        return Ok(ExitCode::SUCCESS);
    }
    if matches.get_flag("check") {
        anyhow::bail!("{} is stale; run `cargo xtask docs`", path.display());
    }
    std::fs::write(path, fresh).with_context(|| path.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Every long flag with its short form, variable, default and meaning.
#[must_use]
pub fn flags_table(image: &Image, command: &Command) -> String {
    let rows = settable(command).filter(|arg| !arg.is_hide_set()).map(|arg| {
        let long = arg.get_long().unwrap_or_default();
        let short = arg.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let value = match (arg.get_action().takes_values(), arg.get_value_names()) {
            (true, Some([name, ..])) => format!(" {name}"),
            (true, _) => format!(" {}", arg.get_id().as_str().to_uppercase()),
            (false, _) => String::new(),
        };
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = match (arg.get_action().takes_values(), defaults.is_empty()) {
            (true, false) => format!("`{}`", defaults.join(",")),
            _ => String::new(),
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        vec![
            format!("{short}`--{long}{value}`"),
            format!("`{}`", image.variable(long)),
            default,
            help,
        ]
    });
    table(&["Flag", "Variable", "Default", "Meaning"], rows)
}

/// The flags every image has.
#[must_use]
pub fn shared_flags_table(image: &Image) -> String {
    flags_table(image, &crate::settings::bare_command(image))
}

/// Endpoints with method, path and meaning: an image's own, or those of
/// [`crate::docs::endpoints`].
#[must_use]
pub fn endpoints_table(endpoints: &[Endpoint]) -> String {
    let rows = endpoints.iter().map(|endpoint| {
        let path = format!("`{}`", endpoint.path);
        vec![endpoint.method.to_owned(), path, endpoint.about.to_owned()]
    });
    table(&["Method", "Path", "Answer"], rows)
}

/// The endpoints every image has: those of the probe listener, then those of the admin listener.
#[must_use]
pub fn endpoints() -> (&'static [Endpoint], &'static [Endpoint]) {
    (crate::api::PROBES, crate::api::ADMIN)
}

/// Metrics with kind, labels and meaning.
#[must_use]
pub fn metrics_table(metrics: &[Metric]) -> String {
    let rows = metrics.iter().map(|metric| {
        let labels: Vec<String> = metric.labels.iter().map(|name| format!("`{name}`")).collect();
        let name = format!("`{}`", metric.name);
        vec![name, metric.kind.to_owned(), labels.join(", "), metric.help.to_owned()]
    });
    table(&["Metric", "Kind", "Labels", "Meaning"], rows)
}

/// Puts a table between `<!-- generated:NAME -->` and `<!-- /generated:NAME -->`.
///
/// # Errors
/// The text lacks the markers, or has them in the wrong order.
pub fn splice(text: &str, marker: &str, table: &str) -> Result<String, MarkerError> {
    let missing = || MarkerError(marker.to_owned());
    let (open, close) =
        (format!("<!-- generated:{marker} -->"), format!("<!-- /generated:{marker} -->"));
    let (head, rest) = text.split_once(&open).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(&close).ok_or_else(missing)?;
    Ok(format!("{head}{open}\n{}\n{close}{tail}", table.trim_end()))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}
