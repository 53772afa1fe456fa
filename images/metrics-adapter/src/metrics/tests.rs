use std::collections::BTreeSet;

use super::*;

#[test]
fn names_are_good_and_differ() {
    let (ours, theirs) = all();
    let mut names = BTreeSet::new();
    for metric in ours.iter().chain(&theirs) {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        let opts = || Opts::new(metric.name, metric.help);
        let good = match metric.kind {
            "counter" => CounterVec::new(opts(), metric.labels).is_ok(),
            _ => GaugeVec::new(opts(), metric.labels).is_ok(),
        };
        assert!(good, "{} cannot be made", metric.name);
        // One of theirs is a gauge with the name of a counter.
        let total = metric.name.ends_with("_total");
        let odd = metric.name == "statsd_exporter_metrics_total";
        assert!(odd || total == (metric.kind == "counter"), "{}", metric.name);
    }
}
