//! `setup`: installs what is missing. Looks before it installs, so that a second run is instant and
//! needs no network.

mod policy;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::{compose, docker, wait};

use self::policy::Policy;
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

const PEERS: [Need; 8] = [
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
    Need {
        package: "openjdk-17-jdk-headless",
        purpose: "a JVM to read beans of, and a compiler for what runs in it",
        present: || on_path("java") && on_path("javac"),
    },
    Need { package: "python3", purpose: "clients in Python", present: || on_path("python3") },
    Need {
        package: "python3-venv",
        purpose: "environments for clients in Python",
        present: || succeeds("python3", &["-c", "import ensurepip, venv"]),
    },
];

/// Of these only the programs are wanted. Debian's packages also start them as services, which would
/// take the well-known ports of whoever installs them for a test.
const PROGRAMS: [Need; 2] = [
    Need {
        package: "prometheus",
        purpose: "promtool, and a real Prometheus to scrape metrics-adapter",
        present: || on_path("prometheus") && on_path("promtool"),
    },
    Need {
        package: "collectd-core",
        purpose: "the peer of metrics-adapter for statsd",
        present: || on_path("collectd"),
    },
];

/// Installs everything that any command needs.
pub(crate) fn run() -> Result<()> {
    install(&[&COMPILER, &CONTAINERS, &STAND_INS, &PEERS])?;
    install_programs()?;
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
    install_programs()?;
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
    install_with(needs, &[])
}

/// Installs programs whose packages bring services: none is started, now or with the machine.
fn install_programs() -> Result<()> {
    let services: Vec<&str> = PROGRAMS
        .iter()
        .filter(|need| !(need.present)())
        // Its name is that of the package without what tells the package from another.
        .map(|need| need.package.trim_end_matches("-core"))
        .collect();
    let installs = !services.is_empty() && is_root() && is_debian();
    let policy = if installs { Policy::deny(&services)? } else { None };
    // What they recommend are further services.
    let installed = install_with(&[&PROGRAMS], &["--no-install-recommends"]);
    drop(policy);
    installed?;
    for service in services {
        if !succeeds("update-rc.d", &[service, "disable"]) {
            println!("setup: {service} may start with the machine");
        }
    }
    Ok(())
}

fn install_with(needs: &[&[Need]], options: &[&str]) -> Result<()> {
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
    if !is_debian() {
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
    arguments.extend(options);
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

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
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
