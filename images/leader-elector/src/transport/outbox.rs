//! How frames leave: encoded where they arise, queued by receiver, written all at once.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::counters::add;
use super::packet::{BUFFER_BYTES_KEPT, Key, Kind};
use super::table::Shared;
use super::{QUEUE_BYTES_MAX, QUEUE_FRAMES_MAX, lock};
use crate::bootstrap::{GroupId, Hello};
use crate::codec::Writer;
use crate::wire::{self, FRAME_BYTES_MAX, Frame};

/// Sends frames to members. Cheap to clone; any thread may use it.
#[derive(Clone)]
pub struct Outbox {
    pub(super) shared: Arc<Shared>,
}

/// The sending side of a connection to a member.
pub(super) struct Route {
    key: Key,
    queue: Mutex<Queue>,
    /// That there is something in the queue.
    pub(super) filled: Notify,
}

struct Queue {
    packets: Writer,
    frames: usize,
    /// Of the next packet.
    sequence: u64,
    /// The group that the receiver is part of.
    group: GroupId,
}

// === impl Outbox ===

impl Outbox {
    /// Sends a frame, or drops it: false without a connection to a member of this id and of our
    /// group, or if that has too much to read already. Never waits.
    #[must_use]
    pub fn send(&self, to: u64, frame: Frame) -> bool {
        let group = self.shared.own.borrow().group_id();
        let sent = self.shared.route(to).is_some_and(|route| route.send(group, &frame));
        let counters = &self.shared.counters;
        add(if sent { &counters.frames_out } else { &counters.dropped }, 1);
        sent
    }

    /// Changes what this member says of itself; everybody connected is told.
    pub fn set_hello(&self, hello: Hello) {
        self.shared.own.send_replace(Arc::new(hello));
    }
}

// === impl Route ===

impl Route {
    /// A route on which the hello was sent already.
    pub(super) fn new(key: Key, group: GroupId) -> Self {
        let queue = Queue { packets: Writer::default(), frames: 0, sequence: 1, group };
        Self { key, queue: Mutex::new(queue), filled: Notify::new() }
    }

    /// The receiver has become part of another group.
    pub(super) fn set_group(&self, group: GroupId) {
        lock(&self.queue).group = group;
    }

    fn send(&self, group: GroupId, frame: &Frame) -> bool {
        let mut queue = lock(&self.queue);
        let before = queue.packets.bytes.len();
        let full = queue.frames >= QUEUE_FRAMES_MAX || before >= QUEUE_BYTES_MAX;
        if full || group == GroupId::NONE || queue.group != group {
            return false;
        }
        queue.append(&self.key, Kind::Frame, group, |bytes| {
            let mut writer = Writer { bytes: std::mem::take(bytes) };
            wire::encode(frame, &mut writer);
            *bytes = writer.bytes;
        });
        if queue.packets.bytes.len() - before > FRAME_BYTES_MAX {
            let bytes = queue.packets.bytes.len() - before;
            queue.packets.bytes.truncate(before);
            queue.sequence -= 1;
            drop(queue);
            tracing::error!(target: "transport", bytes, "a frame is too long to be sent");
            return false;
        }
        queue.frames += 1;
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Queues a hello; it is never dropped.
    pub(super) fn greet(&self, own: &Hello) {
        let hello = own.to_bytes();
        let append = |bytes: &mut Vec<u8>| bytes.extend(hello);
        lock(&self.queue).append(&self.key, Kind::Hello, own.group_id(), append);
        self.filled.notify_one();
    }

    /// Takes all that is queued, signed and ready to be written; `spare` is filled next.
    pub(super) fn take(&self, spare: &mut Vec<u8>) {
        spare.clear();
        spare.shrink_to(BUFFER_BYTES_KEPT);
        {
            let mut queue = lock(&self.queue);
            std::mem::swap(&mut queue.packets.bytes, spare);
            queue.frames = 0;
        }
        self.key.seal(spare);
    }
}

// === impl Queue ===

impl Queue {
    fn append(
        &mut self,
        key: &Key,
        kind: Kind,
        group: GroupId,
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        key.append(&mut self.packets.bytes, kind, group, self.sequence, payload);
        self.sequence += 1;
    }
}
