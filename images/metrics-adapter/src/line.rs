//! One statsd line, in any dialect: plain, DogStatsD 1.0 to 1.6, Influx, Librato, SignalFX.
//!
//! Grammar: that of `statsd_exporter`, rule by rule, wider where its users asked for it (packed
//! values of every type, sets, events, service checks, the fields `e:` and `card:`). No line costs
//! more than its bytes: a sample rate is a weight and never repeats anything.
//!
//! A line is `name:value|type|field|…`. What is different from `statsd_exporter` is so on purpose:
//!
//! | line | there | here | why |
//! | --- | --- | --- | --- |
//! | `x:1:2\|c`, also `g` and `s` | refused | two samples | DogStatsD 1.1 packs them |
//! | `x:joe\|s` | refused | a member of a set | sets are part of statsd |
//! | `_e{1,1}:a\|b`, `_sc\|db\|0` | refused | counted, handed on | DogStatsD clients send them |
//! | `x:1\|c\|c:1f` | two bad samples | one, tag `container_id` | DogStatsD 1.2 needs no tags |
//! | `x:1\|c\|e:…`, `\|card:…` | refused | taken, the field ignored | DogStatsD 1.5 and 1.6 |
//! | `x:1\|c\|Tnoon` | refused | taken | a time is ignored, so it cannot be wrong |
//! | `x:5\|ms\|@0.3` | 3 times | weight 3.33 | the estimate is not rounded down |
//! | `x:5\|ms\|@2` | nothing | weight 0.5 | what was sent is not lost |
//! | `x:1\|ms\|@0.0000002` | 5 million events | weight 5 million | a line costs its bytes |
//! | `x:1\|c\|@-1`, `@nan`, `@inf` | wrong counts | rate 1, counted | as any rate that is none |
//! | `x:nan\|c`, `x:inf\|ms` | for ever in the sum | refused | a counter never recovers from it |
//! | `x:1\|c\|@0.5\|@0.5` | rates multiply, for `c` only | the last counts | one rate per line |
//! | `a]b[c:1\|c` | ends the process | name kept, a bad tag | one bracket misses the other |
//! | `,a=b:1\|c` | a conflict | refused | there is no name |
//! | `x:1:2\|ms\|#bad` | two bad tags | one bad tag | a packed line's tags are read once |
//!
//! Gauges take `NaN` and infinities as there: the next value replaces them. Label names that are
//! reserved in Prometheus are not looked at here; the registry renames them.

use std::borrow::Cow;
use std::ops::ControlFlow;

mod dogstatsd;
mod number;
mod samples;
mod tags;

#[cfg(test)]
mod tests;

pub use number::number;
pub use tags::escape;

use samples::Reader;
use tags::TagReader;

/// Which tag dialects are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialects {
    /// `|#k:v,…` after the value.
    pub dogstatsd: bool,
    /// `name,k=v,…`.
    pub influxdb: bool,
    /// `name#k=v,…`.
    pub librato: bool,
    /// `na[k=v,…]me`.
    pub signalfx: bool,
}

/// Name (escaped, a copy only where that changed it) and value (as it came) of a tag.
pub type Tag<'a> = (Cow<'a, str>, &'a str);

/// What a sample does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Counts (`c`): `value` is already divided by the sample rate; finite. It may be negative,
    /// which is an error of the event.
    Count {
        /// How much.
        value: f64,
    },
    /// Sets a gauge (`g`).
    Set {
        /// The value.
        value: f64,
    },
    /// Shifts a gauge (`g` with a sign).
    Shift {
        /// By how much.
        value: f64,
    },
    /// Observes (`ms`, in seconds already, `h`, `d`); finite.
    Observe {
        /// The value.
        value: f64,
        /// How often: the reciprocal of the sample rate; finite and above zero.
        weight: f64,
    },
    /// Puts the member into a set (`s`).
    Insert,
}

/// One sample of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name without tags, not escaped, not mapped; never empty.
    pub name: &'a str,
    /// What it does.
    pub action: Action,
    /// The member of a set; the value's text otherwise.
    pub text: &'a str,
    /// Tags in their order, names escaped. Of two with one name the last wins.
    pub tags: &'a [Tag<'a>],
    /// Name, tags and type are those of the sample before it (packed values): so is the series.
    pub again: bool,
}

/// Why a line or sample is refused; the label `reason` of `sample_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No colon, no name, or no UTF-8.
    MalformedLine,
    /// Tags in the name and after the value.
    MixedTaggingStyles,
    /// No type.
    NotEnoughParts,
    /// Packed values of an unknown type.
    InvalidExtendedAggregateType,
    /// Too many or too few fields, or an empty one.
    MalformedComponent,
    /// No number.
    MalformedValue,
    /// No sample rate, or an unknown field.
    InvalidSampleFactor,
    /// `c:` without an identifier.
    MalformedContainerId,
    /// An unknown type.
    IllegalEvent,
    /// NaN or an infinity where it would stay for ever.
    NotFinite,
}

