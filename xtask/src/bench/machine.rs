//! What the run takes place on, and who gets which core.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores by role. The program under test has its own, so that nothing else slows it and its CPU
/// time can be put beside the wall clock; servers and load generator share the others.
pub(crate) struct Layout {
    /// The program under test.
    pub(crate) tested: Vec<usize>,
    /// Servers behind it and the load generator.
    pub(crate) rest: Vec<usize>,
    /// All of them.
    pub(crate) all: Vec<usize>,
}

// === impl Layout ===

impl Layout {
    /// First core against the others.
    pub(crate) fn new() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("read the CPU affinity")?;
        let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        match all.split_first() {
            Some((first, rest)) if !rest.is_empty() => {
                Ok(Self { tested: vec![*first], rest: rest.to_vec(), all: all.clone() })
            }
            _ => bail!("two cores are needed: one under test and one for the load"),
        }
    }

    /// Cores for a test of two threads: `(tested, rest)`. Below four cores there is no room beside
    /// two busy threads, so all share all, and what is seen is bound by that.
    pub(crate) fn for_two(&self) -> (&[usize], &[usize]) {
        if self.all.len() >= 4 { self.all.split_at(2) } else { (&self.all, &self.all) }
    }

    /// The assignment in words.
    pub(crate) fn describe(&self) -> String {
        format!(
            "proxy under test on core {}, servers and load generator on {}",
            list(&self.tested),
            list(&self.rest)
        )
    }
}

/// Cores as `taskset -c` reads them.
pub(crate) fn list(cores: &[usize]) -> String {
    let names: Vec<String> = cores.iter().map(usize::to_string).collect();
    names.join(",")
}

/// Binds this thread, and those it starts later, to some cores.
pub(crate) fn stay_on(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    sched_setaffinity(None, &set).context("set the CPU affinity")
}

/// Raises the limit of open files for this process and its children as far as allowed, at most to
/// `wanted`, and returns what it is.
pub(crate) fn raise_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current.unwrap_or(u64::MAX);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    // Only root may raise the hard limit; the second attempt is for everyone else.
    for (current, maximum) in [(wanted, wanted.max(hard)), (wanted.min(hard), hard)] {
        let raised = Rlimit { current: Some(current), maximum: Some(maximum) };
        if now < current && setrlimit(Resource::Nofile, raised).is_ok() {
            return current;
        }
    }
    now
}

/// Lets time pass where time itself is what the measurement needs: to settle, or to stall.
#[expect(clippy::disallowed_methods, reason = "there is no condition to wait for")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Lines about the machine, for the head of the results.
pub(crate) fn describe() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = processor.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value)
    };
    let cores = processor.lines().filter(|line| line.starts_with("processor")).count();
    let virtual_machine = processor.contains(" hypervisor ");
    let memory = read("/proc/meminfo");
    let kilobytes = memory.split_whitespace().nth(1).and_then(|value| value.parse::<u64>().ok());
    vec![
        format!(
            "CPU: {} (family {}, model {}), {cores} cores{}",
            field("model name"),
            field("cpu family"),
            field("model\t"),
            if virtual_machine { ", virtual" } else { "" }
        ),
        format!(
            "Memory: {} GiB; kernel {} {}",
            kilobytes.unwrap_or(0).div_ceil(1 << 20),
            std::env::consts::OS,
            read("/proc/sys/kernel/osrelease").trim()
        ),
    ]
}

/// The first line a program says about its version, which some say on stderr.
pub(crate) fn version_of(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "version unknown".to_owned();
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().unwrap_or("version unknown").trim().to_owned()
}

/// A program in the folders where Debian puts it: `nutcracker` is in one that only root's search
/// path has.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let folders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
    folders
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .with_context(|| format!("{program} is not installed; run: cargo xtask setup"))
}
