//! What was asked for: [`args::Args`] as typed become a [`Config`] that cannot be wrong.

pub mod args;

pub use args::Args;
