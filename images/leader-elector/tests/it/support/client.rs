//! The smallest client of HTTP that can also read events, and break off.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::WAIT_MAX;

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    /// Of an event stream, what was decoded and not read.
    text: String,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: String,
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Self {
        let stream = timeout(WAIT_MAX, TcpStream::connect(addr)).await.unwrap().unwrap();
        Self { stream: BufReader::new(stream), text: String::new() }
    }

    /// A connection whose kernel takes little in advance.
    pub(crate) async fn open_narrow(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(addr).await.unwrap();
        Self { stream: BufReader::new(stream), text: String::new() }
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if method != "GET" || !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body;
        self.raw(request.as_bytes()).await;
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        timeout(WAIT_MAX, self.stream.write_all(bytes)).await.unwrap().unwrap();
    }

    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        self.send(method, path, headers, body).await;
        self.reply().await
    }

    /// The whole of an answer that has a length.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        let length = reply.header("content-length").map_or(0, |it| it.parse().unwrap());
        let mut body = vec![0; length];
        timeout(WAIT_MAX, self.stream.read_exact(&mut body)).await.unwrap().unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    /// The head of an answer.
    pub(crate) async fn head(&mut self) -> Reply {
        let mut head = String::new();
        loop {
            let line = self.line().await;
            if line == "\r\n" {
                break;
            }
            assert!(!line.is_empty(), "the connection was closed before an answer");
            head += &line;
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: String::new() }
    }

    /// Starts a stream of events, which must be granted.
    pub(crate) async fn events(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.send(method, path, headers, body).await;
        let head = self.head().await;
        assert_eq!(head.status, 200, "{}", head.head);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
    }

    /// The next event; `None` at the end of the stream. Comments are skipped.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                let field = |name: &str| {
                    let mut lines = block.lines().filter_map(|line| line.split_once(": "));
                    lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
                };
                if let Some(data) = field("data") {
                    let id = field("id").map(|id| id.parse().unwrap());
                    return Some(Event { name: field("event").unwrap_or_default(), id, data });
                }
            }
            let length = self.line().await;
            let length = usize::from_str_radix(length.trim_end(), 16).ok()?;
            let mut chunk = vec![0; length + 2];
            timeout(WAIT_MAX, self.stream.read_exact(&mut chunk)).await.unwrap().ok()?;
            if length == 0 {
                return None;
            }
            self.text += std::str::from_utf8(&chunk[..length]).unwrap();
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(WAIT_MAX, self.stream.read_line(&mut line)).await.unwrap().unwrap();
        line
    }
}

// === impl Reply, Event ===

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The word of an error, whose shape is checked.
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        let fields = json.as_object().unwrap();
        let known = ["error", "message", "leader", "retry_after_ms", "valid_for_ms", "highest"];
        assert!(fields.keys().all(|key| known.contains(&key.as_str())), "{json}");
        assert!(!json["message"].as_str().unwrap().is_empty(), "{json}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        json["error"].as_str().unwrap().to_owned()
    }
}

impl Event {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}
