//! What a member says of itself when a connection opens.
#![no_main]

use leader_elector::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::hello(input));
