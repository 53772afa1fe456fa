//! The last lines of the log, bounded in bytes.
//!
//! Readers keep a cursor and take no part in writing: a slow one is overtaken and told how many
//! lines it lost, and never holds up the process.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;

use crate::health::lock;

/// Book-keeping of a line beside its text.
const LINE_OVERHEAD: usize = 64;

/// The ring: written by every thread that logs, read by the admin interface.
#[derive(Debug)]
pub(crate) struct Ring {
    bytes_max: usize,
    inner: Mutex<Inner>,
    pub(crate) written: Notify,
    /// Events by level, from error to trace.
    events: [AtomicU64; 5],
    /// Lines that readers were too slow for.
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<Line>,
    bytes: usize,
    /// The number of the first line held; lines are numbered from 0.
    first: u64,
}

#[derive(Debug)]
struct Line {
    level: Level,
    target: Box<str>,
    text: Arc<str>,
}

/// What a reader gets next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Line(Arc<str>),
    /// The reader was overtaken by this many lines.
    Dropped(u64),
    /// Nothing new.
    Idle,
}

/// A reader's place.
#[derive(Debug)]
pub(crate) struct Cursor {
    next: u64,
    filter: Option<Targets>,
}

// === impl Ring ===

impl Ring {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
            written: Notify::new(),
            events: Default::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// Events so far, by level name.
    pub(crate) fn events(&self) -> [(&'static str, u64); 5] {
        let names = ["error", "warn", "info", "debug", "trace"];
        std::array::from_fn(|index| (names[index], self.events[index].load(Ordering::Relaxed)))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(crate) fn writer(&self, meta: Option<&Metadata<'_>>) -> RingWriter<'_> {
        let level = meta.map_or(Level::INFO, |meta| *meta.level());
        let target = meta.map_or_else(Box::default, |meta| Box::from(meta.target()));
        RingWriter { ring: self, level, target }
    }

    /// A place `tail` matching lines before the end.
    pub(crate) fn tail(&self, tail: usize, filter: Option<Targets>) -> Cursor {
        let inner = lock(&self.inner);
        let mut next = inner.first + inner.lines.len() as u64;
        let mut left = tail;
        for line in inner.lines.iter().rev() {
            if left == 0 {
                break;
            }
            next -= 1;
            left -= usize::from(line.matches(filter.as_ref()));
        }
        Cursor { next, filter }
    }

    pub(crate) fn next(&self, cursor: &mut Cursor) -> Next {
        let inner = lock(&self.inner);
        if cursor.next < inner.first {
            let lost = inner.first - cursor.next;
            cursor.next = inner.first;
            self.dropped.fetch_add(lost, Ordering::Relaxed);
            return Next::Dropped(lost);
        }
        let start = usize::try_from(cursor.next - inner.first).unwrap_or(usize::MAX);
        for line in inner.lines.range(start.min(inner.lines.len())..) {
            cursor.next += 1;
            if line.matches(cursor.filter.as_ref()) {
                return Next::Line(Arc::clone(&line.text));
            }
        }
        Next::Idle
    }

    fn push(&self, level: Level, target: Box<str>, line: &[u8]) {
        let index = match level {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => 4,
        };
        self.events[index].fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        // One line must not push out all others.
        let text: Arc<str> = match text.len() > self.bytes_max / 4 {
            true => Arc::from(format!(r#"{{"oversize_bytes":{}}}"#, text.len())),
            false => Arc::from(text.as_ref()),
        };
        let mut inner = lock(&self.inner);
        inner.bytes += text.len() + LINE_OVERHEAD;
        inner.lines.push_back(Line { level, target, text });
        while inner.bytes > self.bytes_max {
            let Some(line) = inner.lines.pop_front() else {
                break;
            };
            inner.bytes -= line.text.len() + LINE_OVERHEAD;
            inner.first += 1;
        }
        drop(inner);
        self.written.notify_waiters();
    }
}

impl Line {
    fn matches(&self, filter: Option<&Targets>) -> bool {
        filter.is_none_or(|filter| filter.would_enable(&self.target, &self.level))
    }
}

/// Writes one event into the ring.
#[derive(Debug)]
pub(crate) struct RingWriter<'a> {
    ring: &'a Ring,
    level: Level,
    target: Box<str>,
}

// === impl RingWriter ===

impl RingWriter<'_> {
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.ring.push(self.level, std::mem::take(&mut self.target), line);
    }
}

impl Write for RingWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The ring as the writer of a layer.
pub(crate) struct RingSink(pub(crate) Arc<Ring>);

// === impl RingSink ===

impl<'a> MakeWriter<'a> for RingSink {
    type Writer = RingWriter<'a>;

    fn make_writer(&'a self) -> RingWriter<'a> {
        self.0.writer(None)
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> RingWriter<'a> {
        self.0.writer(Some(meta))
    }
}
