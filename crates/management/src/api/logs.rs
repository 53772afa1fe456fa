//! `GET /mgmt/v1/logs`: the ring read out, and followed.
//!
//! A reader never holds up a writer: one that is too slow is overtaken in the ring and gets
//! `{"dropped":n}` in place of what it missed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use tokio::sync::mpsc;
use tracing_subscriber::filter::Targets;

use super::Shared;
use crate::logging::ring::{Cursor, Next, Ring};
use crate::problem::Problem;
use crate::runtime::Core;

/// Streams that may follow at once.
pub(crate) const LOG_STREAMS_MAX: usize = 8;
/// An answer that is not followed; the ring, and what is written meanwhile.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
const TAIL_DEFAULT: usize = 200;
/// Lines are sent together up to this many bytes.
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
struct Wanted {
    tail: Option<usize>,
    follow: Option<String>,
    filter: Option<String>,
}

/// How lines are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    Events,
}

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new().route("/mgmt/v1/logs", get(logs))
}

async fn logs(
    State(core): Shared,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = wanted.filter.as_deref().map(str::parse::<Targets>).transpose();
    let filter = filter.map_err(|error| Problem::bad_request(format!("filter: {error}")))?;
    let follow = match wanted.follow.as_deref() {
        None | Some("0" | "false") => false,
        Some("" | "1" | "true") => true,
        Some(_) => return Err(Problem::bad_request("follow: expected 1 or 0")),
    };
    let events = headers
        .get(ACCEPT)
        .is_some_and(|accept| String::from_utf8_lossy(accept.as_bytes()).contains("event-stream"));
    let (framing, kind) = match events {
        true => (Framing::Events, "text/event-stream"),
        false => (Framing::Lines, "application/x-ndjson"),
    };
    let ring = Arc::clone(&core.logs.ring);
    let mut cursor = ring.tail(wanted.tail.unwrap_or(TAIL_DEFAULT), filter);
    let body = match follow {
        true => {
            let place = Arc::clone(&core.log_streams).try_acquire_owned().map_err(|_| {
                let detail = format!("{LOG_STREAMS_MAX} streams are open already");
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).header(RETRY_AFTER, "5")
            })?;
            // One chunk in hand, one waiting: what a slow reader holds beyond the ring.
            let (sender, receiver) = mpsc::channel(1);
            core.tasks.spawn(async move {
                stream(&ring, cursor, framing, &sender).await;
                drop(place);
            });
            Body::new(Chunks(receiver))
        }
        false => {
            let mut all = Vec::new();
            // Bounded, for writers may be faster than this reader.
            while all.len() < ANSWER_BYTES_MAX {
                let Some(chunk) = chunk(&ring, &mut cursor, framing) else {
                    break;
                };
                all.extend_from_slice(&chunk);
            }
            Body::from(all)
        }
    };
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// Sends what comes, until the reader goes.
async fn stream(ring: &Ring, mut cursor: Cursor, framing: Framing, to: &mpsc::Sender<Bytes>) {
    loop {
        // Announced before the ring is looked at, or a line in between would be slept over.
        let mut written = std::pin::pin!(ring.written.notified());
        written.as_mut().enable();
        match chunk(ring, &mut cursor, framing) {
            Some(chunk) => {
                if to.send(chunk).await.is_err() {
                    return;
                }
            }
            None => tokio::select! {
                () = written => {}
                () = to.closed() => return,
            },
        }
    }
}

/// The next lines, `None` when there are none.
fn chunk(ring: &Ring, cursor: &mut Cursor, framing: Framing) -> Option<Bytes> {
    let mut bytes = Vec::new();
    while bytes.len() < CHUNK_BYTES {
        match ring.next(cursor) {
            Next::Line(line) => frame(&mut bytes, framing, &line),
            Next::Dropped(count) => {
                frame(&mut bytes, framing, &format!(r#"{{"dropped":{count}}}"#));
            }
            Next::Idle => break,
        }
    }
    (!bytes.is_empty()).then(|| Bytes::from(bytes))
}

fn frame(bytes: &mut Vec<u8>, framing: Framing, line: &str) {
    if framing == Framing::Events {
        bytes.extend_from_slice(b"data: ");
    }
    bytes.extend_from_slice(line.as_bytes());
    let end: &[u8] = if framing == Framing::Events { b"\n\n" } else { b"\n" };
    bytes.extend_from_slice(end);
}

/// A body fed by a channel.
struct Chunks(mpsc::Receiver<Bytes>);

// === impl Chunks ===

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
