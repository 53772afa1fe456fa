//! Streams of server-sent events. What is sent next is decided when the client can take it, so a
//! slow reader holds back nothing but its own latest event.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Bytes;
use serde::Serialize;

use super::bound::Bound;
use super::compat::Names;
use super::message::to_json;
use super::watching::Watcher;

/// A comment goes out after so long without an event, so that nobody between takes the connection
/// for dead, and a peer that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The body of a stream.
pub(super) struct Stream {
    /// `None` at its end.
    next: Option<Next>,
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Source)>> + Send>>;

/// Where the events come from.
pub(super) enum Source {
    /// Changes of an election.
    Watch(Watcher),
    /// A lease that is bound to the connection.
    Bound(Box<Bound>),
    /// Names of leaders, in the form of others.
    Names(Names),
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(source: Source) -> Self {
        Self { next: Some(Box::pin(source.next())) }
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        match next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.next = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((bytes, source))) => {
                self.next = Some(Box::pin(source.next()));
                Poll::Ready(Some(bytes))
            }
        }
    }
}

// === impl Source ===

impl Source {
    /// The next event, or after a while a comment; `None` at the end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let event = tokio::time::timeout(KEEP_ALIVE, self.event()).await;
        let bytes = event.unwrap_or_else(|_| Some(Bytes::from_static(b": keep-alive\n\n")))?;
        Some((bytes, self))
    }

    /// The next event. May be dropped and asked for anew.
    async fn event(&mut self) -> Option<Bytes> {
        match self {
            Self::Watch(watcher) => watcher.event().await,
            Self::Bound(bound) => bound.event().await,
            Self::Names(names) => names.event().await,
        }
    }
}

/// An event as it is sent.
pub(super) fn event(name: Option<&str>, id: Option<u64>, data: &impl Serialize) -> Bytes {
    let mut text = String::with_capacity(256);
    if let Some(name) = name {
        text += "event: ";
        text += name;
        text += "\n";
    }
    if let Some(id) = id {
        text += &format!("id: {id}\n");
    }
    text += "data: ";
    let mut bytes = text.into_bytes();
    // JSON as it is written here has no line ends: metadata keeps its own, so they go.
    let json = to_json(data);
    bytes.extend(
        json.into_iter().map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }),
    );
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}
