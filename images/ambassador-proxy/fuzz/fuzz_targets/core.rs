//! The routing core: the input makes the choices of the simulation (which event comes next, how
//! streams are cut, what fails), in place of a seed.
#![no_main]

use ambassador_proxy::routing::simulation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    simulation::run_bytes(input);
});
