//! Members talk to each other, and to nobody else.

mod hostile;
mod tls;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::bootstrap::{Founder, Group};

/// Longer than anything takes, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A member that remembers what it received.
struct Node {
    id: u64,
    name: &'static str,
    address: SocketAddr,
    outbox: Outbox,
    known: watch::Receiver<Known>,
    counters: Arc<Counters>,
    targets: watch::Sender<Vec<Target>>,
    frames: mpsc::UnboundedReceiver<(u64, Frame)>,
    gone: mpsc::UnboundedReceiver<u64>,
    /// Runs until it is dropped.
    _running: JoinSet<()>,
}

struct Channels(mpsc::UnboundedSender<(u64, Frame)>, mpsc::UnboundedSender<u64>);

impl Inbox for Channels {
    fn frame(&self, from: u64, frame: Frame) {
        let _ = self.0.send((from, frame));
    }

    fn unreachable(&self, id: u64) {
        let _ = self.1.send(id);
    }
}

fn secret(text: &str) -> Auth {
    Auth::Secret(text.as_bytes().into())
}

fn group(number: u64) -> Group {
    Group::of(vec![Founder { id: number, name: "founder".into(), witness: false }])
}

fn hello(id: u64, name: &str, group: Option<Group>) -> Hello {
    Hello { id, name: name.into(), witness: false, advertise: "".into(), expected: 3, group }
}

impl Node {
    /// A member of group 1.
    async fn start(id: u64, name: &'static str, auth: Auth) -> Self {
        Self::with(hello(id, name, Some(group(1))), name, auth).await
    }

    async fn with(mut hello: Hello, name: &'static str, auth: Auth) -> Self {
        let (frame, frames) = mpsc::unbounded_channel();
        let (lost, gone) = mpsc::unbounded_channel();
        let (id, listen) = (hello.id, "127.0.0.1:0".parse().unwrap());
        let inbox = Arc::new(Channels(frame, lost));
        let transport = Transport::bind(listen, auth, hello.clone(), inbox).await.unwrap();
        let address = transport.local_addr().unwrap();
        hello.advertise = format!(":{}", address.port()).into();
        transport.outbox().set_hello(hello);
        let (outbox, known) = (transport.outbox(), transport.known());
        let (counters, targets) = (transport.counters(), watch::Sender::default());
        let mut running = JoinSet::new();
        running.spawn(transport.run(targets.subscribe()));
        let _running = running;
        Self { id, name, address, outbox, known, counters, targets, frames, gone, _running }
    }

    fn find(&self, addresses: &[SocketAddr]) {
        let target = |address: &SocketAddr| Target { name: None, address: address.to_string() };
        self.targets.send_replace(addresses.iter().map(target).collect());
    }

    async fn knows(&mut self, wanted: impl Fn(&Known) -> bool) {
        let known = timeout(PATIENCE, self.known.wait_for(|known| wanted(known))).await;
        known.unwrap_or_else(|_| panic!("{} does not know that", self.name)).unwrap();
    }

    /// Waits until the member is reached, and sends it a frame of this text.
    async fn send(&self, to: u64, text: &str) {
        let sending = async {
            while !self.outbox.send(to, Frame::Remove(text.into())) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, sending).await.unwrap_or_else(|_| panic!("{to} is not reached"));
    }

    async fn receives(&mut self, from: u64, text: &str) {
        let frame = timeout(PATIENCE, self.frames.recv()).await.expect("nothing is received");
        assert_eq!(frame, Some((from, Frame::Remove(text.into()))));
    }

    /// Waits until something was refused for this reason.
    async fn refuses(&self, reason: Refused) {
        let waiting = async {
            while self.counters.refused(reason) == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {reason:?}"));
    }
}

/// Every member finds all addresses, and talks to every other.
async fn all_talk(mut nodes: Vec<Node>) {
    let addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
    let count = nodes.len();
    for node in &mut nodes {
        node.find(&addresses);
    }
    for node in &mut nodes {
        node.knows(|known| known.hellos.len() == count - 1 && known.unanswered == 0).await;
    }
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let (sender, receiver) = (nodes[from].id, nodes[to].id);
            for number in 0..20 {
                nodes[from].send(receiver, &format!("{sender}/{number}")).await;
            }
            for number in 0..20 {
                nodes[to].receives(sender, &format!("{sender}/{number}")).await;
            }
        }
    }
    for node in &nodes {
        assert!(Refused::ALL.iter().all(|reason| node.counters.refused(*reason) == 0));
    }
}

#[tokio::test]
async fn members_talk_with_a_secret() {
    let auth = || secret("a secret of sixteen");
    let nodes = [Node::start(1, "a", auth()), Node::start(2, "b", auth())];
    let [a, b] = nodes;
    all_talk(vec![a.await, b.await, Node::start(3, "c", auth()).await]).await;
}

#[tokio::test]
async fn members_talk_without_authentication() {
    let auth = || Auth::Insecure;
    all_talk(vec![Node::start(1, "a", auth()).await, Node::start(2, "b", auth()).await]).await;
}

#[tokio::test]
async fn large_frames_arrive() {
    let auth = || secret("a secret of sixteen");
    let (a, mut b) = (Node::start(1, "a", auth()).await, Node::start(2, "b", auth()).await);
    a.find(&[b.address]);
    let mut message = raft::eraftpb::Message { to: 2, from: 1, ..Default::default() };
    message.set_msg_type(raft::eraftpb::MessageType::MsgSnapshot);
    message.mut_snapshot().data = vec![7; 12 * 1024 * 1024].into();
    a.send(2, "small").await;
    assert!(a.outbox.send(2, Frame::Raft(message.clone())));
    a.send(2, "after").await;
    b.receives(1, "small").await;
    assert!(
        timeout(PATIENCE, b.frames.recv()).await.unwrap()
            == Some((1, Frame::Raft(message.clone())))
    );
    b.receives(1, "after").await;
    message.mut_snapshot().data = vec![7; 17 * 1024 * 1024].into();
    assert!(!a.outbox.send(2, Frame::Raft(message)), "longer than anybody takes");
    a.send(2, "later").await;
    b.receives(1, "later").await;
}

