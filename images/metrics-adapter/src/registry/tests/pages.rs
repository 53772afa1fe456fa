//! What comes out, at once and in slices.

use expect_test::expect;

use super::*;

/// Some families of each kind with some series.
fn filled() -> Registry {
    let summary = summary_options();
    let histogram = histogram_options(1.1);
    let mut registry = Registry::new(LIMITS);
    for at in 0..50 {
        let value = format!("{at}");
        let labels = [("l", value.as_str())];
        for number in 0..4 {
            let shapes = [
                ("counter", Shape::Counter),
                ("gauge", Shape::Gauge),
                ("summary", Shape::Summary(&summary)),
                ("histogram", Shape::Histogram(&histogram)),
                ("set", Shape::Set),
            ];
            for (name, shape) in shapes {
                let name = format!("{name}_{number}");
                let id = registry.intern(&spec(&name, shape, &labels), 0).unwrap();
                registry.add(id, f64::from(at), 0);
                registry.set(id, f64::from(at) / 4.0, 0);
                registry.observe(id, f64::from(at), 2.0, 0);
                registry.insert(id, value.as_bytes(), 0);
            }
        }
    }
    registry
}

#[test]
fn one_series_of_each_kind() {
    let summary = summary_options();
    let histogram = histogram_options(0.0);
    let mut registry = Registry::new(LIMITS);
    let shapes = [
        ("z_total", Shape::Counter),
        ("gauge", Shape::Gauge),
        ("summary", Shape::Summary(&summary)),
        ("histogram", Shape::Histogram(&histogram)),
        ("set", Shape::Set),
    ];
    for (name, shape) in shapes {
        let id = registry.intern(&spec(name, shape, &[("b", "c")]), 0).unwrap();
        registry.add(id, 3.0, 0);
        registry.set(id, 2.0, 0);
        registry.shift(id, -4.5, 0);
        registry.observe(id, 0.75, 2.0, 0);
        registry.observe(id, 4.0, 1.0, 0);
        registry.insert(id, b"x", 0);
    }
    expect![[r#"
        # HELP gauge h
        # TYPE gauge gauge
        gauge{b="c"} -2.5
        # HELP histogram h
        # TYPE histogram histogram
        histogram_bucket{b="c",le="0.5"} 0
        histogram_bucket{b="c",le="1"} 2
        histogram_bucket{b="c",le="+Inf"} 3
        histogram_sum{b="c"} 5.5
        histogram_count{b="c"} 3
        # HELP set h
        # TYPE set gauge
        set{b="c"} 1
        # HELP summary h
        # TYPE summary summary
        summary{b="c",quantile="0.5"} 0.75
        summary{b="c",quantile="0.99"} 4
        summary_sum{b="c"} 5.5
        summary_count{b="c"} 3
        # HELP z_total h
        # TYPE z_total counter
        z_total{b="c"} 3
    "#]]
    .assert_eq(&text(&registry, 0));
}

#[test]
fn native_histograms_stand_beside_the_fixed_buckets() {
    let bytes = page(&filled(), Format::Protobuf, 1_000, 0);
    let families = read::page(Format::Protobuf, &bytes).unwrap();
    let family = families.iter().find(|family| family.name == "histogram_0").unwrap();
    assert_eq!(family.natives.len(), 50);
    let (labels, native) = &family.natives[8];
    assert_eq!(labels[..], [("l".to_owned(), "8".to_owned())]);
    assert_eq!((native.count, &native.positive[..]), (2.0, &[(24, 2.0)][..]));
}

#[test]
fn slices_are_the_whole_page() {
    let registry = filled();
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let whole = page(&registry, format, usize::MAX, 0);
        for slice in [0, 1, 2, 7, 49, 50, 51, 333] {
            assert!(page(&registry, format, slice, 0) == whole, "{format:?} in slices of {slice}");
        }
    }
}

#[test]
fn a_slice_is_bounded_by_what_it_costs() {
    let registry = filled();
    let mut cursor = Cursor::default();
    let mut page = Page::new(Format::Text);
    let mut slices = 1;
    while !registry.write(&mut page, &mut cursor, 100, 0) {
        slices += 1;
    }
    // 400 numbers at 1, 200 sets at 10, 200 summaries at 30, 200 histograms at 3: 90 times 100, and
    // each slice ends with something dear.
    assert!((75..=90).contains(&slices), "{slices}");
}

#[test]
fn a_page_stays_valid_when_series_come_and_go_between_slices() {
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        for slice in 1..8 {
            let mut registry = Registry::new(LIMITS);
            let mut page = Page::new(format);
            let mut cursor = Cursor::default();
            let mut now = 0;
            loop {
                // Names before, under and after the cursor; each second some go.
                for at in 0..6_u32 {
                    let name = ["a", "m", "m_total", "z"][((now + at) % 4) as usize];
                    let value = format!("{}", now * 7 % 11 + at);
                    let labels = [("l", value.as_str())];
                    let shape = if now % 9 < 5 { Shape::Counter } else { Shape::Gauge };
                    let ttl = Duration::from_secs(u64::from(at % 3));
                    let ttl = ttl.max(Duration::from_secs(1));
                    let _ = registry.intern(&Spec { ttl, ..spec(name, shape, &labels) }, now);
                }
                registry.sweep(now);
                now += 1;
                if registry.write(&mut page, &mut cursor, slice, now) || now == 200 {
                    break;
                }
            }
            let read = read::page(format, &page.finish());
            assert!(read.is_ok(), "{format:?} in slices of {slice}: {read:?}");
        }
    }
}
