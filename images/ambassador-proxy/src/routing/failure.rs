//! Why a request got no answer from its server, and how a client is told.

use crate::config::Protocol;

/// Why a request failed. The texts are those of twemproxy, which are those of `strerror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server refuses connections, or every server is ejected.
    #[error("Connection refused")]
    Refused,
    /// No answer within the timeout of the pool.
    #[error("Connection timed out")]
    TimedOut,
    /// The server reset the connection.
    #[error("Connection reset by peer")]
    Reset,
    /// The server closed its side while we wrote.
    #[error("Broken pipe")]
    BrokenPipe,
    /// The server's answer makes no sense.
    #[error("Invalid argument")]
    Invalid,
    /// The name of the server has no address, or the server is ejected and keeps its keys.
    #[error("Host is down")]
    HostDown,
    /// No route to the server.
    #[error("No route to host")]
    Unreachable,
    /// The server closed the connection.
    #[error("unknown")]
    Closed,
    /// The queue to the server is full.
    #[error("server queue full")]
    QueueFull,
    /// The memory budget of the proxy is used up.
    #[error("proxy out of memory")]
    OutOfMemory,
    /// The handshake with the server failed: password, user, database or protocol version.
    #[error("server handshake failed")]
    Handshake,
}

impl From<&std::io::Error> for Failure {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionReset => Failure::Reset,
            Kind::BrokenPipe => Failure::BrokenPipe,
            Kind::TimedOut => Failure::TimedOut,
            Kind::HostUnreachable | Kind::NetworkUnreachable => Failure::Unreachable,
            Kind::InvalidInput => Failure::Invalid,
            _ => Failure::Refused,
        }
    }
}

impl Failure {
    /// The reply that tells a client.
    pub fn reply(self, protocol: Protocol) -> String {
        match protocol {
            Protocol::Redis => format!("-ERR {self}\r\n"),
            Protocol::Memcache => format!("SERVER_ERROR {self}\r\n"),
        }
    }
}
