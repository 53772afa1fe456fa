//! Management under test: in process, on port 0, with signals from a channel; and a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use management::{Builder, Drain, ExitReason, Handle, Image, Shared, Signal};
use tokio::sync::mpsc;

pub(crate) const IMAGE: Image = Image {
    name: "example-image",
    version: "1.2.3",
    pattern: "example",
    about: "An example",
    probe_port: 0,
    admin_port: 0,
};

/// Past this a condition is taken never to come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn shared() -> Shared {
    let mut shared = Shared::defaults(&IMAGE);
    shared.probe_addr = SocketAddr::from(([127, 0, 0, 1], 0));
    shared
}

/// A builder whose log goes nowhere but its ring.
pub(crate) fn builder(shared: &Shared) -> Builder {
    let builder = Builder::detached(IMAGE, shared).unwrap();
    builder.log_file(std::path::Path::new("/dev/null")).unwrap()
}

pub(crate) fn start(builder: Builder) -> (Handle, mpsc::UnboundedSender<Signal>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (builder.signals(receiver).bind().unwrap().spawn().unwrap(), sender)
}

/// An image's work, as far as a drain sees it.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) in_flight: AtomicU64,
    pub(crate) accepting: AtomicBool,
    pub(crate) closed: AtomicBool,
}

#[derive(Clone, Default)]
pub(crate) struct SharedWork(pub(crate) Arc<Work>);

impl SharedWork {
    pub(crate) fn new(in_flight: u64) -> Self {
        let work = Work { accepting: AtomicBool::new(true), ..Work::default() };
        work.in_flight.store(in_flight, Ordering::SeqCst);
        Self(Arc::new(work))
    }

    pub(crate) fn accepting(&self) -> bool {
        self.0.accepting.load(Ordering::SeqCst)
    }
}

impl Drain for SharedWork {
    fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    fn stop_accepting(&self) {
        self.0.accepting.store(false, Ordering::SeqCst);
    }

    fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    fn undrain(&self) {
        self.0.accepting.store(true, Ordering::SeqCst);
    }
}

/// Runs the image's main thread aside; its result comes from `join`.
pub(crate) fn run_aside(handle: &Handle, work: &SharedWork) -> std::thread::JoinHandle<ExitReason> {
    let (handle, work) = (handle.clone(), work.clone());
    std::thread::spawn(move || handle.run(work))
}

/// Waits for a condition.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find(|line| {
            line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
        })?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, "GET", path, &[], "")
}

/// Posts with the header that shows intent.
pub(crate) fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    ask(addr, "POST", path, &["Content-Type: application/json"], body)
}

pub(crate) fn ask(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let stream = TcpStream::connect(addr).unwrap();
    exchange(stream, &addr.to_string(), method, path, headers, body)
}

pub(crate) fn exchange(
    mut stream: impl Read + Write,
    host: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.starts_with("Host:")) {
        request.push_str(&format!("Host: {host}\r\n"));
    }
    for header in headers {
        request.push_str(&format!("{header}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A body refused midway ends with a reset; what came before counts.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status: {answer:?}")),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A stream of log lines, after its header; chunk sizes are skipped.
pub(crate) struct Lines(BufReader<TcpStream>);

impl Lines {
    pub(crate) fn open(addr: SocketAddr, query: &str, accept: &str) -> (u16, Self) {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("/mgmt/v1/logs?{query}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: {accept}\r\n\r\n").unwrap();
        let mut lines = Self(BufReader::new(stream));
        let status = lines.raw();
        while !lines.raw().is_empty() {}
        (status.split(' ').nth(1).unwrap().parse().unwrap(), lines)
    }

    fn raw(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The next line that is not framing.
    pub(crate) fn next(&mut self) -> String {
        loop {
            let line = self.raw();
            if line.contains('{') {
                return line;
            }
        }
    }
}
