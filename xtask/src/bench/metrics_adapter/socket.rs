//! UDP sockets of this machine as the kernel has them (/proc/net/udp, see proc(5)).

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context, Result};

/// What the kernel knows of all sockets bound to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Bytes that wait to be read, with the kernel's own expense.
    pub(super) queued: u64,
    /// Datagrams dropped because the buffer was full.
    pub(super) drops: u64,
}

/// A port that is free now; the kernel picked it.
pub(super) fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free UDP port")?;
    Ok(socket.local_addr()?.port())
}

/// Whether a socket is bound to a port.
pub(super) fn is_bound(port: u16) -> Result<bool> {
    let table = std::fs::read_to_string("/proc/net/udp").context("read /proc/net/udp")?;
    let local = format!(":{port:04X}");
    Ok(table
        .lines()
        .any(|line| line.split_whitespace().nth(1).is_some_and(|it| it.ends_with(&local))))
}

/// The state of a port now.
pub(super) fn state(port: u16) -> Result<State> {
    let table = std::fs::read_to_string("/proc/net/udp").context("read /proc/net/udp")?;
    Ok(parse(&table, port))
}

fn parse(table: &str, port: u16) -> State {
    let mut sum = State::default();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some([_, local, _, _, queues]) = fields.first_chunk() else {
            continue;
        };
        if !local.ends_with(&format!(":{port:04X}")) {
            continue;
        }
        let queued = queues.split_once(':').map(|(_, queued)| u64::from_str_radix(queued, 16));
        sum.queued += queued.and_then(Result::ok).unwrap_or(0);
        sum.drops += fields.last().and_then(|drops| drops.parse().ok()).unwrap_or(0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::{State, parse};

    #[test]
    fn sockets_of_a_port_are_added_up() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n \
            12: 0100007F:23A5 00000000:0000 07 00000000:00000A00 00:00000000 00000000 65534        0 1234 2 0000000000000000 7\n \
            13: 0100007F:23A5 00000000:0000 07 00000000:00000100 00:00000000 00000000 65534        0 1235 2 0000000000000000 5\n \
            14: 0100007F:23A6 00000000:0000 07 00000000:0000FFFF 00:00000000 00000000 65534        0 1236 2 0000000000000000 9\n";
        assert_eq!(parse(table, 0x23A5), State { queued: 0xB00, drops: 12 });
        assert_eq!(parse(table, 1), State::default());
    }
}
