//! Bytes of Java's object streams and of JRMP, put together by hand: good ones and bad ones.

/// An object identifier.
pub(crate) const OBJECT: [u8; 22] = [5; 22];
/// `RMIServerImpl_Stub` and its like need no more than this of their hierarchy.
const REMOTE: &str = "java.rmi.server.RemoteObject";

/// What a server says first.
pub(crate) fn acknowledgement() -> Vec<u8> {
    [&[0x4e][..], &utf("127.0.0.1"), &int(40_000)].concat()
}

/// A good return; `body` is the object.
pub(crate) fn returns(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x51, 0xac, 0xed, 0x00, 0x05, 0x77, 0x0f, 0x01];
    out.extend([7; 14]);
    out.extend(body);
    out
}

/// A stub that leads to a port of this machine.
pub(crate) fn stub(port: u16) -> Vec<u8> {
    let host = utf("127.0.0.1");
    let block = [&utf("UnicastRef")[..], &host, &int(u32::from(port)), &OBJECT, &[0]].concat();
    let remote = class(REMOTE, 0x03, &[], &[0x70]);
    let class = class("javax.management.remote.rmi.RMIServerImpl_Stub", 0x02, &[], &remote);
    [&[0x73][..], &class, &blocks(&block), &[0x78]].concat()
}

/// An `AttributeList` with one attribute.
pub(crate) fn attributes(name: &str, value: &[u8]) -> Vec<u8> {
    let fields: [&[u8]; 2] =
        [&object_field("name", "Ljava/lang/String;"), &object_field("value", "Ljava/lang/Object;")];
    let attribute = class("javax.management.Attribute", 0x02, &fields, &[0x70]);
    let attribute = [&[0x73][..], &attribute, &string(name), value].concat();
    let size: &[u8] = &[&b"I"[..], &utf("size")].concat();
    let array_list = class("java.util.ArrayList", 0x03, &[size], &[0x70]);
    let list = class("javax.management.AttributeList", 0x02, &[], &array_list);
    [&[0x73][..], &list, &int(1), &blocks(&int(1)), &attribute, &[0x78]].concat()
}

/// A class descriptor without annotations; `above` is the one of its superclass.
pub(crate) fn class(name: &str, flags: u8, fields: &[&[u8]], above: &[u8]) -> Vec<u8> {
    let count = u16::try_from(fields.len()).unwrap().to_be_bytes();
    [&[0x72][..], &utf(name), &[0; 8], &[flags], &count, &fields.concat(), &[0x78], above].concat()
}

/// A field of an object or array type.
pub(crate) fn object_field(name: &str, signature: &str) -> Vec<u8> {
    [&b"L"[..], &utf(name), &string(signature)].concat()
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [&[0x74][..], &utf(text)].concat()
}

pub(crate) fn utf(text: &str) -> Vec<u8> {
    let count = u16::try_from(text.len()).unwrap().to_be_bytes();
    [&count[..], text.as_bytes()].concat()
}

pub(crate) fn int(value: u32) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

/// A short block.
pub(crate) fn blocks(bytes: &[u8]) -> Vec<u8> {
    [&[0x77, u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}
