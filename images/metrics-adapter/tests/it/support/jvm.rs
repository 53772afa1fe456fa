//! A real JVM as a child process, which runs the application of `tests/java`.
//!
//! ```ignore
//! let Some(jdk) = Jdk::any("the name of the test") else { return };
//! let mut jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
//! connect_to(jvm.port());
//! jvm.command("gc");
//! ```

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::{WAIT_MAX, strict, wait_until};

const SOURCES: [&str; 2] = ["Beans.java", "Client.java"];
/// Small and quick to start; what they do not change is what the JVM says on the wire.
const SMALL: [&str; 4] =
    ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx192m"];

/// A JDK on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jdk {
    pub(crate) home: PathBuf,
    /// 8, 11, 17, …
    pub(crate) major: u32,
}

/// How to start the application.
pub(crate) struct Launch<'a> {
    jdk: &'a Jdk,
    /// A program that starts the JVM, with its arguments.
    through: Vec<String>,
    flags: Vec<String>,
    args: Vec<String>,
}

/// The application; it is killed when this is dropped.
pub(crate) struct Jvm {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    errors: NamedTempFile,
    port: u16,
}

// === impl Jdk ===

impl Jdk {
    /// The JDK to test with: `JAVA_HOME`, or the one on the path, or version 17 of those installed,
    /// or another. Without any, the test is skipped by its name, or fails if nothing may be skipped.
    pub(crate) fn any(test: &str) -> Option<Self> {
        Self::all(test).into_iter().next()
    }

    /// One of each version.
    pub(crate) fn all(test: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for home in homes() {
            if let Some(jdk) = Self::at(&home)
                && found.iter().all(|known| known.major != jdk.major)
            {
                found.push(jdk);
            }
        }
        if found.is_empty() {
            let text = format!("{test}: needs a JDK (Debian: openjdk-17-jdk-headless)");
            assert!(!strict(), "{text}");
            eprintln!("skipped: {text}");
        }
        found
    }

    fn at(home: &Path) -> Option<Self> {
        if !home.join("bin/javac").is_file() {
            return None;
        }
        let release = std::fs::read_to_string(home.join("release")).ok()?;
        let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?;
        let version = version.strip_prefix("1.").unwrap_or(version);
        let major = version.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()?;
        Some(Self { home: home.to_owned(), major })
    }

    /// One of its programs: `java`, `keytool`, …
    pub(crate) fn tool(&self, name: &str) -> Command {
        Command::new(self.home.join("bin").join(name))
    }

    /// Runs one of its programs to its end, which must be good.
    pub(crate) fn run(&self, name: &str, args: &[&str]) -> Output {
        let output = self.tool(name).args(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name} {args:?}: {out}{text}");
        output
    }

    /// The folder of the compiled sources of `tests/java`; compiled once for each of their versions.
    pub(crate) fn classes(&self) -> PathBuf {
        static COMPILING: Mutex<()> = Mutex::new(());
        let _one = COMPILING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java");
        let mut hasher = DefaultHasher::new();
        for name in SOURCES {
            std::fs::read(sources.join(name)).unwrap().hash(&mut hasher);
        }
        let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let classes = temporary.join(format!("java-{}-{:016x}", self.major, hasher.finish()));
        if !classes.is_dir() {
            let fresh = tempfile::tempdir_in(temporary).unwrap();
            let mut javac = self.tool("javac");
            javac.arg("-d").arg(fresh.path()).args(SOURCES.map(|name| sources.join(name)));
            let output = javac.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // Fails if another process was faster, with the same result.
            let _ = std::fs::rename(fresh.path(), &classes);
        }
        classes
    }
}

/// Where a JDK may be, the preferred ones first.
fn homes() -> Vec<PathBuf> {
    let given = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter_map(|dir| dir.join("javac").canonicalize().ok())
        .filter_map(|javac| Some(javac.parent()?.parent()?.to_owned()));
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = installed.map(|entry| entry.path()).collect();
    installed.sort_by_key(|home| (Jdk::at(home).is_none_or(|jdk| jdk.major != 17), home.clone()));
    given.into_iter().chain(on_path).chain(installed).collect()
}

// === impl Launch ===

impl<'a> Launch<'a> {
    /// With flags that make it small.
    pub(crate) fn new(jdk: &'a Jdk) -> Self {
        Self { flags: SMALL.map(str::to_owned).to_vec(), ..Self::without_flags(jdk) }
    }

    /// With no flag at all, as somebody starts it who never heard of JMX.
    pub(crate) fn without_flags(jdk: &'a Jdk) -> Self {
        Self { jdk, through: Vec::new(), flags: Vec::new(), args: Vec::new() }
    }

    /// Has it started by another program, which ends it when it is killed itself.
    pub(crate) fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(|&it| it.to_owned()).collect();
        self
    }

    /// Flags for the JVM.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// Arguments for the application; see the head of `Beans.java`.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// The JVM's own agent, without password and TLS, on a port of the kernel's choice.
    pub(crate) fn agent(self) -> Self {
        self.flags(&[
            "-Dcom.sun.management.jmxremote.port=0",
            "-Dcom.sun.management.jmxremote.authenticate=false",
            "-Dcom.sun.management.jmxremote.ssl=false",
        ])
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Jvm {
        let errors = NamedTempFile::new().unwrap();
        let mut java = self.jdk.tool("java");
        if let [program, args @ ..] = &self.through[..] {
            let path = java.get_program().to_owned();
            java = Command::new(program);
            java.args(args).arg(path);
        }
        let mut child = java
            .args(&self.flags)
            .arg("-cp")
            .arg(self.jdk.classes())
            .arg("Beans")
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().unwrap())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut jvm = Jvm { child, stdin, lines, errors, port: 0 };
        loop {
            let line = jvm.line();
            // The JVM itself may say something first.
            if let Some(port) = line.strip_prefix("ready ") {
                jvm.port = port.parse().unwrap();
                return jvm;
            }
        }
    }
}

// === impl Jvm ===

impl Jvm {
    /// The port of its registry; 0 if it serves none.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it obey a line and waits until it did; see the head of `Beans.java`.
    pub(crate) fn command(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
        let answer = format!("ok {line}");
        while self.line() != answer {}
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(WAIT_MAX).unwrap_or_else(|_| {
            let errors = std::fs::read_to_string(self.errors.path()).unwrap();
            panic!("the application says nothing: {errors}");
        })
    }

    /// Stops all of its threads (SIGSTOP), or lets them go on: the kernel still accepts connections.
    pub(crate) fn freeze(&self, on: bool) {
        let signal = if on { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        if on {
            // The signal stops one thread after the other.
            wait_until("all threads stand still", || self.stands_still());
        }
    }

    fn stands_still(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            state.is_none_or(|state| state == 'T')
        })
    }

    /// Whether it still runs.
    pub(crate) fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
