//! A real etcd of one node as a child process.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::free_port;
use crate::conformance::until;

/// A running etcd; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    peer_port: u16,
}

// === impl Server ===

impl Server {
    /// Starts an empty etcd and waits until it answers.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        // The system may give the same one again before anybody listens there.
        let peer_port = std::iter::repeat_with(free_port).find(|&it| it != port).unwrap();
        let child = spawn(&dir, port, peer_port);
        let mut server = Self { child, dir, port, peer_port };
        server.until_up().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets it hang, or go on: connections are accepted by the kernel, nothing is answered.
    pub(crate) async fn freeze(&self, on: bool) {
        let signal = if on { Signal::STOP } else { Signal::CONT };
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        if on {
            // The signal stops one thread after the other.
            until("all threads stand still", async || self.stands_still()).await;
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

    /// Kills it as `kill -9` does; connections are refused.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with what it had.
    pub(crate) async fn revive(&mut self) {
        self.child = spawn(&self.dir, self.port, self.peer_port);
        self.until_up().await;
    }

    /// How many keys have this prefix.
    pub(crate) async fn count(&self, prefix: &str) -> usize {
        let mut end = prefix.as_bytes().to_vec();
        *end.last_mut().unwrap() += 1;
        let request = json!({ "key": base64(prefix.as_bytes()), "range_end": base64(&end),
            "count_only": true });
        let answer = self.ask("/v3/kv/range", &request).await.unwrap();
        answer["count"].as_str().map_or(0, |count| count.parse().unwrap())
    }

    /// Sends a request past the backend.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Option<Value> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let url = format!("{}{path}", self.url());
        client.post(url).json(body).send().await.ok()?.json().await.ok()
    }

    async fn until_up(&mut self) {
        until("etcd answers", async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("etcd ended with {status}");
            }
            self.ask("/v3/kv/range", &json!({ "key": "AA==" })).await.is_some()
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &TempDir, port: u16, peer_port: u16) -> Child {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Command::new("etcd")
        .args(["--name", "etcd", "--data-dir"])
        .arg(dir.path().join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("etcd={peer}")])
        // Leases are as short as a second with these.
        .args(["--heartbeat-interval", "20", "--election-timeout", "200", "--unsafe-no-fsync"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd is installed (`cargo xtask setup`)")
}

/// Base64 of bytes.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) as usize & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}
