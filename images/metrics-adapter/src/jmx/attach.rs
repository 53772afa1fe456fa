//! Attach mode: the JMX agent of a JVM in the same process namespace, which was started without any
//! flag for it.
//!
//! HotSpot has a door for its own tools: a file `.attach_pid<pid>` in the working directory or the
//! temporary directory of the JVM, then SIGQUIT, and the JVM opens a unix socket `.java_pid<pid>`
//! on which it takes commands. One of them starts its local agent, another tells where that one is.
//! Source of the protocol: `attachListener_posix.cpp` and `VirtualMachineImpl` of OpenJDK.
//!
//! To a process that does not expect it, SIGQUIT is the end. So it is sent only to a process that
//! has HotSpot loaded and catches this signal, and through a pidfd, so that it cannot reach another
//! process which got the same number meanwhile. Nothing is loaded into the JVM but its own agent.
//!
//! Needed: the same user and group as the JVM (it refuses others but root), and no capability that
//! we lack on its side (the kernel then denies a look into `/proc/<pid>`). In Kubernetes that is
//! `shareProcessNamespace` and the same `runAsUser` and `runAsGroup`. With
//! `-XX:+DisableAttachMechanism` the door stays closed; with `-Xrs` (the JVM leaves signals alone) it
//! stands open from the start, and nobody knocks.

mod command;
mod door;
mod process;

use std::path::PathBuf;
use std::time::Instant;

use process::Process;

#[cfg(test)]
mod tests;

/// Which JVM.
#[derive(Clone, Debug)]
pub enum Selector {
    /// The process with this number, as we see it.
    Pid(i32),
    /// The only JVM whose command line, arguments joined by spaces, the pattern is found in. We
    /// ourselves are not among them.
    Pattern(regex::Regex),
}

/// A JVM with its local agent running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The process as we see it.
    pub pid: i32,
    /// `service:jmx:rmi://127.0.0.1/stub/…`, for [`Target::from_url`]: where the agent is and what
    /// to log in at, without password and TLS. It holds for as long as the process lives.
    ///
    /// [`Target::from_url`]: super::session::Target::from_url
    pub url: String,
}

/// Why a JVM cannot be attached to.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No such process, or none that fits.
    #[error("no JVM {0}")]
    None(String),
    /// More than one fits.
    #[error("more than one JVM {pattern}: processes {pids:?}")]
    Many {
        /// What was looked for.
        pattern: String,
        /// The processes.
        pids: Vec<i32>,
    },
    /// The kernel does not let us look at the process.
    #[error(
        "process {pid}: reading {path}: {source} (the same user, and no more capabilities than \
         ours, are needed)"
    )]
    Look {
        /// The process.
        pid: i32,
        /// The file in `/proc`.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It does not run on HotSpot.
    #[error("process {0} is no HotSpot JVM (libjvm.so is not mapped)")]
    NotHotSpot(i32),
    /// SIGQUIT would end it.
    #[error("process {0} does not catch SIGQUIT and would die of it (-Xrs?)")]
    WouldDie(i32),
    /// It belongs to somebody else.
    #[error("process {pid} runs as {theirs}, we as {ours}: a JVM lets only its own user attach")]
    OtherUser {
        /// The process.
        pid: i32,
        /// Its effective user and group.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The socket is not one that a JVM makes.
    #[error("{path}: {what}")]
    Socket {
        /// Its path, through `/proc`.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Something of the system failed.
    #[error("process {pid}: {doing}: {source}")]
    Io {
        /// The process.
        pid: i32,
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The deadline has passed.
    #[error("process {pid}: no {what} within the deadline (-XX:+DisableAttachMechanism?)")]
    Deadline {
        /// The process.
        pid: i32,
        /// What was waited for.
        what: &'static str,
    },
    /// The JVM said no.
    #[error("process {pid}: {command} failed with {code}: {text}")]
    Refused {
        /// The process.
        pid: i32,
        /// The command.
        command: &'static str,
        /// What it returned.
        code: String,
        /// What it said.
        text: String,
    },
    /// The JVM has no agent after it was told to start one.
    #[error("process {0}: the agent was started but tells no address")]
    NoAddress(i32),
}

/// Starts the local agent of a JVM, unless it runs already, and tells where it is.
///
/// # Errors
/// [`AttachError`]. The process is unharmed in any case.
pub fn attach(which: &Selector, deadline: Instant) -> Result<Attached, AttachError> {
    let process = Process::find(which)?;
    let pid = process.pid;
    let ask = |command: &command::Command| {
        let stream = door::open(&process, deadline)?;
        command::ask(stream, pid, command, deadline)
    };
    if let Some(url) = command::address(&ask(&command::PROPERTIES)?) {
        return Ok(Attached { pid, url });
    }
    ask(&command::START)?;
    let url = command::address(&ask(&command::PROPERTIES)?);
    Ok(Attached { pid, url: url.ok_or(AttachError::NoAddress(pid))? })
}
