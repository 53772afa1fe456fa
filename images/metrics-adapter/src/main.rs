//! The binary; everything is in the library.

use std::process::ExitCode;

// The system's allocator, unlike elsewhere: what allocates here is rare (a new series, a scrape),
// and mimalloc kept 5 MB more of 10,000 series (docs/decisions/0013-system-allocator.md).

fn main() -> ExitCode {
    metrics_adapter::app::main()
}
