//! Servers that mean no good: every session with one ends, with an error or without what was bad,
//! within its deadline and within memory that has a limit.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use metrics_adapter::jmx::session::{Session, SessionError, Target, Wanted};
use metrics_adapter::jmx::{Number, Value};

use crate::support::WAIT_MAX;
use crate::support::shapes::name;
use crate::support::stream::{
    acknowledgement, attributes, blocks, class, int, object_field, returns, string, stub, utf,
};

/// Beyond this much address space, an allocation ends the process of these tests. Half of it are the
/// stacks of the servers' threads.
const ADDRESS_SPACE_KIB: u32 = 500_000;

/// What a server sends, again and again.
type Endless = Box<dyn FnMut() -> Vec<u8> + Send>;

/// How a server goes on after the good part.
enum Ending {
    Closed,
    /// Nothing more is said, but the connection stays.
    Silent,
    Endless(Endless),
}

/// A server: per connection the handshake, then an answer for each call that it gets.
struct Server {
    port: u16,
}

impl Server {
    /// Speaks to each connection by a function that gets its stream.
    fn start(speak: impl Fn(&mut TcpStream, u16) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            // Ends with the process: a client that gave up leaves its server writing to nobody.
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
                speak(&mut stream, port);
            }
        });
        Self { port }
    }

    /// Answers the lookup with these bytes.
    fn lookup(bytes: Vec<u8>, ending: impl Fn() -> Ending + Send + Sync + 'static) -> Self {
        Self::start(move |stream, _| {
            if greet(stream) && heard(stream) {
                let _ = stream.write_all(&bytes);
                end(stream, ending());
            }
        })
    }

    /// Lets clients log in, and answers every `getAttributes` with this value of the attribute `A`.
    fn value(value: Vec<u8>) -> Self {
        Self::start(move |stream, port| {
            if !greet(stream) {
                return;
            }
            let answer = returns(&attributes("A", &value));
            let mut calls = [returns(&stub(port)), returns(&stub(port))].into_iter();
            while heard(stream) {
                let answer = calls.next().unwrap_or_else(|| answer.clone());
                if stream.write_all(&answer).is_err() {
                    return;
                }
            }
        })
    }

    fn target(&self) -> Target {
        Target::new("127.0.0.1", self.port)
    }

    fn connect(&self, within: Duration) -> SessionError {
        let start = Instant::now();
        let error = Session::connect(&self.target(), start + within).unwrap_err();
        // Generous: the machine may be busy. What it must not do is hang.
        assert!(start.elapsed() < within + Duration::from_secs(20), "took {:?}", start.elapsed());
        error
    }
}

/// The handshake; whether the client is still there.
fn greet(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0; 7]).is_ok() && stream.write_all(&acknowledgement()).is_ok()
}

/// Waits for bytes of the client; clients of these tests send a call at a time.
fn heard(stream: &mut TcpStream) -> bool {
    stream.read(&mut [0; 64 << 10]).is_ok_and(|count| count > 0)
}

fn end(stream: &mut TcpStream, ending: Ending) {
    match ending {
        Ending::Closed => {}
        Ending::Silent => while heard(stream) {},
        Ending::Endless(mut more) => while stream.write_all(&more()).is_ok() {},
    }
}

fn always(bytes: Vec<u8>) -> impl Fn() -> Ending + Send + Sync + 'static {
    move || {
        let bytes = bytes.repeat((16 << 10) / bytes.len() + 1);
        Ending::Endless(Box::new(move || bytes.clone()))
    }
}

/// An array of objects with its class.
fn array(length: u32) -> Vec<u8> {
    let class = class("[Ljava.lang.Object;", 0x02, &[], &[0x70]);
    [&[0x75][..], &class, &int(length)].concat()
}

/// A stub's object with custom data that goes on.
fn custom() -> Vec<u8> {
    let class = class("java.rmi.server.RemoteObject", 0x03, &[], &[0x70]);
    [&[0x73][..], &class].concat()
}

