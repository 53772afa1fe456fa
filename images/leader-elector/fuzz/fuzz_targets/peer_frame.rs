//! What one member sends to another: whatever is taken is written alike again.
#![no_main]

use leader_elector::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::peer_frame(input));
