//! What the image does, seen from outside, beside the real nutcracker where that is the measure.

#![expect(clippy::print_stdout, reason = "seeds are shown with the failure of a test")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod beside;
mod cli;
mod clients;
mod config;
mod fault;
mod health;
mod limits;
mod placement;
mod reload;
mod shutdown;
mod support;
