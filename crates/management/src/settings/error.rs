//! One message for a wrong value: where, which key, what was found, what was expected.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A flag, by its long name.
    Flag(String),
    /// An environment variable, by its name.
    Variable(String),
    /// A file, with the line where it is known (from 1).
    File(PathBuf, Option<u64>),
    /// Nothing the user wrote, such as a default.
    Start,
}

/// A wrong value. It ends the start with exit code 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: Place,
    key: Option<String>,
    found: Option<String>,
    expected: String,
}

/// Why no configuration came of it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What clap reports: a wrong flag, or text asked for with `--help` or `--version`.
    #[error("{0}")]
    Usage(#[from] clap::Error),
    /// A wrong value in the environment, a file, or among values that must fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

// === impl ConfigError ===

impl ConfigError {
    /// `found` where `expected` should have been; `key` names the entry of a file.
    #[must_use]
    pub fn new(place: Place, key: Option<&str>, found: &str, expected: impl Into<String>) -> Self {
        // A value is named in full only while it is short enough to read.
        let mut shown: String = found.chars().take(80).collect();
        if shown.len() < found.len() {
            shown.push('…');
        }
        let found = Some(crate::secret::redact_text(&shown));
        Self { place, key: key.map(str::to_owned), found, expected: expected.into() }
    }

    /// A whole sentence about a place, where there is no value to show.
    #[must_use]
    pub fn message(place: Place, message: impl Into<String>) -> Self {
        Self { place, key: None, found: None, expected: message.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Start => {}
            place => write!(f, "{place}: ")?,
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        match &self.found {
            Some(found) => write!(f, "found `{found}`, expected {}", self.expected),
            None => f.write_str(&self.expected),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Start => f.write_str("start"),
        }
    }
}

// === impl LoadError ===

impl LoadError {
    /// 0 for text that was asked for, 2 for everything wrong.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(error) if !error.use_stderr() => ExitCode::SUCCESS,
            _ => ExitCode::from(2),
        }
    }

    /// Writes what is to be said to standard output (help) or standard error, and gives the exit
    /// code.
    #[must_use]
    pub fn report(&self, image: &str) -> ExitCode {
        // A closed stream is no reason to fail in another way.
        let _ = match self {
            Self::Usage(error) => error.print(),
            Self::Config(error) => writeln!(std::io::stderr(), "{image}: {error}"),
        };
        self.exit_code()
    }
}
