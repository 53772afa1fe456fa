//! Random operations on a registry and on maps that do the same in the plainest way.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

const TTL: [u64; 3] = [0, 3, 20];
const BOUNDS: [f64; 2] = [0.5, 1.0];

#[derive(Clone, Debug)]
enum Operation {
    Sample {
        kind: usize,
        name: usize,
        label: usize,
        value: i8,
        ttl: usize,
    },
    Wait {
        seconds: u8,
    },
    /// With an id of before, whatever has become of it.
    Late {
        id: usize,
        value: i8,
    },
}

#[derive(Debug)]
struct Model {
    limits: Limits,
    families: BTreeMap<String, (usize, Vec<Series>)>,
    now: Seconds,
}

#[derive(Debug)]
struct Series {
    label: String,
    touched: Seconds,
    ttl: u64,
    id: SeriesId,
    value: f64,
    observed: Vec<f64>,
    members: HashSet<(Seconds, i8)>,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (0..5_usize, 0..8_usize, 0..6_usize, any::<i8>(), 0..3_usize).prop_map(
            |(kind, name, label, value, ttl)| Operation::Sample { kind, name, label, value, ttl }
        ),
        2 => (0..30_u8).prop_map(|seconds| Operation::Wait { seconds }),
        3 => (0..100_usize, any::<i8>()).prop_map(|(id, value)| Operation::Late { id, value }),
    ]
}

fn implied(kind: usize) -> &'static [&'static str] {
    [&[][..], &[], &["_sum", "_count"], &["_sum", "_count", "_bucket"], &[]][kind]
}

// === impl Model ===

impl Model {
    fn series(&self) -> usize {
        self.families.values().map(|(_, series)| series.len()).sum()
    }

    /// What interning is to do: the label of the series that it is to be, or why there is none.
    fn intern(&self, kind: usize, name: &str, label: &str) -> Result<String, Refused> {
        let Some((stored, series)) = self.families.get(name) else {
            let takes = |kind: usize, name: &str| -> HashSet<String> {
                implied(kind).iter().chain(&[""]).map(|suffix| format!("{name}{suffix}")).collect()
            };
            let mine = takes(kind, name);
            let clash = |(other, (kind, _)): (&String, &(usize, Vec<Series>))| {
                mine.contains(other) || takes(*kind, other).contains(name)
            };
            if self.families.iter().any(clash) {
                return Err(Refused::Conflict);
            }
            let full = self.series() >= self.limits.series_max;
            return if full { Err(Refused::Limit) } else { Ok(label.to_owned()) };
        };
        if *stored != kind {
            return Err(Refused::Conflict);
        }
        let known = series.iter().any(|series| series.label == label);
        let full = series.len() >= self.limits.family_series_max
            || self.series() >= self.limits.series_max;
        match (known || !full, self.limits.overflow) {
            (true, _) => Ok(label.to_owned()),
            (false, Overflow::Fold) => Ok("overflow=\"true\"".to_owned()),
            (false, Overflow::Drop) => Err(Refused::Limit),
        }
    }

    fn take(
        &mut self,
        kind: usize,
        name: &str,
        label: String,
        ttl: u64,
        id: SeriesId,
    ) -> &mut Series {
        let now = self.now;
        let (_, series) = self.families.entry(name.to_owned()).or_insert((kind, Vec::new()));
        let at = series.iter().position(|series| series.label == label).unwrap_or_else(|| {
            let (value, observed, members) = (0.0, Vec::new(), HashSet::new());
            series.push(Series { label, touched: now, ttl, id, value, observed, members });
            series.len() - 1
        });
        let series = &mut series[at];
        assert_eq!(series.id, id, "a series keeps its id");
        series.touched = now;
        series.ttl = ttl;
        series
    }

    fn sweep(&mut self) {
        let now = self.now;
        for (_, series) in self.families.values_mut() {
            series.retain(|s| s.ttl == 0 || u64::from(now - s.touched) <= s.ttl);
        }
        self.families.retain(|_, (_, series)| !series.is_empty());
    }

    /// Name, labels and value of every line that is told exactly.
    fn lines(&self) -> Vec<(String, String, f64)> {
        let mut lines = Vec::new();
        for (name, (kind, series)) in &self.families {
            for Series { label, value, observed, members, .. } in series {
                let mut line = |suffix: &str, label: &str, value: f64| {
                    lines.push((format!("{name}{suffix}"), label.to_owned(), value));
                };
                let count = observed.len() as f64;
                if *kind == 3 {
                    for bound in BOUNDS.into_iter().chain([f64::INFINITY]) {
                        let within = observed.iter().filter(|value| **value <= bound).count();
                        let le = ["0.5", "1", "+Inf"][BOUNDS.partition_point(|b| *b < bound)];
                        line("_bucket", &format!("{label},le=\"{le}\""), within as f64);
                    }
                }
                if matches!(kind, 2 | 3) {
                    line("_sum", label, *value);
                    line("_count", label, count);
                } else if *kind == 4 {
                    let window = |back: Seconds| {
                        let now = self.now / 60;
                        members.iter().filter(|(at, _)| at + back == now).count()
                    };
                    line("", label, window(0).max(window(1)) as f64);
                } else {
                    line("", label, *value);
                }
            }
        }
        lines
    }
}

