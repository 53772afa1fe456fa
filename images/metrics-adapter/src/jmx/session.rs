//! One connection to a JVM's `RMIConnection`: blocking, pipelined, with a deadline.
//!
//! Blocking, because a reply has no length: it ends where its object graph ends, and a reader that
//! pulls bytes as it needs them is the plainest way to find that end. Sessions live on threads that
//! may block.
//!
//! Where there is much to read, the work is shared out over a few streams to the same connection
//! object: a server has a thread for each, and is what takes the time.
//!
//! A server that cannot serialize a value breaks off in the middle of its reply and closes the
//! connection, and the calls behind are lost. A session then connects anew, goes on behind that
//! bean, asks for the bean's attributes one by one, and remembers which of them must never be asked
//! for again.

mod budget;
mod convert;
#[cfg(test)]
pub(crate) mod fake;
mod info;
mod lane;
mod login;
mod memory;
pub(crate) mod methods;
mod pass;
mod stream;
#[cfg(test)]
mod tests;
mod values;

use std::time::{Duration, Instant};

use crate::java::{Graph, JavaError, NodeId, Problem, View, push_null, push_object_name};

use super::{AttributeInfo, ObjectName, Value};
use lane::Lane;
use memory::Memory;
use pass::Pass;

pub use convert::value_of;
pub use stream::GivenUp;

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host of the registry.
    pub host: String,
    /// Port of the registry.
    pub port: u16,
    /// Name bound in the registry, usually `jmxrmi`.
    pub bound: String,
    /// User and password.
    pub credentials: Option<(String, management::Secret)>,
    /// TLS of the registry; that of the objects is as the server advertises.
    pub registry_tls: bool,
    /// Trusted authorities and own certificate; needed as soon as TLS is spoken.
    pub tls: Option<std::sync::Arc<rustls::ClientConfig>>,
    /// Serialised stub of the server's `RMIServer`, as attach mode and some service URLs give it: no
    /// registry is asked then, and `port` and `bound` mean nothing.
    pub stub: Option<Vec<u8>>,
    /// Connect to `host` whatever host the server advertises (default), or to what it advertises.
    pub advertised_host: bool,
    /// Ends a scrape that nobody waits for.
    pub given_up: GivenUp,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection failed or ended; a new one may do.
    #[error("connection to {target}: {source}")]
    Io {
        /// Who was connected to.
        target: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The deadline has passed.
    #[error("the deadline has passed")]
    Deadline,
    /// The server said no: an exception of Java.
    #[error("{class}: {message}")]
    Remote {
        /// The exception's class.
        class: String,
        /// Its message.
        message: String,
    },
    /// The bytes are not what they should be, or more than the limits allow.
    #[error("protocol: {0}")]
    Protocol(String),
}

/// A bean with the attributes that are wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The bean.
    pub name: &'a ObjectName,
    /// Names of attributes.
    pub attributes: &'a [String],
}

/// What a bean answered: attributes with their values; those whose getter threw are missing.
pub type Answer = Result<Vec<(String, Value)>, SessionError>;

/// A session.
#[derive(Debug)]
pub struct Session {
    target: Target,
    lane: Lane,
    /// Further ones, where there is much to read.
    more: Vec<Lane>,
    /// A further one could not be had; not tried again before the next login.
    lone: bool,
    memory: Memory,
    pass: Pass,
}

// === impl Target ===

impl Target {
    /// A registry without TLS and without login.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            bound: "jmxrmi".to_owned(),
            credentials: None,
            registry_tls: false,
            tls: None,
            stub: None,
            advertised_host: false,
            given_up: GivenUp::default(),
        }
    }
}

// === impl SessionError ===

impl SessionError {
    /// Whether a new connection may help: the old one ended, or its server no longer knows it.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Remote { class, .. } => matches!(
                class.as_str(),
                "java.rmi.NoSuchObjectException"
                    | "java.rmi.ServerException"
                    | "java.rmi.ServerError"
                    | "java.io.IOException"
            ),
            Self::Deadline | Self::Protocol(_) => false,
        }
    }

    pub(super) fn remote((class, message): (String, String)) -> Self {
        Self::Remote { class, message }
    }

    fn of_stream(error: JavaError, target: &str) -> Self {
        use std::io::ErrorKind;
        let io = |source| Self::Io { target: target.to_owned(), source };
        match error.problem {
            Problem::Io(source) => match source.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Deadline,
                _ => io(source),
            },
            Problem::End => io(ErrorKind::UnexpectedEof.into()),
            Problem::Aborted { class, message } => Self::Remote { class, message },
            problem => Self::Protocol(format!("byte {}: {problem}", error.offset)),
        }
    }
}

// === impl Session ===

