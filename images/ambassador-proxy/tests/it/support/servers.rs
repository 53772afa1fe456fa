//! Real Redis and memcached servers as child processes.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ambassador_proxy::config::{Protocol, parse_pools};
use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{Client, free_port, request, wait_until};

/// A running server; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    flags: Vec<String>,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
}

/// A port where every connection is refused for as long as this lives: bound, not listened on.
pub(crate) struct DeadPort {
    _socket: Socket,
    pub(crate) port: u16,
}

// === impl Server ===

impl Server {
    pub(crate) fn redis(flags: &[&str]) -> Self {
        Server::start(Protocol::Redis, flags)
    }

    pub(crate) fn memcached(flags: &[&str]) -> Self {
        Server::start(Protocol::Memcache, flags)
    }

    pub(crate) fn start(protocol: Protocol, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let child = spawn(protocol, port, &flags, &dir);
        let mut server = Server { child, dir, flags, port, protocol };
        server.wait_until_up();
        server
    }

    /// Kills it as `kill -9` does; its port stays free, so connections are refused.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn revive(&mut self) {
        self.child = spawn(self.protocol, self.port, &self.flags, &self.dir);
        self.wait_until_up();
    }

    /// Lets it hang: connections are accepted by the kernel, nothing is answered.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// A connection of its own, past the proxy.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Removes everything it holds.
    pub(crate) fn flush(&self) {
        let mut client = self.client();
        match self.protocol {
            Protocol::Redis => {
                client.send(&request(&["FLUSHALL"]));
                assert_eq!(client.resp().unwrap(), b"+OK\r\n");
                client.send(&request(&["SCRIPT", "FLUSH"]));
                client.resp().unwrap();
            }
            Protocol::Memcache => {
                client.send(b"flush_all\r\n");
                assert_eq!(client.memcache().unwrap(), b"OK\r\n");
            }
        }
    }

    /// The entry of a pool's `servers`.
    pub(crate) fn entry(&self, name: &str) -> String {
        format!("   - 127.0.0.1:{}:1 {name}\n", self.port)
    }

    fn wait_until_up(&mut self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        wait_until("a server accepts connections", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server on port {} ended with {status}", self.port);
            }
            TcpStream::connect(address).is_ok()
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keys that `config` puts on the server of that label, while all servers live.
pub(crate) fn keys_of(config: &str, pool: &str, label: &str) -> Vec<String> {
    let parsed = parse_pools(Path::new("nutcracker.yml"), config).unwrap();
    let pool = parsed.pools.get(pool).unwrap();
    let placement = pool.placement();
    let keys = (0..400).map(|number| format!("key-{}", number * 7919));
    keys.filter(|key| {
        let server = placement.locate(key.as_bytes(), || 0).unwrap();
        pool.servers[server as usize].label == label
    })
    .collect()
}

fn spawn(protocol: Protocol, port: u16, flags: &[String], dir: &TempDir) -> Child {
    let port = port.to_string();
    let mut command = match protocol {
        Protocol::Redis => {
            let mut command = Command::new("redis-server");
            command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", "no", "--dir"]).arg(dir.path());
            command
        }
        Protocol::Memcache => {
            let mut command = Command::new("memcached");
            command.args(["-p", &port, "-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-t", "1"]);
            command
        }
    };
    command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server and memcached are installed (`cargo xtask setup`)")
}

// === impl DeadPort ===

impl DeadPort {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        DeadPort { _socket: socket, port }
    }

    /// The entry of a pool's `servers`.
    pub(crate) fn entry(&self, name: &str) -> String {
        format!("   - 127.0.0.1:{}:1 {name}\n", self.port)
    }
}
