//! A TCP stream with a deadline instead of timeouts, in TLS or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
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
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in (bare, port).to_socket_addrs()? {
            match reach(&address, deadline, CONNECT_MAX) {
                Ok(tcp) => {
                    tcp.set_nodelay(true)?;
                    let timed = Timed { tcp, deadline, given_up: given_up.clone() };
                    let Some(config) = tls else { return Ok(Self::Plain(timed)) };
                    let name = ServerName::try_from(bare.to_owned())
                        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
                    let client = ClientConnection::new(Arc::clone(config), name)
                        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
                    return Ok(Self::Tls(Box::new(StreamOwned::new(client, timed))));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        match self {
            Self::Plain(timed) => timed.deadline = deadline,
            Self::Tls(stream) => stream.sock.deadline = deadline,
        }
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

/// Connects within a time that may be shorter than what is left.
fn reach(address: &SocketAddr, deadline: Instant, max: Duration) -> io::Result<TcpStream> {
    let left = left(deadline)?;
    match TcpStream::connect_timeout(address, left.min(max)) {
        Err(error) if is_timeout(&error) && left > max => {
            Err(io::Error::other(format!("no connection within {max:?}")))
        }
        result => result,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // The system takes less than a microsecond for no timeout at all.
    if left < Duration::from_micros(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_takes_no_connection_costs_less_than_the_deadline() {
        // A listener that takes nothing, whose queue is full: the kernel drops what else comes.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let (start, max) = (Instant::now(), Duration::from_millis(50));
        let end = start + Duration::from_secs(60);
        let mut taken = Vec::new();
        let error = loop {
            match reach(&address, end, max) {
                Ok(stream) => taken.push(stream),
                Err(error) => break error,
            }
            assert!(taken.len() < 100, "the queue never is full");
        };
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
        assert!(!is_timeout(&error), "it is no deadline: {error}");
        assert!(error.to_string().contains("no connection within 50ms"), "{error}");
        assert!(is_timeout(&reach(&address, Instant::now() + max, max * 10).unwrap_err()));
    }
}
