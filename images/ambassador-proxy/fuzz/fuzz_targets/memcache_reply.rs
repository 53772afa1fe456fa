//! memcached replies: the first byte of the input says where the rest is cut and of what kind the
//! replies are.
#![no_main]

use ambassador_proxy::protocol::differential;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    let kind = differential::KINDS[usize::from(cut) % differential::KINDS.len()];
    differential::memcache_reply(bytes, &[usize::from(cut / 4)], kind);
});
