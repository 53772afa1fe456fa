//! Connections: taken while there is a place for them, and no longer than they may last.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::{Actions, Site, route};

/// Longest life of a connection; what is under way then is still answered.
const LIFE_MAX: Duration = Duration::from_secs(600);
/// Longest a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// After an accept failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the process ends.
pub async fn serve<A: Actions + 'static>(site: Arc<Site<A>>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(site.live().web.connections_max));
    let router = Router::new().fallback(answer::<A>).with_state(Arc::clone(&site));
    let mut accepting = site.accepting.subscribe();
    loop {
        // Neither the semaphore nor the channel is ever closed while the site is there.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if accepting.wait_for(|accepting| *accepting).await.is_err() {
            return;
        }
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            _ = accepting.changed() => continue,
        };
        let (site, router) = (Arc::clone(&site), router.clone());
        let tasks = site.tasks.clone();
        tasks.spawn(async move {
            site.counters.connections.fetch_add(1, Ordering::Relaxed);
            site.counters.open.fetch_add(1, Ordering::Relaxed);
            connection(&site, stream, router).await;
            site.counters.open.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

async fn connection<A: Actions>(site: &Site<A>, stream: TcpStream, router: Router) {
    // Latency of the last, short packet of a page; a socket that refuses is as good.
    let _ = stream.set_nodelay(true);
    let Some(tls) = site.live().tls.clone() else {
        return plain(stream, router).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
        Ok(Ok(stream)) => plain(stream, router).await,
        Ok(Err(error)) => {
            site.counters.tls_failed.fetch_add(1, Ordering::Relaxed);
            debug!(%error, "TLS handshake failed");
        }
        Err(_) => {
            site.counters.tls_failed.fetch_add(1, Ordering::Relaxed);
            debug!("TLS handshake took too long");
        }
    }
}

async fn plain<I>(stream: I, router: Router)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    management::serve_connection(stream, router, LIFE_MAX).await;
}

/// Counts a request for as long as it is under way, however it ends.
struct Underway<'a>(&'a super::Counters);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn answer<A: Actions + 'static>(
    State(site): State<Arc<Site<A>>>,
    request: Request,
) -> Response {
    let counters = Arc::clone(&site.counters);
    counters.requests.fetch_add(1, Ordering::Relaxed);
    counters.in_flight.fetch_add(1, Ordering::Relaxed);
    let _underway = Underway(&counters);
    // No request has a body that anybody wants.
    let (head, _) = request.into_parts();
    route::answer(&site, &head).await
}
