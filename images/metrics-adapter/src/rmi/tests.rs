use std::io::{Cursor, Read, Write};

use crate::java::sample::Sample;
use crate::java::{Graph, Limits, Problem, read_object};

use super::{Connection, LOOKUP, REGISTRY, Remote, SocketFactory};

/// A stream whose other side said everything beforehand.
#[derive(Debug)]
struct Script {
    answers: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // A byte at a time: no reader may rely on more.
        let one = buffer.len().min(1);
        self.answers.read(&mut buffer[..one])
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.heard.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn script(answers: &[u8]) -> Script {
    let mut all = b"\x4e\x00\x09127.0.0.1\x00\x00\xc0\x00".to_vec();
    all.extend(answers);
    Script { answers: Cursor::new(all), heard: Vec::new() }
}

fn answer(kind: u8, body: Sample) -> Vec<u8> {
    let mut bytes = vec![0x51];
    let mut head = vec![kind];
    head.extend([7; 14]);
    bytes.extend(Sample::new().block(&head).raw(&body.bytes[4..]).bytes);
    bytes
}

fn stub(reference: &[&[u8]], factory: Option<&str>) -> Sample {
    let sample = Sample::new()
        .object()
        .class("javax.management.remote.rmi.RMIServerImpl_Stub", 2, &[])
        .class("java.rmi.server.RemoteStub", 2, &[])
        .class("java.rmi.server.RemoteObject", 3, &[])
        .null();
    let sample = sample.block(reference[0]);
    match factory {
        Some(class) => sample.object().class(class, 2, &[]).null().block(reference[1]).end(),
        None => sample.end(),
    }
}

#[test]
fn a_lookup_says_what_a_registry_expects() {
    let reference =
        [&b"\x00\x0aUnicastRef\x00\x05pod-7\x00\x00\x1f\x90"[..], &[9; 22], &[0]].concat();
    let bytes = [answer(1, stub(&[&reference], None)), answer(1, Sample::new())].concat();
    let mut connection = Connection::open(script(&bytes), Limits::default()).unwrap();
    crate::java::push_string("jmxrmi", connection.call(&REGISTRY, LOOKUP));
    connection.flush().unwrap();
    let mut graph = Graph::default();
    let reply = connection.reply(&mut graph, false).unwrap();
    assert_eq!(reply.id, [7; 14]);
    let remote = Remote::from_stub(&graph, reply.result.unwrap()).unwrap();
    let host = "pod-7".to_owned();
    let factory = SocketFactory::Plain;
    assert_eq!(remote, Remote { host, port: 8080, object: [9; 22], factory });
    connection.acknowledge(&reply.id);
    connection.flush().unwrap();
    connection.reply(&mut graph, true).unwrap();

    let mut expected = b"JRMI\x00\x02\x4b\x00\x09127.0.0.1\x00\x00\x00\x00".to_vec();
    expected.extend(b"\x50\xac\xed\x00\x05\x77\x22");
    expected.extend([0; 22]);
    expected.extend(b"\x00\x00\x00\x02\x44\x15\x4d\xc9\xd4\xe6\x3b\xdf\x74\x00\x06jmxrmi\x54");
    expected.extend([7; 14]);
    assert_eq!(connection.stream().heard, expected);
}

#[test]
fn a_socket_factory_stands_between_the_blocks() {
    let begin = b"\x00\x0bUnicastRef2\x01\x00\x01h\x00\x00\x00\x50".as_slice();
    let rest = [3; 23];
    for (class, factory) in [
        ("javax.rmi.ssl.SslRMIClientSocketFactory", SocketFactory::Tls),
        ("com.example.MySSLFactory", SocketFactory::Tls),
        ("com.example.Tunnel", SocketFactory::Unknown("com.example.Tunnel".to_owned())),
    ] {
        let sample = stub(&[begin, &rest], Some(class));
        let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
        let remote = Remote::from_stub(&graph, root).unwrap();
        assert_eq!((remote.factory, remote.port, remote.object), (factory, 80, [3; 22]));
    }
}

#[test]
fn a_proxy_has_it_in_its_handler() {
    let reference = [&b"\x00\x0aUnicastRef\x00\x01h\x00\x00\x00\x50"[..], &[4; 23]].concat();
    let sample = Sample::new()
        .object()
        .raw(&[0x7d])
        .int(1)
        .utf("javax.management.remote.rmi.RMIServer")
        .end()
        .class("java.lang.reflect.Proxy", 2, &["Lh:Ljava/lang/reflect/InvocationHandler;"])
        .null()
        .object()
        .class("java.rmi.server.RemoteObjectInvocationHandler", 2, &[])
        .class("java.rmi.server.RemoteObject", 3, &[])
        .null()
        .block(&reference)
        .end();
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    assert_eq!(Remote::from_stub(&graph, root).unwrap().object, [4; 22]);
}

#[test]
fn what_is_no_stub_is_said_so() {
    let (graph, root) = read_object(&Sample::new().integer(1).bytes, &Limits::default()).unwrap();
    assert!(Remote::from_stub(&graph, root).unwrap_err().contains("no remote object"));
    let bad_port = [&b"\x00\x0aUnicastRef\x00\x01h\x00\x01\x00\x50"[..], &[4; 23]].concat();
    for reference in
        [&b""[..], b"\x00\x0aActivatable", b"\x00\x0aUnicastRef\x00\x01h\x00", &bad_port]
    {
        let sample = stub(&[reference], None);
        let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
        assert!(Remote::from_stub(&graph, root).unwrap_err().contains("no TCP endpoint"));
    }
}

#[test]
fn an_exception_has_class_message_and_cause() {
    let body = Sample::new()
        .object()
        .class("java.rmi.ServerException", 2, &["Ldetail:Ljava/lang/Throwable;"])
        .class("java.lang.Throwable", 2, &["LdetailMessage:Ljava/lang/String;"])
        .null()
        .string("RemoteException occurred")
        .object()
        .class("java.rmi.UnmarshalException", 2, &[])
        .reference(2)
        .string("odd bytes");
    let mut connection = Connection::open(script(&answer(2, body)), Limits::default()).unwrap();
    let mut graph = Graph::default();
    let thrown = connection.reply(&mut graph, false).unwrap().result.unwrap_err();
    let (class, message) = graph.throwable(thrown);
    assert_eq!(class, "java.rmi.ServerException");
    assert_eq!(message, "RemoteException occurred (cause: java.rmi.UnmarshalException: odd bytes)");
}

#[test]
fn who_does_not_speak_the_protocol_is_found_out() {
    let http = Script { answers: Cursor::new(b"HTTP/1.1 400".to_vec()), heard: Vec::new() };
    let error = Connection::open(http, Limits::default()).unwrap_err();
    assert!(matches!(error.problem, Problem::Unexpected { found: b'H', .. }), "{error}");
    let silent = Script { answers: Cursor::new(Vec::new()), heard: Vec::new() };
    let error = Connection::open(silent, Limits::default()).unwrap_err();
    assert!(matches!(error.problem, Problem::End), "{error}");
    for bad in [&b"\x53"[..], b"\x51\xac\xed\x00\x04", b"\x51\xac\xed\x00\x05\x77\x02\x01\x01"] {
        let mut connection = Connection::open(script(bad), Limits::default()).unwrap();
        assert!(connection.reply(&mut Graph::default(), false).is_err());
    }
    let mut connection = Connection::open(script(b"\x53"), Limits::default()).unwrap();
    connection.ping().unwrap();
}
