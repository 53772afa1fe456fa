//! Servers that cost next to nothing, so that on few cores the proxy is what bounds the throughput.
//! They know one request, a `GET` of a key as long as all keys of the workloads, and answer it with
//! the value that names the key: a division finds the requests, a copy makes the reply. All run in
//! one thread of this process.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use super::workload::SMALL;
use crate::bench::usage;

/// Between two looks whether the benchmark is over.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// What a health probe may send.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// A running thread of servers; it ends when this is dropped.
pub(super) struct Canned {
    pub(super) ports: Vec<u16>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Number of the thread, for its CPU time.
    number: String,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

// === impl Canned ===

impl Canned {
    pub(super) fn start(count: usize) -> Result<Self> {
        let listeners = (0..count)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<std::io::Result<Vec<_>>>()
            .context("bind canned servers")?;
        let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
        let ports = ports.collect::<Result<Vec<_>>>()?;
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let number = rustix::thread::gettid().as_raw_nonzero().to_string();
            // The receiver waits for this; whatever goes wrong later shows as missing replies.
            let _ = sender.send(number);
            let _ = serve(&listeners, &stop);
        });
        Ok(Self {
            ports,
            over,
            thread: Some(thread),
            number: receiver.recv().context("start the canned servers")?,
        })
    }

    pub(super) fn cpu(&self) -> Result<Duration> {
        usage::cpu_of_thread(&self.number)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(listeners: &[TcpListener], over: &AtomicBool) -> Result<()> {
    let poll: OwnedFd = epoll::create(CreateFlags::CLOEXEC)?;
    for (index, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        epoll::add(&poll, listener, EventData::new_u64(index as u64), EventFlags::IN)?;
    }
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::with_capacity(64);
    while !over.load(Ordering::Relaxed) {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&LOOK_EVERY))?;
        for event in &events {
            let token = usize::try_from(event.data.u64())?;
            if let Some(listener) = listeners.get(token) {
                let Ok((stream, _)) = listener.accept() else {
                    continue;
                };
                stream.set_nodelay(true)?;
                let data = EventData::new_u64((listeners.len() + connections.len()) as u64);
                epoll::add(&poll, &stream, data, EventFlags::IN)?;
                connections.push(Some(Connection {
                    stream,
                    input: Vec::new(),
                    output: Vec::new(),
                }));
                continue;
            }
            let connection = &mut connections[token - listeners.len()];
            let open = connection.as_mut().is_some_and(|connection| connection.answer().is_ok());
            if !open {
                *connection = None;
            }
        }
    }
    Ok(())
}

// === impl Connection ===

impl Connection {
    /// Reads what is there and answers it. The write may block, which is right: a proxy that does
    /// not read replies would otherwise be charged to the memory of this process.
    fn answer(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 64 * 1024];
        let read = self.stream.read(&mut chunk)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.input.extend_from_slice(&chunk[..read]);
        let mut rest = self.input.as_slice();
        self.output.clear();
        loop {
            if let Some(after) = rest.strip_prefix(PING) {
                self.output.extend_from_slice(b"+PONG\r\n");
                rest = after;
            } else if let Some((request, after)) = rest.split_at_checked(request_length()) {
                let key = &request[request.len() - key_length() - 2..request.len() - 2];
                append_reply(&mut self.output, key);
                rest = after;
            } else {
                break;
            }
        }
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        self.stream.write_all(&self.output)
    }
}

/// Length of any key of the workloads.
fn key_length() -> usize {
    "key:000000000000".len()
}

fn request_length() -> usize {
    "*2\r\n$3\r\nGET\r\n$16\r\n\r\n".len() + key_length()
}

/// The reply to a read, as `workload::value` has it, without its allocation.
fn append_reply(output: &mut Vec<u8>, key: &[u8]) {
    output.extend_from_slice(b"$64\r\n");
    let end = output.len() + SMALL;
    while output.len() < end {
        let left = end - output.len();
        output.extend_from_slice(&key[..key.len().min(left)]);
        if output.len() < end {
            output.push(b'|');
        }
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{append_reply, request_length};
    use crate::bench::ambassador_proxy::workload::{SMALL, command, key, value};

    #[test]
    fn canned_servers_know_the_workloads() {
        let key = key("key", 9_999);
        let mut request = Vec::new();
        command(&mut request, &[b"GET", key.as_bytes()]);
        assert_eq!(request.len(), request_length());
        let mut reply = Vec::new();
        append_reply(&mut reply, key.as_bytes());
        let value = String::from_utf8(value(&key, SMALL)).expect("text");
        assert_eq!(String::from_utf8(reply), Ok(format!("$64\r\n{value}\r\n")));
    }
}
