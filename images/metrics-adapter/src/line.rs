//! One statsd line, in any dialect: plain, DogStatsD 1.0 to 1.6, Influx, Librato, SignalFX.
//!
//! Grammar: that of `statsd_exporter`, rule by rule, wider where its users asked for it (packed
//! values of every type, sets, events, service checks, the fields `e:` and `card:`). No line costs
//! more than its bytes: a sample rate is a weight and never repeats anything.

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

/// What a sample does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Counts (`c`): `value` is already divided by the sample rate.
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
    /// Observes (`ms`, in seconds already, `h`, `d`).
    Observe {
        /// The value.
        value: f64,
        /// How often: the reciprocal of the sample rate.
        weight: f64,
    },
    /// Puts the member into a set (`s`).
    Insert,
}

/// One sample of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name without tags, not escaped, not mapped.
    pub name: &'a str,
    /// What it does.
    pub action: Action,
    /// The member of a set; the value's text otherwise.
    pub text: &'a str,
    /// Tags in their order; names escaped, values as they came.
    pub tags: &'a [(String, &'a str)],
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
    /// Packed values where they may not be.
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
    /// A sample.
    fn sample(&mut self, sample: &Sample<'_>);
    /// A sample was refused, or (a sample factor that is none) taken with 1.
    fn refused(&mut self, reason: Reason);
    /// A tag was seen; `good` when it is one.
    fn tag(&mut self, good: bool);
    /// An event `_e{…}`.
    fn event(&mut self);
    /// A service check `_sc|name|status|…`: 0 ok, 1 warning, 2 critical, 3 unknown.
    fn check(&mut self, name: &str, status: u8, tags: &[(String, &str)]);
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

/// Reads one line, without its line feed.
///
/// Returns how its samples may be repeated without reading it again: see [`Repeat`].
pub fn parse(line: &[u8], dialects: Dialects, sink: &mut impl Sink) -> Repeat {
    let _ = (line, dialects, sink);
    Repeat::Never
}

/// Whether a line with the same bytes before the first `:` and from the first `|` on does the same
/// with other values, so that its series can be remembered by those bytes.
///
/// The values between are then numbers separated by `:` (or one), each with an optional sign, and
/// nothing of what they are changes names, tags, or whether the line is good, except that a number
/// must be one and must be allowed ([`number`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Repeat {
    /// It must be read again.
    Never,
    /// Counts `value * factor`; a negative value is an error of the event, not of the line.
    Count {
        /// Reciprocal of the sample rate.
        factor: f64,
    },
    /// Sets, or shifts when the value has a sign.
    Gauge,
    /// Observes `value * scale`, `weight` times.
    Observe {
        /// 0.001 for `ms`, else 1.
        scale: f64,
        /// Reciprocal of the sample rate.
        weight: f64,
    },
}

/// Reads a value as Go's `ParseFloat` does (hexadecimal, `inf`, `nan` and underscores included).
#[must_use]
pub fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Makes a metric or label name: `[a-zA-Z0-9_]` stays, a run of `-` becomes one `_`, every other
/// character `_`, and a leading digit gets one before it.
#[must_use]
pub fn escape(name: &str) -> std::borrow::Cow<'_, str> {
    std::borrow::Cow::Borrowed(name)
}
