//! CPU time and memory of a process, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time, user and system together, of all threads a process has now. From `schedstat`, which
/// counts nanoseconds; `stat` counts hundredths of a second.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let folder = format!("/proc/{pid}/task");
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(&folder).with_context(|| format!("read {folder}"))? {
        let path = thread?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        total += run_time(&text).with_context(|| format!("read {}", path.display()))?;
    }
    Ok(total)
}

/// CPU time of the thread that asks.
pub(crate) fn cpu_of_this_thread() -> Result<Duration> {
    cpu_of_thread("thread-self")
}

/// CPU time of a thread of this process, given as its number or as `thread-self`.
pub(crate) fn cpu_of_thread(thread: &str) -> Result<Duration> {
    let path = match thread {
        "thread-self" => "/proc/thread-self/schedstat".to_owned(),
        number => format!("/proc/self/task/{number}/schedstat"),
    };
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    run_time(&text).with_context(|| format!("read {path}"))
}

/// CPU time of everything that runs on the machine, and what its hypervisor kept from it. Counted
/// in ticks, 100 a second.
pub(crate) fn cpu_of_machine() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let fields = text.lines().next().unwrap_or("").split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system; and steal. Interrupts belong to nobody.
    let [user, nice, system, _, _, _, _, steal, ..] = ticks[..] else {
        anyhow::bail!("/proc/stat has too few fields");
    };
    Ok(Duration::from_millis((user + nice + system + steal) * 10))
}

/// User and system time of a process in ticks (`/proc/PID/stat`, fields 14 and 15): coarse, and
/// only used for the share of the kernel.
pub(crate) fn ticks(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("read stat")?;
    // The name, in parentheses, may hold blanks.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace().skip(11).map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok((user, system)),
        _ => anyhow::bail!("no user and system time in stat of {pid}"),
    }
}

/// Resident memory in bytes. From `smaps_rollup`, which walks the pages; `status` may lag behind
/// by some dozens of pages per core.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    field(pid, "smaps_rollup", "Rss:").or_else(|_| field(pid, "status", "VmRSS:"))
}

/// The most resident memory the process ever had, in bytes.
pub(crate) fn resident_peak(pid: u32) -> Result<u64> {
    field(pid, "status", "VmHWM:")
}

fn field(pid: u32, file: &str, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: u64 = kilobytes
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("no {name} in {path}"))?;
    Ok(kilobytes * 1024)
}

fn run_time(schedstat: &str) -> Result<Duration> {
    let nanoseconds = schedstat.split_whitespace().next().context("it is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
