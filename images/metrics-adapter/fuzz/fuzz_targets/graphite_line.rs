//! One Graphite line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_adapter::graphite;

fuzz_target!(|input: &[u8]| {
    if let Ok(Some(sample)) = graphite::parse(input) {
        assert!(!sample.name.is_empty() && !sample.value.is_nan());
        assert!(sample.tags.len() + sample.bad_tags < input.len());
        let _ = graphite::escape_path(sample.name);
    }
});