#[tokio::test]
async fn who_is_not_discovered_is_reached_where_it_came_from() {
    let auth = || secret("a secret of sixteen");
    let (mut a, b) = (Node::start(1, "a", auth()).await, Node::start(2, "b", auth()).await);
    b.find(&[a.address]);
    b.send(1, "to a").await;
    a.receives(2, "to a").await;
    a.send(2, "to b").await;
}

#[tokio::test]
async fn a_member_that_is_back_elsewhere_is_found() {
    let auth = || secret("a secret of sixteen");
    let (mut a, b) = (Node::start(1, "a", auth()).await, Node::start(2, "b", auth()).await);
    a.find(&[b.address]);
    a.send(2, "one").await;
    let old = b.address;
    drop(b);
    let gone = timeout(PATIENCE, a.gone.recv()).await.expect("its end is not noticed");
    assert_eq!(gone, Some(2));
    a.knows(|known| known.hellos.is_empty() && known.unanswered == 1).await;
    assert!(!a.outbox.send(2, Frame::Remove("lost".into())));
    assert!(a.counters.dropped.load(Ordering::Relaxed) > 0);
    let mut b = Node::start(2, "b", auth()).await;
    assert_ne!(b.address, old);
    a.find(&[b.address]);
    a.send(2, "two").await;
    b.receives(1, "two").await;
    // A member that lost its disk has another id at the same name.
    drop(b);
    let mut c = Node::start(9, "b", auth()).await;
    a.find(&[c.address]);
    a.knows(|known| known.hellos.keys().eq([&9])).await;
    assert!(!a.outbox.send(2, Frame::Remove("lost".into())));
    a.send(9, "three").await;
    c.receives(1, "three").await;
}

#[tokio::test]
async fn a_change_is_told_on_open_connections() {
    let auth = || secret("a secret of sixteen");
    let mut a = Node::with(hello(1, "a", None), "a", auth()).await;
    let mut b = Node::with(hello(2, "b", None), "b", auth()).await;
    a.find(&[a.address, b.address]);
    b.find(&[a.address, b.address]);
    a.knows(|known| known.hellos.contains_key(&2) && known.unanswered == 0).await;
    b.knows(|known| known.hellos.contains_key(&1) && known.unanswered == 0).await;
    assert!(!a.outbox.send(2, Frame::Remove("early".into())), "no group, no frames");
    a.outbox.set_hello(hello(1, "a", Some(group(1))));
    b.knows(|known| known.hellos[&1].group == Some(group(1))).await;
    assert!(!a.outbox.send(2, Frame::Remove("early".into())), "nobody there to take it");
    b.outbox.set_hello(hello(2, "b", Some(group(1))));
    a.knows(|known| known.hellos[&2].group == Some(group(1))).await;
    a.send(2, "now").await;
    b.receives(1, "now").await;
    b.send(1, "and back").await;
    a.receives(2, "and back").await;
    let dialed = |node: &Node| node.counters.dialed.load(Ordering::Relaxed);
    assert_eq!((dialed(&a), dialed(&b)), (1, 1), "on the same connections");
}

#[tokio::test]
async fn members_of_different_groups_know_each_other_but_do_not_talk() {
    let auth = || Auth::Insecure;
    let mut a = Node::start(1, "a", auth()).await;
    let mut b = Node::with(hello(2, "b", Some(group(2))), "b", auth()).await;
    a.find(&[b.address]);
    b.find(&[a.address]);
    a.knows(|known| known.hellos.contains_key(&2) && known.unanswered == 0).await;
    b.knows(|known| known.hellos.contains_key(&1) && known.unanswered == 0).await;
    assert!(!a.outbox.send(2, Frame::Remove("x".into())));
    assert_eq!(b.counters.refused(Refused::Foreign), 0, "nothing was sent");
}

#[tokio::test]
async fn two_who_know_different_secrets_never_connect() {
    let (a, b) = (secret("a secret of sixteen"), secret("another of sixteen"));
    let (mut a, b) = (Node::start(1, "a", a).await, Node::start(2, "b", b).await);
    a.find(&[b.address]);
    b.refuses(Refused::Auth).await;
    a.knows(|known| known.unanswered == 1).await;
    assert!(a.known.borrow().hellos.is_empty() && b.known.borrow().hellos.is_empty());
}

#[tokio::test]
async fn a_secret_is_not_taken_for_none() {
    let (a, b) = (Auth::Insecure, secret("a secret of sixteen"));
    let (a, b) = (Node::start(1, "a", a).await, Node::start(2, "b", b).await);
    a.find(&[b.address]);
    b.refuses(Refused::Auth).await;
    b.find(&[a.address]);
    a.refuses(Refused::Auth).await;
    assert!(a.known.borrow().hellos.is_empty() && b.known.borrow().hellos.is_empty());
}

#[tokio::test]
async fn a_copied_disk_is_noticed() {
    let auth = || secret("a secret of sixteen");
    let (mut a, b) = (Node::start(1, "a", auth()).await, Node::start(1, "a", auth()).await);
    a.find(&[a.address, b.address]);
    a.refuses(Refused::Copied).await;
    b.refuses(Refused::Copied).await;
    assert!(a.known.borrow().hellos.is_empty() && b.known.borrow().hellos.is_empty());
    // Its own address answers, and the other does not.
    a.knows(|known| known.unanswered == 1).await;
}
