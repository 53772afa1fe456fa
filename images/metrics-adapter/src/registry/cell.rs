//! What a series keeps, by its kind.

use std::sync::Arc;

use super::distinct::{self, Distinct};
use super::histogram::{self, Histogram};
use super::summary::{self, Summary};
use super::{HistogramOptions, Shape, SummaryOptions};
use crate::exposition::Kind;

/// The value of a series; 16 bytes.
#[derive(Debug, Default)]
pub(super) enum Cell {
    /// The place is free.
    #[default]
    Free,
    Counter(f64),
    Gauge(f64),
    Summary(Box<Summary>),
    Histogram(Box<Histogram>),
    Set(Box<Distinct>),
}

/// Kind of a family's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Counter,
    Gauge,
    Summary,
    Histogram,
    Set,
}

/// What cells are made with.
#[derive(Clone, Debug)]
pub(super) enum Options {
    None,
    Summary(Arc<SummaryOptions>),
    Histogram(Arc<HistogramOptions>),
}

// === impl Cell ===

impl Cell {
    /// An empty one. Options are shared with the last series of the family where they are the same.
    pub(super) fn new(shape: Shape<'_>, shared: &mut Options, now: super::Seconds) -> Self {
        match shape {
            Shape::Counter => Self::Counter(0.0),
            Shape::Gauge => Self::Gauge(0.0),
            Shape::Set => Self::Set(Box::default()),
            Shape::Summary(given) => {
                let given = summary::checked(given);
                let options = match shared {
                    Options::Summary(shared) if **shared == given => Arc::clone(shared),
                    _ => Arc::new(given),
                };
                *shared = Options::Summary(Arc::clone(&options));
                Self::Summary(Box::new(Summary::new(options, now)))
            }
            Shape::Histogram(given) => {
                let given = histogram::checked(given);
                let options = match shared {
                    Options::Histogram(shared) if **shared == given => Arc::clone(shared),
                    _ => Arc::new(given),
                };
                *shared = Options::Histogram(Arc::clone(&options));
                Self::Histogram(Box::new(Histogram::new(options)))
            }
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Free | Self::Counter(_) | Self::Gauge(_) => 0,
            Self::Summary(summary) => size_of::<Summary>() + summary.bytes(),
            Self::Histogram(histogram) => size_of::<Histogram>() + histogram.bytes(),
            Self::Set(set) => size_of::<Distinct>() + set.bytes(),
        }
    }

    /// Bytes on the heap that it may always have, whatever the limit says.
    pub(super) fn reserved(&self) -> usize {
        match self {
            Self::Free | Self::Counter(_) | Self::Gauge(_) => 0,
            Self::Summary(summary) => size_of::<Summary>() + summary.reserved(),
            Self::Histogram(histogram) => size_of::<Histogram>() + histogram.reserved(),
            Self::Set(_) => size_of::<Distinct>() + distinct::BYTES_MAX,
        }
    }

    /// The same of one that is to be.
    pub(super) fn reserved_for(shape: Shape<'_>) -> usize {
        match shape {
            Shape::Counter | Shape::Gauge => 0,
            Shape::Summary(options) => size_of::<Summary>() + summary::reserved(options),
            Shape::Histogram(options) => size_of::<Histogram>() + histogram::reserved(options),
            Shape::Set => size_of::<Distinct>() + distinct::BYTES_MAX,
        }
    }

    /// What writing it costs, in counters: about.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Free | Self::Counter(_) | Self::Gauge(_) => 1,
            Self::Summary(_) => 30,
            Self::Histogram(histogram) => 2 + histogram.counts().len() / 2,
            Self::Set(_) => 10,
        }
    }
}

// === impl Stored ===

impl Stored {
    pub(super) fn of(shape: Shape<'_>) -> Self {
        match shape {
            Shape::Counter => Self::Counter,
            Shape::Gauge => Self::Gauge,
            Shape::Summary(_) => Self::Summary,
            Shape::Histogram(_) => Self::Histogram,
            Shape::Set => Self::Set,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Counter => Kind::Counter,
            Self::Gauge | Self::Set => Kind::Gauge,
            Self::Summary => Kind::Summary,
            Self::Histogram => Kind::Histogram,
        }
    }

    /// Place in [`super::Counters::series`].
    pub(super) fn place(self) -> usize {
        match self {
            Self::Counter => 0,
            Self::Gauge | Self::Set => 1,
            Self::Summary => 2,
            Self::Histogram => 3,
        }
    }

    /// Suffixes of names that a family of it takes beside its own.
    pub(super) fn implied(self) -> &'static [&'static str] {
        match self {
            Self::Counter | Self::Gauge | Self::Set => &[],
            Self::Summary => &["_sum", "_count"],
            Self::Histogram => &["_sum", "_count", "_bucket"],
        }
    }

    /// The label that its lines have of their own.
    pub(super) fn label(self) -> Option<&'static str> {
        match self {
            Self::Counter | Self::Gauge | Self::Set => None,
            Self::Summary => Some("quantile"),
            Self::Histogram => Some("le"),
        }
    }
}
