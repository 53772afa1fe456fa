//! The servers, and both proxies in front of them with the same configuration.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::Bench;
use super::canned::Canned;
use super::workload::Protocol;
use crate::bench::child::{Child, Port};
use crate::bench::usage;

/// Servers behind a proxy.
pub(super) struct Servers {
    pub(super) protocol: Protocol,
    pub(super) ports: Vec<u16>,
    running: Running,
}

enum Running {
    Real(Vec<(Child, Port)>),
    Canned(Canned),
}

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Ours,
    Theirs,
}

/// A running proxy.
pub(super) struct Proxy {
    pub(super) kind: Kind,
    pub(super) port: u16,
    child: Child,
    _ports: [Port; 2],
}

// === impl Servers ===

impl Servers {
    /// Real servers: `redis-server` without persistence, or `memcached` with one thread.
    pub(super) fn real(
        bench: &Bench,
        protocol: Protocol,
        count: usize,
        cores: &[usize],
    ) -> Result<Self> {
        let mut servers = Vec::new();
        for _ in 0..count {
            let port = Port::reserve()?;
            servers.push((start_server(bench, protocol, port.number(), cores)?, port));
        }
        for (child, port) in &mut servers {
            child.await_listening(port.number())?;
        }
        Ok(Self {
            protocol,
            ports: servers.iter().map(|(_, port)| port.number()).collect(),
            running: Running::Real(servers),
        })
    }

    /// Servers that answer `GET` from memory of their own, on the cores of this thread.
    pub(super) fn canned(count: usize) -> Result<Self> {
        let canned = Canned::start(count)?;
        Ok(Self {
            protocol: Protocol::Redis,
            ports: canned.ports.clone(),
            running: Running::Canned(canned),
        })
    }

    /// CPU time of all of them so far.
    pub(super) fn cpu(&self) -> Result<std::time::Duration> {
        match &self.running {
            Running::Real(servers) => {
                let times = servers.iter().map(|(child, _)| usage::cpu(child.pid()));
                times.sum()
            }
            Running::Canned(canned) => canned.cpu(),
        }
    }

    /// The real servers' processes.
    pub(super) fn children(&self) -> impl Iterator<Item = &Child> {
        let servers = match &self.running {
            Running::Real(servers) => servers.as_slice(),
            Running::Canned(_) => &[],
        };
        servers.iter().map(|(child, _)| child)
    }
}

/// Starts one server and does not wait for it.
pub(super) fn start_server(
    bench: &Bench,
    protocol: Protocol,
    port: u16,
    cores: &[usize],
) -> Result<Child> {
    let (program, arguments) = match protocol {
        Protocol::Redis => (
            "redis-server",
            format!("--port {port} --bind 127.0.0.1 --save  --appendonly no --daemonize no"),
        ),
        // Root must say that it means to be root; -U 0 turns UDP off.
        Protocol::Memcached => {
            ("memcached", format!("-p {port} -l 127.0.0.1 -U 0 -u root -t 1 -m 256 -c 4096"))
        }
    };
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let name = format!("{program}-{port}");
    Child::start(&name, Path::new(program), &arguments, cores, bench.folder())
}

// === impl Kind ===

impl Kind {
    /// In the order of the rounds.
    pub(super) const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ambassador-proxy",
            Self::Theirs => "nutcracker",
        }
    }
}

// === impl Proxy ===

impl Proxy {
    /// Starts a proxy on `cores`, with `extra` lines in its pool. `workers` is for ours only: the
    /// peer has one thread.
    pub(super) fn start(
        bench: &Bench,
        kind: Kind,
        servers: &Servers,
        workers: usize,
        cores: &[usize],
        extra: &str,
    ) -> Result<Self> {
        let ports = [Port::reserve()?, Port::reserve()?];
        let [port, stats] = [&ports[0], &ports[1]].map(Port::number);
        let file = bench.folder().join(format!("{port}.yml"));
        let text = pool("bench", port, servers.protocol, &servers.ports, extra);
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        Self::start_with(bench, kind, &file, [port, stats], workers, cores).map(|child| Self {
            kind,
            port,
            child,
            _ports: ports,
        })
    }

    fn start_with(
        bench: &Bench,
        kind: Kind,
        file: &Path,
        [port, stats]: [u16; 2],
        workers: usize,
        cores: &[usize],
    ) -> Result<Child> {
        let mut child = start_proxy(bench, kind, file, stats, workers, cores)?;
        child.await_listening(port)?;
        Ok(child)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Who failed at what, and what it said last.
    pub(super) fn failed_at(&self, label: &str) -> String {
        let said = self.child.last_words();
        format!("{label}, {} (its log ends: {said})", self.kind.name())
    }
}

/// Starts a proxy with a configuration file and does not wait for it.
pub(super) fn start_proxy(
    bench: &Bench,
    kind: Kind,
    file: &Path,
    stats: u16,
    workers: usize,
    cores: &[usize],
) -> Result<Child> {
    let file = file.display();
    let (program, arguments) = match kind {
        Kind::Ours => (
            &bench.ours,
            format!(
                "-c {file} -s {stats} -a 127.0.0.1 --workers {workers} --probe-addr 127.0.0.1:0 \
                 --admin-addr 127.0.0.1:0"
            ),
        ),
        Kind::Theirs => (
            &bench.theirs,
            format!("-c {file} -s {stats} -a 127.0.0.1 -o {file}.log -p {file}.pid -v 4"),
        ),
    };
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let name = format!("{}-{stats}", kind.name());
    Child::start(&name, program, &arguments, cores, bench.folder())
}

/// A pool in nutcracker's configuration file. Servers are named, so that keys lie alike in every
/// run whatever ports the kernel picked.
pub(super) fn pool(
    name: &str,
    port: u16,
    protocol: Protocol,
    servers: &[u16],
    extra: &str,
) -> String {
    let mut text = format!(
        "{name}:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  \
         redis: {}\n  backlog: 4096\n  preconnect: true\n",
        protocol == Protocol::Redis
    );
    for line in extra.lines() {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("  servers:\n");
    for (index, server) in servers.iter().enumerate() {
        let _ = writeln!(text, "   - 127.0.0.1:{server}:1 server-{index}");
    }
    text
}
