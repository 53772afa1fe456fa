//! Programs that the benchmark starts. None outlives it: each is killed when its guard is dropped,
//! and by the kernel (`setpriv --pdeathsig`) when the thread that started it dies otherwise.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SocketAddrAny, SocketType, bind, getsockname, socket, sockopt};
use rustix::process::{Pid, Signal, kill_process};

use super::machine::{list, pause};

/// From starting a program to its first accepted connection.
const LISTENING_WITHIN: Duration = Duration::from_secs(10);
/// Lines of a log that a message shows.
const LAST_LINES: usize = 4;
/// Between two looks whether a program listens.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A loopback port that the kernel picked. A bound socket that never listens keeps others from
/// being given it, while a server that sets `SO_REUSEADDR`, as all of ours do, may listen on it.
pub(crate) struct Port {
    number: u16,
    _held: OwnedFd,
}

/// A running program.
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
}

// === impl Port ===

impl Port {
    pub(crate) fn reserve() -> Result<Self> {
        let held = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_reuseaddr(&held, true)?;
        bind(&held, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("reserve a port")?;
        let address: SocketAddrAny = getsockname(&held)?;
        let address = SocketAddrV4::try_from(address).context("read the reserved port")?;
        Ok(Self { number: address.port(), _held: held })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

// === impl Child ===

impl Child {
    /// Starts `program` on `cores`, with `folder` as its working folder and home of its log.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        cores: &[usize],
        folder: &Path,
    ) -> Result<Self> {
        Self::start_reading(Stdio::null(), name, program, arguments, cores, folder)
    }

    /// The same for a program that ends when its input does: it has one until the guard is dropped.
    pub(crate) fn start_with_input(
        name: &str,
        program: &Path,
        arguments: &[String],
        cores: &[usize],
        folder: &Path,
    ) -> Result<Self> {
        Self::start_reading(Stdio::piped(), name, program, arguments, cores, folder)
    }

    fn start_reading(
        input: Stdio,
        name: &str,
        program: &Path,
        arguments: &[String],
        cores: &[usize],
        folder: &Path,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "taskset", "-c", &list(cores)])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(input)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        Ok(Self { name: name.to_owned(), process, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the program accepts connections on a loopback port.
    pub(crate) fn await_listening(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + LISTENING_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            self.ensure_running()?;
            if Instant::now() > deadline {
                bail!("{} does not listen on {port}: {}", self.name, self.last_words());
            }
            pause(LOOK_EVERY);
        }
        Ok(())
    }

    /// Fails with the end of the log when the program has ended.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}): {}", self.name, self.last_words()),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.context("the kernel gave a process number it does not have")?;
        kill_process(pid, signal).with_context(|| format!("signal {}", self.name))
    }

    /// All that it said.
    pub(crate) fn log(&self) -> Result<String> {
        let log = &self.log;
        std::fs::read_to_string(log).with_context(|| format!("read {}", log.display()))
    }

    /// The end of the log, for a message; from the panic on when there was one.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let panic = lines.iter().rposition(|line| line.contains("panicked at"));
        let from = panic.unwrap_or_else(|| lines.len().saturating_sub(LAST_LINES));
        let last = lines.iter().skip(from).take(LAST_LINES);
        last.copied().collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when the program has ended before, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