impl Session {
    /// Looks up the registry (or takes the stub), logs in.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn connect(target: &Target, deadline: Instant) -> Result<Self, SessionError> {
        Ok(Self {
            target: target.clone(),
            lane: login::login(target, deadline)?,
            more: Vec::new(),
            lone: false,
            memory: Memory::default(),
            pass: Pass::new(),
        })
    }

    /// Connects once more; what was learnt about attributes is kept, unless the process is another.
    ///
    /// # Errors
    /// [`SessionError`]; the old connection is gone then, too.
    pub fn reconnect(&mut self, deadline: Instant) -> Result<(), SessionError> {
        // An object behind a stream that has failed is left to the two minutes of its server.
        if !self.farewell() {
            // A server may take no more than one.
            self.lane.reached.connection.stream().shutdown();
        }
        self.lane.broken = true;
        self.more.clear();
        self.lone = false;
        let process = self.process();
        self.lane = login::login(&self.target, deadline)?;
        if self.process() != process {
            self.memory.clear();
        }
        Ok(())
    }

    /// What tells the server's process from others: every object of a JVM carries the same random
    /// number (`java.rmi.server.UID`).
    #[must_use]
    pub fn process(&self) -> [u8; 4] {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = self.lane.object;
        [a, b, c, d]
    }

    /// Whether nothing can be asked any more but [`Session::reconnect`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.lane.broken
    }

    /// Names of beans that fit a pattern; all without one. Those that are no names are left out.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn names(
        &mut self,
        pattern: Option<&ObjectName>,
        deadline: Instant,
    ) -> Result<Vec<ObjectName>, SessionError> {
        let root = self.lane.call(methods::QUERY_NAMES, deadline, |out| {
            match pattern {
                Some(pattern) => push_object_name(pattern.as_str(), out),
                None => push_null(out),
            }
            push_null(out);
            push_null(out);
        })?;
        info::names(&self.lane.graph, root)
    }

    /// Attributes of many beans, pipelined; answers in the order of the names.
    ///
    /// # Errors
    /// Those of the connection; those of single beans are in the answers.
    pub fn infos(
        &mut self,
        names: &[ObjectName],
        deadline: Instant,
    ) -> Result<Vec<Result<Vec<AttributeInfo>, SessionError>>, SessionError> {
        let mut infos = Vec::with_capacity(names.len());
        self.each_info(names, deadline, &mut |info| infos.push(info))?;
        Ok(infos)
    }

    /// As [`Session::infos`]; `each` gets the answers as they come, so that those before an error are
    /// not lost.
    ///
    /// # Errors
    /// See [`Session::infos`].
    pub fn each_info(
        &mut self,
        names: &[ObjectName],
        deadline: Instant,
        each: &mut dyn FnMut(Result<Vec<AttributeInfo>, SessionError>),
    ) -> Result<(), SessionError> {
        self.pass = Pass::new();
        let mut done = 0;
        let mut send = |index: usize, out: &mut Vec<u8>| {
            push_object_name(ObjectName::as_str(&names[index]), out);
            push_null(out);
        };
        while done < names.len() {
            let from = done;
            let calls = lane::Calls {
                method: methods::GET_MBEAN_INFO,
                range: from..names.len(),
                size: &|index| names[index].as_str().len(),
                send: &mut send,
            };
            let outcome = self.lane.pipeline(calls, deadline, &mut |_, graph, result| {
                done += 1;
                each(match result {
                    Ok(root) => info::attributes(graph, root),
                    Err(thrown) => Err(SessionError::remote(graph.throwable(thrown))),
                });
            });
            let progress = done > from;
            self.go_on(outcome, progress, deadline, |error| {
                done += 1;
                each(Err(error));
            })?;
        }
        self.pass.finish()
    }

    /// Values of many beans, pipelined; `each` gets the index and the answer, in order but for
    /// beans that could not be read at once: those come last.
    ///
    /// # Errors
    /// Those of the connection; those of single beans are in the answers.
    pub fn values(
        &mut self,
        wanted: &[Wanted<'_>],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        self.pass = Pass::new();
        self.memory.begin_pass();
        self.read_values(wanted, deadline, each)?;
        self.pass.finish()
    }

    /// Shows the server that somebody is there.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn ping(&mut self, deadline: Instant) -> Result<(), SessionError> {
        self.lane.call(methods::GET_DEFAULT_DOMAIN, deadline, push_null).map(|_| ())
    }

    /// Says goodbye, so that the server need not wait two minutes for us. Dropping a session does
    /// the same without waiting for the answer.
    pub fn close(mut self) {
        if self.farewell() {
            // Whatever it says, this is the end.
            let _ = self.lane.reached.connection.reply(&mut self.lane.graph, true);
        }
        self.lane.broken = true;
    }

    /// Whether an answer may come.
    fn farewell(&mut self) -> bool {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        !self.lane.broken && self.lane.farewell(methods::CLOSE, deadline)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.farewell();
    }
}

/// A string of a graph, or nothing.
fn text(graph: &Graph, id: NodeId) -> String {
    match graph.view(id) {
        View::Text(text) => text.to_owned(),
        _ => String::new(),
    }
}