fn apply(series: &mut Series, kind: usize, value: i8, now: Seconds) {
    let number = f64::from(value) / 64.0;
    match kind {
        0 if number >= 0.0 => series.value += number,
        0 => {}
        1 if value % 2 == 0 => series.value = number,
        1 => series.value += number,
        2 | 3 => {
            series.value += number;
            series.observed.push(number);
        }
        _ => {
            series.members.insert((now / 60, value));
        }
    }
}

/// The same on the real one.
fn apply_real(registry: &mut Registry, id: SeriesId, kind: usize, value: i8, now: Seconds) -> bool {
    let number = f64::from(value) / 64.0;
    match kind {
        0 => registry.add(id, number, now),
        1 if value % 2 == 0 => registry.set(id, number, now),
        1 => registry.shift(id, number, now),
        2 | 3 => registry.observe(id, number, 1.0, now),
        _ => registry.insert(id, &[value as u8], now),
    }
}

fn run(limits: Limits, operations: Vec<Operation>) {
    let names = ["a", "a_sum", "a_count", "a_bucket", "b", "b_total", "c", "d"];
    let (summary, histogram) = (summary_options(), histogram_options(1.1));
    let mut registry = Registry::new(limits);
    let mut model = Model { limits, families: BTreeMap::new(), now: 0 };
    let mut ids: Vec<(SeriesId, String, usize)> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Sample { kind, name, label, value, ttl } => {
                let (name, ttl) = (names[name], TTL[ttl]);
                let text = format!("v{label}");
                let labels = [("l", text.as_str())];
                let shape = [
                    Shape::Counter,
                    Shape::Gauge,
                    Shape::Summary(&summary),
                    Shape::Histogram(&histogram),
                    Shape::Set,
                ][kind];
                let ttl_given = Duration::from_secs(ttl);
                let spec = Spec { ttl: ttl_given, ..spec(name, shape, &labels) };
                let expected = model.intern(kind, name, &format!("l=\"{text}\""));
                match (registry.intern(&spec, model.now), expected) {
                    (Ok(id), Ok(label)) => {
                        assert!(apply_real(&mut registry, id, kind, value, model.now));
                        let now = model.now;
                        apply(model.take(kind, name, label, ttl, id), kind, value, now);
                        ids.push((id, name.to_owned(), kind));
                    }
                    (real, expected) => assert_eq!(real.map(|_| String::new()), expected),
                }
            }
            Operation::Wait { seconds } => {
                model.now += Seconds::from(seconds);
                model.sweep();
                registry.sweep(model.now);
            }
            Operation::Late { id, value } => {
                let Some((id, name, kind)) = ids.get(id) else { continue };
                let now = model.now;
                let series = model
                    .families
                    .get_mut(name)
                    .and_then(|(_, series)| series.iter_mut().find(|series| series.id == *id));
                assert_eq!(registry.is_live(*id), series.is_some());
                assert_eq!(apply_real(&mut registry, *id, *kind, value, now), series.is_some());
                if let Some(series) = series {
                    series.touched = now;
                    apply(series, *kind, value, now);
                }
            }
        }
    }
    compare(&registry, &model);
}

fn compare(registry: &Registry, model: &Model) {
    let bytes = page(registry, Format::Text, 5, model.now);
    let families: Vec<ReadFamily> = read::page(Format::Text, &bytes).unwrap();
    let shown = |labels: &Pairs| -> String {
        let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{n}=\"{v}\"")).collect();
        pairs.join(",")
    };
    let lines: Vec<(String, String, f64)> = families
        .iter()
        .flat_map(|family| &family.samples)
        .map(|sample| (sample.name.clone(), shown(&sample.labels), sample.value))
        .filter(|(_, labels, _)| !labels.contains("quantile"))
        .collect();
    assert_eq!(lines, model.lines());
    let counters = registry.counters();
    let mut series = [0; 4];
    for (kind, all) in model.families.values() {
        series[if *kind == 4 { 1 } else { *kind }] += all.len() as u64;
    }
    assert_eq!(counters.series, series);
    assert_eq!(counters.families, model.families.len() as u64);
    let cells: usize = registry.slots.iter().map(|slot| slot.cell.bytes()).sum();
    assert_eq!(registry.cell_bytes, cells, "sizes are kept up to date");
    let held = |slot: &Slot| slot.cell.bytes().max(slot.cell.reserved());
    assert_eq!(registry.reserved_bytes, registry.slots.iter().map(held).sum::<usize>());
    let texts = registry.families.iter().flatten().map(|family| family.bytes);
    assert_eq!(registry.name_bytes, texts.sum::<usize>());
    let labels: usize = registry.slots.iter().map(|slot| slot.labels.len()).sum();
    assert_eq!(registry.label_bytes, labels);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn a_registry_does_what_plain_maps_do(
        operations in prop::collection::vec(operation(), 1..200),
        family_series_max in 1..6_usize,
        series_max in 1..20_usize,
        fold: bool,
    ) {
        let overflow = if fold { Overflow::Fold } else { Overflow::Drop };
        run(Limits { family_series_max, series_max, overflow, ..LIMITS }, operations);
    }
}
