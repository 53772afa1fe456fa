//! The HTTP server under both listeners, with its limits.
//!
//! Plain hyper instead of `axum::serve`, which sets no timer and therefore has no limit on the time
//! a client takes to send its header.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// From the first byte awaited to the end of the header; ends idle connections too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// After an accept failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// For what is under way when a connection's life is over.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Who is on the other side; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    /// Let in by the mode of the socket.
    Unix,
}

/// The bounds of one listener. Past `connections_max` new ones wait in the backlog.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    /// A connection is closed after this long, so that a client that does not read cannot keep a
    /// place; `None` where answers may be endless.
    pub(crate) life_max: Option<Duration>,
}

/// Where connections come from.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Serves until the process ends.
pub(crate) async fn serve(listener: Listener, router: Router, limits: Limits, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        // Never closed, so there is always a place to wait for.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let router = router.clone();
        let accepted = match &listener {
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
                tasks.spawn(async move {
                    connection(stream, Peer::Tcp(peer), router, limits).await;
                    drop(place);
                })
            }),
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                tasks.spawn(async move {
                    connection(stream, Peer::Unix, router, limits).await;
                    drop(place);
                })
            }),
        };
        if let Err(error) = accepted {
            pause(&error).await;
        }
    }
}

async fn pause(error: &io::Error) {
    tracing::warn!(target: "management", %error, "accepting a connection failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection<I>(io: I, peer: Peer, router: Router, limits: Limits)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let inner = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        inner.call(request)
    });
    drive(io, service, limits.life_max).await;
}

/// Serves one connection that an image has accepted itself, with the limits of the probe
/// listener: for an image whose port speaks more than HTTP.
pub async fn serve_connection<I>(io: I, router: Router, life_max: Duration)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    drive(io, TowerToHyperService::new(router), Some(life_max)).await;
}

async fn drive<I, S, B>(io: I, service: S, life_max: Option<Duration>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = pin!(serving);
    // A client that breaks off is no news, whether cleanly or not.
    let Some(life) = life_max else {
        let _ = serving.await;
        return;
    };
    if tokio::time::timeout(life, serving.as_mut()).await.is_err() {
        serving.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(LAST_ANSWER, serving).await;
    }
}
