use super::super::super::workload::Protocol::{self, Memcached, Redis};
use super::{Asked, Verdict, judge, value};

fn get() -> Asked {
    Asked::Get("k1".into())
}

fn gets() -> Asked {
    Asked::Gets(vec!["k1".into(), "k2".into()])
}

fn bulk(key: &str) -> Vec<u8> {
    let value = value(key, 70);
    [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat()
}

fn item(key: &str) -> Vec<u8> {
    let value = value(key, 70);
    [format!("VALUE {key} 0 {}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat()
}

fn values(found: u64, missing: u64) -> Verdict {
    Verdict::Values { found, missing }
}

fn error(text: &str) -> Verdict {
    Verdict::Error(text.into())
}

#[test]
fn redis_replies_are_judged() {
    check(vec![
        (Redis, Asked::Set, b"+OK\r\n".into(), Verdict::Stored),
        (Redis, Asked::Set, b"$-1\r\n".into(), Verdict::Foreign),
        (Redis, Asked::Set, b"OK\r\n".into(), Verdict::Malformed),
        (Redis, get(), b"-ERR 10.0 refused\r\n".into(), error("-ERR N.N refused")),
        (Redis, get(), b"$-1\r\n".into(), values(0, 1)),
        (Redis, get(), bulk("k1"), values(1, 0)),
        (Redis, get(), bulk("k2"), Verdict::Foreign),
        (Redis, get(), b"+OK\r\n".into(), Verdict::Foreign),
        (Redis, get(), b"$3\r\nabcde".into(), Verdict::Malformed),
        (Redis, gets(), [b"*2\r\n", &bulk("k1")[..], b"$-1\r\n"].concat(), values(1, 1)),
        (Redis, gets(), [b"*2\r\n", &bulk("k2")[..], &bulk("k1")].concat(), Verdict::Foreign),
        (Redis, gets(), b"*3\r\n".into(), Verdict::Foreign),
    ]);
}

#[test]
fn memcached_replies_are_judged() {
    check(vec![
        (Memcached, Asked::Set, b"STORED\r\n".into(), Verdict::Stored),
        (Memcached, Asked::Set, b"END\r\n".into(), Verdict::Foreign),
        (Memcached, get(), b"END\r\n".into(), values(0, 1)),
        (Memcached, get(), b"STORED\r\n".into(), Verdict::Foreign),
        (Memcached, get(), [&item("k1")[..], b"END\r\n"].concat(), values(1, 0)),
        (Memcached, get(), item("k2"), Verdict::Foreign),
        (Memcached, gets(), [&item("k2")[..], &item("k1"), b"END\r\n"].concat(), values(2, 0)),
        (Memcached, get(), b"SERVER_ERROR no 22\r\n".into(), error("SERVER_ERROR no N")),
        (Memcached, get(), b"nonsense\r\n".into(), Verdict::Malformed),
    ]);
}

/// Each reply is judged as expected, and not before its last byte.
fn check(cases: Vec<(Protocol, Asked, Vec<u8>, Verdict)>) {
    for (protocol, asked, bytes, verdict) in cases {
        let shown = bytes.escape_ascii().to_string();
        let (length, found) = judge(protocol, &asked, &bytes).expect("a whole reply");
        assert_eq!(found, verdict, "{asked:?}: {shown}");
        if matches!(verdict, Verdict::Stored | Verdict::Values { .. } | Verdict::Error(_)) {
            assert_eq!(length, bytes.len(), "{shown}");
            for end in 0..bytes.len() {
                assert_eq!(judge(protocol, &asked, &bytes[..end]), None, "{end} of {shown}");
            }
        }
    }
}

#[test]
fn a_changed_byte_is_found() {
    for at in 5..bulk("k1").len() - 2 {
        let mut bytes = bulk("k1");
        bytes[at] ^= 1;
        let (_, verdict) = judge(Redis, &get(), &bytes).expect("a whole reply");
        assert_eq!(verdict, Verdict::Foreign, "byte {at}");
    }
}
