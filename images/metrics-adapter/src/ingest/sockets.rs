//! Sockets that are listened on: bound, given the buffer that was asked for, and asked what the
//! kernel threw away.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};

use super::counters::{ListenerCounters, Meter, Protocol, Transport};

#[cfg(test)]
mod tests;

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// What a listener is and counts; shared with whoever reads it.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) transport: Transport,
    pub(super) protocol: Protocol,
    /// Address or path, with the port that the kernel gave.
    pub(super) address: String,
    /// Of the socket, in the tables of the kernel.
    inode: u64,
    pub(super) receive_buffer_bytes: u64,
    pub(super) packets: Meter,
    pub(super) bytes: Meter,
    pub(super) truncated: Meter,
    kernel_drops: Meter,
    pub(super) connections: Meter,
    pub(super) open: Meter,
    pub(super) connections_refused: Meter,
    pub(super) connections_idle: Meter,
    pub(super) connections_cut: Meter,
    pub(super) connection_errors: Meter,
    pub(super) long_lines: Meter,
}

/// A socket with datagrams.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: Kept,
    pub(super) counts: Arc<Counts>,
}

/// A socket with connections.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) socket: mio::net::TcpListener,
    pub(super) counts: Arc<Counts>,
}

#[derive(Debug)]
enum Kept {
    Udp(mio::net::UdpSocket),
    Unix(mio::net::UnixDatagram, #[expect(dead_code, reason = "kept to be dropped")] SocketFile),
}

/// Removed when it is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

// === impl Counts ===

impl Counts {
    fn new(
        transport: Transport,
        protocol: Protocol,
        address: String,
        socket: &Socket,
    ) -> Arc<Self> {
        Arc::new(Self {
            transport,
            protocol,
            address,
            inode: rustix::fs::fstat(socket.as_fd()).map_or(0, |stat| stat.st_ino),
            receive_buffer_bytes: socket.recv_buffer_size().unwrap_or(0) as u64,
            packets: Meter::default(),
            bytes: Meter::default(),
            truncated: Meter::default(),
            kernel_drops: Meter::default(),
            connections: Meter::default(),
            open: Meter::default(),
            connections_refused: Meter::default(),
            connections_idle: Meter::default(),
            connections_cut: Meter::default(),
            connection_errors: Meter::default(),
            long_lines: Meter::default(),
        })
    }

    /// The kernel has counted this far, in 32 bits.
    pub(super) fn saw_drops(&self, drops: u32) {
        self.kernel_drops.raise(unwrapped(self.kernel_drops.get(), drops));
    }

    pub(super) fn kernel_drops(&self) -> u64 {
        self.kernel_drops.get()
    }

    pub(super) fn reading(&self) -> ListenerCounters {
        ListenerCounters {
            transport: self.transport,
            protocol: self.protocol,
            address: self.address.clone(),
            packets: self.packets.get(),
            bytes: self.bytes.get(),
            truncated: self.truncated.get(),
            kernel_drops: self.kernel_drops.get(),
            receive_buffer_bytes: self.receive_buffer_bytes,
            connections: self.connections.get(),
            open: self.open.get(),
            connections_refused: self.connections_refused.get(),
            connections_idle: self.connections_idle.get(),
            connections_cut: self.connections_cut.get(),
            connection_errors: self.connection_errors.get(),
            long_lines: self.long_lines.get(),
        }
    }
}

// === impl Datagrams ===

impl Datagrams {
    /// Binds a UDP socket.
    pub(super) fn udp(address: &str, protocol: Protocol, buffer: usize) -> anyhow::Result<Self> {
        let doing = || format!("listening on udp {address}");
        let socket = bind(address, Type::DGRAM).with_context(doing)?;
        let local = local_address(&socket).with_context(doing)?;
        grow(&socket, &local, buffer);
        // Drops come with the datagrams, which is cheaper than asking; but nothing rests on it.
        if let Err(error) = setsockopt(&socket, sockopt::RxqOvfl, &1) {
            tracing::debug!(address = local, %error, "drops are not reported by the socket");
        }
        let counts = Counts::new(Transport::Udp, protocol, local, &socket);
        let socket = Kept::Udp(mio::net::UdpSocket::from_std(socket.into()));
        Ok(Self { socket, counts })
    }

    /// Binds a unix datagram socket. A file that is there is refused: somebody may be using it.
    pub(super) fn unix(
        path: &Path,
        mode: u32,
        protocol: Protocol,
        buffer: usize,
    ) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let doing = || format!("listening on unixgram {name}");
        if path.symlink_metadata().is_ok() {
            anyhow::bail!("listening on unixgram {name}: the file exists already");
        }
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).with_context(doing)?;
        socket.bind(&SockAddr::unix(path).with_context(doing)?).with_context(doing)?;
        let file = SocketFile(path.to_owned());
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).with_context(doing)?;
        socket.set_nonblocking(true).with_context(doing)?;
        grow(&socket, &name, buffer);
        let counts = Counts::new(Transport::Unixgram, protocol, name, &socket);
        let socket = Kept::Unix(mio::net::UnixDatagram::from_std(socket.into()), file);
        Ok(Self { socket, counts })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> std::io::Result<()> {
        match &mut self.socket {
            Kept::Udp(socket) => registry.register(socket, token, Interest::READABLE),
            Kept::Unix(socket, _) => registry.register(socket, token, Interest::READABLE),
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        match &self.socket {
            Kept::Udp(socket) => socket.as_raw_fd(),
            Kept::Unix(socket, _) => socket.as_raw_fd(),
        }
    }
}

