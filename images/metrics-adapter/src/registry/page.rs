//! The series on a page, a slice at a time.

use std::ops::Bound;
use std::sync::Arc;

use super::cell::Cell;
use super::summary::Scratch;
use super::{Registry, Seconds};
use crate::exposition::{Header, Page, Value};

/// Where a page that is written in slices goes on.
#[derive(Debug, Default)]
pub struct Cursor {
    place: Option<Place>,
    scratch: Scratch,
}

/// The family that was written last.
#[derive(Debug)]
struct Place {
    name: Arc<str>,
    /// Serial of the family: another one may have its name by now.
    family: u64,
    /// Serial of the last series written; `None` when the family is done.
    series: Option<u64>,
}

impl Registry {
    /// Writes from where `cursor` stands about as much as `series_max` counters cost (at least one
    /// series; a summary counts for 30, a histogram for half its buckets); true when the page is
    /// complete. Families come in the order of their names, series in the order of their making.
    ///
    /// Between two calls the registry may change: a family that is under way goes on with the series
    /// that are there then, and no series is written twice.
    pub fn write(
        &self,
        page: &mut Page,
        cursor: &mut Cursor,
        series_max: usize,
        now: Seconds,
    ) -> bool {
        let Cursor { place, scratch } = cursor;
        let mut budget = series_max.max(1);
        let from = place.as_ref().map(|place| Arc::clone(&place.name));
        let from = from.as_deref().map_or(Bound::Unbounded, Bound::Included);
        for (name, &index) in self.names.range::<str, _>((from, Bound::Unbounded)) {
            let family = self.family(index);
            let first = match place.as_ref().filter(|place| place.name == *name) {
                Some(Place { series: Some(last), family: serial, .. })
                    if *serial == family.serial =>
                {
                    let written = |member: &u32| self.slots[*member as usize].serial <= *last;
                    family.members.partition_point(written)
                }
                // Done, or not the one that was begun.
                Some(_) => continue,
                None => {
                    let (name, help) = (&*family.name, &*family.help);
                    page.begin(&Header { name, help, kind: family.stored.kind() });
                    0
                }
            };
            let mut last = None;
            for &member in &family.members[first..] {
                if budget == 0 {
                    let series = last.or(place.as_ref().and_then(|place| place.series));
                    let name = Arc::clone(name);
                    *place =
                        Some(Place { name, family: family.serial, series: series.or(Some(0)) });
                    return false;
                }
                let slot = &self.slots[member as usize];
                write_cell(page, &slot.labels, &slot.cell, scratch, now);
                budget = budget.saturating_sub(slot.cell.cost());
                last = Some(slot.serial);
            }
            page.end();
            *place = Some(Place { name: Arc::clone(name), family: family.serial, series: None });
        }
        page.end();
        true
    }
}

fn write_cell(page: &mut Page, labels: &str, cell: &Cell, scratch: &mut Scratch, now: Seconds) {
    match cell {
        Cell::Free => {}
        Cell::Counter(value) | Cell::Gauge(value) => page.sample(labels, &Value::Number(*value)),
        Cell::Set(set) => page.sample(labels, &Value::Number(set.value(now))),
        Cell::Summary(summary) => {
            let (sum, count) = (summary.sum(), summary.count());
            let quantiles = summary.quantiles(now, scratch);
            page.sample(labels, &Value::Summary { quantiles, sum, count });
        }
        Cell::Histogram(histogram) => {
            let value = Value::Histogram {
                bounds: histogram.bounds(),
                counts: histogram.counts(),
                sum: histogram.sum(),
                native: histogram.native(),
            };
            page.sample(labels, &value);
        }
    }
}
