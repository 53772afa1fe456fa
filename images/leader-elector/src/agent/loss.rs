//! What happens when leadership is lost: a webhook, a signal, or failing liveness.
//!
//! It starts the margin before the deadline, so that the application can stop in time. A signal is
//! then followed by SIGKILL at the deadline itself; without a margin there is only the signal.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tracing::{info, warn};

use super::Loss;
use crate::Boottime;

/// A webhook that has not answered by then is given up.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Most processes that get a signal; a name that fits more is a mistake.
const PROCESSES_MAX: usize = 256;
/// What keeps the process namespace of a Kubernetes pod open; no application.
const PAUSE: &str = "pause";
const PROC: &str = "/proc";

/// What happens when leadership is lost.
#[derive(Clone, Debug, Default)]
pub enum Action {
    /// Nothing.
    #[default]
    None,
    /// A POST with the loss as JSON.
    Webhook {
        /// Where to.
        url: String,
        /// By what.
        client: reqwest::Client,
    },
    /// A signal to the application, which must share the process namespace.
    Signal {
        /// Which.
        signal: Signal,
        /// Name of the process; without, there must be just one other.
        process: Option<String>,
    },
    /// [`super::Agent::liveness`] fails.
    Liveness,
}

/// Why an action cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The name is not that of a signal.
    #[error("{0} is no signal: expected TERM, INT, HUP, QUIT, USR1, USR2 or KILL")]
    Signal(String),
    /// No client for webhooks.
    #[error("preparing the webhook: {0}")]
    Client(#[from] reqwest::Error),
    /// The processes cannot be read.
    #[error("looking for the process: {0}")]
    Proc(#[from] std::io::Error),
    /// No process of that name.
    #[error("no process is called {0}; does it share the process namespace?")]
    Missing(String),
    /// Not one other process.
    #[error("{0} other processes are visible; name the application with --signal-process")]
    Ambiguous(usize),
}

/// What a webhook is told.
#[derive(Serialize)]
struct Notice<'l> {
    /// `stopping` before the deadline, `lost` after it.
    event: &'static str,
    election: &'l str,
    holder: &'l str,
    token: u64,
    valid_for_ms: u64,
}

// === impl Action ===

impl Action {
    /// A webhook.
    ///
    /// # Errors
    /// [`ActionError::Client`].
    pub fn webhook(url: &str) -> Result<Self, ActionError> {
        let client = crate::campaign::http_client(url, WEBHOOK_TIMEOUT)?;
        Ok(Self::Webhook { url: url.to_owned(), client })
    }

    /// A signal, by its name with or without `SIG`.
    ///
    /// # Errors
    /// [`ActionError::Signal`].
    pub fn signal(name: &str, process: Option<String>) -> Result<Self, ActionError> {
        Ok(Self::Signal { signal: parse_signal(name)?, process })
    }

    /// Acts on a loss, or with a margin on its announcement.
    pub(super) async fn run(&self, loss: &Loss, margin: bool) {
        match self {
            Self::None | Self::Liveness => {}
            Self::Webhook { url, client } => tell(client, url, loss).await,
            Self::Signal { signal, process } => {
                let signal = if margin && loss.over { Signal::KILL } else { *signal };
                send(signal, process.as_deref(), loss);
            }
        }
    }
}

async fn tell(client: &reqwest::Client, url: &str, loss: &Loss) {
    let lease = &loss.standing.lease;
    let left = if loss.over { Duration::ZERO } else { loss.standing.valid_for(Boottime::now()) };
    let notice = Notice {
        event: if loss.over { "lost" } else { "stopping" },
        election: &loss.election,
        holder: &lease.holder,
        token: lease.token,
        valid_for_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    };
    let sent = client.post(url).json(&notice).send().await;
    match sent.and_then(reqwest::Response::error_for_status) {
        Ok(_) => info!(election = &*loss.election, event = notice.event, "webhook called"),
        Err(error) => warn!(election = &*loss.election, %error, "calling the webhook failed"),
    }
}

