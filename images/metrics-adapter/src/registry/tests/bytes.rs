//! The limit of bytes.

use super::*;

const BYTES_MAX: usize = 1 << 20;

fn limited() -> Registry {
    let (family_series_max, series_max) = (1_000_000, 1_000_000);
    Registry::new(Limits { family_series_max, series_max, bytes_max: BYTES_MAX, ..LIMITS })
}

/// Numbers from 0 up to 1, the same in every run.
fn numbers() -> impl Iterator<Item = f64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Series of a shape, as many as there may be.
fn fill(registry: &mut Registry, shape: Shape<'_>) -> Vec<SeriesId> {
    let make = |at: usize| {
        let label = at.to_string();
        registry.intern(&spec("m", shape, &[("l", &label)]), 0).ok()
    };
    let ids: Vec<SeriesId> = (0..1_000).map_while(make).collect();
    let overflow = registry.counters().overflowed as usize;
    // All that met the limit are one series.
    ids[..ids.len() - overflow.saturating_sub(1)].to_vec()
}

#[test]
fn long_names_and_helps_are_counted_and_bounded() {
    let mut registry = limited();
    let long = "n".repeat(150);
    let mut refused = 0;
    for at in 0..10_000 {
        let (name, help) = (format!("{long}_{at}"), format!("Help of {long} {at}"));
        let spec = Spec { help: &help, ..spec(&name, Shape::Gauge, &[]) };
        refused += u64::from(registry.intern(&spec, 0) == Err(Refused::Limit));
    }
    let counters = registry.counters();
    assert!(counters.families > 1_000, "{counters:?}");
    assert_eq!((counters.families + refused, counters.overflowed), (10_000, refused));
    let texts = counters.families as usize * 2 * long.len();
    assert!(counters.bytes as usize > texts + counters.families as usize * 64, "{counters:?}");
    assert!(counters.bytes_reserved as usize <= BYTES_MAX + BYTES_MAX / 16, "{counters:?}");
}

#[test]
fn past_the_limit_of_bytes_series_overflow() {
    let mut registry = limited();
    let long = "v".repeat(190);
    let mut make = |name: &str, at: usize| {
        let label = format!("{long}{at}");
        registry.intern(&spec(name, Shape::Counter, &[("l", &label)]), 0)
    };
    make("other", 0).unwrap();
    let ids: Vec<SeriesId> = (0..9_000).map(|at| make("m", at).unwrap()).collect();
    assert_ne!(ids[1_000], ids[1_001]);
    assert_eq!(ids[8_998], ids[8_999], "the overflow series");
    assert_eq!(make("other", 0), make("other", 0), "what is there is found");
    assert_ne!(make("other", 1).unwrap(), ids[8_999], "each has its own");
    assert_eq!(make("new", 0), Err(Refused::Limit));
    let counters = registry.counters();
    assert!(counters.overflowed > 5_000, "{counters:?}");
    assert!(counters.bytes_reserved as usize <= BYTES_MAX + BYTES_MAX / 8, "{counters:?}");
    assert!(samples(&registry, 0).iter().any(|line| line == "other{overflow=\"true\"} 0"));
}

#[test]
fn summaries_become_coarser_in_the_memory_there_is() {
    let mut registry = limited();
    let options = summary_options();
    let ids = fill(&mut registry, Shape::Summary(&options));
    assert!(ids.len() > 200, "{}", ids.len());
    let mut numbers = numbers();
    let rounds = 600;
    for round in 0..rounds {
        for id in &ids {
            registry.observe(*id, numbers.next().unwrap(), 1.0, round / 4);
        }
        let counters = registry.counters();
        assert!(counters.bytes <= counters.bytes_reserved, "{counters:?}");
        // One step of growth of one summary may go past the limit.
        assert!(counters.bytes_reserved as usize <= BYTES_MAX + (64 << 10), "{counters:?}");
    }
    assert!(registry.counters().coarsened > 0);
    for line in samples(&registry, rounds / 4).iter().filter(|line| !line.contains("overflow")) {
        let value: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        let (near, off) = match line {
            line if line.starts_with("m_count") => (f64::from(rounds), 0.0),
            line if line.starts_with("m_sum") => (f64::from(rounds) / 2.0, 50.0),
            line if line.contains("quantile=\"0.5\"") => (0.5, 0.25),
            _ => (0.99, 0.25),
        };
        assert!((value - near).abs() <= off, "{line}");
    }
}

