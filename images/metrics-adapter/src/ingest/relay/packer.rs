//! Puts lines together into packets. Pure.

/// The packet that is being filled.
#[derive(Debug)]
pub(super) struct Packer {
    packet: Vec<u8>,
    lines: u64,
    bytes_max: usize,
}

// === impl Packer ===

impl Packer {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { packet: Vec::with_capacity(bytes_max.min(65_536)), lines: 0, bytes_max }
    }

    /// Whether a packet can take the line at all.
    pub(super) fn fits(&self, line: &[u8]) -> bool {
        line.len() < self.bytes_max
    }

    /// Takes a line that fits; when it does not go into this packet any more, `send` gets the
    /// packet with the number of its lines first.
    pub(super) fn push(&mut self, line: &[u8], send: impl FnOnce(&[u8], u64)) {
        if self.packet.len() + line.len() + 1 > self.bytes_max {
            self.flush(send);
        }
        self.packet.extend_from_slice(line);
        self.packet.push(b'\n');
        self.lines += 1;
    }

    /// Gives out the packet unless it is empty.
    pub(super) fn flush(&mut self, send: impl FnOnce(&[u8], u64)) {
        if self.lines > 0 {
            send(&self.packet, self.lines);
            self.packet.clear();
            self.lines = 0;
        }
    }
}
