//! Any number of sidecars without applications: they campaign by themselves. For what needs more of
//! them than a recipe has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::compose::project;
use crate::docker::{docker, inspect};
use crate::http::Request;
use crate::observer::{Look, Observer};
use crate::{root, wait};

/// From the start of the containers to the last one being healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(120);
/// A look at a sidecar, which may be gone.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// Peer secret and bearer token, as in the recipe.
const SECRET: &str = "compose/leader-election/peer-secret";
/// Where it is in the containers.
const SECRET_INSIDE: &str = "/etc/leader-elector/peer-secret";

/// Running sidecars, removed when the value is dropped.
pub struct Fleet {
    /// Looks at all of them. First, so that it is dropped before the containers are.
    pub observer: Observer,
    containers: Arc<Containers>,
}

struct Containers {
    name: String,
    count: usize,
    bearer: String,
}

// === impl Fleet ===

impl Fleet {
    /// Starts `count` sidecars, of which the last `witnesses` have no application, and waits until
    /// all are healthy.
    ///
    /// # Errors
    /// The engine refuses, or they do not become healthy; what was started is removed.
    pub fn start(count: usize, witnesses: usize) -> Result<Self> {
        let bearer = std::fs::read_to_string(root().join(SECRET))?.trim().to_owned();
        let containers = Arc::new(Containers { name: project("fleet"), count, bearer });
        docker(&["network", "create", &containers.name])?;
        for member in 0..count {
            containers.run(member, member >= count - witnesses)?;
        }
        for member in 0..count {
            containers.wait_healthy(member)?;
        }
        let looked_at = Arc::clone(&containers);
        let look: Look = Arc::new(move |member| looked_at.leads(member));
        Ok(Self { observer: Observer::start(count, &look), containers })
    }

    /// Kills a sidecar.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn kill(&self, member: usize) -> Result<()> {
        docker(&["kill", &self.containers.container(member)]).map(drop)
    }

    /// Starts a sidecar that was killed, and waits until it is healthy.
    ///
    /// # Errors
    /// The engine refuses, or it does not become healthy.
    pub fn start_again(&self, member: usize) -> Result<()> {
        docker(&["start", &self.containers.container(member)])?;
        self.containers.wait_healthy(member)
    }

    /// Stops a sidecar as an orchestrator does, starts it again and waits until it is healthy.
    ///
    /// # Errors
    /// It does not end by itself, or does not become healthy.
    pub fn restart(&self, member: usize) -> Result<()> {
        let container = self.containers.container(member);
        docker(&["stop", &container])?;
        let code = inspect(&container, "{{.State.ExitCode}}")?;
        // After ten seconds the engine would have killed it, and the code would be 137.
        if code != "0" {
            bail!("{container} ended with {code} when told to stop");
        }
        self.start_again(member)
    }

    /// The end of all logs, for the message of a failure.
    #[must_use]
    pub fn logs(&self) -> String {
        (0..self.containers.count)
            .map(|member| {
                let name = self.containers.container(member);
                let mut log = std::process::Command::new("docker");
                let output = log.args(["logs", "--tail", "30", &name]).output();
                let output = output.map(|it| [it.stdout, it.stderr].concat()).unwrap_or_default();
                format!("--- {name}\n{}", String::from_utf8_lossy(&output))
            })
            .collect()
    }
}

// === impl Containers ===

impl Containers {
    fn container(&self, member: usize) -> String {
        format!("{}-{member}", self.name)
    }

    fn run(&self, member: usize, witness: bool) -> Result<()> {
        let container = self.container(member);
        let alias = format!("m-{member}");
        let state = format!("{container}:/var/lib/leader-elector");
        let secret = format!("{}:{SECRET_INSIDE}:ro", root().join(SECRET).display());
        let image = format!("leader-elector:{}", env!("CARGO_PKG_VERSION"));
        let peers: Vec<_> = (0..self.count).map(|it| format!("m-{it}=m-{it}:4041")).collect();
        let peers = peers.join(",");
        let mut arguments = vec!["run", "--detach", "--name", &container];
        arguments.extend(["--network", &self.name, "--network-alias", &alias, "--read-only"]);
        arguments.extend(["--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]);
        arguments.extend(["--pids-limit", "64", "--memory", "64m", "--health-interval", "2s"]);
        arguments.extend(["-v", &state, "-v", &secret, "-p", "127.0.0.1::4040", &image]);
        arguments.extend(["--id", &alias, "--election", "work", "--ttl", "3s"]);
        arguments.extend(["--peers", &peers, "--peer-secret-file", SECRET_INSIDE]);
        arguments.extend(["--http", "0.0.0.0:4040", "--http-token-file", SECRET_INSIDE]);
        arguments.extend(if witness { &["--witness"][..] } else { &["--mode", "auto"] });
        docker(&arguments).map(drop)
    }

    fn wait_healthy(&self, member: usize) -> Result<()> {
        let container = self.container(member);
        wait::until(&format!("{container} to be healthy"), HEALTHY_WITHIN, || {
            let state = inspect(&container, "{{.State.Status}} {{.State.Health.Status}}")?;
            if state.starts_with("exited") {
                bail!("{container} ended");
            }
            Ok(state.ends_with(" healthy").then_some(()))
        })
    }

    /// The token with which a sidecar leads, if it does.
    fn leads(&self, member: usize) -> Option<u64> {
        let lines = docker(&["port", &self.container(member), "4040"]).ok()?;
        let address: SocketAddr = lines.lines().next()?.parse().ok()?;
        let request = Request {
            path: "/v1/elections/work",
            bearer: Some(&self.bearer),
            timeout: LOOK_WITHIN,
            ..Request::default()
        };
        let answer = request.send(address).ok()?;
        let view: Value = serde_json::from_str(&answer.body).ok()?;
        view["is_leader"].as_bool()?.then(|| view["leader"]["token"].as_u64())?
    }
}

impl Drop for Containers {
    #[expect(clippy::print_stderr, reason = "what is left behind must be told")]
    fn drop(&mut self) {
        for member in 0..self.count {
            let container = self.container(member);
            // It may never have been started.
            let _ = docker(&["rm", "--force", "--volumes", &container]);
            let _ = docker(&["volume", "rm", "--force", &container]);
        }
        if let Err(error) = docker(&["network", "rm", &self.name]) {
            eprintln!("{} is left behind: {error:#}", self.name);
        }
    }
}
