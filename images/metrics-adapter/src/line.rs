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
mod tags;

#[cfg(test)]
mod tests;

pub use number::number;
pub use tags::escape;

use tags::TagReader;

/// More `|` parts than this are an error: value, type, and each of the six known fields once.
const PARTS_MAX: usize = 8;

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

/// What stands after the value: the same for all values of a packed line.
struct Fields {
    /// `Never` for a set.
    repeat: Repeat,
    set: bool,
    /// Something was counted that a repeated line would not count again.
    blemished: bool,
    /// Sample factors that were none.
    bad_factors: usize,
}

struct Reader<'l, 's, S> {
    dialects: Dialects,
    name: &'l str,
    tags: Vec<Tag<'l>>,
    /// How many of `tags` came with the name.
    name_tags: usize,
    /// A tag of the name was none.
    blemished: bool,
    sink: &'s mut S,
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

// === impl Reader ===

impl<'l, S: Sink> Reader<'l, '_, S> {
    /// All samples of what follows the first colon; the error is one of the line.
    fn samples(&mut self, rest: &'l str) -> Result<Repeat, Reason> {
        let tagged = rest.contains("|#");
        if tagged && self.name_tags > 0 {
            return Err(Reason::MixedTaggingStyles);
        }
        let (values, suffix) = rest.split_once('|').ok_or(Reason::NotEnoughParts)?;
        if self.name.is_empty() {
            return Err(Reason::MalformedLine);
        }
        let end = if tagged { None } else { sample_end(rest, values.len()) };
        if values.contains(':') {
            let (kind, _) = suffix.split_once('|').unwrap_or((suffix, ""));
            if !matches!(kind, "c" | "g" | "ms" | "h" | "d" | "s") {
                return Err(Reason::InvalidExtendedAggregateType);
            }
            let repeat = self.packed(values, suffix);
            // One value with such a suffix would be several samples.
            return Ok(if end.is_some() { Repeat::Never } else { repeat });
        }
        let Some(mut end) = end else { return Ok(self.packed(values, suffix)) };
        let mut rest = rest;
        loop {
            let (sample, tail) = (&rest[..end], rest.get(end + 1..));
            match sample.split_once('|') {
                Some((value, suffix)) => {
                    self.packed(value, suffix);
                }
                None => {
                    self.sink.received();
                    self.sink.refused(Reason::MalformedComponent);
                }
            }
            let Some(tail) = tail else { return Ok(Repeat::Never) };
            rest = tail;
            end = sample_end(rest, 0).unwrap_or(rest.len());
        }
    }

    /// One value or several, with what follows them.
    fn packed(&mut self, values: &'l str, suffix: &'l str) -> Repeat {
        self.tags.truncate(self.name_tags);
        let too_many = memchr::memchr_iter(b'|', suffix.as_bytes()).nth(PARTS_MAX - 2).is_some();
        let kind = suffix.split('|').next().unwrap_or_default();
        let mut fields = None;
        let mut repeat = Repeat::Never;
        let mut again = false;
        for text in values.split(':') {
            self.sink.received();
            if too_many {
                self.sink.refused(Reason::MalformedComponent);
                continue;
            }
            let good =
                if kind == "s" { !text.is_empty() } else { number(text.as_bytes()).is_some() };
            if !good {
                self.sink.refused(Reason::MalformedValue);
                continue;
            }
            // Once, and only for a good value: tags of a bad one are not counted.
            let fields = fields.get_or_insert_with(|| self.fields(kind, suffix));
            let fields = match fields {
                Ok(fields) => fields,
                Err(reason) => {
                    self.sink.refused(*reason);
                    continue;
                }
            };
            for _ in 0..fields.bad_factors {
                self.sink.refused(Reason::InvalidSampleFactor);
            }
            if !self.tags.is_empty() {
                self.sink.tag(true);
            }
            let action =
                if fields.set { Ok(Action::Insert) } else { fields.repeat.action(text.as_bytes()) };
            match action {
                Ok(action) => {
                    let (name, tags) = (self.name, self.tags.as_slice());
                    self.sink.sample(&Sample { name, action, text, tags, again });
                    again = true;
                    if !fields.blemished && fields.bad_factors == 0 && !self.blemished {
                        repeat = fields.repeat;
                    }
                }
                Err(reason) => self.sink.refused(reason),
            }
        }
        repeat
    }

    /// Reads `type|field|…`; tags are added to those of the name.
    fn fields(&mut self, kind: &str, suffix: &'l str) -> Result<Fields, Reason> {
        let parts = || suffix.split('|').skip(1);
        if parts().any(str::is_empty) {
            return Err(Reason::MalformedComponent);
        }
        let mut reader = TagReader { tags: std::mem::take(&mut self.tags), bad: 0 };
        let mut rate = 1.0;
        let mut bad_factors = 0;
        let mut refused = None;
        for part in parts() {
            if let Some(factor) = part.strip_prefix('@') {
                match sample_rate(factor) {
                    Some(found) => rate = found,
                    None => bad_factors += 1,
                }
            } else if let Some(list) = part.strip_prefix('#') {
                if self.dialects.dogstatsd {
                    reader.list(list, ':');
                }
            } else if part.starts_with('T') || part.starts_with("e:") || part.starts_with("card:") {
                // A time and the sender's origin: the page has no place for them.
            } else if let Some(id) = part.strip_prefix("c:").filter(|id| !id.is_empty()) {
                reader.tags.push((Cow::Borrowed("container_id"), id));
            } else if part.starts_with('c') {
                refused = Some(Reason::MalformedContainerId);
                break;
            } else {
                refused = Some(Reason::InvalidSampleFactor);
                break;
            }
        }
        let blemished = reader.bad > 0;
        for _ in 0..reader.bad {
            self.sink.tag(false);
        }
        self.tags = reader.tags;
        if let Some(reason) = refused {
            return Err(reason);
        }
        let observe = |divisor| Repeat::Observe { divisor, weight: 1.0 / rate };
        let repeat = match kind {
            "c" => Repeat::Count { rate },
            "g" => Repeat::Gauge,
            "ms" => observe(1000.0),
            "h" | "d" => observe(1.0),
            _ => Repeat::Never,
        };
        Ok(Fields { repeat, set: kind == "s", blemished, bad_factors })
    }
}

/// A rate that leaves weights finite and above zero; 0 means 1, as if it were not there.
fn sample_rate(text: &str) -> Option<f64> {
    let rate = number(text.as_bytes())?;
    if rate == 0.0 {
        return Some(1.0);
    }
    (rate > 0.0 && rate.is_finite() && (1.0 / rate).is_finite()).then_some(rate)
}

/// Where a sample ends that another one follows: at the next colon from `from` on, unless that
/// belongs to a field (`c:`, `e:`, `card:`).
fn sample_end(text: &str, from: usize) -> Option<usize> {
    let mut parts = memchr::memchr_iter(b'|', &text.as_bytes()[..from]).count();
    let mut start = from;
    for at in memchr::memchr2_iter(b'|', b':', &text.as_bytes()[from..]) {
        let at = from + at;
        if text.as_bytes()[at] == b'|' {
            parts += 1;
            start = at + 1;
        } else if parts < 2 || !matches!(&text[start..at], "c" | "e" | "card") {
            return Some(at);
        }
    }
    None
}
