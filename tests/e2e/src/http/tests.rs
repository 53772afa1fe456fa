use super::{Response, parse};

#[test]
fn an_answer_has_a_status_and_a_body() {
    let expected = Response { status: 502, body: "no\r\n\r\nserver".to_owned() };
    assert_eq!(parse("HTTP/1.0 502 Bad Gateway\r\nA: b\r\n\r\nno\r\n\r\nserver"), Some(expected));
}

#[test]
fn anything_else_is_refused() {
    for answer in ["", "HTTP/1.0 200 OK\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1\r\n\r\n"] {
        assert_eq!(parse(answer), None, "{answer:?}");
    }
}
