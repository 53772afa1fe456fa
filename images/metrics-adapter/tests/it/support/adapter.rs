//! The built binary as a child process, and a client of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{WAIT_MAX, wait_until};

/// The adapter; it is killed when this is dropped.
pub(crate) struct Adapter {
    child: Child,
    /// What it logs, as it comes.
    log: Receiver<Value>,
    /// What it has logged so far.
    seen: Vec<Value>,
    pub(crate) page: SocketAddr,
    pub(crate) probe: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A command of the binary with a clean environment, whose management takes ports by the kernel.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metrics-adapter"));
    command.env_clear().args(args);
    command
        .env("METRICS_ADAPTER_PROBE_ADDR", "127.0.0.1:0")
        .env("METRICS_ADAPTER_ADMIN_ADDR", "127.0.0.1:0")
        .env("METRICS_ADAPTER_LOG_FORMAT", "json");
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).stdin(Stdio::null()).output().unwrap()
}

// === impl Adapter ===

impl Adapter {
    /// `statsd_exporter` on ports by the kernel, with UDP and TCP.
    pub(crate) fn statsd(flags: &[&str]) -> Self {
        let mut args = vec![
            "statsd_exporter",
            "--web.listen-address=127.0.0.1:0",
            "--statsd.listen-udp=127.0.0.1:0",
            "--statsd.listen-tcp=127.0.0.1:0",
        ];
        args.extend(flags);
        Self::start(command(&args))
    }

    /// With a superset file.
    pub(crate) fn own(file: &Path) -> Self {
        let mut command = command(&["--config"]);
        command.arg(file).env("METRICS_ADAPTER_LISTEN", "127.0.0.1:0");
        Self::start(command)
    }

    /// Starts a command and waits until it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut adapter =
            Self { child, log, seen: Vec::new(), page: unknown, probe: unknown, admin: unknown };
        let listening = adapter.logged("listening");
        let up = adapter.logged("management is up");
        adapter.page = field(&listening, "http").parse().unwrap();
        adapter.probe = field(&up, "probe").parse().unwrap();
        adapter.admin = field(&up, "admin").parse().unwrap();
        let probe = adapter.probe;
        wait_until("it is ready", || get(probe, "/readyz", &[]).status == 200);
        adapter
    }

    /// The first line of the log with this message that nobody has asked for yet.
    pub(crate) fn logged(&mut self, message: &str) -> Value {
        let has = |line: &Value| field(line, "message").contains(message);
        loop {
            if let Some(index) = self.seen.iter().position(has) {
                return self.seen.remove(index);
            }
            match self.log.recv_timeout(WAIT_MAX) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no {message:?} in the log ({error}): {:#?}", self.seen),
            }
        }
    }

    /// Where a listener is, by its name in `/mgmt/v1/network`.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        let network = get(self.admin, "/mgmt/v1/network", &[]).json();
        let found = find(&network, name);
        found.unwrap_or_else(|| panic!("no {name} in {network}")).parse().unwrap()
    }

    /// Sends a datagram of statsd lines, and waits until they are counted.
    pub(crate) fn send(&self, lines: &str) {
        let before = self.lines();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(lines.as_bytes(), self.listener("statsd-udp")).unwrap();
        let sent = lines.lines().filter(|line| !line.is_empty()).count() as f64;
        wait_until("the lines are read", || self.lines() >= before + sent);
    }

    /// Lines read so far.
    fn lines(&self) -> f64 {
        let ours = get(self.probe, "/metrics", &[]).text();
        let theirs = get(self.page, "/metrics", &[]).text();
        let name = "statsd_exporter_lines_total ";
        let line = ours.lines().chain(theirs.lines()).find_map(|line| line.strip_prefix(name));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        get(self.page, path, &[])
    }

    pub(crate) fn metrics(&self) -> String {
        let reply = self.get("/metrics");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once it has ended.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("it ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(crate) fn get(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    call(addr, "GET", path, headers)
}

/// One request on a connection of its own.
pub(crate) fn call(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
    exchange(stream, method, path, headers)
}

/// One request on any connection.
pub(crate) fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "Connection: close\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // TLS peers may end without saying so.
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = answer[end + 4..].to_vec();
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        body = dechunked(&body);
    }
    Reply { status, head, body }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

fn field(line: &Value, name: &str) -> String {
    let value = if line["fields"][name].is_null() { &line[name] } else { &line["fields"][name] };
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn find(json: &Value, name: &str) -> Option<String> {
    match json {
        Value::Object(members) if members.get("name").is_some_and(|it| it == name) => {
            members.get("address").and_then(Value::as_str).map(str::to_owned)
        }
        Value::Object(members) => members.values().find_map(|value| find(value, name)),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}
