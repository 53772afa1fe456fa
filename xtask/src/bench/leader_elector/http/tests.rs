use super::{parse, request};

#[test]
fn a_reply_is_parsed_when_it_is_whole() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 503";
    for cut in 0..bytes.len() {
        let reply = parse(&bytes[..cut]).expect("no error");
        assert_eq!(reply.is_some(), cut >= 40, "{cut}");
        if let Some(reply) = reply {
            assert_eq!((reply.status, &*reply.body, reply.length), (200, &b"{}"[..], 40));
        }
    }
}

#[test]
fn chunks_are_joined() {
    let bytes =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\nrest";
    for cut in 0..bytes.len() {
        let reply = parse(&bytes[..cut]).expect("no error");
        assert_eq!(reply.is_some(), cut >= bytes.len() - 4, "{cut}");
        if let Some(reply) = reply {
            assert_eq!((&*reply.body, reply.length), (&b"abcd"[..], bytes.len() - 4));
        }
    }
}

#[test]
fn nonsense_is_an_error() {
    assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
    assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").is_err());
}

#[test]
fn a_request_tells_the_length_of_its_body() {
    let text = String::from_utf8(request("POST", "/a", "{}")).expect("text");
    assert!(text.starts_with("POST /a HTTP/1.1\r\n"), "{text}");
    assert!(text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
}
