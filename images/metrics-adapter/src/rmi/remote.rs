//! Where a remote object is: what a stub carries.

use crate::java::{Graph, Item, NodeId, Object, View};

use super::ObjectId;

/// A remote object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Host as its server advertises it.
    pub host: String,
    /// Port of its server.
    pub port: u16,
    /// Which object of that server.
    pub object: ObjectId,
    /// How to connect.
    pub factory: SocketFactory,
}

/// How clients of a remote object connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketFactory {
    /// Plain TCP.
    Plain,
    /// TLS: the class that the stub names has `Ssl` in its name.
    Tls,
    /// In a way of the server's own; the class that knows it.
    Unknown(String),
}

// === impl Remote ===

impl Remote {
    /// Finds the reference in a stub: a generated stub, or a proxy whose handler has it.
    ///
    /// # Errors
    /// What is missing.
    pub fn from_stub(graph: &Graph, root: NodeId) -> Result<Self, String> {
        let is_remote = |object: &Object<'_>| object.extends("java.rmi.server.RemoteObject");
        let stub = graph
            .object(root)
            .filter(is_remote)
            .or_else(|| graph.objects().find(is_remote))
            .ok_or("the reply has no remote object in it")?;
        let mut bytes = Vec::new();
        let mut factory = NodeId::NULL;
        for item in stub.items() {
            match item {
                // The socket factory stands between two blocks; read on as if it did not.
                Item::Bytes(block) => bytes.extend_from_slice(block),
                Item::Node(id) => factory = id,
            }
        }
        let factory = match graph.view(factory) {
            View::Null => SocketFactory::Plain,
            View::Object(object) => match object.class_name() {
                class if class.to_ascii_lowercase().contains("ssl") => SocketFactory::Tls,
                class => SocketFactory::Unknown(class.to_owned()),
            },
            _ => return Err("the socket factory of a stub is no object".to_owned()),
        };
        let (host, port, object) =
            reference(&bytes).ok_or("a stub that leads to no TCP endpoint")?;
        Ok(Self { host, port, object, factory })
    }
}

/// `UnicastRef` (host and port) or `UnicastRef2` (with a byte that says whether a factory follows),
/// then the object, then a boolean that says nothing.
fn reference(bytes: &[u8]) -> Option<(String, u16, ObjectId)> {
    let (kind, rest) = text(bytes)?;
    let rest = match kind {
        b"UnicastRef" => rest,
        b"UnicastRef2" => match rest {
            [0 | 1, rest @ ..] => rest,
            _ => return None,
        },
        _ => return None,
    };
    let (host, rest) = text(rest)?;
    let (port, rest) = rest.split_first_chunk()?;
    let port = u16::try_from(i32::from_be_bytes(*port)).ok()?;
    let object = rest.first_chunk()?;
    Some((String::from_utf8_lossy(host).into_owned(), port, *object))
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*count)))
}
