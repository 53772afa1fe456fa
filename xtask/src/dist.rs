//! `dist`: static binaries, one per image, in `dist/`.
//!
//! Linked against glibc: no further target to download, and names resolve in a scratch image (see
//! docs/decisions/0001-static-glibc-binaries.md).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, chosen_images, run as run_command};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Images to build; all when none is named.
    images: Vec<String>,
    /// `dist` is what is shipped and measured; `release` links in a fraction of the time.
    #[arg(long, default_value = "dist")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build(&chosen_images(&args.images)?, &args.profile)
}

/// Builds the images' binaries and copies them to `dist/`.
pub(crate) fn build(images: &[String], profile: &str) -> Result<()> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // For this target alone: build scripts and macros are built for the host as ever, and cannot
    // be static. The variables would override it.
    let flags = format!(
        r#"target.{target}.rustflags=["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]"#
    );
    let mut command = cargo(&["build", "--profile", profile, "--target", &target]);
    command.args(["--config", &flags]);
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    for image in images {
        command.args(["--package", image, "--bin", image]);
    }
    run_command(&mut command)?;

    let dist = e2e::root().join("dist");
    // Empty folders are what an image has instead of `mkdir`; version control keeps none.
    fs::create_dir_all(dist.join("empty")).context("make dist/empty/")?;
    for image in images {
        let built = target_folder().join(&target).join(profile).join(image);
        let bytes = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
        ensure!(is_static(&bytes), "{} asks for a dynamic linker", built.display());
        copy(&built, &dist.join(image))?;
        let megabytes = bytes.len() as f64 / 1e6;
        println!("dist/{image}: static, {megabytes:.1} MB ({profile})");
    }
    Ok(())
}

fn target_folder() -> std::path::PathBuf {
    let root = e2e::root();
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |it| root.join(it))
}

/// Copies by way of a rename, so that nobody sees half a binary or a busy one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let part = to.with_extension("part");
    fs::copy(from, &part).with_context(|| format!("copy {}", from.display()))?;
    fs::rename(&part, to).with_context(|| format!("write {}", to.display()))
}

/// Whether an ELF file of 64 bits, little-endian, names no program interpreter.
///
/// Only the program headers are read: System V ABI, chapters 4 and 5.
fn is_static(elf: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |offset: usize, size: usize| -> Option<usize> {
        let bytes = elf.get(offset..offset.checked_add(size)?)?;
        bytes
            .iter()
            .rev()
            .try_fold(0usize, |sum, &byte| sum.checked_mul(256).map(|sum| sum | usize::from(byte)))
    };
    let program_headers = || {
        let [start, size, count] = [number(32, 8)?, number(54, 2)?, number(56, 2)?];
        let kinds = (0..count).map(|i| number(start.checked_add(i.checked_mul(size)?)?, 4));
        kinds.collect::<Option<Vec<_>>>()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && program_headers().is_some_and(|kinds| {
            !kinds.is_empty() && kinds.iter().all(|&kind| kind != PT_INTERP as usize)
        })
}

#[cfg(test)]
mod tests;
