//! A page from any bytes, read back: what was written is what is read, in all three formats.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| metrics_adapter::exposition::read::round_trip(input));
