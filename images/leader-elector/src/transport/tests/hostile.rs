//! What does not belong here is refused, counted, and closes its connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::handshake::{Role, Session, open};
use super::super::packet::{HEADER_BYTES, Key, Kind};
use super::*;
use crate::bootstrap::GroupId;
use crate::codec::Writer;
use crate::wire::{self, FRAME_BYTES_MAX};

const SECRET: &str = "a secret of sixteen";

/// A member that does whatever a test wants.
struct Raw {
    stream: TcpStream,
    session: Session,
}

impl Raw {
    /// Dials like an honest member 7.
    async fn dial(node: &Node) -> Self {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let credentials = Credentials::Secret(SECRET.as_bytes().into());
        let own = hello(7, "raw", Some(group(1)));
        let session = open(&mut stream, Role::Dialer, &credentials, [7; 8], &own).await.unwrap();
        Self { stream, session }
    }

    /// A packet that is as it should be.
    fn packet(&self, sequence: u64, frame: &Frame) -> Vec<u8> {
        let mut writer = Writer::default();
        wire::encode(frame, &mut writer);
        self.of(Kind::Frame, group(1).id, sequence, &writer.bytes)
    }

    fn of(&self, kind: Kind, group: GroupId, sequence: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let key: &Key = &self.session.key;
        key.append(&mut bytes, kind, group, sequence, |bytes| bytes.extend(payload));
        key.seal(&mut bytes);
        bytes
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Waits until the other side has closed.
    async fn closed(&mut self) {
        let mut rest = Vec::new();
        // An end or a reset, as there may be bytes that were not read.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("still open");
    }
}

fn remove(text: &str) -> Frame {
    Frame::Remove(text.into())
}

async fn node() -> Node {
    Node::start(1, "a", secret(SECRET)).await
}

/// What becomes of these bytes after an honest frame.
async fn refused(make: impl FnOnce(&Raw) -> Vec<u8>, reason: Refused) {
    let mut node = node().await;
    let mut raw = Raw::dial(&node).await;
    let first = raw.packet(1, &remove("first"));
    raw.write(&first).await;
    node.receives(7, "first").await;
    let bytes = make(&raw);
    raw.write(&bytes).await;
    node.refuses(reason).await;
    raw.closed().await;
    node.knows(|known| known.hellos.is_empty()).await;
    assert!(node.frames.try_recv().is_err(), "nothing of it was passed on");
    let all: u64 = Refused::ALL.iter().map(|reason| node.counters.refused(*reason)).sum();
    assert_eq!(all, 1, "counted once");
}

#[tokio::test]
async fn a_replayed_frame_is_refused() {
    refused(|raw| raw.packet(1, &remove("first")), Refused::Replayed).await;
    refused(|raw| raw.packet(3, &remove("one was left out")), Refused::Replayed).await;
}

#[tokio::test]
async fn a_frame_of_another_connection_is_refused() {
    let mut other_node = node().await;
    let other = Raw::dial(&other_node).await;
    other_node.knows(|known| !known.hellos.is_empty()).await;
    refused(|_| other.packet(2, &remove("second")), Refused::Forged).await;
}

#[tokio::test]
async fn a_flipped_bit_is_refused() {
    // In the group, the sequence, the payload and the code.
    for place in [8, 29, HEADER_BYTES, HEADER_BYTES + 10] {
        let flip = |raw: &Raw| {
            let mut bytes = raw.packet(2, &remove("second"));
            bytes[place] ^= 0x10;
            bytes
        };
        refused(flip, Refused::Forged).await;
    }
}

#[tokio::test]
async fn another_version_in_a_frame_is_refused() {
    let other = |raw: &Raw| {
        let mut bytes = raw.packet(2, &remove("second"));
        bytes[5] += 1;
        bytes
    };
    refused(other, Refused::Version).await;
}

#[tokio::test]
async fn an_oversized_frame_is_refused_by_its_header() {
    refused(|_| (FRAME_BYTES_MAX as u32).to_be_bytes().to_vec(), Refused::Oversized).await;
    refused(|_| vec![0xff; 64], Refused::Oversized).await;
    refused(|_| vec![0; 64], Refused::Garbage).await;
}

#[tokio::test]
async fn a_frame_of_another_group_is_refused() {
    let foreign = |group| move |raw: &Raw| raw.of(Kind::Frame, group, 2, &[3, 1, b'x']);
    refused(foreign(group(2).id), Refused::Foreign).await;
    refused(foreign(GroupId::NONE), Refused::Foreign).await;
}

#[tokio::test]
async fn a_frame_that_makes_no_sense_is_refused() {
    refused(|raw| raw.of(Kind::Frame, group(1).id, 2, &[9]), Refused::Malformed).await;
    refused(|raw| raw.of(Kind::Hello, group(1).id, 2, &[9]), Refused::Malformed).await;
    let impostor = hello(8, "raw", None).to_bytes();
    refused(|raw| raw.of(Kind::Hello, group(1).id, 2, &impostor), Refused::Malformed).await;
}

#[tokio::test]
async fn a_frame_for_another_member_is_refused() {
    let mut message = raft::eraftpb::Message { to: 2, from: 7, ..Default::default() };
    message.set_msg_type(raft::eraftpb::MessageType::MsgHeartbeat);
    refused(|raw| raw.packet(2, &Frame::Raft(message)), Refused::Misdirected).await;
}

#[tokio::test]
async fn garbage_is_refused() {
    let node = node().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a-member-of-nothing\r\n\r\n").await.unwrap();
    node.refuses(Refused::Garbage).await;
}

#[tokio::test]
async fn another_version_is_refused() {
    let node = node().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let mut greeting = [0; 43];
    greeting[..11].copy_from_slice(b"lelector\x00\x02\x01");
    stream.write_all(&greeting).await.unwrap();
    node.refuses(Refused::Version).await;
}

#[tokio::test]
async fn a_proof_that_is_sent_back_is_refused() {
    let node = node().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    let mut greeting = [1; 43];
    greeting[..11].copy_from_slice(b"lelector\x00\x01\x01");
    stream.write_all(&greeting).await.unwrap();
    stream.read_exact(&mut greeting).await.unwrap();
    // Nothing that could be sent back has come but random bytes.
    stream.write_all(&greeting).await.unwrap();
    node.refuses(Refused::Auth).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("still open");
    assert!(rest.is_empty(), "no proof for who proved nothing");
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off() {
    let node = node().await;
    let mut stream = TcpStream::connect(node.address).await.unwrap();
    stream.write_all(b"lelector").await.unwrap();
    node.refuses(Refused::Slow).await;
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("still open");
}

#[tokio::test]
async fn too_many_connections_are_refused() {
    let node = node().await;
    let mut open = Vec::new();
    while node.counters.refused(Refused::Limit) == 0 {
        assert!(open.len() <= 2 * CONNECTIONS_MAX, "no limit");
        open.push(TcpStream::connect(node.address).await.unwrap());
        tokio::task::yield_now().await;
    }
    assert!(open.len() > CONNECTIONS_MAX);
}

#[tokio::test]
async fn what_waits_for_a_stalled_member_is_bounded() {
    let node = node().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    node.find(&[listener.local_addr().unwrap()]);
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let credentials = Credentials::Secret(SECRET.as_bytes().into());
    let own = hello(7, "raw", Some(group(1)));
    let session = open(&mut stream, Role::Acceptor, &credentials, [7; 8], &own).await.unwrap();
    node.send(7, "first").await;
    // Nothing is read from here on: what the system takes, and then the queue.
    let large = "x".repeat(100_000);
    let filling = async {
        while node.outbox.send(7, remove(&large)) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, filling).await.expect("it takes everything");
    let mut small = 0;
    while node.outbox.send(7, remove("small")) {
        small += 1;
    }
    assert!(small <= QUEUE_FRAMES_MAX, "{small} more were taken");
    assert_eq!(session.hello.id, 1);
}

#[tokio::test]
async fn frames_before_there_is_a_group_are_left_aside() {
    let mut node = Node::with(hello(1, "a", None), "a", secret(SECRET)).await;
    let mut raw = Raw::dial(&node).await;
    let (early, later) = (raw.packet(1, &remove("early")), raw.packet(2, &remove("later")));
    raw.write(&early).await;
    let waiting = async {
        while node.counters.early.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it was not noticed");
    node.outbox.set_hello(hello(1, "a", Some(group(1))));
    raw.write(&later).await;
    node.receives(7, "later").await;
}

proptest::proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        use super::super::packet::{Checker, Cutter};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut cutter, mut stream) = (Cutter::default(), &bytes[..]);
            let mut checker = Checker::new(Key::NONE);
            while cutter.fill(&mut stream).await.unwrap() > 0 {}
            while let Ok(Some(packet)) = cutter.take(FRAME_BYTES_MAX) {
                let _ = checker.check(packet);
            }
        });
    }
}
