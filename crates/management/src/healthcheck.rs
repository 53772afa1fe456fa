//! `<image> healthcheck`: the probe asked by the binary itself.
//!
//! An image from scratch has no shell and no curl for the engine's HEALTHCHECK. Plain blocking
//! sockets: the answer must not wait for a runtime, nor cost one.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// Time to connect, and for each read and write.
const TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Which probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Does the process work at all?
    Live,
    /// Can it serve now?
    #[default]
    Ready,
}

/// What to ask whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The probe listener as configured; an unspecified address is asked on loopback.
    pub addr: SocketAddr,
    /// Which probe.
    pub kind: Kind,
}

// === impl Kind ===

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Live, Self::Ready]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Live => "live",
            Self::Ready => "ready",
        }))
    }
}

/// Asks, says the answer on standard output, and gives exit code 0 for 200 and 1 for anything
/// else.
#[must_use]
pub fn main(request: &Request) -> ExitCode {
    let (text, code) = match ask(request) {
        Ok((200, body)) => (body, ExitCode::SUCCESS),
        Ok((status, body)) => (format!("{status} {body}"), ExitCode::FAILURE),
        Err(error) => (format!("asking {}: {error}", request.addr), ExitCode::FAILURE),
    };
    // A closed stream does not change the health.
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

/// The status and the body of the answer.
///
/// # Errors
/// No connection, no answer in time, or an answer that is not HTTP.
pub fn ask(request: &Request) -> std::io::Result<(u16, String)> {
    let path = match request.kind {
        Kind::Live => "/livez",
        Kind::Ready => "/readyz",
    };
    let addr = reachable(request.addr);
    let mut stream = TcpStream::connect_timeout(&addr, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidData, "not an HTTP answer");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.ok_or_else(invalid)?, body.trim().to_owned()))
}

/// `0.0.0.0` is where one listens, not where one connects.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}
