//! The load: datagrams made before, sent a hundred to a system call, as fast as the kernel takes
//! them. It costs less than reading them does, so that the reader is what is measured.

use std::io::IoSlice;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use super::socket;
use crate::bench::until;

/// Datagrams of a batch.
const BATCH: usize = 100;
/// For what was sent to be read; the slowest reader needs a tenth of it.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// Datagrams that are sent over and over.
pub(super) struct Batch {
    datagrams: Vec<Vec<u8>>,
    /// Lines of each datagram.
    pub(super) packed: usize,
}

/// What became of a burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) lines: u64,
    /// Lines of datagrams that the kernel dropped.
    pub(super) dropped: u64,
    /// From the first datagram sent to the last one read.
    pub(super) read: Duration,
}

// === impl Batch ===

impl Batch {
    /// A hundred datagrams of `packed` lines each, which `line` gives by their number.
    pub(super) fn new(packed: usize, line: impl Fn(usize) -> String) -> Self {
        let datagram = |number: usize| {
            let lines: Vec<String> = (0..packed).map(|it| line(number * packed + it)).collect();
            lines.join("\n").into_bytes()
        };
        Self { datagrams: (0..BATCH).map(datagram).collect(), packed }
    }

    /// Sends `lines` or a little more, without waiting for anybody, and then waits until they are
    /// read.
    pub(super) fn burst(&self, port: u16, lines: usize) -> Result<Sent> {
        let before = socket::state(port)?.drops;
        let socket = connected(port)?;
        let slices: Vec<[IoSlice<'_>; 1]> =
            self.datagrams.iter().map(|it| [IoSlice::new(it)]).collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut headers: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&mut controls)
            .map(|(it, control)| MMsgHdr::new(it, control))
            .collect();
        let times = lines.div_ceil(self.packed * BATCH);
        let start = Instant::now();
        for _ in 0..times {
            let mut sent = 0;
            while sent < headers.len() {
                sent += sendmmsg(&socket, &mut headers[sent..], SendFlags::empty())
                    .context("send a batch")?;
            }
        }
        until("a burst to be read", READ_WITHIN, || {
            Ok((socket::state(port)?.queued == 0).then_some(()))
        })?;
        let read = start.elapsed();
        let dropped = (socket::state(port)?.drops - before) * self.packed as u64;
        Ok(Sent { lines: (times * BATCH * self.packed) as u64, dropped, read })
    }
}

/// Sends lines that are said once, packed, no more at a time than any buffer holds; waits until
/// they are read.
pub(super) fn say(port: u16, lines: impl Iterator<Item = String>) -> Result<()> {
    const PACKED: usize = 20;
    const AT_ONCE: usize = 50;
    let socket = connected(port)?;
    let mut datagram = Vec::new();
    let mut datagrams = 0;
    let mut send = |datagram: &mut Vec<String>| -> Result<()> {
        socket.send(datagram.join("\n").as_bytes()).context("send lines")?;
        datagram.clear();
        datagrams += 1;
        if datagrams % AT_ONCE == 0 {
            until("lines to be read", READ_WITHIN, || {
                Ok((socket::state(port)?.queued == 0).then_some(()))
            })?;
        }
        Ok(())
    };
    for line in lines {
        datagram.push(line);
        if datagram.len() == PACKED {
            send(&mut datagram)?;
        }
    }
    if !datagram.is_empty() {
        send(&mut datagram)?;
    }
    until("lines to be read", READ_WITHIN, || Ok((socket::state(port)?.queued == 0).then_some(())))
}

fn connected(port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a UDP socket")?;
    socket.connect((Ipv4Addr::LOCALHOST, port)).context("connect a UDP socket")?;
    Ok(socket)
}
