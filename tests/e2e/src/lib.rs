//! The end-to-end ring: what it takes to start a recipe of `compose/`, use it, break it and remove
//! it again.
//!
//! The tests are in `tests/it/`; `cargo xtask demo` tells its story with the same modules. Nothing
//! here builds an image: `cargo xtask images` does, and `cargo xtask test` calls it first.

pub mod compose;
pub mod docker;
pub mod fleet;
pub mod http;
pub mod leader_election;
pub mod main_containers;
pub mod metrics;
pub mod observer;
pub mod sharded_cache;
pub mod wait;

use std::path::{Path, PathBuf};

/// The root folder of the workspace, as it was when this crate was compiled.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the crate is two folders below the root")
        .to_path_buf()
}
