//! Connections that members make to this one: it receives on these.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::counters::{Gauge, add};
use super::handshake::{Failure, Role, Session, Socket, append_hello, open, send};
use super::packet::{Checker, Cutter, Kind};
use super::table::{Entry, Shared};
use super::{Credentials, HANDSHAKE, Refused, tune};
use crate::bootstrap::{GroupId, Hello};
use crate::wire::{self, FRAME_BYTES_MAX, Frame};

/// Serves a connection until it closes.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, from: SocketAddr) {
    let Err(failure) = connection(&shared, stream, from).await else { return };
    if let Some(reason) = failure.reason() {
        shared.counters.refuse(reason);
        tracing::warn!(target: "transport", %from, error = %failure, "a connection was refused");
    } else {
        tracing::debug!(target: "transport", %from, error = %failure, "a connection broke");
    }
}

async fn connection(
    shared: &Arc<Shared>,
    stream: TcpStream,
    from: SocketAddr,
) -> Result<(), Failure> {
    tune(&stream)?;
    let mut changes = shared.own.subscribe();
    let own = changes.borrow_and_update().clone();
    let opening = async {
        let mut stream: Box<dyn Socket> = match &shared.credentials {
            Credentials::Tls(certificates) => {
                let accepting = TlsAcceptor::from(certificates.configs().server).accept(stream);
                Box::new(accepting.await.map_err(Failure::tls)?)
            }
            _ => Box::new(stream),
        };
        let (credentials, process) = (&shared.credentials, shared.process);
        let session = open(&mut *stream, Role::Acceptor, credentials, process, &own).await?;
        Ok::<_, Failure>((stream, session))
    };
    let opened = timeout(HANDSHAKE, opening).await;
    let (mut stream, session) = opened.map_err(|_| Failure::Refused(Refused::Slow))??;
    if shared.is_own(&session)? {
        return Ok(());
    }
    let Session { hello, key, mut checker, mut cutter, .. } = session;
    let counters = &shared.counters;
    add(&counters.accepted, 1);
    let _open = Gauge::up(&counters.open_in);
    let id = hello.id;
    let entry = shared.accepted(reachable(hello, from));
    let mut sequence = 1;
    loop {
        // Before more is read: what came with the handshake is there already.
        take(shared, &entry, id, from, &mut checker, &mut cutter)?;
        tokio::select! {
            read = cutter.fill(&mut *stream) => match read? {
                0 => return Ok(()),
                read => add(&counters.bytes_in, read),
            },
            Ok(()) = changes.changed() => {
                let own = changes.borrow_and_update().clone();
                let mut bytes = Vec::new();
                append_hello(&key, &own, sequence, &mut bytes);
                sequence += 1;
                send(&mut *stream, &bytes).await?;
                add(&counters.bytes_out, bytes.len());
            }
        }
    }
}

/// Passes on all that is there.
fn take(
    shared: &Shared,
    entry: &Entry,
    id: u64,
    from: SocketAddr,
    checker: &mut Checker,
    cutter: &mut Cutter,
) -> Result<(), Refused> {
    while let Some(bytes) = cutter.take(FRAME_BYTES_MAX)? {
        let packet = checker.check(bytes)?;
        if packet.kind == Kind::Hello {
            let hello = Hello::from_bytes(packet.payload).map_err(|_| Refused::Malformed)?;
            if hello.id != id {
                return Err(Refused::Malformed);
            }
            entry.heard(reachable(hello, from));
            continue;
        }
        let own = shared.own.borrow().clone();
        let group = own.group_id();
        if group == GroupId::NONE {
            add(&shared.counters.early, 1);
            continue;
        }
        if packet.group != group {
            return Err(Refused::Foreign);
        }
        let frame = wire::decode(packet.payload).map_err(|_| Refused::Malformed)?;
        if matches!(&frame, Frame::Raft(message) if message.to != own.id) {
            return Err(Refused::Misdirected);
        }
        add(&shared.counters.frames_in, 1);
        shared.inbox.frame(id, frame);
    }
    Ok(())
}

/// A member that only knows its port is reached where it came from.
fn reachable(mut hello: Hello, from: SocketAddr) -> Hello {
    if let Some(port) = hello.advertise.strip_prefix(':').and_then(|port| port.parse().ok()) {
        hello.advertise = SocketAddr::new(from.ip(), port).to_string().into();
    }
    hello
}
