//! One target: its socket, and what waits for it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::{TcpStream, UdpSocket, UnixDatagram};
use mio::{Interest, Registry, Token};

use super::Counts;
use super::address::{Address, Answer, Resolver};

#[cfg(test)]
mod tests;

/// Bytes that wait for a TCP target.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// Reads at a time from a target, which has nothing to say.
const READS_MAX: usize = 4;
/// Ticks from one attempt to the next, at most; it starts at one and doubles.
const RETRY_TICKS_MAX: u32 = 8;

/// One target.
#[derive(Debug)]
pub(super) struct Link {
    address: Address,
    token: Token,
    counts: Arc<Counts>,
    state: State,
    /// Ticks before the next attempt.
    wait_ticks: u32,
    /// The same after the next failure.
    next_wait_ticks: u32,
    /// The address to try, of those the name has.
    attempt: usize,
    /// Nobody listens there (UDP); the name may have moved.
    refused: bool,
    /// There may be more to read than was read.
    unread: bool,
    waiting: Waiting,
}

#[derive(Debug)]
enum State {
    Down,
    Resolving,
    Udp(UdpSocket),
    Unix(UnixDatagram),
    Connecting(TcpStream),
    Tcp(TcpStream),
}

/// Bytes for a stream, and where its lines end.
#[derive(Debug, Default)]
struct Waiting {
    bytes: VecDeque<u8>,
    /// The first byte is in the middle of a line that has been sent in part.
    cut: bool,
}

// === impl Link ===

