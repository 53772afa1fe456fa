//! One running copy of a recipe, removed when the value is dropped.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::docker::{docker, inspect, output};
use crate::{main_containers, root, wait};

/// From `up` to every container healthy; a busy machine with two cores needs the half of it.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);

/// A compose project with a name of its own, so that any number of copies run side by side.
pub struct Compose {
    /// `docker compose` or `docker-compose`.
    program: &'static [&'static str],
    file: PathBuf,
    project: String,
    /// Variables of the recipe that are not at their defaults.
    settings: Vec<(&'static str, &'static str)>,
    /// Left up when the value is dropped.
    kept: AtomicBool,
}

/// The compose command of this machine: version 2 if it is there, else 1.29.
#[must_use]
pub fn program() -> Option<&'static [&'static str]> {
    const PROGRAMS: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    PROGRAMS
        .into_iter()
        .find(|words| output(Command::new(words[0]).args(&words[1..]).args(["version"])).is_ok())
}

/// A name for a copy of something. Random and not counted: two checkouts may share one engine.
#[must_use]
pub(crate) fn project(name: &str) -> String {
    let copy = RandomState::new().build_hasher().finish() & 0xff_ffff;
    format!("{name}-{copy:06x}")
}

// === impl Compose ===

impl Compose {
    /// Starts `compose/<recipe>.yml` and waits until every container is healthy.
    ///
    /// # Errors
    /// No compose command, or containers that do not become healthy; what was started is removed.
    pub fn start(recipe: &str) -> Result<Self> {
        Self::start_with(recipe, &[])
    }

    /// Starts a recipe with some of its variables set.
    ///
    /// # Errors
    /// Those of [`Compose::start`].
    pub fn start_with(recipe: &str, settings: &[(&'static str, &'static str)]) -> Result<Self> {
        let program = program().context("neither `docker compose` nor `docker-compose` works")?;
        let file = root().join("compose").join(format!("{recipe}.yml"));
        if !file.is_file() {
            bail!("no recipe {recipe}: {} is not there", file.display());
        }
        let project = project(recipe);
        let settings = settings.to_vec();
        let compose = Self { program, file, project, settings, kept: false.into() };
        if let Err(error) = compose.up() {
            let log = compose.logs();
            return Err(error.context(format!("{recipe} did not start; its log:\n{log}")));
        }
        Ok(compose)
    }

    /// The words before a compose subcommand, to be shown to a person.
    #[must_use]
    pub fn hint(&self) -> String {
        let file = self.file.strip_prefix(root()).unwrap_or(&self.file);
        format!("{} -p {} -f {}", self.program.join(" "), self.project, file.display())
    }

    /// Its name, which begins those of its networks and volumes.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The id of a service's container, running or not.
    ///
    /// # Errors
    /// The service has no container.
    pub fn container(&self, service: &str) -> Result<String> {
        let [project, service] = [
            format!("label=com.docker.compose.project={}", self.project),
            format!("label=com.docker.compose.service={service}"),
        ];
        let ids = docker(&["ps", "-aq", "--no-trunc", "--filter", &project, "--filter", &service])?;
        if ids.lines().count() != 1 {
            bail!("{service} of {project} has not one container but: {ids:?}");
        }
        Ok(ids)
    }

    /// The host's address of a published port.
    ///
    /// # Errors
    /// The port is not published.
    pub fn address(&self, service: &str, port: u16) -> Result<SocketAddr> {
        let lines = docker(&["port", &self.container(service)?, &port.to_string()])?;
        let first = lines.lines().next().unwrap_or_default();
        first.parse().with_context(|| format!("{service} port {port} is at {first:?}"))
    }

    /// Waits until every container of the project is healthy, and says which are not otherwise.
    ///
    /// # Errors
    /// A container ended, or time ran out.
    pub fn wait_healthy(&self) -> Result<()> {
        let mut seen = String::new();
        wait::until("healthy containers", HEALTHY_WITHIN, || {
            seen = self.states()?;
            if let Some(ended) = seen.lines().find(|line| line.contains(" exited ")) {
                bail!("a container ended: {ended}");
            }
            Ok(seen.lines().all(|line| line.ends_with(" healthy")).then_some(()))
        })
        .with_context(|| format!("the containers are:\n{seen}"))
    }

    /// The logs of all containers.
    #[must_use]
    pub fn logs(&self) -> String {
        let log = self.run(&["logs", "--no-color", "--tail", "200"]);
        log.unwrap_or_else(|error| format!("no logs: {error:#}"))
    }

    /// Lets the containers run on after the value is dropped.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    fn up(&self) -> Result<()> {
        self.run(&["up", "--detach", "--no-build"])?;
        self.wait_healthy()
    }

    /// A line per container: name, state, health.
    fn states(&self) -> Result<String> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let ids = docker(&["ps", "-aq", "--filter", &project])?;
        let lines: Result<Vec<_>> = ids
            .lines()
            .map(|id| {
                const STATE: &str = "{{.Name}} {{.State.Status}} \
                    {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}";
                inspect(id, STATE)
            })
            .collect();
        Ok(lines?.join("\n"))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.program[0]);
        command
            .args(&self.program[1..])
            .args(["-p", &self.project, "-f"])
            .arg(&self.file)
            .args(arguments)
            .envs(main_containers::variables())
            .envs(self.settings.iter().copied());
        output(&mut command)
    }
}

impl Drop for Compose {
    #[expect(clippy::print_stderr, reason = "a failed test needs the logs it is about to lose")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs of {}:\n{}", self.project, self.logs());
        }
        if self.kept.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.run(&["down", "--volumes", "--remove-orphans", "--timeout", "3"]) {
            eprintln!("{} is left behind: {error:#}", self.project);
        }
    }
}
