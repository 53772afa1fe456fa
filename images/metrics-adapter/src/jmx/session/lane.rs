//! Many calls under way at once. What has been sent and not answered is bounded, so that it fits
//! the buffers between the two sides: else each could wait for the other to read.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::java::{Graph, JavaError, NodeId, Problem};
use crate::rmi::{Method, ObjectId};

use super::SessionError;
use super::login::Reached;

/// Most calls without an answer.
const CALLS_MAX: usize = 512;

/// Most bytes of calls without an answer, but for one call that is larger alone.
const BYTES_MAX: usize = 64 * 1024;

/// What a call of JMX has besides its names.
const CALL_BYTES: usize = 256;

/// A stream to the connection object of a session. There may be several: the server answers each
/// on a thread of its own.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) reached: Reached,
    pub(super) object: ObjectId,
    pub(super) graph: Graph,
    /// Bytes may be anywhere in a message; nothing can be read any more.
    pub(super) broken: bool,
}

/// Calls of one method, each with its index.
pub(super) struct Calls<'a> {
    pub(super) method: Method,
    pub(super) range: Range<usize>,
    /// Bytes of the arguments, about.
    pub(super) size: &'a dyn Fn(usize) -> usize,
    /// Appends the arguments.
    pub(super) send: &'a mut dyn FnMut(usize, &mut Vec<u8>),
}

/// Why not all calls have an answer.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The server gave up in the middle of the answer to the first call that has none, or we did.
    Aborted(SessionError),
    /// Where that answer should begin, there is something else: what came before was not read to
    /// its end, or beyond.
    Astray(SessionError),
    /// The connection failed.
    Failed(SessionError),
}

/// What an answer is given to: index, graph, and the result or what was thrown.
pub(super) type Each<'a> = dyn FnMut(usize, &Graph, Result<NodeId, NodeId>) + 'a;

// === impl Lane ===

impl Lane {
    pub(super) fn new(reached: Reached, object: ObjectId) -> Self {
        Self { reached, object, graph: Graph::default(), broken: false }
    }

    /// One call, one reply.
    pub(super) fn call(
        &mut self,
        method: Method,
        deadline: Instant,
        arguments: impl FnOnce(&mut Vec<u8>),
    ) -> Result<NodeId, SessionError> {
        self.check()?;
        let connection = &mut self.reached.connection;
        connection.stream().set_deadline(deadline);
        arguments(connection.call(&self.object, method));
        let reply = connection.flush().and_then(|()| connection.reply(&mut self.graph, false));
        match reply {
            Ok(reply) => {
                reply.result.map_err(|thrown| SessionError::remote(self.graph.throwable(thrown)))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Sends the goodbye, unless nothing can be sent any more.
    pub(super) fn farewell(&mut self, method: Method, deadline: Instant) -> bool {
        let connection = &mut self.reached.connection;
        connection.stream().set_deadline(deadline);
        connection.call(&self.object, method);
        !self.broken && connection.flush().is_ok()
    }

    /// Sends all calls and takes their answers in order.
    pub(super) fn pipeline(
        &mut self,
        calls: Calls<'_>,
        deadline: Instant,
        each: &mut Each<'_>,
    ) -> Result<(), Stopped> {
        self.check().map_err(Stopped::Failed)?;
        self.reached.connection.stream().set_deadline(deadline);
        let Calls { method, range, size, send } = calls;
        let mut next = range.start;
        let mut under_way: VecDeque<usize> = VecDeque::with_capacity(CALLS_MAX);
        let mut bytes = 0;
        for index in range.clone() {
            // Half a window at a time: one system call for many calls.
            if under_way.len() <= CALLS_MAX / 2 && bytes <= BYTES_MAX / 2 {
                while next < range.end && under_way.len() < CALLS_MAX {
                    let more = size(next) + CALL_BYTES;
                    if bytes + more > BYTES_MAX && bytes > 0 {
                        break;
                    }
                    send(next, self.reached.connection.call(&self.object, method));
                    under_way.push_back(more);
                    bytes += more;
                    next += 1;
                }
                if let Err(error) = self.reached.connection.flush() {
                    return Err(Stopped::Failed(self.failed(error)));
                }
            }
            bytes -= under_way.pop_front().unwrap_or(0);
            match self.reached.connection.reply(&mut self.graph, false) {
                Ok(reply) => {
                    if let Err(thrown) = reply.result {
                        let error = SessionError::remote(self.graph.throwable(thrown));
                        if error.is_connection() {
                            self.broken = true;
                            return Err(Stopped::Failed(error));
                        }
                    }
                    each(index, &self.graph, reply.result);
                }
                Err(error) => return Err(self.stopped(error)),
            }
            // What is in the buffer already is read without waiting.
            if Instant::now() >= deadline && index + 1 < range.end {
                self.broken = true;
                return Err(Stopped::Failed(SessionError::Deadline));
            }
        }
        Ok(())
    }

    /// What cannot be read (an `Externalizable` says nowhere where it ends, a `writeObject` may leave
    /// out the fields that its class has) and what is too large cost no other bean its answer.
    fn stopped(&mut self, error: JavaError) -> Stopped {
        let failed = matches!(error.problem, Problem::Io(_) | Problem::End);
        let within = self.reached.connection.is_within_reply();
        let error = self.failed(error);
        match (failed, within) {
            (true, _) => Stopped::Failed(error),
            (false, true) => Stopped::Aborted(error),
            (false, false) => Stopped::Astray(error),
        }
    }

    fn check(&self) -> Result<(), SessionError> {
        if self.broken {
            let source = std::io::ErrorKind::NotConnected.into();
            return Err(SessionError::Io { target: self.reached.name(), source });
        }
        Ok(())
    }

    fn failed(&mut self, error: JavaError) -> SessionError {
        self.broken = true;
        SessionError::of_stream(error, &self.reached.name())
    }
}
