//! A server that answers HTTP as a test tells it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// What is answered: a body, and whether it is held back until the gate opens.
type Answer = Box<dyn Fn(&str, &str) -> (u16, String) + Send + Sync>;

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Answer,
    requests: AtomicUsize,
    /// Whether answers go out.
    open: Mutex<bool>,
    changed: Condvar,
}

// === impl Server ===

impl Server {
    /// `answer` gets the path and the body of each request.
    pub(crate) fn start(
        answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            requests: AtomicUsize::new(0),
            open: Mutex::new(true),
            changed: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { addr, shared }
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Holds answers back, or lets them go.
    pub(crate) fn set_open(&self, open: bool) {
        *self.shared.open.lock().unwrap() = open;
        self.shared.changed.notify_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.set_open(true);
    }
}

// === impl Shared ===

impl Shared {
    /// Requests of one connection until it ends.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let path = line.split(' ').nth(1)?.to_owned();
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).ok()?;
                let header = header.trim().to_ascii_lowercase();
                if header.is_empty() {
                    break;
                }
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            self.requests.fetch_add(1, Ordering::SeqCst);
            let mut open = self.open.lock().unwrap();
            while !*open {
                open = self.changed.wait(open).unwrap();
            }
            drop(open);
            let (status, text) = (self.answer)(&path, std::str::from_utf8(&body).ok()?);
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", text.len());
            reader.get_mut().write_all(head.as_bytes()).ok()?;
            reader.get_mut().write_all(text.as_bytes()).ok()?;
        }
    }
}
