//! Logging: events to standard error (or a file), and the last mebibyte of them in memory.
//!
//! The filter is one [`EnvFilter`] behind a reload handle, and only the filter is ever exchanged:
//! replacing a layer that carries its own filter is known to panic. Standard output stays free for
//! data.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::health::lock;
use crate::settings::{LogFormat, Shared};

pub(crate) mod ring;
#[cfg(test)]
mod tests;

use ring::{Ring, RingSink};

/// From least to most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// How long a changed level may stay before it reverts.
const EXPIRY_MAX: Duration = Duration::from_hours(24);

/// The log of this process: its output, its ring and its level. Clones share all three.
#[derive(Clone)]
pub(crate) struct Logging {
    pub(crate) ring: Arc<Ring>,
    output: Output,
    level: Arc<Level>,
    dispatch: Dispatch,
}

/// The level in force. Shared by the admin interface, signals and the expiry task.
struct Level {
    reload: reload::Handle<EnvFilter, Registry>,
    configured: String,
    current: Mutex<Current>,
    changed: Notify,
}

#[derive(Clone)]
struct Current {
    filter: String,
    expires: Option<Instant>,
}

/// Why a level could not be set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LevelError {
    #[error("{0}")]
    Filter(String),
    #[error("a level stays changed for at most 24h")]
    TooLong,
    #[error("the log is gone")]
    Gone,
}

/// Where lines go: standard error, or a file that can be opened anew after a rotation.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Option<(PathBuf, File)>>>);

// === impl Logging ===

impl Logging {
    /// Builds the log; nothing is written through it before [`Logging::install`].
    pub(crate) fn new(shared: &Shared, ring_bytes: usize) -> Result<Self, String> {
        let (filter, reload) = reload::Layer::new(parse_filter(&shared.log)?);
        let (output, ring) = (Output::default(), Arc::new(Ring::new(ring_bytes)));
        let registry = Registry::default().with(filter);
        // The ring always holds JSON, so that it can be followed by a program whatever a terminal
        // shows; where the output is JSON too, an event is formatted once.
        let dispatch = match shared.log_format {
            LogFormat::Json => {
                let both = Both { output: output.clone(), ring: Arc::clone(&ring) };
                Dispatch::new(registry.with(json_layer(both)))
            }
            LogFormat::Plain => {
                let colour = io::stderr().is_terminal() && !shared.no_color;
                let plain = fmt::layer().with_ansi(colour).with_writer(output.clone());
                Dispatch::new(registry.with(plain).with(json_layer(RingSink(Arc::clone(&ring)))))
            }
        };
        let current = Current { filter: shared.log.clone(), expires: None };
        let level = Level {
            reload,
            configured: shared.log.clone(),
            current: Mutex::new(current),
            changed: Notify::new(),
        };
        Ok(Self { ring, output, level: Arc::new(level), dispatch })
    }

    /// Makes it the log of the process. A second log in one process stays unused.
    pub(crate) fn install(&self) {
        if tracing::dispatcher::set_global_default(self.dispatch.clone()).is_err() {
            tracing::debug!("a log is installed already");
        }
    }

    pub(crate) fn dispatch(&self) -> Dispatch {
        self.dispatch.clone()
    }

    /// Sends lines to a file from now on.
    pub(crate) fn to_file(&self, path: &Path) -> io::Result<()> {
        *lock(&self.output.0) = Some((path.to_owned(), append(path)?));
        Ok(())
    }

