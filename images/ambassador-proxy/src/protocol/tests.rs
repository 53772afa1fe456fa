//! Cases, properties and limits of the scanners.

use proptest::prelude::*;

use super::memcache::{Line, ReplyKind, Verb};
use super::*;

/// Pieces that streams are made of, so that chance finds what is nearly right.
fn stream(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        20 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
        1 => (0u64..40).prop_map(|number| number.to_string().into_bytes()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0usize..200, 0..6)
}

const REQUESTS: &[&[u8]] = &[
    b"*",
    b"$",
    b"0",
    b"1",
    b"2",
    b"3",
    b"-1",
    b"-",
    b"\r\n",
    b"\r",
    b"\n",
    b"PING",
    b"a",
    b" ",
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    b"*3\r\n$3\r\nSET\r\n",
    b"$0\r\n\r\n",
    b"$3\r\nabc\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*1048576\r\n",
    b"*1048577\r\n",
    b"$536870912\r\n",
    b"$536870913\r\n",
    b"999999999999999999",
    b"9999999999999999999",
    b"PING\r\n",
];

const REPLIES: &[&[u8]] = &[
    b"+",
    b"-",
    b":",
    b"$",
    b"*",
    b"%",
    b"~",
    b">",
    b"|",
    b"_",
    b"#",
    b",",
    b"(",
    b"=",
    b"!",
    b"0",
    b"1",
    b"2",
    b"-1",
    b"\r\n",
    b"\r",
    b"\n",
    b"+OK\r\n",
    b":1\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b"$3\r\nabc\r\n",
    b"*2\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"%1\r\n",
    b"|1\r\n",
    b"~1\r\n",
    b"#t\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!3\r\nERR\r\n",
    b",1.5\r\n",
    b"(123\r\n",
    b"999999999999999999\r\n",
];

const COMMANDS: &[&[u8]] = &[
    b"get ",
    b"gets ",
    b"gat 0 ",
    b"set ",
    b"cas ",
    b"ms ",
    b"mg ",
    b"incr ",
    b"delete ",
    b"touch ",
    b"mn",
    b"version",
    b"key ",
    b"k",
    b" ",
    b"0 ",
    b"1 ",
    b"-1 ",
    b"3",
    b"noreply",
    b"q",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"set k 0 0 3\r\nabc\r\n",
    b"set k 0 0 3 noreply\r\nabc\r\n",
    b"get k\r\n",
    b"ms k 2\r\nab\r\n",
    b"ms k 2 q\r\n",
    b"set k 0 0 ",
    b"536870912\r\n",
    b"536870913\r\n",
    b"abc\r\n",
];

const ANSWERS: &[&[u8]] = &[
    b"VALUE ",
    b"VALUE k 0 3\r\nabc\r\n",
    b"VALUE k 0 3 99\r\n",
    b"VA ",
    b"VA 2 k\r\nab\r\n",
    b"HD\r\n",
    b"EN\r\n",
    b"END\r\n",
    b"MN\r\n",
    b"MN",
    b"STORED\r\n",
    b"SERVER_ERROR x\r\n",
    b"k ",
    b"0 ",
    b"3",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"VALUE k 0 x\r\n",
    b"VA 536870913\r\n",
    b"VA 5\r\nMN\r\n\r\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resp_requests_however_cut(bytes in stream(REQUESTS), cuts in cuts()) {
        differential::resp_request(&bytes, &cuts);
    }

    #[test]
    fn resp_replies_however_cut(bytes in stream(REPLIES), cuts in cuts()) {
        differential::resp_reply(&bytes, &cuts);
    }

    #[test]
    fn memcache_requests_however_cut(bytes in stream(COMMANDS), cuts in cuts()) {
        differential::memcache_request(&bytes, &cuts);
    }

    #[test]
    fn memcache_replies_however_cut(bytes in stream(ANSWERS), cuts in cuts()) {
        for kind in differential::KINDS {
            differential::memcache_reply(&bytes, &cuts, kind);
        }
    }

    #[test]
    fn requests_are_read_as_they_were_written(
        args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8),
    ) {
        let parts: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let mut bytes = Vec::new();
        resp::push_request(&mut bytes, &parts);
        differential::resp_request(&bytes, &[bytes.len() / 2]);
        let mut scan = resp::RequestScan::default();
        prop_assert_eq!(scan.scan(&bytes), Ok(Scan::Done(bytes.len())));
        let found: Vec<&[u8]> = scan.args.iter().map(|span| span.of(&bytes)).collect();
        prop_assert_eq!(found, parts);
    }

    #[test]
    fn inline_arguments_are_read_as_they_were_quoted(
        args in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..6),
    ) {
        let hex = |arg: &Vec<u8>| {
            let inside: String = arg.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("\"{inside}\"")
        };
        let line = args.iter().map(hex).collect::<Vec<_>>().join("  ") + "\r\n";
        prop_assert_eq!(resp::split_inline(line.as_bytes()), Ok(args));
    }

    #[test]
    fn decimals(value in any::<u64>()) {
        let mut text = Vec::new();
        push_decimal(&mut text, value);
        prop_assert_eq!(String::from_utf8_lossy(&text), value.to_string());
        prop_assert_eq!(decimal(&text), (text.len() <= 19).then_some(value));
    }
}

