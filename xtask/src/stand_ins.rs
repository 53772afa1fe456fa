//! Main containers for the recipes: the public images where a registry can be reached, else
//! stand-ins built from Debian packages.
//!
//! All stand-ins are one root file system under several names: recipes spell their commands out, so
//! that an image needs no entry point, and one file system is the smallest and quickest to make.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::docker::{docker, has_image};
use e2e::main_containers::{ALL, MainContainer, SUITE, edition};

use crate::process::{command, shown};
use crate::setup;

/// Longest wait for a registry to begin an answer; the download itself takes what it takes.
const REGISTRY_WITHIN: Duration = Duration::from_secs(8);

/// Sees to it that every main container has an image that the recipes will find.
pub(crate) fn provide() -> Result<()> {
    let missing: Vec<&MainContainer> =
        ALL.iter().filter(|it| !has_image(it.public) && !has_image(&it.stand_in())).collect();
    let Some((first, others)) = missing.split_first() else {
        println!("main containers: all there");
        return Ok(());
    };
    // A registry that does not give the first is not asked for the others.
    if pull(first.public)? && others.iter().all(|it| pull(it.public).unwrap_or(false)) {
        return Ok(());
    }
    println!("main containers: no registry gives them, building stand-ins from Debian packages");
    build()
}

/// Pulls an image; false when the registry refuses, cannot be reached or keeps silent.
fn pull(image: &str) -> Result<bool> {
    println!("$ docker pull {image}");
    let mut child = command("docker", &["pull", image])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start docker pull")?;
    let stdout = child.stdout.take().expect("piped above");
    let (began, begins) = mpsc::channel();
    let reader = thread::spawn(move || {
        for _ in BufReader::new(stdout).lines() {
            // Nobody listens after the first line.
            let _ = began.send(());
        }
    });
    // No line: it ended at once, or it waits for a network that swallows its packets.
    let answers = begins.recv_timeout(REGISTRY_WITHIN).is_ok();
    if !answers {
        stop(&mut child);
    }
    let status = child.wait().context("wait for docker pull")?;
    ensure!(reader.join().is_ok(), "reading docker pull panicked");
    Ok(answers && status.success())
}

fn stop(child: &mut Child) {
    // It may have ended by itself, which is as good.
    let _ = child.kill();
}

fn build() -> Result<()> {
    let base = format!("stand-in/root:{}", edition());
    if !has_image(&base) {
        setup::for_stand_ins()?;
        import(&base)?;
    }
    for container in &ALL {
        docker(&["tag", &base, &container.stand_in()])?;
        println!("main containers: {} stands in for {}", container.stand_in(), container.public);
    }
    Ok(())
}

/// Makes the root file system and hands it to the engine without a file in between.
fn import(name: &str) -> Result<()> {
    let packages: Vec<&str> = ALL.iter().flat_map(|it| it.packages).copied().collect();
    let include = format!("--include={}", packages.join(","));
    let mut make = command("mmdebstrap", &["--quiet", "--variant=essential", &include]);
    for (kind, value) in [
        ("aptopt", "APT::Install-Recommends \"false\""),
        ("dpkgopt", "path-exclude=/usr/share/doc/*"),
        ("dpkgopt", "path-exclude=/usr/share/locale/*"),
        ("dpkgopt", "path-exclude=/usr/share/man/*"),
        // For making run-time images of Java; a fifth of all bytes.
        ("dpkgopt", "path-exclude=/usr/lib/jvm/*/jmods/*"),
        // Java's packages link their manuals there, and fail where there is no such folder.
        ("essential-hook", r#"mkdir -p "$1/usr/share/man/man1""#),
    ] {
        make.arg(format!("--{kind}={value}"));
    }
    make.args([SUITE, "-"]).stdout(Stdio::piped());
    println!("$ {} | docker import - {name}", shown(&make));
    let mut make = make.spawn().context("start mmdebstrap")?;
    let tar = make.stdout.take().expect("piped above");
    let imported = Command::new("docker").args(["import", "-", name]).stdin(tar).status();
    let made = make.wait().context("wait for mmdebstrap")?;
    let imported = imported.context("start docker import")?;
    if !made.success() {
        // The engine takes a cut-off archive for a whole one; the name must not survive.
        let _ = docker(&["image", "rm", name]);
    }
    ensure!(made.success() && imported.success(), "mmdebstrap: {made}; docker import: {imported}");
    Ok(())
}
