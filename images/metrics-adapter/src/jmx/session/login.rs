//! From an address to a connection object: registry, server object, `newClient`.

use std::time::Instant;

use crate::java::{self, Graph, JavaError, Limits, NodeId};
use crate::rmi::{Connection, LOOKUP, ObjectId, REGISTRY, Remote, SocketFactory};

use super::lane::Lane;
use super::stream::Stream;
use super::{SessionError, Target, methods};

/// A connection to the server of an object, and how it was reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) connection: Connection<Stream>,
    host: String,
    port: u16,
}

/// Connects and logs in; gives the way to the connection object.
pub(super) fn login(target: &Target, deadline: Instant) -> Result<Lane, SessionError> {
    let mut graph = Graph::default();
    let (server, reached) = match &target.stub {
        Some(stub) => (from_bytes(stub)?, None),
        None => {
            let (host, port) = (target.host.clone(), target.port);
            let mut reached = dial(target, host, port, target.registry_tls, deadline)?;
            let bound = |out: &mut Vec<u8>| java::push_string(&target.bound, out);
            let server = remote(&mut reached, &REGISTRY, LOOKUP, bound, &mut graph)?;
            (server, Some(reached))
        }
    };
    // A registry without TLS may be anybody's: what it says must not make us show the password.
    if target.tls.is_some()
        && target.credentials.is_some()
        && server.factory == SocketFactory::Plain
    {
        return Err(SessionError::Protocol(
            "TLS is configured, but the server object is to be reached without it: the password is \
             not sent"
                .to_owned(),
        ));
    }
    let mut reached = follow(target, &server, reached, deadline)?;
    let credentials = |out: &mut Vec<u8>| match &target.credentials {
        Some((user, password)) => java::push_strings(&[user.as_str(), password.expose()], out),
        None => java::push_null(out),
    };
    let session =
        remote(&mut reached, &server.object, methods::NEW_CLIENT, credentials, &mut graph)?;
    let reached = follow(target, &session, Some(reached), deadline)?;
    Ok(Lane::new(reached, session.object))
}

// === impl Reached ===

impl Reached {
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn from_bytes(stub: &[u8]) -> Result<Remote, SessionError> {
    let (graph, root) = java::read_object(stub, &Limits::default())
        .map_err(|error| SessionError::Protocol(format!("the stub of the address: {error}")))?;
    of_graph(&graph, root)
}

fn of_graph(graph: &Graph, root: NodeId) -> Result<Remote, SessionError> {
    Remote::from_stub(graph, root).map_err(SessionError::Protocol)
}

/// Calls a method that gives a remote object.
fn remote(
    reached: &mut Reached,
    object: &ObjectId,
    method: crate::rmi::Method,
    arguments: impl FnOnce(&mut Vec<u8>),
    graph: &mut Graph,
) -> Result<Remote, SessionError> {
    let name = reached.name();
    let failed = |error: JavaError| SessionError::of_stream(error, &name);
    let connection = &mut reached.connection;
    arguments(connection.call(object, method));
    connection.flush().map_err(failed)?;
    let reply = connection.reply(graph, false).map_err(failed)?;
    let root = reply.result.map_err(|thrown| SessionError::remote(graph.throwable(thrown)))?;
    connection.acknowledge(&reply.id);
    of_graph(graph, root)
}

/// One more connection to where one leads already.
pub(super) fn again(
    target: &Target,
    like: &mut Lane,
    deadline: Instant,
) -> Result<Lane, SessionError> {
    let reached = &mut like.reached;
    let tls = reached.connection.stream().is_tls();
    let reached = dial(target, reached.host.clone(), reached.port, tls, deadline)?;
    Ok(Lane::new(reached, like.object))
}

/// The connection there is, where the object lives behind it, else a new one.
fn follow(
    target: &Target,
    remote: &Remote,
    reached: Option<Reached>,
    deadline: Instant,
) -> Result<Reached, SessionError> {
    let tls = match &remote.factory {
        SocketFactory::Plain => false,
        SocketFactory::Tls => true,
        SocketFactory::Unknown(class) => {
            return Err(SessionError::Protocol(format!(
                "the server wants its clients to connect by its own class {class}"
            )));
        }
    };
    let host = if target.advertised_host { &remote.host } else { &target.host };
    if let Some(mut reached) = reached {
        let connected = reached.connection.stream().is_tls();
        if reached.port == remote.port && reached.host == *host && connected == tls {
            return Ok(reached);
        }
        // It goes with the acknowledgement that is still to be sent.
        let _ = reached.connection.flush();
    }
    dial(target, host.clone(), remote.port, tls, deadline)
}

fn dial(
    target: &Target,
    host: String,
    port: u16,
    tls: bool,
    deadline: Instant,
) -> Result<Reached, SessionError> {
    let name = format!("{host}:{port}");
    let config = match (tls, &target.tls) {
        (false, _) => None,
        (true, Some(config)) => Some(config),
        (true, None) => {
            return Err(SessionError::Protocol(format!(
                "{name} wants TLS, and no trusted authorities are configured"
            )));
        }
    };
    let stream =
        Stream::connect(&host, port, config, deadline, &target.given_up).map_err(|source| {
            match source.kind() {
                std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
                    SessionError::Deadline
                }
                _ => SessionError::Io { target: name.clone(), source },
            }
        })?;
    let connection = Connection::open(stream, Limits::default())
        .map_err(|error| SessionError::of_stream(error, &name))?;
    Ok(Reached { connection, host, port })
}