#[test]
fn graphs_without_an_end() {
    // Each level again has a level: the array that is a handle by now, of one element.
    let first = returns(&array(1));
    let nested = [&[0x75][..], &[0x71, 0, 0x7e, 0, 0], &int(1)].concat();
    let cases: [(&str, Vec<u8>, Vec<u8>); 7] = [
        ("arrays in arrays", first, nested),
        ("blocks", returns(&custom()), blocks(&[1; 255])),
        ("empty blocks", returns(&custom()), blocks(&[])),
        ("long blocks", returns(&custom()), [&[0x7a][..], &int(1000), &[1; 1000]].concat()),
        ("nulls", returns(&custom()), vec![0x70]),
        ("strings", returns(&custom()), string("x")),
        ("resets", returns(&custom()), vec![0x79]),
    ];
    for (what, first, more) in cases {
        let server = Server::lookup(first, always(more));
        let error = server.connect(WAIT_MAX);
        assert!(matches!(error, SessionError::Protocol(_)), "{what}: {error}");
    }
}

#[test]
fn classes_without_an_end() {
    // The superclass of a class is a class, whose superclass is a class …
    let below = class("A", 0x02, &[], &[]);
    let server = Server::lookup(returns(&[&[0x73][..], &below].concat()), always(below));
    let error = server.connect(WAIT_MAX);
    assert!(matches!(error, SessionError::Protocol(_)), "{error}");
    // An annotation of a class is a class with an annotation …
    let annotated = [&[0x72][..], &utf("A"), &[0; 8], &[2, 0, 0]].concat();
    let first = returns(&[&[0x73][..], &annotated].concat());
    let error = Server::lookup(first, always(annotated)).connect(WAIT_MAX);
    assert!(matches!(error, SessionError::Protocol(_)), "{error}");
}

#[test]
fn lengths_that_are_announced_only() {
    let huge = int(0x7fff_ffff);
    let ints = class("[I", 0x02, &[], &[0x70]);
    let long = [&[0x7c][..], &u64::MAX.wrapping_shr(1).to_be_bytes()].concat();
    let fields = [&[0x73, 0x72][..], &utf("A"), &[0; 8], &[2, 0xff, 0xff]].concat();
    let proxy = [&[0x73, 0x7d][..], &huge].concat();
    let cases = [
        ("array of objects", array(0x7fff_ffff)),
        ("negative array", array(0xffff_ffff)),
        ("array of numbers", [&[0x75][..], &ints, &huge].concat()),
        ("long string", long),
        ("negative long string", [&[0x7c][..], &[0xff; 8]].concat()),
        ("long block", [&custom()[..], &[0x7a], &huge].concat()),
        ("negative block", [&custom()[..], &[0x7a], &[0xff; 4]].concat()),
        ("fields", fields),
        ("interfaces of a proxy", proxy),
    ];
    for (what, bytes) in cases {
        // A length that is too much is refused before its bytes come; else it is waited for them.
        let server = Server::lookup(returns(&bytes), || Ending::Silent);
        let error = server.connect(Duration::from_millis(100));
        let fine = matches!(error, SessionError::Protocol(_) | SessionError::Deadline);
        assert!(fine, "{what}: {error}");
        let error = Server::lookup(returns(&bytes), || Ending::Closed).connect(WAIT_MAX);
        let fine = matches!(error, SessionError::Protocol(_) | SessionError::Io { .. });
        assert!(fine, "{what}: {error}");
        let error = Server::lookup(returns(&bytes), always(vec![0])).connect(WAIT_MAX);
        assert!(matches!(error, SessionError::Protocol(_)), "{what}: {error}");
    }
}

#[test]
fn references_that_lead_in_circles() {
    let class_of_itself = class("A", 0x02, &[], &[0x71, 0, 0x7e, 0, 0]);
    let itself = [&array(2)[..], &[0x71, 0, 0x7e, 0, 1], &[0x71, 0, 0x7e, 0, 1]].concat();
    let cases = [
        ("a class above itself", [&[0x73][..], &class_of_itself].concat()),
        ("an array in itself", itself),
        ("nothing", vec![0x71, 0, 0x7e, 0, 0]),
        ("far away", vec![0x71, 0x7f, 0xff, 0xff, 0xff]),
        ("before the first", vec![0x71, 0, 0, 0, 0]),
        ("a string as class", [&custom()[..], &string("x"), &[0x73, 0x71, 0, 0x7e, 0, 2]].concat()),
    ];
    for (what, bytes) in cases {
        let error = Server::lookup(returns(&bytes), || Ending::Closed).connect(WAIT_MAX);
        assert!(matches!(error, SessionError::Protocol(_)), "{what}: {error}");
    }
}