// === impl Connections ===

impl Connections {
    /// Binds a TCP socket.
    pub(super) fn tcp(address: &str, protocol: Protocol) -> anyhow::Result<Self> {
        let doing = || format!("listening on tcp {address}");
        let socket = bind(address, Type::STREAM).with_context(doing)?;
        socket.listen(BACKLOG).with_context(doing)?;
        let local = local_address(&socket).with_context(doing)?;
        let counts = Counts::new(Transport::Tcp, protocol, local, &socket);
        Ok(Self { socket: mio::net::TcpListener::from_std(socket.into()), counts })
    }
}

// === impl SocketFile ===

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "removing the socket file failed");
        }
    }
}

/// Reads what the kernel dropped for each UDP socket of `counts`: exact now, while the number that
/// comes with datagrams waits for the next datagram.
pub(super) fn read_kernel_drops<'a>(counts: impl IntoIterator<Item = &'a Counts>) {
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let mut text = None;
    for counts in counts {
        if counts.transport != Transport::Udp {
            continue;
        }
        let read = || tables.map(|path| std::fs::read_to_string(path).unwrap_or_default()).concat();
        if let Some(drops) = drops_of(text.get_or_insert_with(read), counts.inode) {
            counts.saw_drops(drops);
        }
    }
}

/// The last column of the row of a socket.
fn drops_of(table: &str, inode: u64) -> Option<u32> {
    table.lines().find_map(|row| {
        let mut columns = row.split_ascii_whitespace().skip(9);
        (columns.next()?.parse() == Ok(inode)).then_some(())?;
        // Older kernels write it with a sign.
        columns.nth(2)?.parse::<i64>().ok().map(|drops| drops as u32)
    })
}

/// A counter of 32 bits that wraps around, carried on in 64: of all that end so, the nearest.
fn unwrapped(known: u64, low: u32) -> u64 {
    const ROUND: u64 = 1 << 32;
    let same_round = known / ROUND * ROUND + u64::from(low);
    if same_round + ROUND / 2 < known {
        same_round + ROUND
    } else if same_round > known + ROUND / 2 && same_round >= ROUND {
        same_round - ROUND
    } else {
        same_round
    }
}

/// Binds `host:port`; without a host, on all addresses of both families where there are two.
fn bind(address: &str, kind: Type) -> anyhow::Result<Socket> {
    let (host, port) = address.rsplit_once(':').context("expected host:port")?;
    let port: u16 = port.parse().ok().context("expected a port from 0 to 65535 after the colon")?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        let all = SocketAddr::from(([0_u16; 8], port));
        // A kernel without IPv6 has the other family only.
        return bind_to(all, kind)
            .or_else(|_| bind_to(SocketAddr::from(([0_u8; 4], port)), kind))
            .map_err(Into::into);
    }
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    bind_first(addresses, kind)
}

/// Binds the first address that can be had, of IPv4 before IPv6: where a name has both, senders
/// that know only one of them know the former, and the originals take that.
fn bind_first(mut addresses: Vec<SocketAddr>, kind: Type) -> anyhow::Result<Socket> {
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut refused = None;
    for address in addresses {
        match bind_to(address, kind) {
            Ok(socket) => return Ok(socket),
            // What is wrong with the one that is preferred says most.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
}

fn bind_to(address: SocketAddr, kind: Type) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> anyhow::Result<String> {
    let address = socket.local_addr()?.as_socket();
    Ok(address.context("the socket has no address")?.to_string())
}

/// Raises the receive buffer, past the system's limit where that is allowed.
fn grow(socket: &Socket, address: &str, wanted: usize) {
    if wanted == 0 {
        return;
    }
    if setsockopt(socket, sockopt::RcvBufForce, &wanted).is_err()
        && let Err(error) = socket.set_recv_buffer_size(wanted)
    {
        tracing::warn!(address, wanted, %error, "setting the receive buffer failed");
        return;
    }
    // The kernel doubles what is asked for, to account for its own overhead.
    let got = socket.recv_buffer_size().unwrap_or(0) / 2;
    if got < wanted {
        let limit = "net.core.rmem_max";
        tracing::warn!(address, wanted, got, limit, "receive buffer is smaller than wanted");
    } else {
        tracing::debug!(address, wanted, got, "receive buffer set");
    }
}