/// Streams found by fuzzing, and their like.
#[test]
fn streams_that_were_found() {
    let streams: &[&[u8]] = &[
        b"*1\r\n$0\r\n\r\n*",
        b"*1\r\n$1\r\na\rx",
        b"*--1\r\n",
        b"*\r\n",
        b"*1\r",
        b"\n\r\n\n",
        b"*-0\r\n",
        b"|0\r\n+a\r\n",
        b"|1\r\n+a\r\n+b\r\n:1\r\n",
        b"*1\r\n$-1\r\n",
        b"%0\r\n",
        b"$-9\r\n+a\r\n",
        b"?1\r\n",
        b"set k 0 0 0\r\n\r\n",
        b"set k 0 0 1\r\n\r\n\r\n",
        b"ms\r\n",
        b"ms k\r\n",
        b" \n",
        b"\r\n",
        b"get\r\n",
        b"VALUE a 0 0\r\n\r\nEND\r\n",
        b"VA 4 q\r\nMN\r\n\r\nMN\r\n",
        b"VALUE\r\n",
        b"MN \r\nMN\r\n",
    ];
    for bytes in streams {
        for cut in 0..bytes.len() {
            differential::resp_request(bytes, &[cut]);
            differential::resp_reply(bytes, &[cut]);
            differential::memcache_request(bytes, &[cut]);
            for kind in differential::KINDS {
                differential::memcache_reply(bytes, &[cut], kind);
            }
        }
    }
}

// === Limits ===

fn request_error(bytes: &[u8]) -> &'static str {
    let mut scan = resp::RequestScan::default();
    let error = scan.scan(bytes).unwrap_err().0;
    assert_eq!(scan.args.capacity(), 0, "room for arguments that were only announced");
    error
}

#[test]
fn announced_sizes_cost_nothing() {
    assert_eq!(request_error(b"*2000000000\r\n"), "invalid multibulk length");
    assert_eq!(request_error(b"*1048577\r\n"), "invalid multibulk length");
    assert_eq!(request_error(b"*1\r\n$600000000\r\n"), "invalid bulk length");
    assert_eq!(request_error(b"*1\r\n$-1\r\n"), "invalid bulk length");
    for digits in ["9223372036854775807", "9223372036854775808", "99999999999999999999999"] {
        for sign in ["", "-"] {
            assert_eq!(request_error(format!("*{sign}{digits}\r\n").as_bytes()), "invalid length");
            let header = format!("*1\r\n${sign}{digits}\r\n");
            assert_eq!(request_error(header.as_bytes()), "invalid length");
            let mut scan = resp::ReplyScan::default();
            let reply = format!("*{sign}{digits}\r\n");
            assert_eq!(scan.scan(reply.as_bytes()).unwrap_err().0, "invalid length");
        }
    }
    let mut scan = resp::RequestScan::default();
    let more = scan.scan(b"*1048576\r\n$536870912\r\n");
    assert_eq!(more, Ok(Scan::More { need: 22 + 536_870_912 + 2 }));
    assert_eq!(scan.args.capacity(), 0);
    // Nothing is to come, however far below zero.
    assert_eq!(resp::RequestScan::default().scan(b"*-999999999999999999\r\n"), Ok(Scan::Done(22)));
}

