//! The text formats.

use super::{Kind, Pairs, ReadFamily, Sample, suffixes};
use crate::labels;

/// Reads the families of a text.
pub(super) fn read(text: &str, open_metrics: bool) -> Result<Vec<ReadFamily>, String> {
    let text = match (text.strip_suffix("# EOF\n"), open_metrics) {
        (Some(text), true) => text,
        (None, true) => return Err("no # EOF at the end".to_owned()),
        (_, false) => text,
    };
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    let mut families: Vec<ReadFamily> = Vec::new();
    // Help stands before the type, and only once.
    let mut help = None;
    for line in text.split_terminator('\n') {
        let wrong = |what: &str| Err(format!("{what}: {line:?}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, text)) = rest.split_once(' ') else { return wrong("no help") };
            if help.replace((name, unescape(text)?)).is_some() {
                return wrong("help without a type before it");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return wrong("no type") };
            let mut family = ReadFamily { name: name.to_owned(), ..ReadFamily::default() };
            family.kind = match kind {
                "counter" => Kind::Counter,
                "gauge" => Kind::Gauge,
                "summary" => Kind::Summary,
                "histogram" => Kind::Histogram,
                "untyped" if !open_metrics => Kind::Untyped,
                "unknown" if open_metrics => Kind::Untyped,
                _ => return wrong("no type"),
            };
            match help.take() {
                Some((of, text)) if of == name => family.help = text,
                Some(_) => return wrong("help of another family"),
                None => {}
            }
            families.push(family);
        } else if line.starts_with('#') || line.is_empty() {
            return wrong("a comment");
        } else {
            let Some(family) = families.last_mut().filter(|_| help.is_none()) else {
                return wrong("no type");
            };
            let sample = sample(line, open_metrics)?;
            let suffix = sample.name.strip_prefix(&family.name);
            if !suffix.is_some_and(|suffix| suffixes(family.kind, open_metrics).contains(&suffix)) {
                return wrong("not of this family");
            }
            family.samples.push(sample);
        }
    }
    if help.is_some() { Err("help at the end".to_owned()) } else { Ok(families) }
}

fn sample(line: &str, open_metrics: bool) -> Result<Sample, String> {
    let wrong = |what: &str| format!("{what}: {line:?}");
    let (name, mut labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, rest) = pairs(rest).ok_or_else(|| wrong("labels"))?;
            (name, labels, rest.strip_prefix(' ').ok_or_else(|| wrong("no space"))?)
        }
        None => {
            let (name, value) = line.split_once(' ').ok_or_else(|| wrong("no space"))?;
            (name, Pairs::new(), value)
        }
    };
    let value = number(value).ok_or_else(|| wrong("no number"))?;
    if let Some((name, text)) = labels.last_mut()
        && matches!(name.as_str(), "le" | "quantile")
        && let Some(value) = number(text)
    {
        if open_metrics && value.is_finite() && !text.contains(['.', 'e']) {
            return Err(wrong("no canonical number"));
        }
        *text = super::protobuf::shown(value);
    }
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Labels up to the brace that closes them, and what follows.
fn pairs(mut rest: &str) -> Option<(Pairs, &str)> {
    let mut pairs = Pairs::new();
    loop {
        let (name, tail) = rest.split_once("=\"")?;
        if !labels::is_name(name, false) {
            return None;
        }
        let mut escaped = false;
        let end = tail.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        pairs.push((name.to_owned(), unescape(&tail[..end]).ok()?));
        let tail = &tail[end + 1..];
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return Some((pairs, tail.strip_prefix('}')?)),
        }
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        out.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(char @ ('\\' | '"')) => char,
                other => return Err(format!("escape {other:?} in {text:?}")),
            },
            char => char,
        });
    }
    Ok(out)
}

/// A number as Go writes it.
fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            text.parse().ok().filter(|value: &f64| value.is_finite())
        }
        _ => None,
    }
}