/// Composite data that holds itself, and one whose size doubles with every level.
#[test]
fn values_that_lead_in_circles() {
    let contents = object_field("contents", "Ljava/util/SortedMap;");
    let composite =
        class("javax.management.openmbean.CompositeDataSupport", 0x02, &[&contents], &[0x70]);
    let map = class("java.util.TreeMap", 0x03, &[], &[0x70]);
    let map = |inside: &[u8]| [&[0x73][..], &map, inside, &[0x78]].concat();
    // Handles before the value: of the list 0 to 3, the attribute's class 4 with two types of
    // fields, the attribute and its name, the composite's class with its type.
    let mut broken = Vec::new();
    for handle in 0..24_u8 {
        let itself = [0x71, 0, 0x7e, 0, handle];
        let inside = [&string("x")[..], &itself, &string("y"), &itself].concat();
        broken.push([&[0x73][..], &composite, &map(&inside)].concat());
    }
    let mut level = vec![0x70];
    for _ in 0..60 {
        level = [&[0x73][..], &composite, &map(&[&string("x")[..], &level].concat())].concat();
    }
    broken.push(level);
    for value in broken {
        let server = Server::value(value);
        read(&server);
    }
}

/// What a session reads of a server; how it goes is the server's affair, but it must end.
fn read(server: &Server) -> Option<Value> {
    let deadline = Instant::now() + WAIT_MAX;
    let mut session = Session::connect(&server.target(), deadline).unwrap();
    let name = name("a:type=A");
    let attributes = ["A".to_owned()];
    let wanted = [Wanted { name: &name, attributes: &attributes }];
    let mut found = None;
    // An error is as good as no value.
    let _ = session.values(&wanted, deadline, &mut |_, answer| {
        found = answer.ok().and_then(|mut values| values.pop());
    });
    assert!(Instant::now() < deadline, "it took too long");
    found.map(|(_, value)| value)
}

/// That the servers above can be understood at all: else any test of badness would pass.
#[test]
fn a_good_value_of_the_same_server_is_read() {
    let field: &[u8] = &[&b"J"[..], &utf("value")].concat();
    let number = class("java.lang.Number", 0x02, &[], &[0x70]);
    let long = class("java.lang.Long", 0x02, &[field], &number);
    let value = [&[0x73][..], &long, &42_u64.to_be_bytes()].concat();
    assert_eq!(read(&Server::value(value)), Some(Value::Number(Number::Integer(42))));
}

#[test]
fn a_byte_now_and_then_does_not_keep_us() {
    // Slowly enough to be under way at the deadline, and never silent for long.
    let server = Server::start(|stream, _| {
        if greet(stream) && heard(stream) {
            let _ = stream.write_all(&returns(&custom()));
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            // Waiting for the client, who says nothing, is the clock here.
            while stream.write_all(&[0x70]).is_ok() {
                if stream.read(&mut [0; 1]).is_ok() {
                    break;
                }
            }
        }
    });
    let start = Instant::now();
    let error = server.connect(Duration::from_millis(300));
    assert!(matches!(error, SessionError::Deadline), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn silence_ends_at_the_deadline() {
    let cases: [fn(&mut TcpStream, u16); 3] = [
        |stream, _| while heard(stream) {},
        |stream, _| {
            if greet(stream) {
                while heard(stream) {}
            }
        },
        |stream, _| {
            let _ = stream.write_all(&[0x4e, 0xff, 0xff]);
            while heard(stream) {}
        },
    ];
    for speak in cases {
        let error = Server::start(speak).connect(Duration::from_millis(100));
        assert!(matches!(error, SessionError::Deadline), "{error}");
    }
}

#[test]
fn other_protocols_are_told_apart() {
    for said in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x03\x00"]
    {
        let server = Server::start(move |stream, _| {
            let _ = stream.write_all(said.as_bytes());
        });
        let error = server.connect(WAIT_MAX);
        let fine = matches!(error, SessionError::Protocol(_) | SessionError::Io { .. });
        assert!(fine, "{said:?}: {error}");
    }
}

/// All of the above once more, where memory beyond a bound cannot be had at all.
#[test]
fn memory_is_bounded() {
    let program = std::env::current_exe().unwrap();
    let script = format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .args(["hostile::", "--skip", "memory_is_bounded", "--test-threads", "1"])
        // Else the allocator of the system reserves a region for every thread.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("9 passed"), "{text}");
}