#[test]
fn nesting_costs_nothing() {
    const DEPTH: usize = 1_000_000;
    for head in [&b"*1\r\n"[..], b"~1\r\n", b">1\r\n", b"|0\r\n"] {
        let mut bytes = head.repeat(DEPTH);
        let mut scan = resp::ReplyScan::default();
        assert_eq!(scan.scan(&bytes), Ok(Scan::More { need: bytes.len() + 1 }));
        bytes.extend_from_slice(b":1\r\n");
        assert_eq!(scan.scan(&bytes), Ok(Scan::Done(bytes.len())));
    }
    // Counts that multiply past every number stay finite.
    let bytes = b"*999999999999999999\r\n%999999999999999999\r\n".repeat(100);
    let more = Ok(Scan::More { need: bytes.len() + 1 });
    assert_eq!(resp::ReplyScan::default().scan(&bytes), more);
}

#[test]
fn lines_end_or_are_refused() {
    let line = |length: usize| vec![b'a'; length];
    for (length, good) in [(LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
        let scanned = resp::RequestScan::default().scan(&line(length));
        assert_eq!(scanned.is_ok(), good, "inline of {length}");
        let scanned = memcache::RequestScan::default().scan(&line(length - 1));
        assert_eq!(scanned.is_ok(), good, "command of {}", length - 1);
    }
    for (length, good) in [(REPLY_LINE_BYTES_MAX, true), (REPLY_LINE_BYTES_MAX + 1, false)] {
        for end in [&b""[..], b"\n"] {
            let mut text = line(length);
            text[0] = b'+';
            text[length - 1] = b'\r';
            text.extend_from_slice(end);
            let scanned = resp::ReplyScan::default().scan(&text);
            assert_eq!(scanned.is_ok(), good, "reply of {length}");
            let scanned = memcache::ReplyScan::default().scan(&text, ReplyKind::Line);
            assert_eq!(scanned.is_ok(), good, "answer of {length}");
        }
    }
}

/// A scan takes up where it stopped: byte by byte must not cost the square of the length.
#[test]
fn nothing_is_scanned_twice() {
    let mut bytes = b"*1000\r\n".to_vec();
    bytes.extend(b"$1\r\na\r\n".repeat(1000));
    let mut scan = resp::RequestScan::default();
    for end in 1..bytes.len() {
        let before = scan.place();
        assert!(matches!(scan.scan(&bytes[..end]), Ok(Scan::More { .. })));
        assert!(scan.place() >= before, "it goes back");
    }
    assert_eq!(scan.scan(&bytes), Ok(Scan::Done(bytes.len())));
}

// === Cases ===

#[test]
fn decimal_cases() {
    for (text, expected) in [
        ("", None),
        ("0", Some(0)),
        ("007", Some(7)),
        ("-1", None),
        ("+1", None),
        (" 1", None),
        ("1 ", None),
        ("9223372036854775807", Some(i64::MAX as u64)),
        ("12345678901234567890", None),
        ("9999999999999999999", Some(9_999_999_999_999_999_999)),
        ("1\0", None),
    ] {
        assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn inline_cases() {
    let cases: &[(&str, Option<&[&str]>)] = &[
        ("PING\r\n", Some(&["PING"])),
        ("  set  k\tv \r\n", Some(&["set", "k", "v"])),
        ("\r\n", Some(&[])),
        ("\n", Some(&[])),
        ("get \"a b\"\r\n", Some(&["get", "a b"])),
        ("get 'a b'\r\n", Some(&["get", "a b"])),
        ("get \"\"\r\n", Some(&["get", ""])),
        (r#"get "\x41\n\"\\\q""#, Some(&["get", "A\n\"\\q"])),
        (r#"get "\x4""#, Some(&["get", "x4"])),
        (r#"get "\x+f""#, Some(&["get", "x+f"])),
        (r"get 'a\'b\n'", Some(&["get", "a'b\\n"])),
        ("get a\"b c\"\r\n", Some(&["get", "ab c"])),
        ("get \"a\"b\r\n", None),
        ("get 'a'b\r\n", None),
        ("get \"a\r\n", None),
        ("get 'a\r\n", None),
        ("get \"a\\", None),
    ];
    for (line, expected) in cases {
        let found = resp::split_inline(line.as_bytes()).ok();
        let expected =
            expected.map(|args| args.iter().map(|arg| arg.as_bytes().to_vec()).collect());
        assert_eq!(found, expected, "{line:?}");
    }
}

/// verb, body bytes, noreply, closes in a strict pool
type Meant = (Verb, usize, bool, bool);

fn command(line: &str) -> Meant {
    let mut scan = memcache::RequestScan::default();
    let _ = scan.scan(format!("{line}\r\n").as_bytes());
    let Line { verb, noreply, body_bytes, strict_closes, .. } = scan.line().unwrap();
    (verb, body_bytes, noreply, strict_closes)
}

#[test]
fn command_cases() {
    const FORMAT: Verb = Verb::Bad("CLIENT_ERROR bad command line format");
    const CHUNK: Verb = Verb::Bad("CLIENT_ERROR bad data chunk");
    const ERROR: Verb = Verb::Bad("ERROR");
    let long = "k".repeat(251);
    let cases: &[(&str, Meant)] = &[
        ("get k", (Verb::Get, 0, false, false)),
        ("gets a b  c", (Verb::Get, 0, false, false)),
        ("GET k", (ERROR, 0, false, true)),
        ("get", (ERROR, 0, false, true)),
        ("gat 10 k", (Verb::GetAndTouch, 0, false, true)),
        ("gat x k", (Verb::Bad("CLIENT_ERROR invalid exptime argument"), 0, false, true)),
        ("set k 0 0 3", (Verb::Store, 5, false, false)),
        ("set k 0 0 3 noreply", (Verb::Store, 5, true, false)),
        ("set k 0 -1 3", (Verb::Store, 5, false, true)),
        ("set k 0 0 3 other", (FORMAT, 5, false, true)),
        ("set k 0 0 3 noreply x", (FORMAT, 5, true, true)),
        ("set k 4294967296 0 3", (FORMAT, 5, false, true)),
        ("set k 0 2147483648 3", (FORMAT, 5, false, true)),
        ("set k 0 0 -3", (CHUNK, 0, false, true)),
        ("set k 0 0", (ERROR, 0, false, true)),
        ("cas k 0 0 3 7", (Verb::Store, 5, false, false)),
        ("cas k 0 0 3", (FORMAT, 5, false, true)),
        ("incr k 1", (Verb::Single, 0, false, false)),
        ("incr k 1 noreply", (Verb::Single, 0, true, false)),
        ("incr k", (ERROR, 0, false, true)),
        ("incr k 1 2", (ERROR, 0, false, true)),
        ("incr k 1\0 noreply", (ERROR, 0, false, true)),
        ("delete k", (Verb::Single, 0, false, false)),
        ("delete noreply", (Verb::Single, 0, false, false)),
        ("touch k 5", (Verb::Single, 0, false, false)),
        ("mg k v", (Verb::Meta { quiet: false }, 0, false, true)),
        ("mg k v q", (Verb::Meta { quiet: true }, 0, false, true)),
        ("mg k q7", (Verb::Meta { quiet: true }, 0, false, true)),
        ("ms k 3", (Verb::Meta { quiet: false }, 5, false, true)),
        ("ms k x", (CHUNK, 0, false, true)),
        ("mn", (Verb::MetaNop, 0, false, true)),
        ("version", (Verb::Version, 0, false, false)),
        ("quit", (Verb::Quit, 0, false, false)),
        ("flush_all 0 noreply", (Verb::FlushAll, 0, true, true)),
        ("stats", (Verb::Stats, 0, false, true)),
        ("stats items", (ERROR, 0, false, true)),
        ("", (ERROR, 0, false, true)),
    ];
    for (line, meant) in cases {
        assert_eq!(command(line), *meant, "{line:?}");
    }
    assert_eq!(command(&format!("get {long}")), (FORMAT, 0, false, true));
    assert_eq!(command(&format!("set {long} 0 0 3")), (FORMAT, 5, false, true));
    assert_eq!(command(&format!("get {}", &long[1..])), (Verb::Get, 0, false, false));
    let keys = "key ".repeat(3000);
    assert_eq!(command(&format!("get {keys}")).0, Verb::Get, "a long get is fine");
}
