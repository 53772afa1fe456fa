//! Many calls under way at once. What has been sent and not answered is bounded, so that it fits
//! the buffers between the two sides: else each could wait for the other to read.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::java::{Graph, NodeId, Problem};
use crate::rmi::Method;

use super::{Session, SessionError};

/// Most calls without an answer.
const CALLS_MAX: usize = 512;

/// Most bytes of calls without an answer, but for one call that is larger alone.
const BYTES_MAX: usize = 64 * 1024;

/// What a call of JMX has besides its names.
const CALL_BYTES: usize = 256;

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
    /// The connection failed.
    Failed(SessionError),
}

/// What an answer is given to: index, graph, and the result or what was thrown.
pub(super) type Each<'a> = dyn FnMut(usize, &Graph, Result<NodeId, NodeId>) + 'a;

impl Session {
    /// Sends all calls and takes their answers in order.
    pub(super) fn pipeline(
        &mut self,
        calls: Calls<'_>,
        deadline: Instant,
        each: &mut Each<'_>,
    ) -> Result<(), Stopped> {
        self.check().map_err(Stopped::Failed)?;
        self.connection.stream().set_deadline(deadline);
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
                    send(next, self.connection.call(&self.object, method));
                    under_way.push_back(more);
                    bytes += more;
                    next += 1;
                }
                if let Err(error) = self.connection.flush() {
                    return Err(Stopped::Failed(self.failed(error)));
                }
            }
            bytes -= under_way.pop_front().unwrap_or(0);
            match self.connection.reply(&mut self.graph, false) {
                Ok(reply) => each(index, &self.graph, reply.result),
                Err(error) => {
                    // What cannot be read (an `Externalizable` says nowhere where it ends) and what
                    // is too large cost no other bean its answer.
                    let aborted = matches!(
                        error.problem,
                        Problem::Aborted { .. } | Problem::Structure(_) | Problem::Limit(_)
                    );
                    let error = self.failed(error);
                    return Err(if aborted {
                        Stopped::Aborted(error)
                    } else {
                        Stopped::Failed(error)
                    });
                }
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: crate::java::JavaError) -> SessionError {
        self.broken = true;
        SessionError::of_stream(error, &self.name())
    }
}
