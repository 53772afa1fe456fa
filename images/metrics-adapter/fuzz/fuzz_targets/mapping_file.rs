//! A mapping file, and a name on its first line that is looked up in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_adapter::mapping::{Mapping, MetricType};

fuzz_target!(|input: &str| {
    let (name, file) = input.split_once('\n').unwrap_or(("a.b", input));
    let Ok(mapping) = Mapping::parse(file) else { return };
    for metric_type in [MetricType::Counter, MetricType::Gauge, MetricType::Observer] {
        if let Some(found) = mapping.find(name, metric_type) {
            assert!(found.rule.metric_type.is_none_or(|wanted| wanted == metric_type));
        }
    }
    assert!(mapping.warnings().iter().all(|warning| warning.line > 0));
});
