//! A TCP stream with a deadline instead of timeouts, in TLS or not.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

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
    ) -> io::Result<Self> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs()?.collect();
        let tcp = reach(&addresses, deadline)?;
        tcp.set_nodelay(true)?;
        let timed = Timed { tcp, deadline };
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
        self.tcp.set_read_timeout(Some(left(self.deadline)?))?;
        self.tcp.read(buffer)
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

/// Connects to the first address that takes it. Each has its share of the time that is left, so that
/// one that swallows packets leaves some to those behind it.
fn reach(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for (address, to_come) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = (left(deadline)? / to_come).max(Duration::from_micros(1));
        match TcpStream::connect_timeout(address, share) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // The system takes less than a microsecond for no timeout at all.
    if left < Duration::from_micros(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
