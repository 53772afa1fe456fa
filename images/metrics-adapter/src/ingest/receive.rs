//! Many datagrams with one call of the system.

use std::io::IoSliceMut;
use std::os::fd::RawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};

/// Datagrams per call.
pub(super) const BATCH: usize = 64;
/// Longest UDP datagram, and what the original reads of a unix datagram.
pub(super) const DATAGRAM_BYTES_MAX: usize = 65_535;
/// From one place to the next. Not a power of two, or all datagrams would be fought for by the same
/// few lines of the processor's cache.
const STRIDE: usize = 65_536 + 1_536;

/// Room for a batch. Most of its pages are never touched, and so cost address space only.
pub(super) struct Slab {
    room: Vec<u8>,
    /// Bytes of each datagram of the last batch, and those of its whole lines.
    read: [(usize, usize); BATCH],
    headers: MultiHeaders<()>,
}

/// What a call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// Datagrams, for [`Slab::get`]. Less than [`BATCH`] when there are no more.
    pub(super) count: usize,
    /// Those of them that were longer than what can be read.
    pub(super) truncated: u64,
    /// Datagrams that the socket has lost since it was made, as known when the last of these came.
    pub(super) drops: Option<u32>,
}

// === impl Slab ===

impl Slab {
    pub(super) fn new() -> Self {
        Self {
            room: vec![0; STRIDE * BATCH],
            read: [(0, 0); BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Reads what is there. With `ask_drops` also what was lost, which costs an allocation: the
    /// library cannot use room for control messages a second time.
    ///
    /// # Errors
    /// Of the system; [`Errno::EAGAIN`] when there is nothing.
    pub(super) fn receive(&mut self, fd: RawFd, ask_drops: bool) -> Result<Received, Errno> {
        let mut fresh =
            ask_drops.then(|| MultiHeaders::<()>::preallocate(BATCH, Some(cmsg_space!(u32))));
        let headers = fresh.as_mut().unwrap_or(&mut self.headers);
        let mut rooms = self.room.chunks_exact_mut(STRIDE);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|_| {
            let room = rooms.next().expect("the slab has a place for each of a batch");
            [IoSliceMut::new(&mut room[..DATAGRAM_BYTES_MAX])]
        });
        let mut cut = [false; BATCH];
        let messages = recvmmsg(fd, headers, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
        let mut received = Received { count: 0, truncated: 0, drops: None };
        for message in messages {
            cut[received.count] = message.flags.contains(MsgFlags::MSG_TRUNC);
            self.read[received.count] = (message.bytes, message.bytes);
            received.count += 1;
            if !ask_drops {
                continue;
            }
            for control in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::RxqOvfl(drops) = control {
                    received.drops = Some(drops);
                }
            }
        }
        for index in (0..received.count).filter(|index| cut[*index]) {
            let (bytes, whole) = &mut self.read[index];
            // Where a line stops in the middle, its number might be another.
            *whole = memchr::memrchr(b'\n', &self.room[index * STRIDE..][..*bytes]).unwrap_or(0);
            received.truncated += 1;
        }
        Ok(received)
    }

    /// The lines of a datagram of the last batch, without the one that was cut, and the bytes that
    /// were read of it.
    #[inline]
    pub(super) fn get(&self, index: usize) -> (&[u8], usize) {
        let (bytes, whole) = self.read[index];
        (&self.room[index * STRIDE..][..whole], bytes)
    }
}
