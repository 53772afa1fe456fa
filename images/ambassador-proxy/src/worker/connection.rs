//! A socket in the event queue: what is known of it between two events.
//!
//! Events tell of changes only (edge-triggered), so what an event said holds until a read or a
//! write shows that it does no longer.

use std::io::{self, ErrorKind};

use super::socket::Socket;

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    /// There may be bytes to read.
    pub(super) readable: bool,
    /// The kernel may take bytes.
    pub(super) writable: bool,
    /// It is listed for the next turn.
    pub(super) listed: bool,
    /// The peer has closed its side; read until the end of what it sent.
    closed: bool,
}

impl Connection {
    /// A socket that is ready for both, or of which nothing is known yet.
    pub(super) fn new(socket: Socket, ready: bool) -> Connection {
        Connection { socket, readable: ready, writable: ready, listed: false, closed: false }
    }

    /// Takes note of an event.
    pub(super) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable();
        self.closed |= event.is_read_closed() || event.is_error();
    }

    /// Reads; a short read has emptied the socket, so the next one can wait for an event, unless
    /// the end of the stream is still to be read.
    #[inline]
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = uninterrupted(|| self.socket.read(buffer));
        match &result {
            Ok(length) if *length == buffer.len() || self.closed => {}
            _ => self.readable = false,
        }
        result
    }

    /// Writes; a short write has filled the socket, and an event will tell when there is room.
    #[inline]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = uninterrupted(|| self.socket.write(bytes));
        self.writable = matches!(&result, Ok(length) if *length == bytes.len());
        result
    }
}

/// Repeats a call that a signal has interrupted.
#[inline]
fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Puts a connection in its place, which may lie past the end.
pub(super) fn put(table: &mut Vec<Option<Connection>>, index: u32, connection: Connection) {
    let index = index as usize;
    if table.len() <= index {
        table.resize_with(index + 1, || None);
    }
    table[index] = Some(connection);
}

/// Lists a connection with bytes left for the next turn.
pub(super) fn list(table: &mut [Option<Connection>], unread: &mut Vec<u32>, index: u32) {
    if let Some(Some(connection)) = table.get_mut(index as usize)
        && connection.readable
        && !connection.listed
    {
        connection.listed = true;
        unread.push(index);
    }
}
