use expect_test::expect;
use proptest::prelude::*;

use super::read::{page, round_trip};
use super::*;

const FORMATS: [Format; 3] = [Format::Text, Format::OpenMetrics, Format::Protobuf];

/// One family of each kind.
fn sample_page(format: Format) -> Page {
    let mut page = Page::new(format);
    let mut family = |name, help, kind, samples: &[(&str, Value<'_>)]| {
        page.begin(&Header { name, help, kind });
        for (labels, value) in samples {
            page.sample(labels, value);
        }
        page.end();
    };
    let empty = &[];
    family(
        "hits_total",
        "Says \"hi\",\n\\o/",
        Kind::Counter,
        &[("", Value::Number(1e6)), ("code=\"2\\\"\\\\\\n\"", Value::Number(0.5))],
    );
    family("jobs", "", Kind::Counter, &[("", Value::Number(3.0))]);
    family("nobody", "Without series.", Kind::Gauge, empty);
    family("temperature", "t", Kind::Gauge, &[("", Value::Number(f64::NAN))]);
    let quantiles = [(0.5, 2.0), (0.99, f64::NAN)];
    let summary = Value::Summary { quantiles: &quantiles, sum: 7.0, count: 2_000_000.0 };
    family("time", "s", Kind::Summary, &[("a=\"b\"", summary), ("", summary)]);
    let (bounds, counts) = ([0.1, 1.0], [1.0, 2.0, 0.5]);
    let histogram = Value::Histogram { bounds: &bounds, counts: &counts, sum: 4.25, native: None };
    family("size", "h", Kind::Histogram, &[("a=\"b\"", histogram), ("", histogram)]);
    family("what", "u", Kind::Untyped, &[("", Value::Number(-1.0))]);
    page
}

#[test]
fn text() {
    let written = sample_page(Format::Text).finish();
    expect![[r#"
        # HELP hits_total Says "hi",\n\\o/
        # TYPE hits_total counter
        hits_total 1e+06
        hits_total{code="2\"\\\n"} 0.5
        # TYPE jobs counter
        jobs 3
        # HELP temperature t
        # TYPE temperature gauge
        temperature NaN
        # HELP time s
        # TYPE time summary
        time{a="b",quantile="0.5"} 2
        time{a="b",quantile="0.99"} NaN
        time_sum{a="b"} 7
        time_count{a="b"} 2000000
        time{quantile="0.5"} 2
        time{quantile="0.99"} NaN
        time_sum 7
        time_count 2000000
        # HELP size h
        # TYPE size histogram
        size_bucket{a="b",le="0.1"} 1
        size_bucket{a="b",le="1"} 3
        size_bucket{a="b",le="+Inf"} 3.5
        size_sum{a="b"} 4.25
        size_count{a="b"} 3.5
        size_bucket{le="0.1"} 1
        size_bucket{le="1"} 3
        size_bucket{le="+Inf"} 3.5
        size_sum 4.25
        size_count 3.5
        # HELP what u
        # TYPE what untyped
        what -1
    "#]]
    .assert_eq(std::str::from_utf8(&written).unwrap());
}

#[test]
fn open_metrics() {
    let written = sample_page(Format::OpenMetrics).finish();
    expect![[r#"
        # HELP hits Says \"hi\",\n\\o/
        # TYPE hits counter
        hits_total 1e+06
        hits_total{code="2\"\\\n"} 0.5
        # TYPE jobs unknown
        jobs 3.0
        # HELP temperature t
        # TYPE temperature gauge
        temperature NaN
        # HELP time s
        # TYPE time summary
        time{a="b",quantile="0.5"} 2.0
        time{a="b",quantile="0.99"} NaN
        time_sum{a="b"} 7.0
        time_count{a="b"} 2000000
        time{quantile="0.5"} 2.0
        time{quantile="0.99"} NaN
        time_sum 7.0
        time_count 2000000
        # HELP size h
        # TYPE size histogram
        size_bucket{a="b",le="0.1"} 1
        size_bucket{a="b",le="1.0"} 3
        size_bucket{a="b",le="+Inf"} 3.5
        size_sum{a="b"} 4.25
        size_count{a="b"} 3.5
        size_bucket{le="0.1"} 1
        size_bucket{le="1.0"} 3
        size_bucket{le="+Inf"} 3.5
        size_sum 4.25
        size_count 3.5
        # HELP what u
        # TYPE what unknown
        what -1.0
        # EOF
    "#]]
    .assert_eq(std::str::from_utf8(&written).unwrap());
}

#[test]
fn protobuf_says_the_same_as_text() {
    let text = page(Format::Text, &sample_page(Format::Text).finish()).unwrap();
    let protobuf = page(Format::Protobuf, &sample_page(Format::Protobuf).finish()).unwrap();
    assert_eq!(protobuf, text);
}

#[test]
fn bytes_of_protobuf() {
    let mut page = Page::new(Format::Protobuf);
    page.begin(&Header { name: "g", help: "h", kind: Kind::Gauge });
    page.sample("a=\"b\"", &Value::Number(1.0));
    let metric = b"\x0a\x06\x0a\x01a\x12\x01b\x12\x09\x09\0\0\0\0\0\0\xf0\x3f";
    let expected = [b"\x1d\x0a\x01g\x12\x01h\x18\x01\x22\x13", &metric[..]].concat();
    assert_eq!(page.finish(), expected);
}

#[test]
fn native_histograms_are_in_protobuf_alone() {
    for (weight, suffix) in [(1.0, ""), (2.5, " with fractions")] {
        let mut native = NativeHistogram::new(1.1, 0).unwrap();
        for value in [0.0, 1.0, 1.05, 9.0, -3.0] {
            native.observe(value, weight);
        }
        let counts = [native.count()];
        for format in FORMATS {
            let mut written = Page::new(format);
            written.begin(&Header { name: "n", help: "", kind: Kind::Histogram });
            let native = Some(&native);
            let value = Value::Histogram { bounds: &[], counts: &counts, sum: 8.05, native };
            written.sample("a=\"b\"", &value);
            let families = page(format, &written.finish()).unwrap();
            let [family] = &families[..] else { panic!("{families:?}") };
            assert_eq!(family.samples.last().unwrap().value, 5.0 * weight, "{format:?}{suffix}");
            if format != Format::Protobuf {
                assert_eq!(family.natives, []);
                continue;
            }
            let (labels, native) = &family.natives[0];
            assert_eq!(labels[..], [("a".to_owned(), "b".to_owned())]);
            assert_eq!((native.schema, native.zero_count), (3, weight));
            assert_eq!(native.positive, [(0, weight), (1, weight), (26, weight)]);
            assert_eq!(native.negative, [(13, weight)]);
        }
    }
}

#[test]
fn a_family_whose_names_are_taken_is_left_out() {
    use Kind::{Counter, Gauge, Histogram, Summary};
    // Kinds and names in their order; what is on the page in text and in OpenMetrics.
    type Case<'a> = (&'a [(&'a str, Kind)], &'a [&'a str], &'a [&'a str]);
    let table: [Case<'_>; 10] = [
        (&[("a", Gauge), ("a", Gauge)], &["a"], &["a"]),
        (&[("a", Gauge), ("a", Counter)], &["a"], &["a"]),
        (&[("a", Gauge), ("a_total", Counter)], &["a", "a_total"], &["a", "a_total"]),
        (&[("a_total", Counter), ("a", Gauge)], &["a_total", "a"], &["a"]),
        (&[("a", Summary), ("a_sum", Gauge)], &["a"], &["a"]),
        (&[("a_sum", Gauge), ("a", Summary)], &["a_sum"], &["a_sum"]),
        (&[("a_bucket", Counter), ("a", Histogram)], &["a_bucket"], &["a_bucket"]),
        (&[("a_bucket", Counter), ("a", Summary)], &["a_bucket", "a"], &["a_bucket", "a"]),
        (&[("a", Summary), ("a_created", Gauge)], &["a", "a_created"], &["a"]),
        (&[("9", Gauge), ("", Gauge), ("_total", Counter)], &["_total"], &["_total"]),
    ];
    for (families, text, open_metrics) in table {
        for (format, expected) in FORMATS.into_iter().zip([text, open_metrics, text]) {
            let mut written = Page::new(format);
            for &(name, kind) in families {
                written.begin(&Header { name, help: "", kind });
                let value = match kind {
                    Summary => Value::Summary { quantiles: &[], sum: 0.0, count: 0.0 },
                    Histogram => {
                        Value::Histogram { bounds: &[], counts: &[0.0], sum: 0.0, native: None }
                    }
                    _ => Value::Number(1.0),
                };
                written.sample("", &value);
            }
            let left_out = written.left_out();
            let read = page(format, &written.finish()).unwrap();
            let names: Vec<&str> = read.iter().map(|family| family.name.as_str()).collect();
            assert_eq!(names, expected, "{families:?} in {format:?}");
            assert_eq!(left_out as usize, families.len() - expected.len());
        }
    }
}

#[test]
fn open_metrics_has_no_value_that_it_forbids() {
    let mut written = Page::new(Format::OpenMetrics);
    written.begin(&Header { name: "c_total", help: "", kind: Kind::Counter });
    written.sample("a=\"1\"", &Value::Number(f64::NAN));
    written.sample("a=\"2\"", &Value::Number(-1.0));
    written.sample("a=\"3\"", &Value::Number(2.0));
    written.begin(&Header { name: "h", help: "", kind: Kind::Histogram });
    let counts = [1.0, 2.0];
    written
        .sample("", &Value::Histogram { bounds: &[-1.0], counts: &counts, sum: 1.0, native: None });
    written.begin(&Header { name: "s", help: "", kind: Kind::Summary });
    let quantiles = [(0.5, -2.0), (0.9, 1.0), (1.5, 1.0)];
    written.sample("", &Value::Summary { quantiles: &quantiles, sum: -1.0, count: 2.0 });
    assert_eq!(written.left_out(), 2 + 2 + 3);
    expect![[r#"
        # TYPE c counter
        c_total{a="3"} 2.0
        # TYPE h histogram
        h_bucket{le="-1.0"} 1
        h_bucket{le="+Inf"} 3
        # TYPE s summary
        s{quantile="0.9"} 1.0
        s_count 2
        # EOF
    "#]]
    .assert_eq(std::str::from_utf8(&written.finish()).unwrap());
}

#[test]
fn what_does_not_fit_is_left_out() {
    for format in FORMATS {
        let mut written = Page::new(format);
        written.sample("", &Value::Number(1.0));
        written.begin(&Header { name: "a", help: "", kind: Kind::Summary });
        written.sample("", &Value::Number(1.0));
        written.begin(&Header { name: "h", help: "", kind: Kind::Histogram });
        let bounds = [1.0, 0.5, f64::NAN, 2.0, f64::INFINITY];
        let value = Value::Histogram { bounds: &bounds, counts: &[1.0; 6], sum: 1.0, native: None };
        written.sample("", &value);
        assert_eq!(written.left_out(), 2);
        let read = page(format, &written.finish()).unwrap();
        let samples = &read.last().unwrap().samples;
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [1.0, 4.0, 6.0, 1.0, 6.0]);
    }
}

#[test]
fn a_scraper_gets_what_it_prefers() {
    const PROTOBUF: &str = "application/vnd.google.protobuf;\
                            proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let table = [
        (String::new(), Format::Text),
        ("*/*".to_owned(), Format::Text),
        ("text/html, image/png".to_owned(), Format::Text),
        ("text/plain;version=0.0.4".to_owned(), Format::Text),
        ("text/plain;version=9, application/openmetrics-text".to_owned(), Format::OpenMetrics),
        // Prometheus without and with native histograms, and before OpenMetrics was done.
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
                .to_owned(),
            Format::OpenMetrics,
        ),
        (
            format!("{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.2"),
            Format::Protobuf,
        ),
        (
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5".to_owned(),
            Format::OpenMetrics,
        ),
        (format!("text/plain;q=0.7 , {PROTOBUF};q=0.7"), Format::Text),
        (format!("text/plain;q=0.7,{PROTOBUF};q=0.8"), Format::Protobuf),
        (format!("*/*;q=1,{PROTOBUF};q=0.1"), Format::Protobuf),
        (PROTOBUF.replace("delimited", "text"), Format::Text),
        (PROTOBUF.replace("MetricFamily", "Other"), Format::Text),
        ("application/openmetrics-text;version=\"1.0.0\"".to_owned(), Format::OpenMetrics),
        ("Application/OpenMetrics-Text; Version=1.0.0".to_owned(), Format::OpenMetrics),
        ("application/openmetrics-text;version=2.0.0".to_owned(), Format::Text),
        ("application/openmetrics-text;q=0".to_owned(), Format::Text),
        ("application/openmetrics-text;q=x,text/plain;q=0.9".to_owned(), Format::OpenMetrics),
        (";;=,;q=,".to_owned(), Format::Text),
    ];
    for (accept, format) in table {
        assert_eq!(Format::negotiate(&accept), format, "{accept}");
    }
}

#[test]
fn a_type_named_is_a_type_negotiated() {
    for format in FORMATS {
        assert_eq!(Format::negotiate(format.content_type()), format);
    }
}

#[test]
fn a_reader_refuses_what_a_format_forbids() {
    let table = [
        (Format::Text, "a 1\n"),
        (Format::Text, "# TYPE a gauge\na 1"),
        (Format::Text, "# TYPE a gauge\na 1\na 2\n"),
        (Format::Text, "# TYPE a gauge\n# TYPE a gauge\n"),
        (Format::Text, "# TYPE a gauge\nb 1\n"),
        (Format::Text, "# TYPE a summary\n# TYPE a_sum gauge\n"),
        (Format::Text, "# TYPE a gauge\na{b=\"c\",b=\"d\"} 1\n"),
        (Format::Text, "# TYPE a gauge\na{b=\"c} 1\n"),
        (Format::Text, "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n"),
        (Format::OpenMetrics, "# TYPE a gauge\na 1.0\n"),
        (Format::OpenMetrics, "# TYPE a counter\na 1.0\n# EOF\n"),
        (Format::OpenMetrics, "# TYPE a counter\na_total -1.0\n# EOF\n"),
        (Format::OpenMetrics, "# TYPE a untyped\na 1.0\n# EOF\n"),
        (Format::OpenMetrics, "# TYPE a summary\na{quantile=\"1\"} 1.0\n# EOF\n"),
        (Format::Protobuf, "\u{5}\n\u{1}"),
    ];
    for (format, text) in table {
        assert!(page(format, text.as_bytes()).is_err(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn pages_read_back_alike(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        round_trip(&bytes);
    }
}
