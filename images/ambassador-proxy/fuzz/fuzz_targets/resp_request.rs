//! RESP requests: the first byte of the input says where the rest is cut.
#![no_main]

use ambassador_proxy::protocol::differential;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    differential::resp_request(bytes, &[usize::from(cut)]);
});
