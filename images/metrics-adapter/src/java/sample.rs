//! Streams built by hand, for tests: objects are written piece by piece as the specification lays
//! them out.

use super::{HEADER, tag};

/// A stream under construction.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) bytes: Vec<u8>,
}

impl Sample {
    /// Begins with the header of a stream.
    pub(crate) fn new() -> Self {
        Self { bytes: HEADER.to_vec() }
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A text with its length of two bytes.
    pub(crate) fn utf(self, text: &str) -> Self {
        self.raw(&(text.len() as u16).to_be_bytes()).raw(text.as_bytes())
    }

    pub(crate) fn string(self, text: &str) -> Self {
        self.raw(&[tag::STRING]).utf(text)
    }

    pub(crate) fn null(self) -> Self {
        self.raw(&[tag::NULL])
    }

    /// The handle with this number, from 0.
    pub(crate) fn reference(self, number: u32) -> Self {
        self.raw(&[tag::REFERENCE]).raw(&(0x7e_0000 + number).to_be_bytes())
    }

    pub(crate) fn int(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn long(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn block(self, bytes: &[u8]) -> Self {
        self.raw(&[tag::BLOCKDATA, bytes.len() as u8]).raw(bytes)
    }

    pub(crate) fn end(self) -> Self {
        self.raw(&[tag::ENDBLOCKDATA])
    }

    /// The tag of an object; its class follows.
    pub(crate) fn object(self) -> Self {
        self.raw(&[tag::OBJECT])
    }

    /// The tag of an array; its class and its length follow.
    pub(crate) fn array(self) -> Self {
        self.raw(&[tag::ARRAY])
    }

    /// A class descriptor up to the class above, which follows. Fields as `Iname`, or
    /// `Lname:Ljava/lang/String;` for objects.
    pub(crate) fn class(self, name: &str, flags: u8, fields: &[&str]) -> Self {
        let mut sample = self.raw(&[tag::CLASSDESC]).utf(name).long(1).raw(&[flags]);
        sample = sample.raw(&(fields.len() as u16).to_be_bytes());
        for field in fields {
            let (code, rest) = field.split_at(1);
            sample = sample.raw(code.as_bytes());
            sample = match rest.split_once(':') {
                Some((name, declared)) => sample.utf(name).string(declared),
                None => sample.utf(rest),
            };
        }
        sample.end()
    }

    /// `java.lang.Integer`, classes and all.
    pub(crate) fn integer(self, value: i32) -> Self {
        self.object()
            .class("java.lang.Integer", 2, &["Ivalue"])
            .class("java.lang.Number", 2, &[])
            .null()
            .int(value)
    }
}
