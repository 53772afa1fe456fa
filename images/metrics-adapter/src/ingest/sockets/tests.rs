use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use super::super::counters::Protocol;
use socket2::Type;

use super::{Connections, Datagrams, bind_first, drops_of, read_kernel_drops, unwrapped};

/// As the kernel writes it: columns, and rows of other sockets.
const TABLE: &str =
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
uid  timeout inode ref pointer drops            \x20
  312: 00000000:23A5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 \
41234 2 0000000000000000 17       \x20
 4711: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 \
41235 2 0000000000000000 4294967295
 4712: 0100007F:0036 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 \
41236 2 0000000000000000 -1
";

#[test]
fn drops_are_found_by_inode() {
    let cases = [
        (41_234, Some(17)),
        (41_235, Some(u32::MAX)),
        (41_236, Some(u32::MAX)),
        (41_237, None),
        (0, None),
        (2, None),
    ];
    for (inode, drops) in cases {
        assert_eq!(drops_of(TABLE, inode), drops, "{inode}");
    }
    assert_eq!(drops_of("", 1), None);
}

#[test]
fn a_counter_that_wraps_goes_on() {
    let round = 1_u64 << 32;
    let cases = [
        (0, 5, 5),
        (5, 5, 5),
        (round - 1, 3, round + 3),
        (round + 3, 4, round + 4),
        // Read by two threads, the older reading last.
        (round + 3, 2, round + 2),
        (round + 3, u32::MAX, round - 1),
    ];
    for (known, low, expected) in cases {
        assert_eq!(unwrapped(known, low), expected, "{known} {low}");
    }
}

#[test]
fn every_datagram_that_finds_no_room_is_counted() {
    let listener = Datagrams::udp("127.0.0.1:0", Protocol::Statsd, 4096).unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.counts.address.parse().unwrap();
    for _ in 0..500 {
        sender.send_to(&[b'x'; 1000], address).unwrap();
    }
    let mut arrived = 0;
    let mut byte = [0];
    while nix::sys::socket::recv(listener.fd(), &mut byte, nix::sys::socket::MsgFlags::MSG_DONTWAIT)
        .is_ok()
    {
        arrived += 1;
    }
    read_kernel_drops([&*listener.counts]);
    assert!(arrived > 0 && arrived < 500, "{arrived}");
    assert_eq!(listener.counts.kernel_drops(), 500 - arrived);
}

#[test]
fn without_a_host_both_families_arrive() {
    let listener = Datagrams::udp(":0", Protocol::Statsd, 0).unwrap();
    let address: SocketAddr = listener.counts.address.parse().unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"x", ("127.0.0.1", address.port())).unwrap();
    let mut byte = [0];
    let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
    assert_eq!(nix::sys::socket::recv(listener.fd(), &mut byte, flags), Ok(1));
}

#[test]
fn of_many_addresses_the_first_of_ipv4_that_can_be_had_is_bound() {
    // The last is of a network that nobody has.
    let [six, four, foreign] =
        ["[::1]:0", "127.0.0.1:0", "192.0.2.1:0"].map(|text| text.parse::<SocketAddr>().unwrap());
    for kind in [Type::DGRAM, Type::STREAM] {
        for addresses in [vec![six, four], vec![four, six], vec![foreign, four], vec![four]] {
            let socket = bind_first(addresses.clone(), kind).unwrap();
            let bound = socket.local_addr().unwrap().as_socket().unwrap();
            assert_eq!(bound.ip(), four.ip(), "{addresses:?}");
        }
        let error = bind_first(vec![foreign], kind).unwrap_err();
        assert!(format!("{error:#}").contains("address"), "{error:#}");
        assert!(bind_first(Vec::new(), kind).is_err());
    }
}

#[test]
fn what_cannot_be_had_is_said_with_its_name() {
    let taken = Connections::tcp("127.0.0.1:0", Protocol::Statsd).unwrap();
    let address = &taken.counts.address;
    let cases = [
        (address.as_str(), format!("listening on tcp {address}")),
        ("localhost", "expected host:port".to_owned()),
        ("localhost:http", "expected a port".to_owned()),
        ("localhost:70000", "expected a port".to_owned()),
    ];
    for (address, expected) in cases {
        let error = Connections::tcp(address, Protocol::Statsd).unwrap_err();
        assert!(format!("{error:#}").contains(&expected), "{error:#}");
    }
}

#[test]
fn a_socket_file_is_made_with_its_mode_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    let listener = Datagrams::unix(&path, 0o722, Protocol::Statsd, 0).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o722);
    UnixDatagram::unbound().unwrap().send_to(b"a:1|c", &path).unwrap();
    let second = Datagrams::unix(&path, 0o755, Protocol::Statsd, 0).unwrap_err();
    assert!(second.to_string().contains("exists already"), "{second}");
    assert!(path.exists(), "the refused one must not remove it");
    drop(listener);
    assert!(!path.exists());
}
