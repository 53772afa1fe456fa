//! `setup`: installs what is missing. Looks before it installs, so that a second run is instant and
//! needs no network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::{compose, docker, wait};

use crate::process::{cargo, command, run as run_command, succeeds};

/// The version that the checks were written for; another may know other licences.
const CARGO_DENY: &str = "cargo-deny@0.20.2";
/// From starting the engine to its first answer.
const ENGINE_WITHIN: Duration = Duration::from_secs(30);

/// Something that must be on the machine.
struct Need {
    /// Debian package.
    package: &'static str,
    /// What it is for, told when it is missing.
    purpose: &'static str,
    present: fn() -> bool,
}

const COMPILER: [Need; 1] = [Need {
    package: "build-essential",
    purpose: "a C compiler, for the memory allocator",
    present: || on_path("cc") && on_path("make"),
}];

const CONTAINERS: [Need; 2] = [
    Need {
        package: "docker.io",
        purpose: "Docker engine and client",
        present: || on_path("docker"),
    },
    Need {
        package: "docker-compose",
        purpose: "compose, 1.29 or 2",
        present: || compose::program().is_some(),
    },
];

const STAND_INS: [Need; 1] = [Need {
    package: "mmdebstrap",
    purpose: "stand-ins for images that no registry gives",
    present: || on_path("mmdebstrap"),
}];

const PEERS: [Need; 7] = [
    Need {
        package: "redis-server",
        purpose: "a real Redis behind the images",
        present: || on_path("redis-server"),
    },
    Need {
        package: "memcached",
        purpose: "a real memcached behind the images",
        present: || on_path("memcached"),
    },
    Need {
        package: "nutcracker",
        purpose: "the peer of ambassador-proxy",
        present: || on_path("nutcracker"),
    },
    Need {
        package: "etcd-server",
        purpose: "the peer of leader-elector, and one of its backends",
        present: || on_path("etcd"),
    },
    Need {
        package: "libmemcached-tools",
        purpose: "memccapable, a client that tests servers",
        present: || on_path("memccapable"),
    },
    Need { package: "python3", purpose: "clients in Python", present: || on_path("python3") },
    Need {
        package: "python3-venv",
        purpose: "environments for clients in Python",
        present: || succeeds("python3", &["-c", "import ensurepip, venv"]),
    },
];

/// Installs everything that any command needs.
pub(crate) fn run() -> Result<()> {
    install(&[&COMPILER, &CONTAINERS, &STAND_INS, &PEERS])?;
    start_engine();
    // Cargo finds its subcommands in its own folder too, which need not be on the path.
    if succeeds(env!("CARGO"), &["deny", "--version"]) {
        println!("setup: found cargo-deny");
        return Ok(());
    }
    println!("setup: cargo-deny is missing (licences, duplicates, sources)");
    run_command(&mut cargo(&["install", "--locked", CARGO_DENY]))
}

/// Installs what the tests need.
pub(crate) fn for_tests() -> Result<()> {
    install(&[&COMPILER, &CONTAINERS, &PEERS])?;
    start_engine();
    Ok(())
}

/// Installs what building and starting containers needs.
pub(crate) fn for_containers() -> Result<()> {
    install(&[&COMPILER, &CONTAINERS])?;
    start_engine();
    Ok(())
}

/// Installs what building stand-ins for the main containers needs; they are Debian's packages, so a
/// machine that reaches a registry is not asked for it.
pub(crate) fn for_stand_ins() -> Result<()> {
    install(&[&STAND_INS])
}

fn install(needs: &[&[Need]]) -> Result<()> {
    let (present, missing): (Vec<&Need>, Vec<&Need>) =
        needs.iter().copied().flatten().partition(|need| (need.present)());
    let names = |needs: &[&Need]| needs.iter().map(|it| it.package).collect::<Vec<_>>().join(" ");
    if !present.is_empty() {
        println!("setup: found {}", names(&present));
    }
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("setup: {} is missing ({})", need.package, need.purpose);
    }
    let packages = names(&missing);
    if !Path::new("/etc/debian_version").exists() {
        bail!("this is not Debian: install the counterparts of these packages: {packages}");
    }
    if !is_root() {
        bail!("run as root: apt-get update && apt-get install {packages}");
    }
    let apt = |arguments: &[&str]| {
        let mut apt = command("apt-get", arguments);
        run_command(apt.env("DEBIAN_FRONTEND", "noninteractive").env("NEEDRESTART_SUSPEND", "1"))
    };
    apt(&["-q", "update"])?;
    let mut arguments = vec!["-q", "install", "--yes"];
    arguments.extend(missing.iter().map(|need| need.package));
    apt(&arguments)?;
    match missing.iter().find(|need| !(need.present)()) {
        Some(need) => bail!("{} was installed and still does not work", need.package),
        None => Ok(()),
    }
}

/// Starts the engine where nobody did, as on a machine without systemd. Whether it answers then is
/// for the caller to ask: not every command needs it.
fn start_engine() {
    if docker::engine_answers() || !is_root() || !on_path("docker") {
        return;
    }
    println!("setup: no Docker engine answers, starting one");
    let started = run_command(&mut command("service", &["docker", "start"])).and_then(|()| {
        let answers = || Ok(docker::engine_answers().then_some(()));
        wait::until("the Docker engine", ENGINE_WITHIN, answers)
    });
    if let Err(error) = started.context("start the Docker engine") {
        println!("setup: {error:#}");
    }
}

fn is_root() -> bool {
    let id = command("id", &["-u"]).output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether a program is in a folder of `PATH`, or where Debian keeps daemons.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).is_file())
}
