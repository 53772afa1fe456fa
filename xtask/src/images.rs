//! `images`: a Docker image per binary, and stand-ins for the main containers of the recipes.

use anyhow::{Result, ensure};
use e2e::docker;

use crate::process::{chosen_images, command, run_quietly};
use crate::{dist, stand_ins};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Images to build; all when none is named.
    images: Vec<String>,
    /// See `dist`.
    #[arg(long, default_value = "dist")]
    profile: String,
    /// Provide the recipes' main containers instead: pulled, or else built from Debian packages.
    #[arg(long)]
    main_containers: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(docker::engine_answers(), "no Docker engine answers");
    if args.main_containers {
        stand_ins::provide()?;
        for (variable, image) in e2e::main_containers::variables() {
            println!("export {variable}={image}");
        }
        return Ok(());
    }
    build(&chosen_images(&args.images)?, &args.profile)
}

/// Builds binaries and images; an image is tagged with the workspace's version.
pub(crate) fn build(images: &[String], profile: &str) -> Result<()> {
    dist::build(images, profile)?;
    let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
    let revision = format!("REVISION={}", revision());
    for image in images {
        let tag = format!("{image}:{}", env!("CARGO_PKG_VERSION"));
        let file = format!("Dockerfile.{image}");
        let mut build = command("docker", &["build", "--quiet", "-f", &file, "-t", &tag]);
        build.args(["--build-arg", &version, "--build-arg", &revision, "."]);
        // The builder that every engine has; it says on every run that it is an old one.
        run_quietly(build.env("DOCKER_BUILDKIT", "0"))?;
        let size = docker::docker(&["image", "inspect", "--format", "{{.Size}}", &tag])?;
        println!("{tag}: {:.1} MB", size.parse::<f64>()? / 1e6);
    }
    Ok(())
}

/// The commit of the sources, for the image's label.
fn revision() -> String {
    let output = command("git", &["rev-parse", "HEAD"]).output();
    let text = output.ok().filter(|it| it.status.success()).map(|it| it.stdout);
    text.and_then(|it| String::from_utf8(it).ok())
        .map_or_else(|| "unknown".to_owned(), |it| it.trim().to_owned())
}
