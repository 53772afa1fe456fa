//! `bench`: an image beside its peer, in one run.

use anyhow::{Result, bail};

use crate::process::chosen_images;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Image to measure; all when none is named.
    image: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let asked: Vec<String> = args.image.iter().cloned().collect();
    bail!("no benchmark for {} yet", chosen_images(&asked)?.join(", "))
}
