//! What follows the first colon: values, types, fields.

use std::borrow::Cow;

use super::tags::TagReader;
use super::{Action, Dialects, Reason, Repeat, Sample, Sink, Tag, number};

/// More `|` parts than this are an error: value, type, and each of the six known fields once.
const PARTS_MAX: usize = 8;

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

pub(super) struct Reader<'l, 's, S> {
    pub(super) dialects: Dialects,
    pub(super) name: &'l str,
    pub(super) tags: Vec<Tag<'l>>,
    /// How many of `tags` came with the name.
    pub(super) name_tags: usize,
    /// A tag of the name was none.
    pub(super) blemished: bool,
    pub(super) sink: &'s mut S,
}

// === impl Reader ===

impl<'l, S: Sink> Reader<'l, '_, S> {
    /// All samples of what follows the first colon; the error is one of the line.
    pub(super) fn samples(&mut self, rest: &'l str) -> Result<Repeat, Reason> {
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
