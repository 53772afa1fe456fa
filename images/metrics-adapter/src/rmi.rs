//! JRMP, the wire protocol of Java RMI: handshake, calls, returns, registry lookup.
//!
//! A [`Connection`] is one stream to one endpoint. Calls are collected and sent by
//! [`Connection::flush`]; a server reads them one behind the other and answers in order, so many may
//! be under way. A reply has no length: it ends where its object ends.
//!
//! Not here: distributed garbage collection (the server of JMX holds its connections itself, until
//! they have been idle for two minutes), class loading, HTTP tunnelling.
//!
//! Source: Java RMI specification, chapter 10; `sun.rmi.transport`.

mod remote;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};

use crate::java::{self, Graph, Input, JavaError, Limits, NodeId, Problem, Reader};

pub use remote::{Remote, SocketFactory};

/// `JRMI`, version 2, stream protocol.
const HANDSHAKE: [u8; 7] = *b"JRMI\x00\x02\x4b";

/// The server takes the protocol.
const ACK: u8 = 0x4e;

const CALL: u8 = 0x50;
const RETURN: u8 = 0x51;
const PING: u8 = 0x52;
const PING_ACK: u8 = 0x53;
const DGC_ACK: u8 = 0x54;

const RETURN_VALUE: u8 = 1;
const RETURN_EXCEPTION: u8 = 2;

/// Bytes collected by chance, beyond which a buffer is given back.
const OUT_KEPT_BYTES: usize = 256 * 1024;

/// Names an object within its server.
pub type ObjectId = [u8; 22];

/// Names a reply that carries remote objects, so that its arrival can be acknowledged.
pub type ReplyId = [u8; 14];

/// The object that every registry is.
pub const REGISTRY: ObjectId = [0; 22];

/// A method: what stands in a call. Skeletons of the registry have numbers, all else has hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// Number of the operation; -1 where the hash alone tells.
    pub operation: i32,
    /// First eight bytes, least significant first, of the SHA-1 of name and descriptor.
    pub hash: i64,
}

/// `lookup` of the registry: the third operation of its skeleton.
pub const LOOKUP: Method = Method { operation: 2, hash: 4_905_912_898_345_647_071 };

/// What came back for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// To be acknowledged if remote objects are in it.
    pub id: ReplyId,
    /// The result, or what was thrown.
    pub result: Result<NodeId, NodeId>,
}

/// A stream to an endpoint.
#[derive(Debug)]
pub struct Connection<S> {
    input: Input<S>,
    out: Vec<u8>,
    limits: Limits,
    /// The head of the last reply was one.
    within_reply: bool,
}

// === impl Method ===

impl Method {
    /// A method of an interface.
    #[must_use]
    pub const fn hashed(hash: i64) -> Self {
        Self { operation: -1, hash }
    }
}

// === impl Connection ===

impl<S: Read + Write> Connection<S> {
    /// Shakes hands.
    ///
    /// # Errors
    /// Those of the stream; [`Problem::Unexpected`] from whoever does not speak JRMP.
    pub fn open(stream: S, limits: Limits) -> Result<Self, JavaError> {
        let (input, out) = (Input::new(stream), Vec::new());
        let mut connection = Self { input, out, limits, within_reply: false };
        connection.out.extend(HANDSHAKE);
        connection.flush()?;
        let input = &mut connection.input;
        match input.u8()? {
            ACK => {}
            found => {
                let expected = "the acknowledgement of JRMP";
                return Err(input.error(Problem::Unexpected { found, expected }));
            }
        }
        // Who we are, as the server sees us: sent back as it came.
        let length = input.u16()?;
        let host = input.short(length)?.to_vec();
        input.i32()?;
        connection.out.extend(length.to_be_bytes());
        connection.out.extend(host);
        connection.out.extend([0; 4]);
        Ok(connection)
    }

    /// Begins a call; its arguments are to be appended with the functions of [`java`].
    pub fn call(&mut self, object: &ObjectId, method: Method) -> &mut Vec<u8> {
        self.out.push(CALL);
        java::push_header(&mut self.out);
        // A block of 34 bytes.
        self.out.extend([0x77, 0x22]);
        self.out.extend(object);
        self.out.extend(method.operation.to_be_bytes());
        self.out.extend(method.hash.to_be_bytes());
        &mut self.out
    }

    /// Acknowledges a reply that had remote objects in it; goes with the next call.
    pub fn acknowledge(&mut self, id: &ReplyId) {
        self.out.push(DGC_ACK);
        self.out.extend(id);
    }

    /// Bytes that wait for a [`Connection::flush`].
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.out.len()
    }

    /// Sends what has been collected.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> Result<(), JavaError> {
        let stream = self.input.source();
        let sent = stream.write_all(&self.out).and_then(|()| stream.flush());
        self.out.clear();
        self.out.shrink_to(OUT_KEPT_BYTES);
        sent.map_err(|error| self.input.error(Problem::Io(error)))
    }

    /// Reads the reply to the oldest call that has none yet. `void` says that nothing stands behind
    /// a good one.
    ///
    /// # Errors
    /// The stream's and those of serialization. After [`Problem::Aborted`] the next reply can be
    /// read, if the server sends one; after any other error nothing can.
    pub fn reply(&mut self, graph: &mut Graph, void: bool) -> Result<Reply, JavaError> {
        self.within_reply = false;
        let mut reader = Reader::new(&mut self.input, graph, &self.limits);
        let found = reader.input().u8()?;
        if found != RETURN {
            let expected = "a return";
            return Err(reader.input().error(Problem::Unexpected { found, expected }));
        }
        reader.header()?;
        let head: [u8; 15] = reader.block()?;
        let [kind, id @ ..] = head;
        self.within_reply = matches!(kind, RETURN_VALUE | RETURN_EXCEPTION);
        let result = match kind {
            RETURN_VALUE if void => Ok(NodeId::NULL),
            RETURN_VALUE => Ok(reader.object()?),
            RETURN_EXCEPTION => Err(reader.object()?),
            found => {
                let expected = "a value or an exception";
                return Err(reader.input().error(Problem::Unexpected { found, expected }));
            }
        };
        Ok(Reply { id, result })
    }

    /// Whether the last [`Connection::reply`] that failed did so behind a good head: the object in it
    /// is to blame then.
    #[must_use]
    pub fn is_within_reply(&self) -> bool {
        self.within_reply
    }

    /// Asks whether the endpoint is there. No call may be under way.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn ping(&mut self) -> Result<(), JavaError> {
        self.out.push(PING);
        self.flush()?;
        self.input.bound(1);
        match self.input.u8()? {
            PING_ACK => Ok(()),
            found => Err(self
                .input
                .error(Problem::Unexpected { found, expected: "an answer to a ping" })),
        }
    }

    /// The stream, for its deadline.
    pub fn stream(&mut self) -> &mut S {
        self.input.source()
    }
}
