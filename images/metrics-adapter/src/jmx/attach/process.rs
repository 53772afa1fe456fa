//! Finding a JVM in `/proc`, and what must be known of it before it is touched.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{
    Pid, PidfdFlags, Signal, getegid, geteuid, getpid, pidfd_open, pidfd_send_signal,
};

use super::{AttachError, Selector};

/// Longest command line that a pattern is looked for in.
const COMMAND_BYTES_MAX: u64 = 64 << 10;
/// Longest list of mappings; a JVM has a few thousand.
const MAPS_BYTES_MAX: u64 = 16 << 20;
const STATUS_BYTES_MAX: u64 = 64 << 10;
/// The third bit of a mask is signal 3, SIGQUIT.
const SIGQUIT_BIT: u64 = 1 << 2;

/// A process that runs on HotSpot and belongs to us.
#[derive(Debug)]
pub(super) struct Process {
    /// As we see it.
    pub(super) pid: i32,
    /// As it sees itself; another number in a process namespace of its own.
    pub(super) inner_pid: i32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    fd: OwnedFd,
}

/// What `/proc/<pid>/status` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) inner_pid: i32,
    pub(super) catches_sigquit: bool,
}

// === impl Process ===

impl Process {
    pub(super) fn find(which: &Selector) -> Result<Self, AttachError> {
        match which {
            Selector::Pid(pid) => Self::open(*pid),
            Selector::Pattern(pattern) => {
                let wanted = format!("with {:?} in its command line", pattern.as_str());
                let fitting: Vec<i32> = pids()
                    .filter(|pid| command_line(*pid).is_some_and(|line| pattern.is_match(&line)))
                    .filter(|pid| runs_hotspot(*pid).unwrap_or(true))
                    .collect();
                match fitting[..] {
                    [] => Err(AttachError::None(wanted)),
                    [pid] => Self::open(pid),
                    _ => Err(AttachError::Many { pattern: wanted, pids: fitting }),
                }
            }
        }
    }

    fn open(pid: i32) -> Result<Self, AttachError> {
        let none = || AttachError::None(format!("with process number {pid}"));
        let number = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or_else(none)?;
        // First: what is looked at from here on is the process that the signal would go to.
        let fd = pidfd_open(number, PidfdFlags::empty()).map_err(|error| match error {
            rustix::io::Errno::SRCH | rustix::io::Errno::INVAL => none(),
            error => AttachError::Io { pid, doing: "opening a pidfd", source: error.into() },
        })?;
        let status = status(pid)?;
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        if uid != 0 && (uid, gid) != (status.uid, status.gid) {
            return Err(AttachError::OtherUser {
                pid,
                theirs: format!("user {} and group {}", status.uid, status.gid),
                ours: format!("user {uid} and group {gid}"),
            });
        }
        if !runs_hotspot(pid)? {
            return Err(AttachError::NotHotSpot(pid));
        }
        Ok(Self { pid, inner_pid: status.inner_pid, uid: status.uid, gid: status.gid, fd })
    }

    /// Sends SIGQUIT, if it does not end the process.
    pub(super) fn quit(&self) -> Result<(), AttachError> {
        if !status(self.pid)?.catches_sigquit {
            return Err(AttachError::WouldDie(self.pid));
        }
        pidfd_send_signal(&self.fd, Signal::QUIT).map_err(|error| AttachError::Io {
            pid: self.pid,
            doing: "sending SIGQUIT",
            source: error.into(),
        })
    }

    /// A path as the process sees it, as we reach it.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{inside}", self.pid))
    }
}

// === impl Status ===

impl Status {
    /// `None` if a line is missing or is not as the kernel writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        // Real, effective, saved, of the file system.
        let effective = |name| field(name)?.split_whitespace().nth(1)?.parse().ok();
        // One number per namespace, the innermost last. Kernels without namespaces have no line.
        let inner_pid = field("NSpid").or_else(|| field("Pid"))?.split_whitespace().last()?;
        let caught = u64::from_str_radix(field("SigCgt")?, 16).ok()?;
        Some(Self {
            uid: effective("Uid")?,
            gid: effective("Gid")?,
            inner_pid: inner_pid.parse().ok()?,
            catches_sigquit: caught & SIGQUIT_BIT != 0,
        })
    }
}

fn status(pid: i32) -> Result<Status, AttachError> {
    let bytes = read(pid, "status", STATUS_BYTES_MAX)?;
    Status::parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| AttachError::Look {
        pid,
        path: format!("/proc/{pid}/status").into(),
        source: std::io::Error::other("not as expected"),
    })
}

/// Whether HotSpot's library is mapped. Other virtual machines have it under no such name, or have
/// no such door.
fn runs_hotspot(pid: i32) -> Result<bool, AttachError> {
    let maps = read(pid, "maps", MAPS_BYTES_MAX)?;
    Ok(memchr::memmem::find(&maps, b"/libjvm.so").is_some())
}

fn read(pid: i32, name: &str, bytes_max: u64) -> Result<Vec<u8>, AttachError> {
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    let mut bytes = Vec::new();
    match std::fs::File::open(&path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(AttachError::Look { pid, path, source }),
    }
}

/// All processes but ours.
fn pids() -> impl Iterator<Item = i32> {
    let own = getpid().as_raw_nonzero().get();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(move |pid| *pid != own)
}

fn command_line(pid: i32) -> Option<String> {
    let bytes = read(pid, "cmdline", COMMAND_BYTES_MAX).ok()?;
    let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
    (!line.trim().is_empty()).then(|| line.trim_end().to_owned())
}
