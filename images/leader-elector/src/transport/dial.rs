//! Connections that this member makes, one an address: it sends on these.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

use super::counters::{Gauge, add};
use super::handshake::{Failure, Role, Session, Socket, open, send};
use super::outbox::Route;
use super::packet::Kind;
use super::table::Shared;
use super::{Credentials, HANDSHAKE, Refused, tune};
use crate::bootstrap::Hello;
use crate::wire::FRAME_BYTES_MAX;

/// Longest wait for a name to be resolved.
const LOOKUP: Duration = Duration::from_secs(5);
/// Longest wait for a connection to one address.
const CONNECT: Duration = Duration::from_secs(2);
/// First pause after a failure; it doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause: how long a member that is back may go unnoticed, unless it dials first.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long an address is taken to be this member's own.
const OWN: Duration = Duration::from_secs(10);

/// How a connection ended, if not by a failure.
enum End {
    /// It was to this member itself.
    Own,
    /// The other side has closed it.
    Closed,
}

/// Keeps a connection to whoever answers at `address`.
pub(super) async fn keep(shared: Arc<Shared>, address: String) {
    let mut pause = PAUSE_MIN;
    // So that a reason is told once, and not with each attempt.
    let mut told = String::new();
    loop {
        let started = Instant::now();
        let wait = match connect(&shared, &address).await {
            Ok(End::Own) => OWN,
            Ok(End::Closed) => {
                told.clear();
                pause = PAUSE_MIN;
                jittered(pause)
            }
            Err(failure) => {
                if let Some(reason) = failure.reason() {
                    shared.counters.refuse(reason);
                }
                let error = failure.to_string();
                if error == told {
                    tracing::debug!(target: "transport", address, error, "no connection");
                } else {
                    tracing::warn!(target: "transport", address, error, "no connection");
                    told = error;
                }
                // One that lasted is a new story.
                if started.elapsed() > PAUSE_MAX + HANDSHAKE {
                    pause = PAUSE_MIN;
                }
                let wait = jittered(pause);
                pause = (pause * 2).min(PAUSE_MAX);
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.nudge.notified() => {
                // Many may be told at once that somebody is back.
                sleep(jittered(PAUSE_MIN / 10)).await;
            }
        }
    }
}

/// Between half and all of a pause, so that members do not dial in step.
fn jittered(pause: Duration) -> Duration {
    let lot = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(lot) / f64::from(u32::MAX))
}

async fn connect(shared: &Arc<Shared>, address: &str) -> Result<End, Failure> {
    let stream = reach(address).await?;
    tune(&stream)?;
    let own = shared.own.borrow().clone();
    let opening = async {
        let mut stream: Box<dyn Socket> = match &shared.credentials {
            Credentials::Tls(certificates) => {
                let name = address.rsplit_once(':').map_or(address, |(host, _)| host);
                let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let connector = TlsConnector::from(certificates.configs().client);
                Box::new(connector.connect(name, stream).await.map_err(Failure::tls)?)
            }
            _ => Box::new(stream),
        };
        let (credentials, process) = (&shared.credentials, shared.process);
        let session = open(&mut *stream, Role::Dialer, credentials, process, &own).await?;
        Ok::<_, Failure>((stream, session))
    };
    let opened = timeout(HANDSHAKE, opening).await;
    let (stream, session) = opened.map_err(|_| Failure::Refused(Refused::Slow))??;
    let itself = shared.is_own(&session)?;
    shared.set_own(address, itself);
    if itself {
        return Ok(End::Own);
    }
    serve(shared, address, stream, session, &own).await
}

async fn reach(address: &str) -> io::Result<TcpStream> {
    let late = |what| io::Error::new(io::ErrorKind::TimedOut, what);
    let found = timeout(LOOKUP, lookup_host(address)).await;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in found.map_err(|_| late("the name was not resolved in time"))?? {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = late("no connection in time"),
        }
    }
    Err(last)
}

/// Writes what is queued, and hears of changes of the other side, until it closes.
async fn serve(
    shared: &Arc<Shared>,
    address: &str,
    mut stream: Box<dyn Socket>,
    session: Session,
    greeted: &Arc<Hello>,
) -> Result<End, Failure> {
    let Session { hello, key, mut checker, mut cutter, .. } = session;
    let (id, name) = (hello.id, hello.name.clone());
    tracing::info!(target: "transport", address, %name, "connected to a member");
    let counters = &shared.counters;
    add(&counters.dialed, 1);
    let _open = Gauge::up(&counters.open_out);
    let route = Arc::new(Route::new(key, hello.group_id()));
    let entry = shared.dialed(address, hello, Arc::clone(&route));
    let mut own = shared.own.subscribe();
    // It may have changed since the handshake.
    if *own.borrow_and_update() != *greeted {
        let hello = own.borrow().clone();
        route.greet(&hello);
    }
    let mut spare = Vec::new();
    loop {
        // Before more is read: a change of the other side may have come with its handshake, and
        // nothing else may ever come.
        while let Some(bytes) = cutter.take(FRAME_BYTES_MAX)? {
            let packet = checker.check(bytes)?;
            let hello = Hello::from_bytes(packet.payload);
            let hello = hello.map_err(|_| Refused::Malformed)?;
            if packet.kind != Kind::Hello || hello.id != id {
                return Err(Refused::Malformed.into());
            }
            entry.heard(hello);
        }
        tokio::select! {
            () = route.filled.notified() => {
                route.take(&mut spare);
                send(&mut *stream, &spare).await?;
                add(&counters.bytes_out, spare.len());
            }
            read = cutter.fill(&mut *stream) => {
                let read = read?;
                if read == 0 {
                    tracing::info!(target: "transport", address, %name, "connection closed");
                    return Ok(End::Closed);
                }
                add(&counters.bytes_in, read);
            }
            Ok(()) = own.changed() => {
                let hello = own.borrow_and_update().clone();
                route.greet(&hello);
            }
        }
    }
}