#[test]
fn native_histograms_become_coarser_in_the_memory_there_is() {
    let mut registry = limited();
    let options = HistogramOptions { native_max_buckets: 0, ..histogram_options(1.02) };
    let ids = fill(&mut registry, Shape::Histogram(&options));
    assert!(ids.len() > 200, "{}", ids.len());
    let mut numbers = numbers();
    for _ in 0..300 {
        for id in &ids {
            let value = (numbers.next().unwrap() * 1_400.0 - 700.0).exp();
            let sign = if numbers.next().unwrap() < 0.5 { -1.0 } else { 1.0 };
            registry.observe(*id, sign * value, 1.0, 0);
        }
        let counters = registry.counters();
        assert!(counters.bytes_reserved as usize <= BYTES_MAX + (64 << 10), "{counters:?}");
    }
    assert!(registry.counters().coarsened > 0);
    for id in ids {
        let Cell::Histogram(histogram) = &registry.slots[id.index as usize].cell else { panic!() };
        assert_eq!(histogram.native().unwrap().count(), 300.0);
        let reserved = registry.slots[id.index as usize].cell.reserved();
        assert!(registry.slots[id.index as usize].cell.bytes() <= reserved.max(64 << 10));
    }
    page(&registry, Format::Protobuf, 10, 0);
}

#[test]
fn sets_are_counted_as_large_as_they_become() {
    let mut registry = limited();
    let ids = fill(&mut registry, Shape::Set);
    let before = registry.counters().bytes_reserved;
    assert!(ids.len() > 100 && registry.counters().overflowed > 0, "{}", ids.len());
    for member in 0..1_000_u32 {
        for id in &ids {
            registry.insert(*id, &member.to_le_bytes(), 0);
        }
        let counters = registry.counters();
        assert!(counters.bytes <= counters.bytes_reserved, "{counters:?}");
        assert_eq!(counters.bytes_reserved, before);
    }
}

#[test]
fn room_that_was_given_back_is_used() {
    let mut registry = limited();
    let options = summary_options();
    let ttl = Duration::from_secs(5);
    let with = |label: &str, now: Seconds, registry: &mut Registry| {
        let labels = [("l", label)];
        let spec = Spec { ttl, ..spec("m", Shape::Summary(&options), &labels) };
        registry.intern(&spec, now)
    };
    for round in 0..3 {
        let now = round * 100;
        let mut made = 0;
        while registry.counters().overflowed == u64::from(round) {
            with(&format!("{round}-{made}"), now, &mut registry).unwrap();
            made += 1;
        }
        assert!(made > 200, "{made} in round {round}");
        registry.sweep(now + 50);
        assert_eq!(registry.counters().families, 0);
        assert_eq!((registry.reserved_bytes, registry.name_bytes), (0, 0));
    }
}

#[test]
fn weights_near_the_largest_number_take_no_memory_and_no_time() {
    let mut registry = limited();
    let options = summary_options();
    let id = registry.intern(&spec("m", Shape::Summary(&options), &[]), 0).unwrap();
    registry.limits.bytes_max = 1;
    registry.weigh();
    for (at, value) in numbers().take(5_000).enumerate() {
        let weight = [1.0, f64::MAX, f64::MIN_POSITIVE, 1e300][at % 4];
        registry.observe(id, value, weight, 0);
    }
    let cell = &registry.slots[id.index as usize].cell;
    assert!(cell.bytes() <= cell.reserved(), "{} {}", cell.bytes(), cell.reserved());
    text(&registry, 0);
}
