//! A JVM with beans, and the JDK's own client doing the reads of a scrape. Both are the sources that
//! the image's tests use; they are compiled for the run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Bench, IMAGE};
use crate::bench::child::Child;
use crate::bench::machine::{find, list};
use crate::bench::root;
use crate::bench::until;

/// From the start of the JVM to all beans.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The compiled classes.
pub(super) struct Classes(PathBuf);

/// A JVM with generated beans of 8 attributes each.
pub(super) struct Beans {
    child: Child,
    /// Where its registry is.
    pub(super) port: u16,
}

/// One round of the JDK's client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Names, and values of each bean; what each has, unless that is remembered.
    pub(super) ms: f64,
    /// From the start of its JVM to the end of the round.
    pub(super) since_start_ms: f64,
    pub(super) cpu_ms: f64,
    pub(super) resident: u64,
    pub(super) attributes: u64,
}

// === impl Classes ===

impl Classes {
    /// Compiles them.
    pub(super) fn compile(bench: &Bench) -> Result<Self> {
        let folder = bench.folder().join("classes");
        let sources = root().join("images").join(IMAGE).join("tests/java");
        let mut javac = Command::new(find("javac")?);
        javac.arg("-nowarn").arg("-d").arg(&folder);
        javac.args(["Beans.java", "Client.java"].map(|name| sources.join(name)));
        let output = javac.output().context("start javac")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "javac: {said}");
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    /// Starts a JVM with beans and waits until they are there.
    pub(super) fn beans(&self, bench: &Bench, count: usize) -> Result<Beans> {
        let text = format!("-cp {} Beans --port 0 --beans {count}", self.path().display());
        let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let (java, rest) = (find("java")?, &bench.layout.rest);
        let mut child = Child::start_with_input("beans", &java, &arguments, rest, bench.folder())?;
        let port = until("a JVM with beans", READY_WITHIN, || {
            child.ensure_running()?;
            let log = child.log()?;
            let port = log.lines().find_map(|line| line.strip_prefix("ready "));
            Ok(port.and_then(|it| it.parse().ok()))
        })?;
        Ok(Beans { child, port })
    }

    /// Runs the JDK's client for some rounds, on the cores of the program under test.
    pub(super) fn client(
        &self,
        bench: &Bench,
        beans: &Beans,
        rounds: usize,
        remembers: bool,
    ) -> Result<Vec<Round>> {
        let mut client = Command::new("setpriv");
        client
            .args(["--pdeathsig", "KILL", "taskset", "-c", &list(&bench.layout.tested)])
            .arg(find("java")?)
            .arg("-cp")
            .arg(self.path())
            .args(["Client", &format!("127.0.0.1:{}", beans.port)])
            .args(["--rounds", &rounds.to_string()])
            .args(remembers.then_some("--cache-infos"))
            .stdin(Stdio::null());
        let output = client.output().context("start the JDK's client")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the JDK's client: {said}");
        let text = String::from_utf8(output.stdout).context("read the JDK's client")?;
        let rounds: Option<Vec<Round>> = text.lines().map(round).collect();
        rounds.with_context(|| format!("the JDK's client said: {text}"))
    }
}

// === impl Beans ===

impl Beans {
    /// Fails when the JVM has ended.
    pub(super) fn ensure_running(&mut self) -> Result<()> {
        self.child.ensure_running()
    }
}

fn round(line: &str) -> Option<Round> {
    let round: Value = serde_json::from_str(line).ok()?;
    Some(Round {
        ms: round["ms"].as_f64()?,
        since_start_ms: round["since_start_ms"].as_f64()?,
        cpu_ms: round["cpu_ms"].as_f64()?,
        resident: round["rss_kib"].as_u64()? * 1024,
        attributes: round["attributes"].as_u64()?,
    })
}
