//! Requests, and the exact replies they must get. Every value names its key, so that a reply can be
//! checked by comparing bytes, which costs less than parsing it and finds every foreign reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::random::Random;

/// Keys that are read; all exist.
const KEYS: u64 = 10_000;
/// Of any reply while keys are written.
const REPLY_WITHIN: Duration = Duration::from_secs(10);

/// What servers and clients speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Redis,
    Memcached,
}

/// One kind of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Get,
    Set,
    /// A read of that many keys in one request.
    MultiGet(usize),
}

/// A kind of traffic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// As `--only` takes it.
    pub(super) name: &'static str,
    /// As tables show it.
    pub(super) label: &'static str,
    pub(super) protocol: Protocol,
    pub(super) operation: Operation,
    /// Requests a client sends before it waits for their replies.
    pub(super) pipeline: usize,
    /// Bytes of a value.
    pub(super) value: usize,
}

/// Requests that are sent together, and the bytes that must come back.
pub(super) struct Batch {
    pub(super) request: Vec<u8>,
    pub(super) expected: Vec<u8>,
    /// Where each reply ends in `expected`.
    pub(super) ends: Vec<usize>,
}

const fn redis(
    name: &'static str,
    label: &'static str,
    operation: Operation,
    pipeline: usize,
    value: usize,
) -> Workload {
    Workload { name, label, protocol: Protocol::Redis, operation, pipeline, value }
}

/// Bytes of the values that are read.
pub(super) const SMALL: usize = 64;

pub(super) const GET_1: Workload = redis("get-1", "GET", Operation::Get, 1, SMALL);
pub(super) const GET_16: Workload = redis("get-16", "GET, P=16", Operation::Get, 16, SMALL);
pub(super) const GET_64: Workload = redis("get-64", "GET, P=64", Operation::Get, 64, SMALL);
pub(super) const SET_1: Workload = redis("set-1", "SET 1 KiB", Operation::Set, 1, 1024);
pub(super) const SET_16: Workload = redis("set-16", "SET 1 KiB, P=16", Operation::Set, 16, 1024);
pub(super) const MGET: Workload =
    redis("mget-10", "MGET of 10 keys", Operation::MultiGet(10), 1, SMALL);
pub(super) const MEMCACHED_GET_1: Workload = Workload {
    name: "memcached-get-1",
    label: "memcached get",
    protocol: Protocol::Memcached,
    ..GET_1
};
pub(super) const MEMCACHED_GET_16: Workload = Workload {
    name: "memcached-get-16",
    label: "memcached get, P=16",
    protocol: Protocol::Memcached,
    ..GET_16
};

/// Every workload, for checking names.
pub(super) const ALL: [Workload; 8] =
    [GET_1, GET_16, GET_64, SET_1, SET_16, MGET, MEMCACHED_GET_1, MEMCACHED_GET_16];

// === impl Workload ===

impl Workload {
    /// Batches for all clients to go through in a circle; enough that the keys look random, few
    /// enough to stay in the second-level cache.
    pub(super) fn batches(&self) -> Vec<Batch> {
        let batches = if self.value > SMALL { 32 } else { 256 };
        let mut random = Random::new(1);
        (0..batches)
            .map(|_| {
                let mut batch =
                    Batch { request: Vec::new(), expected: Vec::new(), ends: Vec::new() };
                for _ in 0..self.pipeline {
                    self.append(&mut random, &mut batch);
                    batch.ends.push(batch.expected.len());
                }
                batch
            })
            .collect()
    }

    fn append(&self, random: &mut Random, batch: &mut Batch) {
        let Batch { request, expected, .. } = batch;
        let mut key = |prefix: &str| key(prefix, random.below(KEYS));
        match (self.protocol, self.operation) {
            (Protocol::Redis, Operation::Get) => {
                let key = key("key");
                command(request, &[b"GET", key.as_bytes()]);
                bulk(expected, &value(&key, self.value));
            }
            (Protocol::Redis, Operation::Set) => {
                let key = key("set");
                command(request, &[b"SET", key.as_bytes(), &value(&key, self.value)]);
                expected.extend_from_slice(b"+OK\r\n");
            }
            (Protocol::Redis, Operation::MultiGet(keys)) => {
                let keys: Vec<String> = (0..keys).map(|_| key("key")).collect();
                let arguments = keys.iter().map(String::as_bytes);
                let arguments: Vec<&[u8]> = [&b"MGET"[..]].into_iter().chain(arguments).collect();
                command(request, &arguments);
                expected.extend_from_slice(format!("*{}\r\n", keys.len()).as_bytes());
                for key in &keys {
                    bulk(expected, &value(key, self.value));
                }
            }
            (Protocol::Memcached, Operation::Get) => {
                let key = key("key");
                request.extend_from_slice(format!("get {key}\r\n").as_bytes());
                item(expected, &key, &value(&key, self.value));
                expected.extend_from_slice(b"END\r\n");
            }
            (Protocol::Memcached, Operation::Set) => {
                let key = key("set");
                store(request, &key, &value(&key, self.value));
                expected.extend_from_slice(b"STORED\r\n");
            }
            // Both proxies may order items by server: no exact reply can be told beforehand.
            (Protocol::Memcached, Operation::MultiGet(_)) => {
                unreachable!("there is no such workload")
            }
        }
    }
}

/// Writes all keys that are read, through a proxy, and checks each reply.
pub(super) fn write_keys(port: u16, protocol: Protocol) -> Result<()> {
    let mut request = Vec::new();
    let mut expected: Vec<u8> = Vec::new();
    for number in 0..KEYS {
        let key = key("key", number);
        match protocol {
            Protocol::Redis => {
                command(&mut request, &[b"SET", key.as_bytes(), &value(&key, SMALL)]);
                expected.extend_from_slice(b"+OK\r\n");
            }
            Protocol::Memcached => {
                store(&mut request, &key, &value(&key, SMALL));
                expected.extend_from_slice(b"STORED\r\n");
            }
        }
    }
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(REPLY_WITHIN))?;
    stream.set_write_timeout(Some(REPLY_WITHIN))?;
    // The replies are short: they fit the sockets' buffers while the requests are written.
    stream.write_all(&request).context("write keys")?;
    let mut replies = vec![0; expected.len()];
    stream.read_exact(&mut replies).context("read the replies to keys written")?;
    ensure!(replies == expected, "a key was not stored");
    Ok(())
}

/// A key; all have the same length.
pub(super) fn key(prefix: &str, number: u64) -> String {
    format!("{prefix}:{number:012}")
}

/// The value of a key: the key again and again, up to `length` bytes.
pub(super) fn value(key: &str, length: usize) -> Vec<u8> {
    key.bytes().chain([b'|']).cycle().take(length).collect()
}

/// A Redis request (RESP2, an array of bulk strings).
pub(super) fn command(request: &mut Vec<u8>, arguments: &[&[u8]]) {
    request.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        bulk(request, argument);
    }
}

fn bulk(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(format!("${}\r\n", value.len()).as_bytes());
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// A memcached request that stores a value.
pub(super) fn store(request: &mut Vec<u8>, key: &str, value: &[u8]) {
    request.extend_from_slice(format!("set {key} 0 0 {}\r\n", value.len()).as_bytes());
    request.extend_from_slice(value);
    request.extend_from_slice(b"\r\n");
}

/// An item in a memcached reply.
fn item(bytes: &mut Vec<u8>, key: &str, value: &[u8]) {
    bytes.extend_from_slice(format!("VALUE {key} 0 {}\r\n", value.len()).as_bytes());
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
