//! A TCP stream with a deadline instead of timeouts, in TLS or not.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait for a connection to one address, as there may be others, and whoever asked waits.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How often a wait for bytes looks whether anybody still wants them.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Ends waits before their deadline; clones are one.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<AtomicBool>);

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// TCP whose reads and writes fail with [`ErrorKind::TimedOut`] after a point in time.
#[derive(Debug)]
pub(super) struct Timed {
    tcp: TcpStream,
    deadline: Instant,
    given_up: GivenUp,
}

// === impl GivenUp ===

impl GivenUp {
    /// True: waits for bytes end now, as if their deadline had passed. False: no longer.
    pub fn set(&self, given_up: bool) {
        self.0.store(given_up, Ordering::Relaxed);
    }
}

// === impl Stream ===

impl Stream {
    /// Connects to the first address of a host that takes it. Resolving the name is the system's
    /// business and has the system's timeouts.
    pub(super) fn connect(
        host: &str,
        port: u16,
        tls: Option<&Arc<ClientConfig>>,
        deadline: Instant,
        given_up: &GivenUp,
    ) -> io::Result<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs()?.collect();
        let tcp = reach(&addresses, deadline, CONNECT_MAX)?;
        tcp.set_nodelay(true)?;
        let timed = Timed { tcp, deadline, given_up: given_up.clone() };
        let Some(config) = tls else { return Ok(Self::Plain(timed)) };
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let client = ClientConnection::new(Arc::clone(config), name)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(client, timed))))
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        match self {
            Self::Plain(timed) => timed.deadline = deadline,
            Self::Tls(stream) => stream.sock.deadline = deadline,
        }
    }

    /// Ends it at once, without a word.
    pub(super) fn shutdown(&mut self) {
        let timed = match self {
            Self::Plain(timed) => timed,
            Self::Tls(stream) => &mut stream.sock,
        };
        // One that has ended already cannot be ended.
        let _ = timed.tcp.shutdown(Shutdown::Both);
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

// === impl Timed ===

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.tcp.set_read_timeout(Some(left(self.deadline)?.min(LOOK_EVERY)))?;
            match self.tcp.read(buffer) {
                Err(error) if is_timeout(&error) && !self.given_up.0.load(Ordering::Relaxed) => {}
                result => return result,
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(left(self.deadline)?))?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Connects to the first address that takes it. Each has its share of the time that is left, and at
/// most `max`, so that one that swallows packets leaves some to those behind it.
fn reach(addresses: &[SocketAddr], deadline: Instant, max: Duration) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for (address, to_come) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let left = left(deadline)?;
        let share = (left / to_come).min(max).max(Duration::from_micros(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(tcp) => return Ok(tcp),
            // The caller's time is not up, only that for a connection.
            Err(error) if is_timeout(&error) && left > share => {
                failure = io::Error::other(format!("no connection within {share:?}"));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // The system takes less than a microsecond for no timeout at all.
    if left < Duration::from_micros(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
