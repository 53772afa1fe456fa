//! Programs as child processes, the wire, seeds, and waiting for conditions.

mod load;
mod proxy;
mod servers;
mod wire;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ambassador_proxy::config::{Listen, parse_pools};
use tempfile::TempDir;

pub(crate) use load::Load;
pub(crate) use proxy::{Finished, Proxy, http, listen_to, run};
pub(crate) use servers::{DeadPort, Server, keys_of};
pub(crate) use wire::{Client, End, Outcome, request};

/// The variable that replays a seed a test has printed.
pub(crate) const SEED_VARIABLE: &str = "AMBASSADOR_PROXY_TEST_SEED";

/// Longest wait for anything in these tests; only a failing test waits that long.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);

/// A running nutcracker; it is killed when this is dropped.
pub(crate) struct Nutcracker {
    child: Child,
    dir: TempDir,
    /// The port of its statistics.
    pub(crate) stats_port: u16,
}

/// A connection over TCP or a Unix socket.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// A small generator of random numbers (splitmix64): a seed gives the same test everywhere.
pub(crate) struct Random(u64);

// === impl Nutcracker ===

impl Nutcracker {
    /// Starts nutcracker on `config` and waits until all its pools accept connections.
    pub(crate) fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nutcracker.yml");
        fs::write(&file, config).unwrap();
        let stats_port = free_port();
        let child = Command::new(program())
            .arg("-c")
            .arg(&file)
            .arg("-o")
            .arg(dir.path().join("log"))
            .arg("-p")
            .arg(dir.path().join("pid"))
            .args(["-a", "127.0.0.1", "-s", &stats_port.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut nutcracker = Nutcracker { child, dir, stats_port };
        for pool in parse_pools(Path::new("nutcracker.yml"), config).unwrap().pools.0 {
            nutcracker.wait_for(&pool.listen);
        }
        nutcracker
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn wait_for(&mut self, listen: &Listen) {
        wait_until(&format!("nutcracker accepts on {listen}"), || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("nutcracker ended with {status}:\n{}", self.log());
            }
            connect(listen).is_ok()
        });
    }
}

impl Drop for Nutcracker {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `nutcracker -t` on a file.
pub(crate) fn nutcracker_checks(file: &Path) -> Output {
    let scratch = file.with_extension("log");
    Command::new(program()).arg("-t").arg("-c").arg(file).arg("-o").arg(scratch).output().unwrap()
}

fn program() -> PathBuf {
    // Debian puts it where the path of ordinary users does not lead.
    let places = ["/usr/sbin/nutcracker", "/usr/local/sbin/nutcracker", "/usr/bin/nutcracker"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("the real nutcracker is installed (`cargo xtask setup`)")
}

// === connections ===

/// Connects to a pool's listener.
pub(crate) fn connect(listen: &Listen) -> io::Result<Box<dyn Stream>> {
    match listen {
        Listen::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(WAIT_MAX))?;
            Ok(Box::new(stream))
        }
        Listen::Unix { path, .. } => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(WAIT_MAX))?;
            Ok(Box::new(stream))
        }
    }
}

/// A port on 127.0.0.1 that the kernel just had free, and that no other test was given: it would
/// give the same one again before anybody listens there.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}

/// Polls a condition; a test fails if it does not come to hold.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < WAIT_MAX, "waited too long until {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

// === impl Random ===

impl Random {
    /// From the seed in [`SEED_VARIABLE`], or a fresh one; printed either way.
    pub(crate) fn from_environment() -> Self {
        use std::hash::{BuildHasher, Hasher, RandomState};
        #[expect(clippy::disallowed_methods, reason = "a test's seed is no configuration")]
        let given = std::env::var(SEED_VARIABLE).ok();
        let seed = match given {
            Some(seed) => seed.parse().expect("the seed is a number"),
            None => RandomState::new().build_hasher().finish(),
        };
        println!("replay with {SEED_VARIABLE}={seed}");
        Random(seed)
    }

    /// From a seed that is known already.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `of` times.
    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}
