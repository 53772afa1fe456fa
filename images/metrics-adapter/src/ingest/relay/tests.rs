use super::address::Address;
use super::packer::Packer;

#[test]
fn targets_are_named_by_scheme() {
    let good = [
        ("udp://host:8125", Address::Udp("host:8125".to_owned())),
        ("host:8125", Address::Udp("host:8125".to_owned())),
        (":8125", Address::Udp("127.0.0.1:8125".to_owned())),
        ("udp://:8125", Address::Udp("127.0.0.1:8125".to_owned())),
        ("tcp://:8125", Address::Tcp("127.0.0.1:8125".to_owned())),
        ("[::1]:8125", Address::Udp("[::1]:8125".to_owned())),
        ("tcp://10.0.0.1:8125", Address::Tcp("10.0.0.1:8125".to_owned())),
        ("unix:///run/statsd", Address::Unix("/run/statsd".into())),
    ];
    for (target, expected) in good {
        assert_eq!(Address::parse(target).unwrap(), expected, "{target}");
    }
    let bad = [
        "",
        "host",
        "host:",
        ":",
        ":0",
        "host:0",
        "host:70000",
        "http://host:80",
        "unix://relative",
    ];
    for target in bad {
        let error = Address::parse(target).unwrap_err().to_string();
        assert!(error.contains("relay target"), "{target}: {error}");
    }
}

#[test]
fn packets_are_as_full_as_they_may_be() {
    let mut packer = Packer::new(10);
    let mut packets = Vec::new();
    for line in ["1234", "123", "1", "123456789", "12", "12"] {
        assert!(packer.fits(line.as_bytes()));
        packer.push(line.as_bytes(), |packet, lines| {
            packets.push((String::from_utf8(packet.to_vec()).unwrap(), lines));
        });
    }
    packer.flush(|packet, lines| {
        packets.push((String::from_utf8(packet.to_vec()).unwrap(), lines));
    });
    packer.flush(|_, _| panic!("nothing is left"));
    let expected = [("1234\n123\n", 2), ("1\n", 1), ("123456789\n", 1), ("12\n12\n", 2)]
        .map(|(text, lines)| (text.to_owned(), lines));
    assert_eq!(packets, expected);
    assert!(!packer.fits(b"1234567890"));
}
