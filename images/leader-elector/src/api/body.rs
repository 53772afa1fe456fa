//! Bodies of requests and answers: bytes in one piece, or a stream of events.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};

use super::events::Stream;
use super::problem::Problem;

/// From the header to the end of the body. A client that takes longer has gone, or means ill.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The body of an answer.
pub(super) enum Body {
    /// In one piece; `None` once it is sent.
    Whole(Option<Bytes>),
    /// As it comes.
    Stream(Stream),
}

// === impl Body ===

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Stream(stream) => stream.poll_next(context),
        };
        data.map(|data| data.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Reads a body of at most `max` bytes.
pub(super) async fn read(body: Incoming, max: usize) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().lower() > max as u64 {
        return Err(Problem::too_large(max));
    }
    let all = tokio::time::timeout(BODY_TIMEOUT, collect(body, max)).await;
    all.unwrap_or_else(|_| Err(Problem::bad_request("the body did not come in time")))
}

async fn collect(mut body: Incoming, max: usize) -> Result<Bytes, Problem> {
    let mut whole = Bytes::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > max {
            return Err(Problem::too_large(max));
        }
        // Nearly always there is one piece, which needs no copy.
        whole = if whole.is_empty() { data } else { [&whole[..], &data[..]].concat().into() };
    }
    Ok(whole)
}
