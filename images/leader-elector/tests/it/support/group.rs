//! A group of sidecars as processes of the built binary, on ports that the system chose.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::WAIT_MAX;

/// A group in a folder of its own; its processes end with it.
pub(crate) struct Group {
    folder: tempfile::TempDir,
    members: Vec<Option<Member>>,
    /// Further flags of each member.
    flags: Vec<String>,
}

/// A running sidecar.
pub(crate) struct Member {
    child: Child,
    pub(crate) http: SocketAddr,
    peer: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) probe: SocketAddr,
    /// Its log, line by line.
    log: Receiver<Value>,
}

/// An answer: the status and the body, if that is JSON.
pub(crate) type Answer = (u16, Value);

// === impl Group ===

impl Group {
    /// A group of `count`, all started, that has a leader.
    pub(crate) fn start(count: usize, flags: &[&str]) -> Self {
        let mut group = Self::folder(count, flags);
        (0..count).for_each(|number| group.launch(number));
        group.introduce();
        (0..count).for_each(|number| group.await_ready(number));
        group
    }

    /// A group of which nobody runs yet.
    pub(crate) fn folder(count: usize, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "only known to this test").unwrap();
        std::fs::write(folder.path().join("peers"), "").unwrap();
        let flags = flags.iter().map(ToString::to_string);
        let flags = [format!("--expect={count}")].into_iter().chain(flags).collect();
        Self { folder, members: (0..count).map(|_| None).collect(), flags }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn launch(&mut self, number: usize) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let member = Member::launch(self.folder.path(), number, &flags);
        self.members[number] = Some(member);
    }

    /// Tells everybody where everybody is.
    pub(crate) fn introduce(&self) {
        let running = self.members.iter().enumerate();
        let line = |(number, member): (usize, &Option<Member>)| {
            member.as_ref().map(|member| format!("app-{number}={}\n", member.peer))
        };
        let text: String = running.filter_map(line).collect();
        let part = self.path("peers.part");
        std::fs::write(&part, text).unwrap();
        std::fs::rename(part, self.path("peers")).unwrap();
    }

    pub(crate) fn await_ready(&self, number: usize) {
        let member = self.member(number);
        wait_for("a ready member", || (member.get(member.probe, "/readyz").0 == 200).then_some(()));
    }

    pub(crate) fn member(&self, number: usize) -> &Member {
        self.members[number].as_ref().unwrap()
    }

    /// The number of the member that leads the group.
    pub(crate) fn leader(&self) -> usize {
        wait_for("a leader of the group", || {
            self.members.iter().flatten().find_map(|member| {
                let (_, cluster) = member.get(member.admin, "/mgmt/v1/cluster");
                let mut members = cluster["members"].as_array()?.iter();
                let leads = members.find(|it| it["leads"] == true)?["name"].as_str()?.to_owned();
                let number: usize = leads.strip_prefix("app-")?.parse().ok()?;
                self.members[number].as_ref().map(|_| number)
            })
        })
    }

    /// Ends a member at once, as a crash does.
    pub(crate) fn kill(&mut self, number: usize) {
        let mut member = self.members[number].take().unwrap();
        member.child.kill().unwrap();
        member.child.wait().unwrap();
    }

    /// Asks a member to end, and returns its exit code.
    pub(crate) fn stop(&mut self, number: usize) -> Option<i32> {
        let mut member = self.members[number].take().unwrap();
        member.signal(rustix::process::Signal::TERM);
        member.child.wait().unwrap().code()
    }

    pub(crate) fn wipe(&self, number: usize) {
        std::fs::remove_dir_all(self.path(&format!("app-{number}"))).unwrap();
    }
}

// === impl Member ===

impl Member {
    /// Starts a member and waits until it has told its ports.
    pub(crate) fn launch(folder: &Path, number: usize, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leader-elector"));
        command
            .args(["--log-format=json", "--log=info", "--election=jobs", "--http=127.0.0.1:0"])
            .args(["--peer-listen=127.0.0.1:0", "--probe-addr=127.0.0.1:0"])
            .arg("--admin-addr=127.0.0.1:0")
            .arg(format!("--id=app-{number}"))
            .arg(format!("--data-dir={}", folder.join(format!("app-{number}")).display()))
            .arg(format!("--peers-file={}", folder.join("peers").display()))
            .args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--peer-secret-file")) {
            command.arg(format!("--peer-secret-file={}", folder.join("secret").display()));
        }
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let log = follow(child.stderr.take().unwrap());
        let mut told: [Option<SocketAddr>; 4] = [None; 4];
        let deadline = Instant::now() + WAIT_MAX;
        while told.iter().any(Option::is_none) {
            let wait = deadline.saturating_duration_since(Instant::now());
            let line = log.recv_timeout(wait).expect("the member tells its ports");
            let fields = ["http", "listen", "admin", "probe"];
            for (address, field) in told.iter_mut().zip(fields) {
                let found = line["fields"][field].as_str().or(line[field].as_str());
                *address = address.or(found.and_then(|text| text.parse().ok()));
            }
        }
        let [http, peer, admin, probe] = told.map(Option::unwrap);
        Self { child, http, peer, admin, probe, log }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Waits for a line of the log.
    pub(crate) fn await_log(&self, message: &str) -> Value {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(wait).unwrap_or_else(|_| panic!("no log {message}"));
            let text = line["fields"]["message"].as_str().or(line["message"].as_str());
            if text == Some(message) {
                return line;
            }
        }
    }

    pub(crate) fn get(&self, at: SocketAddr, path: &str) -> Answer {
        ask(at, "GET", path, "").unwrap_or((0, Value::Null))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        ask(self.http, "POST", path, body).unwrap_or((0, Value::Null))
    }

    /// Asks until it is granted; the answer.
    pub(crate) fn acquire(&self, body: &str) -> Value {
        wait_for("a lease", || {
            let (status, answer) = self.post("/v1/elections/jobs/acquire", body);
            (status == 200).then_some(answer)
        })
    }

    pub(crate) fn renew(&self, lease: &Value) -> Answer {
        let body = format!(r#"{{"session":{},"token":{}}}"#, lease["session"], lease["token"]);
        self.post("/v1/elections/jobs/renew", &body)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a log on a thread of its own, so that the process never waits for us.
fn follow(stderr: impl Read + Send + 'static) -> Receiver<Value> {
    let (lines, log) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Ok(line) = serde_json::from_str(&line) {
                let _ = lines.send(line);
            }
        }
    });
    log
}

/// One request on a connection of its own.
pub(crate) fn ask(at: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(WAIT_MAX))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Waits for a condition; only a failing test waits to the end.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within {WAIT_MAX:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