/// Who takes what a line says.
pub trait Sink {
    /// A sample begins: `samples_total`. What follows for it is [`Sink::sample`],
    /// [`Sink::refused`], or both (a sample factor that is none).
    fn received(&mut self) {}
    /// A sample.
    fn sample(&mut self, sample: &Sample<'_>);
    /// A sample was refused, or (a sample factor that is none) taken with 1.
    fn refused(&mut self, reason: Reason);
    /// `true`: a sample with tags (`tags_total` counts them by the sample); `false`: a tag that is
    /// none (`tag_errors_total`).
    fn tag(&mut self, good: bool);
    /// An event `_e{…}`.
    fn event(&mut self);
    /// A service check `_sc|name|status|…`: 0 ok, 1 warning, 2 critical, 3 unknown.
    fn check(&mut self, name: &str, status: u8, tags: &[Tag<'_>]);
}

/// Whether a line with the same bytes before the first `:` and from the first `|` after it does
/// the same with other values, so that its series can be remembered by those bytes.
///
/// The values between are then numbers separated by `:` (or one), and [`Repeat::action`] says what
/// each does. Nothing that they are changes names, tags, what is counted, or whether the line is
/// good; and a line of which anything was refused but a value is never repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Repeat {
    /// It must be read again.
    Never,
    /// Counts `value / rate`; a negative value is an error of the event, not of the line.
    Count {
        /// Sample rate.
        rate: f64,
    },
    /// Sets, or shifts when the value has a sign.
    Gauge,
    /// Observes `value / divisor`, `weight` times.
    Observe {
        /// 1000 for `ms`, else 1. Not a factor: 9 × 0.001 is not the double next to 0.009.
        divisor: f64,
        /// Reciprocal of the sample rate.
        weight: f64,
    },
}

// === impl Reason ===

impl Reason {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedLine => "malformed_line",
            Self::MixedTaggingStyles => "mixed_tagging_styles",
            Self::NotEnoughParts => "not_enough_parts_after_colon",
            Self::InvalidExtendedAggregateType => "invalid_extended_aggregate_type",
            Self::MalformedComponent => "malformed_component",
            Self::MalformedValue => "malformed_value",
            Self::InvalidSampleFactor => "invalid_sample_factor",
            Self::MalformedContainerId => "malformed_container_id",
            Self::IllegalEvent => "illegal_event",
            Self::NotFinite => "not_finite",
        }
    }
}

// === impl Repeat ===

impl Repeat {
    /// What one value of such a line does.
    ///
    /// # Errors
    /// [`Reason::MalformedValue`] for what is no number, [`Reason::NotFinite`], and
    /// [`Reason::IllegalEvent`] for [`Repeat::Never`].
    #[inline]
    pub fn action(self, text: &[u8]) -> Result<Action, Reason> {
        let value = number(text).ok_or(Reason::MalformedValue)?;
        let finite =
            |value: f64| if value.is_finite() { Ok(value) } else { Err(Reason::NotFinite) };
        match self {
            Self::Never => Err(Reason::IllegalEvent),
            Self::Count { rate } => Ok(Action::Count { value: finite(value / rate)? }),
            Self::Gauge if matches!(text.first(), Some(b'+' | b'-')) => Ok(Action::Shift { value }),
            Self::Gauge => Ok(Action::Set { value }),
            Self::Observe { divisor, weight } => {
                Ok(Action::Observe { value: finite(value / divisor)?, weight })
            }
        }
    }
}

/// Reads one line, without its line feed. An empty line says nothing.
///
/// Returns how its samples may be repeated without reading it again: see [`Repeat`].
pub fn parse<S: Sink>(line: &[u8], dialects: Dialects, sink: &mut S) -> Repeat {
    if line.is_empty() {
        return Repeat::Never;
    }
    let Ok(line) = std::str::from_utf8(line) else {
        sink.refused(Reason::MalformedLine);
        return Repeat::Never;
    };
    if line.starts_with('_')
        && let ControlFlow::Break(()) = dogstatsd::parse(line, dialects, sink)
    {
        return Repeat::Never;
    }
    let Some((head, rest)) = line.split_once(':').filter(|(head, _)| !head.is_empty()) else {
        sink.refused(Reason::MalformedLine);
        return Repeat::Never;
    };
    let mut tags = TagReader::default();
    let name = tags.name(head, dialects);
    for _ in 0..tags.bad {
        sink.tag(false);
    }
    let TagReader { tags, bad } = tags;
    let mut reader = Reader {
        dialects,
        name: &name,
        name_tags: tags.len(),
        tags,
        // The place of the first `|` must not be in doubt for whoever remembers the line.
        blemished: bad > 0 || head.contains('|'),
        sink,
    };
    reader.samples(rest).unwrap_or_else(|reason| {
        reader.sink.refused(reason);
        Repeat::Never
    })
}
