//! Options of summaries and histograms, and times to live.

use std::time::Duration;

use serde::Deserialize;

use super::Text;
use super::value::Reader;
use crate::mapping::{MappingError, Warning};
use crate::registry::{HistogramOptions, SummaryOptions};

/// Memory of every series grows with these.
const BUCKETS_MAX: usize = 1000;
const QUANTILES_MAX: usize = 100;
const AGE_BUCKETS_MAX: u32 = 1000;
const BUF_CAP_MAX: u32 = 1_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSummary {
    pub(super) quantiles: Option<Vec<RawQuantile>>,
    pub(super) max_age: Option<Text>,
    pub(super) age_buckets: Option<Text>,
    pub(super) buf_cap: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHistogram {
    pub(super) buckets: Option<Vec<Text>>,
    pub(super) native_histogram_bucket_factor: Option<Text>,
    pub(super) native_histogram_max_buckets: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawQuantile {
    pub(super) quantile: Option<Text>,
    pub(super) error: Option<Text>,
}

pub(super) fn ttl(
    reader: &Reader,
    text: Option<&Text>,
    warnings: &mut Vec<Warning>,
) -> Result<Duration, MappingError> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let ttl = reader.duration("ttl", text)?;
    if !ttl.is_zero() && text.value.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("a ttl of `{}` without a unit is nanoseconds", text.value);
        warnings.push(Warning { line: text.referenced.line(), message });
    }
    Ok(ttl)
}

/// Fields that are not there, or zero, stay as they were.
pub(super) fn summary(
    reader: &Reader,
    raw: &RawSummary,
    options: &mut SummaryOptions,
) -> Result<(), MappingError> {
    quantiles(reader, "quantiles", raw.quantiles.as_deref(), options)?;
    if let Some(text) = &raw.max_age {
        let max_age = reader.duration("max_age", text)?;
        options.max_age = if max_age.is_zero() { options.max_age } else { max_age };
    }
    reader.count(
        "age_buckets",
        raw.age_buckets.as_ref(),
        AGE_BUCKETS_MAX,
        &mut options.age_buckets,
    )?;
    reader.count("buf_cap", raw.buf_cap.as_ref(), BUF_CAP_MAX, &mut options.buf_cap)
}

pub(super) fn quantiles(
    reader: &Reader,
    key: &str,
    raw: Option<&[RawQuantile]>,
    options: &mut SummaryOptions,
) -> Result<(), MappingError> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return Ok(()) };
    if raw.len() > QUANTILES_MAX {
        let expected = format!("at most {QUANTILES_MAX}");
        let line = raw[0].quantile.as_ref().map(|text| text.referenced.line());
        return Err(reader.wrong_at(line, key, &raw.len().to_string(), &expected));
    }
    let mut pairs: Vec<(f64, f64)> = Vec::new();
    for (at, each) in raw.iter().enumerate() {
        let reader = reader.below(&format!("{key}[{at}]"));
        let part = |key, text: Option<&Text>| match text {
            None => Ok(0.0),
            Some(text) => reader.within(key, text, 0.0..=1.0),
        };
        let pair = (part("quantile", each.quantile.as_ref())?, part("error", each.error.as_ref())?);
        // Of two the last counts, as in a map by quantile.
        pairs.retain(|(quantile, _)| *quantile != pair.0);
        pairs.push(pair);
    }
    options.quantiles = pairs;
    Ok(())
}

/// Fields that are not there, or zero, stay as they were.
pub(super) fn histogram(
    reader: &Reader,
    raw: &RawHistogram,
    options: &mut HistogramOptions,
) -> Result<(), MappingError> {
    buckets(reader, "buckets", raw.buckets.as_deref(), options)?;
    let key = "native_histogram_bucket_factor";
    if let Some(text) = &raw.native_histogram_bucket_factor {
        let factor = reader.finite(key, text)?;
        if factor > 0.0 {
            options.native_bucket_factor = factor;
        }
    }
    let text = raw.native_histogram_max_buckets.as_ref();
    let key = "native_histogram_max_buckets";
    reader.count(key, text, u32::MAX, &mut options.native_max_buckets)
}

pub(super) fn buckets(
    reader: &Reader,
    key: &str,
    raw: Option<&[Text]>,
    options: &mut HistogramOptions,
) -> Result<(), MappingError> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return Ok(()) };
    if raw.len() > BUCKETS_MAX {
        let expected = format!("at most {BUCKETS_MAX}");
        let line = Some(raw[0].referenced.line());
        return Err(reader.wrong_at(line, key, &raw.len().to_string(), &expected));
    }
    let mut bounds: Vec<f64> = Vec::new();
    for (at, text) in raw.iter().enumerate() {
        let key = format!("{key}[{at}]");
        let bound = reader.number(&key, text)?;
        // There is always a bucket for everything.
        if bound == f64::INFINITY && at + 1 == raw.len() {
            break;
        }
        if !bound.is_finite() || bounds.last().is_some_and(|last| *last >= bound) {
            return Err(reader.wrong(&key, text, "bounds that rise"));
        }
        bounds.push(bound);
    }
    options.buckets = bounds;
    Ok(())
}
