//! Listening sockets: bound all at once before anything is served, then dealt to the workers.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mio::{Interest, Registry, Token};
use socket2::{Domain, SockRef, Type};

use super::socket::Socket;
use crate::config::{Listen, PoolConfig};

/// A socket that one worker accepts on.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(mio::net::TcpListener),
    /// Unix domain.
    Unix(mio::net::UnixListener),
}

/// Binds the address of a pool for `workers` workers.
///
/// TCP sockets of several workers share the port (`SO_REUSEPORT`) and the kernel spreads the
/// clients. So that a second proxy started by mistake does not silently take half of them, the
/// port is first bound without sharing, unless the pool asks for it with `reuseport`.
///
/// # Errors
/// The address cannot be resolved or bound.
pub fn bind(pool: &PoolConfig, workers: usize, held: bool) -> io::Result<Vec<Listener>> {
    match &pool.listen {
        Listen::Unix { path, mode } => bind_unix(path, *mode, pool.backlog, workers),
        Listen::Tcp { host, port } => {
            let mut addresses = (host.as_str(), *port).to_socket_addrs()?;
            let address = addresses
                .next()
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "name has no address"))?;
            let shared = pool.reuseport || workers > 1;
            if shared && !pool.reuseport && !held {
                drop(bind_tcp(address, pool.backlog, false)?);
            }
            (0..workers).map(|_| bind_tcp(address, pool.backlog, shared)).collect()
        }
    }
}

fn bind_tcp(address: SocketAddr, backlog: u32, shared: bool) -> io::Result<Listener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(Listener::Tcp(mio::net::TcpListener::from_std(socket.into())))
}

fn bind_unix(
    path: &Path,
    mode: Option<u32>,
    backlog: u32,
    workers: usize,
) -> io::Result<Vec<Listener>> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    let listener: std::os::unix::net::UnixListener = socket.into();
    // All workers wait on one queue of connections.
    (0..workers)
        .map(|_| Ok(Listener::Unix(mio::net::UnixListener::from_std(listener.try_clone()?))))
        .collect()
}

impl Listener {
    /// The address it is bound to, for logs and tests.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(listener) => {
                listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string())
            }
            Listener::Unix(listener) => listener
                .local_addr()
                .ok()
                .and_then(|at| at.as_pathname().map(|path| path.display().to_string()))
                .unwrap_or_default(),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Listener::Unix(listener) => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// Takes the next connection; `keepalive` turns on probes of the kernel.
    pub(crate) fn accept(&self, keepalive: bool) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Some clients are gone before these calls; reading will tell.
                let _ = stream.set_nodelay(true);
                if keepalive {
                    let _ = SockRef::from(&stream).set_keepalive(true);
                }
                Ok(Socket::Tcp(stream))
            }
            Listener::Unix(listener) => Ok(Socket::Unix(listener.accept()?.0)),
        }
    }
}