    /// Opens the log file anew, after a rotation; nothing when lines go to standard error.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let mut output = lock(&self.output.0);
        if let Some((path, file)) = output.as_mut() {
            *file = append(path)?;
        }
        Ok(())
    }

    pub(crate) fn flush(&self) {
        // Nobody is left to be told.
        let _ = match lock(&self.output.0).as_mut() {
            Some((_, file)) => file.sync_data(),
            None => io::stderr().flush(),
        };
    }

    /// The filter in force, and how long it stays.
    pub(crate) fn level(&self) -> (String, Option<Duration>) {
        let current = lock(&self.level.current).clone();
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        (current.filter, current.expires.map(left))
    }

    pub(crate) fn configured_level(&self) -> &str {
        &self.level.configured
    }

    /// Sets the filter, for a time or until told otherwise.
    pub(crate) fn set_level(
        &self,
        filter: &str,
        stays: Option<Duration>,
    ) -> Result<(), LevelError> {
        if stays.is_some_and(|stays| stays > EXPIRY_MAX) {
            return Err(LevelError::TooLong);
        }
        let parsed = parse_filter(filter).map_err(LevelError::Filter)?;
        self.level.reload.reload(parsed).map_err(|_| LevelError::Gone)?;
        let expires = stays.map(|stays| Instant::now() + stays);
        *lock(&self.level.current) = Current { filter: filter.to_owned(), expires };
        self.level.changed.notify_one();
        Ok(())
    }

    /// Back to the configured filter.
    pub(crate) fn reset_level(&self) -> Result<(), LevelError> {
        let configured = self.level.configured.clone();
        self.set_level(&configured, None)
    }

    /// One level more (positive) or less of everything that has no directive of its own.
    pub(crate) fn step_level(&self, step: i8) -> Result<(), LevelError> {
        let (filter, _) = self.level();
        self.set_level(&stepped(&filter, step), None)
    }

    /// Reverts a level when its time is over; for ever.
    pub(crate) async fn expire(&self) {
        loop {
            let expires = lock(&self.level.current).expires;
            match expires {
                None => self.level.changed.notified().await,
                Some(at) if Instant::now() >= at => match self.reset_level() {
                    Ok(()) => {
                        let filter = self.configured_level();
                        tracing::info!(target: "management", filter, "log level reverted");
                    }
                    // Only when the log itself is gone: then there is no level to revert.
                    Err(_) => return,
                },
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.level.changed.notified() => {}
                },
            }
        }
    }
}

/// Reads a filter strictly.
///
/// # Errors
/// A sentence on what was expected.
pub(crate) fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    let expected = || {
        "expected a log level (off, error, warn, info, debug, trace) or directives \
                       such as info,hyper=warn"
            .to_owned()
    };
    if text.trim().is_empty() {
        return Err(expected());
    }
    // A lone word that is no level would silently be taken for a target with every level on.
    let known =
        |part: &str| part.contains('=') || part.contains('[') || named_level(part).is_some();
    if !text.split(',').all(|part| known(part.trim())) {
        return Err(expected());
    }
    EnvFilter::builder().parse(text).map_err(|_| expected())
}

/// Says an error that ends the process: through the log once there is one.
pub(crate) fn last_words(image: &str, error: &anyhow::Error) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!(target: "management", error = format!("{error:#}"), "ending");
    } else {
        // A closed stream is no reason to fail in another way.
        let _ = writeln!(io::stderr(), "{image}: {error:#}");
    }
}

fn json_layer<S, W>(writer: W) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer().json().flatten_event(true).with_ansi(false).with_writer(writer)
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// A level by its name; not by number, nor empty, as the library would take it.
fn named_level(part: &str) -> Option<usize> {
    LEVELS.iter().position(|level| part.eq_ignore_ascii_case(level))
}

fn stepped(filter: &str, step: i8) -> String {
    let mut parts: Vec<&str> = filter.split(',').map(str::trim).collect();
    let bare = parts.iter().position(|part| named_level(part).is_some());
    let index = bare.unwrap_or_else(|| {
        // What has no directive logs errors.
        parts.insert(0, "error");
        0
    });
    let now = named_level(parts[index]).unwrap_or_default();
    let next = now.saturating_add_signed(isize::from(step));
    parts[index] = LEVELS[next.min(LEVELS.len() - 1)];
    parts.join(",")
}

// === impl Output ===

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match lock(&self.0).as_mut() {
            Some((_, file)) => file.write_all(line)?,
            None => io::stderr().lock().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Output {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Output and ring at once, for one formatting of an event.
struct Both {
    output: Output,
    ring: Arc<Ring>,
}

impl<'a> MakeWriter<'a> for Both {
    type Writer = BothWriter<'a>;

    fn make_writer(&'a self) -> BothWriter<'a> {
        BothWriter { output: self.output.clone(), ring: self.ring.writer(None) }
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> BothWriter<'a> {
        BothWriter { output: self.output.clone(), ring: self.ring.writer(Some(meta)) }
    }
}

struct BothWriter<'a> {
    output: Output,
    ring: ring::RingWriter<'a>,
}

impl Write for BothWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.ring.push(line);
        self.output.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
