//! What tests of several parts need: a real JVM, waiting for conditions.

pub(crate) mod adapter;
pub(crate) mod jvm;
pub(crate) mod server;
pub(crate) mod shapes;
pub(crate) mod stream;
pub(crate) mod transcript;

use std::time::{Duration, Instant};

/// Longest wait for anything in these tests; only a failing test waits that long.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Polls a condition; a test fails if it does not come to hold.
#[expect(clippy::disallowed_methods, reason = "polls a condition that has a deadline")]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WAIT_MAX, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether what is missing on the machine fails the test (`CI=true`), not only skips it.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where they run")]
pub(crate) fn strict() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// A port on 127.0.0.1 that the kernel just had free, for programs that cannot take 0.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
