//! `docs`: the tables of the images' READMEs come from the code.
//!
//! Each binary has a hidden subcommand `docs FILE [--check]` that rewrites what stands between
//! `<!-- generated:NAME -->` and `<!-- /generated -->`, or fails when that is stale.

use anyhow::{Result, ensure};

use crate::process::{all_images, cargo, run as run_command};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail when a table is stale or a doc comment is broken.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for image in all_images()? {
        let readme = format!("images/{image}/README.md");
        ensure!(e2e::root().join(&readme).is_file(), "{readme} is missing");
        let mut docs = cargo(&["run", "--quiet", "--package", &image, "--", "docs", &readme]);
        if args.check {
            docs.arg("--check");
        }
        run_command(&mut docs)?;
    }
    if args.check {
        let mut rustdoc = cargo(&["doc", "--quiet", "--no-deps", "--workspace"]);
        run_command(rustdoc.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}
