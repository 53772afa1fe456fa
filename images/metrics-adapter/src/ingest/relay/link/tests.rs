use std::net::TcpListener;

use mio::{Poll, Waker};

use super::*;

#[test]
fn what_a_target_says_is_read_a_little_at_a_time() {
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    let mut link = Link::new(address, Token(1), Arc::default());
    link.tick(0, &mut Resolver::new(waker), poll.registry());
    let mut target = listener.accept().unwrap().0;
    target.write_all(&[b'x'; 48 << 10]).unwrap();
    let mut turns = 0;
    loop {
        link.ready();
        turns += 1;
        if !link.is_unread() {
            break;
        }
    }
    assert!(turns > 48 / 16, "{turns}");
    assert_eq!(link.counts.connected.get(), 1);
    // Its end is seen, though it has said something before.
    target.write_all(&[b'x'; 20 << 10]).unwrap();
    drop(target);
    link.ready();
    assert!(link.is_unread() && link.counts.connected.get() == 1);
    link.ready();
    assert!(!link.is_unread() && link.counts.connected.get() == 0);
}
