//! Commands to a JVM, and the properties that it answers with.
//!
//! A request is the version `1`, the command and three arguments, each ended by a NUL. The answer is
//! a number on a line of its own (0: done), then text until the JVM closes.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::AttachError;

/// Longest answer; the properties of an agent are a kilobyte.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Longest text of a refusal that is shown.
const SHOWN_CHARS_MAX: usize = 300;
/// Where the agent is, once it runs.
const ADDRESS: &str = "com.sun.management.jmxremote.localConnectorAddress";

/// A command with its first argument.
pub(super) struct Command {
    name: &'static str,
    argument: &'static str,
}

/// Starts the agent for local connections.
pub(super) const START: Command = Command { name: "jcmd", argument: "ManagementAgent.start_local" };
/// Properties of agents.
pub(super) const PROPERTIES: Command = Command { name: "agentProperties", argument: "" };

/// Sends a command and gives what it answers.
pub(super) fn ask(
    mut stream: UnixStream,
    pid: i32,
    command: &Command,
    deadline: Instant,
) -> Result<String, AttachError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            AttachError::Deadline { pid, what: "answer" }
        }
        _ => AttachError::Io { pid, doing: "talking to the JVM", source },
    };
    stream.set_write_timeout(Some(left(deadline))).map_err(failed)?;
    let request = format!("1\0{}\0{}\0\0\0", command.name, command.argument);
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if Instant::now() >= deadline {
            return Err(AttachError::Deadline { pid, what: "answer" });
        }
        stream.set_read_timeout(Some(left(deadline))).map_err(failed)?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(failed(std::io::Error::other("the answer is too long")));
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let (code, text) = answer.split_once('\n').unwrap_or((&answer, ""));
    if code.trim() == "0" {
        return Ok(text.to_owned());
    }
    let shown = |text: &str| text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    let command = if command.argument.is_empty() { command.name } else { command.argument };
    Err(AttachError::Refused { pid, command, code: shown(code), text: shown(text) })
}

/// Zero means for ever to the system.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// The agent's address in properties, if it runs.
pub(super) fn address(properties: &str) -> Option<String> {
    properties
        .lines()
        .filter(|line| !line.starts_with(['#', '!']))
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| *key == ADDRESS)
        .map(|(_, value)| unescape(value))
        .filter(|value| !value.is_empty())
}

/// The format of `java.util.Properties` puts a backslash before what would mean something to it;
/// an address has nothing that would need more.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut escaped = false;
    for char in value.trim().chars() {
        if char == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(char);
            escaped = false;
        }
    }
    out
}
