//! The built binary as a child process.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{WAIT_MAX, free_port, wait_until};

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ambassador-proxy");

/// A running proxy; it is killed when this is dropped.
pub(crate) struct Proxy {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    _dir: TempDir,
    pub(crate) file: PathBuf,
    pub(crate) probe: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) stats: SocketAddr,
}

/// What a program that has ended said.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The answer of an HTTP server.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

// === impl Proxy ===

impl Proxy {
    /// Starts the proxy on `config`, with two workers unless `flags` say otherwise, and waits
    /// until it is ready.
    pub(crate) fn start(config: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nutcracker.yml");
        fs::write(&file, config).unwrap();
        Proxy::start_on(dir, file, flags)
    }

    /// Starts the proxy on a file that is there already, in a directory that it keeps.
    pub(crate) fn start_on(dir: TempDir, file: PathBuf, flags: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(&file).args(["-a", "127.0.0.1", "-s", &port.to_string()]);
        command.args(["--probe-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0"]);
        if !flags.contains(&"--workers") {
            command.args(["--workers", "2"]);
        }
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (mut stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                lines.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let stats = SocketAddr::from(([127, 0, 0, 1], port));
        let mut proxy = Proxy {
            child,
            log,
            reader: Some(reader),
            _dir: dir,
            file,
            probe: unknown,
            admin: unknown,
            stats,
        };
        wait_until("the proxy tells its addresses", || {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                panic!("the proxy ended with {status}:\n{}", proxy.log());
            }
            proxy.log().lines().any(|line| line.contains("management is up"))
        });
        let log = proxy.log();
        let up = log.lines().find(|line| line.contains("management is up")).unwrap();
        let address = |name: &str| {
            let from = up.split_once(name).unwrap().1;
            from.split_whitespace().next().unwrap().parse().unwrap()
        };
        (proxy.probe, proxy.admin) = (address("probe="), address("admin="));
        wait_until("the proxy is ready", || {
            http(proxy.probe, "GET", "/readyz").is_ok_and(|answer| answer.status == 200)
        });
        proxy
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// How much it logged so far, in bytes.
    pub(crate) fn log_length(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Whether a line that it logged from byte `from` on holds all of these.
    pub(crate) fn has_logged(&self, from: usize, parts: &[&str]) -> bool {
        let log = self.log.lock().unwrap();
        log[from..].lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks the admin interface to do something.
    pub(crate) fn post(&self, path: &str) -> HttpAnswer {
        http(self.admin, "POST", path).unwrap()
    }

    pub(crate) fn ready_status(&self) -> u16 {
        http(self.probe, "GET", "/readyz").unwrap().status
    }

    /// A value of the probe listener's metrics; `series` is the name with its labels.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = http(self.probe, "GET", "/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the proxy ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status.unwrap()
    }

    /// Resident memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(4000);
            let shown = log.get(from..).unwrap_or(&log);
            println!("the proxy's log ends with:\n{shown}");
        }
    }
}

/// Resident memory of a process, from /proc.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str], directory: &Path) -> Finished {
    let output = Command::new(PROGRAM).args(arguments).current_dir(directory).output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Everything a server says to a client that says nothing.
pub(crate) fn listen_to(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// One request over HTTP/1.1, with the header that changes want.
pub(crate) fn http(address: SocketAddr, method: &str, path: &str) -> std::io::Result<HttpAnswer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    let change = if method == "GET" { "" } else { "X-Mgmt: 1\r\n" };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         {change}Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(HttpAnswer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}
