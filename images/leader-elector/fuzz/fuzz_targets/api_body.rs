//! Bodies of the API: the input is read as that of every call.
#![no_main]

use leader_elector::api;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    api::parse_any(input);
});