impl Link {
    pub(super) fn new(address: Address, token: Token, counts: Arc<Counts>) -> Self {
        Self {
            address,
            token,
            counts,
            state: State::Down,
            wait_ticks: 0,
            next_wait_ticks: 1,
            attempt: 0,
            refused: false,
            unread: false,
            waiting: Waiting::default(),
        }
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Bytes wait, and there is a socket they may go to.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.state, State::Connecting(_) | State::Tcp(_)) && !self.waiting.bytes.is_empty()
    }

    /// [`Link::ready`] is to be called again, though nothing more may happen to the socket.
    pub(super) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Sends a packet, keeps it, or loses it.
    pub(super) fn send(&mut self, packet: &[u8], lines: u64) {
        let sent = match &mut self.state {
            State::Udp(socket) => {
                let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
                match socket.send(packet) {
                    // That is the answer to a packet before; this one is still to be sent.
                    Err(error) if refused(&error) => {
                        self.refused = true;
                        self.counts.failed("sending", &error);
                        socket.send(packet)
                    }
                    sent => sent,
                }
            }
            State::Unix(socket) => socket.send(packet),
            State::Down | State::Resolving | State::Connecting(_) | State::Tcp(_) => {
                self.keep(packet, lines);
                return;
            }
        };
        match sent {
            Ok(bytes) => {
                self.counts.lines.add(lines);
                self.counts.sent(bytes);
                self.next_wait_ticks = 1;
            }
            Err(error) => {
                self.counts.dropped_lines.add(lines);
                if error.kind() != io::ErrorKind::WouldBlock {
                    self.fail("sending", &error);
                }
            }
        }
    }

    /// Streams wait for their socket; who takes datagrams is there or is not.
    fn keep(&mut self, packet: &[u8], lines: u64) {
        let is_stream = matches!(self.address, Address::Tcp(_));
        if !is_stream || self.waiting.bytes.len() + packet.len() > WAITING_BYTES_MAX {
            self.counts.dropped_lines.add(lines);
            return;
        }
        self.waiting.bytes.extend(packet);
        self.counts.lines.add(lines);
        self.counts.sent(packet.len());
        self.write();
    }

    /// Connects when it is time to.
    pub(super) fn tick(&mut self, index: usize, resolver: &mut Resolver, registry: &Registry) {
        if std::mem::take(&mut self.refused) {
            self.state = State::Down;
            self.attempt = self.attempt.wrapping_add(1);
        }
        if !matches!(self.state, State::Down) {
            return;
        }
        if self.wait_ticks > 0 {
            self.wait_ticks -= 1;
            return;
        }
        let answer = match &self.address {
            Address::Unix(_) => return self.connect_unix(),
            Address::Udp(address) | Address::Tcp(address) => resolver.ask(index, address),
        };
        self.state = State::Resolving;
        if let Some(answer) = answer {
            self.resolved(answer, registry);
        }
    }

    fn connect_unix(&mut self) {
        let Address::Unix(path) = &self.address else { return };
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            Ok(socket)
        };
        match connect() {
            Ok(socket) => self.up(State::Unix(socket)),
            Err(error) => self.fail("connecting", &error),
        }
    }

    /// The name has these addresses.
    pub(super) fn resolved(&mut self, answer: Answer, registry: &Registry) {
        let addresses = match answer {
            Ok(addresses) if !addresses.is_empty() => addresses,
            Ok(_) => return self.fail("resolving", &io::ErrorKind::NotFound.into()),
            Err(error) => return self.fail("resolving", &error),
        };
        let address = addresses[self.attempt % addresses.len()];
        let connected = match &self.address {
            Address::Udp(_) => connect_udp(address).map(State::Udp),
            Address::Tcp(_) | Address::Unix(_) => {
                TcpStream::connect(address).and_then(|mut tcp| {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut tcp, self.token, interest)?;
                    Ok(State::Connecting(tcp))
                })
            }
        };
        match connected {
            Ok(State::Connecting(tcp)) => self.state = State::Connecting(tcp),
            Ok(state) => self.up(state),
            Err(error) => self.fail("connecting", &error),
        }
    }

    /// The socket of a stream can be written, has been read, or has failed.
    pub(super) fn ready(&mut self) {
        if let State::Connecting(tcp) = &mut self.state {
            match tcp.take_error().and_then(|error| error.map_or(Ok(()), Err)) {
                Err(error) => return self.fail("connecting", &error),
                // Not yet.
                Ok(()) if tcp.peer_addr().is_err() => return,
                Ok(()) => {}
            }
            if let State::Connecting(tcp) = std::mem::replace(&mut self.state, State::Down) {
                self.up(State::Tcp(tcp));
            }
        }
        let State::Tcp(tcp) = &mut self.state else { return };
        // A statsd server says nothing; what it says is read to see the end. One that never stops
        // must not hold up the others.
        let mut ignored = [0; 4096];
        let mut ended = None;
        self.unread = true;
        for _ in 0..READS_MAX {
            match tcp.read(&mut ignored) {
                Ok(0) => ended = Some(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread = false,
                Err(error) => ended = Some(error),
            }
            break;
        }
        match ended {
            Some(error) => self.fail("waiting", &error),
            None => self.write(),
        }
    }

    /// Writes what waits, as far as the socket takes it.
    fn write(&mut self) {
        let State::Tcp(tcp) = &mut self.state else { return };
        while !self.waiting.bytes.is_empty() {
            match tcp.write(self.waiting.bytes.as_slices().0) {
                Ok(written) => {
                    self.waiting.written(written);
                    self.next_wait_ticks = 1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.fail("sending", &error),
            }
        }
        // A burst is over; its room need not be kept.
        self.waiting.bytes.shrink_to(64 << 10);
    }

    fn up(&mut self, state: State) {
        self.state = state;
        if self.counts.connected.get() == 1 {
            return;
        }
        self.counts.connected.set(1);
        tracing::info!(target = self.counts.target, "relay target connected");
    }

    /// The socket is given up; the name is resolved anew before the next one.
    fn fail(&mut self, doing: &'static str, error: &io::Error) {
        if self.counts.connected.get() == 1 {
            tracing::warn!(target = self.counts.target, %error, "relay target lost");
        }
        self.counts.failed(doing, error);
        self.counts.connected.set(0);
        self.state = State::Down;
        self.unread = false;
        self.counts.dropped_lines.add(self.waiting.drop_cut_line());
        self.attempt = self.attempt.wrapping_add(1);
        self.wait_ticks = self.next_wait_ticks - 1;
        self.next_wait_ticks = (self.next_wait_ticks * 2).min(RETRY_TICKS_MAX);
    }
}

// === impl Waiting ===

impl Waiting {
    fn written(&mut self, count: usize) {
        if let Some(last) = count.checked_sub(1).and_then(|last| self.bytes.get(last)) {
            self.cut = *last != b'\n';
        }
        self.bytes.drain(..count);
    }

    /// The rest of a line of which the last socket took the beginning means nothing to the next.
    /// Gives the number of lines lost.
    fn drop_cut_line(&mut self) -> u64 {
        if !std::mem::take(&mut self.cut) {
            return 0;
        }
        let end = self.bytes.iter().position(|&byte| byte == b'\n');
        self.bytes.drain(..end.map_or(self.bytes.len(), |end| end + 1));
        1
    }
}

fn connect_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from(([0_u8; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}
