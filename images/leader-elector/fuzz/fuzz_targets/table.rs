//! A table of elections in a snapshot.
#![no_main]

use leader_elector::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzzing::table(input));
