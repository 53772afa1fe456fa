//! A page: what was pushed, what is pulled, and what stands there of the process itself.
//!
//! It is made in slices, with other tasks in between, so that neither the reader of lines nor a
//! heartbeat waits for a large page.

use std::borrow::{Borrow, Cow};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::JoinSet;
use tracing::warn;

use super::{Actions, Counters, Live, Site};
use crate::exposition::{Family, Format, Page};
use crate::pull::{Answer, Deadlines, merge};
use crate::registry::Cursor;

/// Series written while the registry is held; about a tenth of a millisecond.
const SLICE_SERIES: usize = 512;
/// Bytes compressed between two yields; about a millisecond.
const SLICE_BYTES: usize = 64 * 1024;
/// Smaller bodies are not worth compressing.
const GZIP_BYTES_MIN: usize = 1024;

/// Metrics that are told to have no place.
const TOLD_MAX: usize = 64;

/// How an answer is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) format: Format,
    pub(super) gzip: bool,
}

// === impl Shown ===

impl Shown {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accept = String::new();
        for value in headers.get_all(header::ACCEPT) {
            if !accept.is_empty() {
                accept.push(',');
            }
            accept.push_str(value.to_str().unwrap_or_default());
        }
        let gzip = takes_gzip(headers.get_all(header::ACCEPT_ENCODING).iter());
        Self { format: Format::negotiate(&accept), gzip }
    }

    pub(super) fn content_type(self) -> &'static str {
        self.format.content_type()
    }
}

/// Whether values of `Accept-Encoding` take gzip. What is said of it goes before what is said of
/// all.
fn takes_gzip<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> bool {
    let (mut named, mut any) = (None, None);
    for item in values.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let quality = parameters.trim().strip_prefix(['q', 'Q']).unwrap_or("=1");
        let quality = quality.trim_start().strip_prefix('=').unwrap_or_default().trim();
        let taken = quality.parse::<f64>().is_ok_and(|quality| quality > 0.0);
        match coding.trim() {
            "*" => any = Some(taken),
            coding if coding.eq_ignore_ascii_case("gzip") => named = Some(taken),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

/// Everything that stands on the page.
pub(super) async fn render<A: Actions>(
    site: &Site<A>,
    live: &Live,
    deadlines: Deadlines,
    shown: Shown,
) -> Vec<u8> {
    let start = Instant::now();
    let answers = pulled(live, deadlines).await;
    // Only so many pages are in memory; who waits is bounded by the limit on connections.
    let _place = site.renders.acquire().await;
    let mut page = Page::new(shown.format);
    // Whoever comes first has a name. What the process says of itself cannot be taken from it by
    // what is pushed, and a sender outlives what is pulled, which others choose the names of.
    families(&mut page, &site.actions.families()).await;
    let before = page.left_out();
    if let Some(ingest) = &site.ingest {
        let mut cursor = Cursor::default();
        loop {
            let done = {
                let registry = ingest.registry().lock().unwrap_or_else(PoisonError::into_inner);
                registry.write(&mut page, &mut cursor, SLICE_SERIES, ingest.now())
            };
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let pushed = page.left_out();
    site.counters.pushed_left_out.fetch_add(pushed - before, Ordering::Relaxed);
    pulled_families(site, &mut page, &answers).await;
    let body = finish(page, shown).await;
    Counters::count(&site.counters.scrapes);
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    site.counters.scrape_micros.fetch_add(micros, Ordering::Relaxed);
    body
}

/// All pulled inputs, asked at the same time; answers in their order.
async fn pulled(live: &Live, deadlines: Deadlines) -> Vec<Answer> {
    let mut asked = JoinSet::new();
    for (index, pulled) in live.pulled.iter().enumerate() {
        let pulled = Arc::clone(pulled);
        asked.spawn(async move { (index, pulled.scrape(deadlines).await) });
    }
    // A task that broke off has said so in the log.
    let mut answers = Vec::with_capacity(asked.len());
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer);
    }
    answers.sort_unstable_by_key(|(index, _)| *index);
    answers.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Answers as families; what could not stand beside something else is counted.
fn joined<'a>(counters: &Counters, answers: &'a [Answer]) -> Vec<Cow<'a, Family>> {
    if answers.is_empty() {
        return Vec::new();
    }
    let (families, conflicts) = merge(answers);
    counters.family_conflicts.fetch_add(conflicts.families, Ordering::Relaxed);
    counters.series_dropped.fetch_add(conflicts.series, Ordering::Relaxed);
    families
}

/// Writes what was pulled. What cannot stand on the page, mostly because the name is taken, is
/// counted, and each name is told once.
pub(super) async fn pulled_families<A>(site: &Site<A>, page: &mut Page, answers: &[Answer]) {
    let before = page.left_out();
    let refused = families(page, &joined(&site.counters, answers)).await;
    site.counters.pulled_left_out.fetch_add(page.left_out() - before, Ordering::Relaxed);
    for name in refused {
        let mut told = site.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < TOLD_MAX && told.insert(name.clone()) {
            warn!(metric = name, "series of a pulled metric have no place on the page");
        }
    }
}

/// Writes families with other tasks in between; gives the names of some that are not there as a
/// whole.
async fn families<F: Borrow<Family>>(page: &mut Page, families: &[F]) -> Vec<String> {
    let mut series = 0;
    let mut refused = Vec::new();
    for family in families.iter().map(Borrow::borrow) {
        let before = page.left_out();
        page.family(family);
        if page.left_out() > before && refused.len() < TOLD_MAX {
            refused.push(family.name.clone());
        }
        series += family.samples.len();
        if series >= SLICE_SERIES {
            series = 0;
            tokio::task::yield_now().await;
        }
    }
    refused
}

/// The bytes of a page; `shown.gzip` is kept even for small ones, so that the header is right.
pub(super) async fn finish(page: Page, shown: Shown) -> Vec<u8> {
    let body = page.finish();
    if !shown.gzip {
        return body;
    }
    let level = if body.len() < GZIP_BYTES_MIN { Compression::none() } else { Compression::fast() };
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8 + 64), level);
    for slice in body.chunks(SLICE_BYTES) {
        // Writing to memory cannot fail.
        let _ = encoder.write_all(slice);
        tokio::task::yield_now().await;
    }
    encoder.finish().unwrap_or_default()
}