fn send(signal: Signal, process: Option<&str>, loss: &Loss) {
    let election = &*loss.election;
    let number = signal.as_raw();
    let found = processes(Path::new(PROC), std::process::id(), process);
    let pids = match found {
        // It has ended before it had to be killed.
        Err(ActionError::Missing(_)) if signal == Signal::KILL => return,
        Err(error) => {
            warn!(election, %error, "no process to signal");
            return;
        }
        Ok(pids) => pids,
    };
    for pid in pids {
        let pid = pid.as_raw_nonzero().get();
        let sent = Pid::from_raw(pid).map_or(Ok(()), |pid| kill_process(pid, signal));
        match sent {
            Ok(()) => info!(election, pid, signal = number, "signal sent"),
            Err(error) => warn!(election, pid, signal = number, %error, "sending a signal failed"),
        }
    }
}

/// The signal of a name, with or without `SIG`.
///
/// # Errors
/// [`ActionError::Signal`].
pub fn parse_signal(name: &str) -> Result<Signal, ActionError> {
    let upper = name.to_ascii_uppercase();
    Ok(match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "KILL" => Signal::KILL,
        _ => return Err(ActionError::Signal(name.to_owned())),
    })
}

/// The processes called `name` below `proc`, or else the only one beside `own`.
///
/// # Errors
/// All but [`ActionError::Signal`] and [`ActionError::Client`].
pub fn processes(proc: &Path, own: u32, name: Option<&str>) -> Result<Vec<Pid>, ActionError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(proc)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        if pid.as_raw_nonzero().get().unsigned_abs() == own {
            continue;
        }
        // A process that ends while it is looked at is none.
        let Ok(comm) = fs::read_to_string(entry.path().join("comm")) else { continue };
        let fits = match name {
            // The kernel keeps the first 15 bytes of a name.
            Some(name) => comm.trim_end() == name || runs(&entry.path(), name),
            None => comm.trim_end() != PAUSE,
        };
        if fits {
            found.push(pid);
        }
        if found.len() > PROCESSES_MAX {
            return Err(ActionError::Ambiguous(found.len()));
        }
    }
    match name {
        Some(name) if found.is_empty() => Err(ActionError::Missing(name.to_owned())),
        None if found.len() != 1 => Err(ActionError::Ambiguous(found.len())),
        _ => Ok(found),
    }
}

/// Whether the program of a process has this name, without its folder.
fn runs(process: &Path, name: &str) -> bool {
    let Ok(line) = fs::read(process.join("cmdline")) else { return false };
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    program.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proc(entries: &[(&str, &str, &str)]) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (pid, comm, cmdline) in entries {
            let process = proc.path().join(pid);
            fs::create_dir(&process).unwrap();
            fs::write(process.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(process.join("cmdline"), cmdline.replace(' ', "\0")).unwrap();
        }
        proc
    }

    fn found(proc: &tempfile::TempDir, name: Option<&str>) -> Result<Vec<i32>, String> {
        let found = processes(proc.path(), 7, name).map_err(|error| error.to_string())?;
        let mut pids: Vec<i32> = found.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
        pids.sort_unstable();
        Ok(pids)
    }

    #[test]
    fn a_process_is_found_by_either_of_its_names() {
        let proc = proc(&[
            ("1", "pause", "/pause"),
            ("7", "leader-elector", "/leader-elector"),
            ("9", "java", "/usr/bin/java -jar app.jar"),
            ("10", "very-long-name-", "/opt/very-long-name-of-a-program --fast"),
            ("net", "java", "java"),
        ]);
        assert_eq!(found(&proc, Some("java")), Ok(vec![9]));
        assert_eq!(found(&proc, Some("very-long-name-of-a-program")), Ok(vec![10]));
        assert!(found(&proc, Some("python")).unwrap_err().contains("no process is called python"));
        assert!(found(&proc, None).unwrap_err().contains("2 other processes"));
        assert!(found(&proc, Some("leader-elector")).is_err(), "never itself");
    }

    #[test]
    fn the_only_other_process_needs_no_name() {
        let entries = [("1", "pause", "/pause"), ("7", "me", "me"), ("9", "app", "app")];
        assert_eq!(found(&proc(&entries), None), Ok(vec![9]));
    }

    #[test]
    fn signals_are_named_with_or_without_their_prefix() {
        assert_eq!(parse_signal("TERM").unwrap(), Signal::TERM);
        assert_eq!(parse_signal("sigusr1").unwrap(), Signal::USR1);
        assert!(parse_signal("STOP").is_err());
    }
}
