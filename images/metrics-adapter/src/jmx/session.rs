//! One connection to a JVM's `RMIConnection`: blocking, pipelined, with a deadline.
//!
//! Blocking, because a reply has no length: it ends where its object graph ends, and a reader that
//! pulls bytes as it needs them is the plainest way to find that end. Sessions live on threads that
//! may block.

use std::time::Instant;

use super::{AttributeInfo, ObjectName, Value};

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
    _private: (),
}

// === impl Session ===

impl Session {
    /// Looks up the registry, logs in.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn connect(target: &Target, deadline: Instant) -> Result<Self, SessionError> {
        let _ = (target, deadline);
        Err(SessionError::Deadline)
    }

    /// Names of beans that fit a pattern; all without one.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn names(
        &mut self,
        pattern: Option<&ObjectName>,
        deadline: Instant,
    ) -> Result<Vec<ObjectName>, SessionError> {
        let _ = (pattern, deadline);
        Err(SessionError::Deadline)
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
        let _ = (names, deadline);
        Err(SessionError::Deadline)
    }

    /// Values of many beans, pipelined; `each` gets the index and the answer in order.
    ///
    /// # Errors
    /// Those of the connection; those of single beans are in the answers.
    pub fn values(
        &mut self,
        wanted: &[Wanted<'_>],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let _ = (wanted, deadline, each);
        Err(SessionError::Deadline)
    }

    /// Shows the server that somebody is there.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn ping(&mut self, deadline: Instant) -> Result<(), SessionError> {
        let _ = deadline;
        Err(SessionError::Deadline)
    }

    /// Says goodbye, so that the server need not wait two minutes for us.
    pub fn close(self) {}
}
