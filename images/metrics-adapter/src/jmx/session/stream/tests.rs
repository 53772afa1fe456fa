use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use super::*;

/// A listener that takes nobody any more, as whoever is in its queue stays there: the kernel drops
/// what asks to be let in.
fn deaf() -> (Socket, SocketAddr, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the queue has no end");
    }
    (listener, address, waiting)
}

#[test]
fn an_address_that_swallows_packets_leaves_time_to_the_next() {
    let (_listener, deaf, _waiting) = deaf();
    let good = TcpListener::bind("127.0.0.1:0").unwrap();
    let good = good.local_addr().unwrap();
    let deadline = Instant::now() + Duration::from_secs(2);
    assert_eq!(reach(&[deaf, good], deadline, CONNECT_MAX).unwrap().peer_addr().unwrap(), good);
    assert!(Instant::now() < deadline);
    let error =
        reach(&[deaf], Instant::now() + Duration::from_millis(50), CONNECT_MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(reach(&[], deadline, CONNECT_MAX).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_host_that_takes_no_connection_costs_less_than_the_deadline() {
    let (_listener, deaf, _waiting) = deaf();
    let deadline = Instant::now() + Duration::from_secs(60);
    let error = reach(&[deaf], deadline, Duration::from_millis(50)).unwrap_err();
    assert!(!is_timeout(&error), "it is no deadline: {error}");
    assert!(error.to_string().contains("no connection within 50ms"), "{error}");
}
