//! How a connection opens: both sides prove who they are, then say it.
//!
//! Each sends a greeting: magic, version, way of authentication, 8 random bytes of the process and 24
//! fresh ones. With a
//! shared secret each then proves by HMAC-SHA256 that it knows it, over both greetings and its own
//! role, so that no proof fits another connection or the other side; the keys of the two directions
//! come from the same greetings. The dialer proves first: who does not know the secret gets nothing
//! from an acceptor to guess by. The hellos are the first packets, and signed like all others.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::packet::{Checker, Cutter, Key, Kind};
use super::{Credentials, Refused};
use crate::bootstrap::Hello;
use crate::wire::PROTOCOL_VERSION;

const MAGIC: &[u8; 8] = b"lelector";
/// Magic, version, authentication.
const HEAD_BYTES: usize = MAGIC.len() + 2 + 1;
/// The head, the process, fresh random bytes.
const GREETING_BYTES: usize = HEAD_BYTES + 8 + 24;
/// A hello names up to 99 founders of 253 bytes and a little each.
const HELLO_BYTES_MAX: usize = 32 * 1024;

/// Anything that bytes go through.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Writes all of it, and leaves nothing in a buffer of TLS.
pub(super) async fn send(stream: &mut (impl Socket + ?Sized), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Who of the two one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dialer,
    Acceptor,
}

/// Why a connection did not open, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A certificate that was not taken, here or there; kept for its words.
    #[error(transparent)]
    Tls(io::Error),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// An open connection.
pub(super) struct Session {
    /// Who the other side is.
    pub(super) hello: Hello,
    /// Its process: the same id in another one is a copied disk.
    pub(super) process: Process,
    /// Signs what is sent; the hello had sequence 0.
    pub(super) key: Key,
    pub(super) checker: Checker,
    pub(super) cutter: Cutter,
}

// === impl Failure ===

impl Failure {
    /// What went wrong while TLS was negotiated.
    pub(super) fn tls(error: io::Error) -> Self {
        let spoken = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        if spoken { Self::Tls(error) } else { Self::Io(error) }
    }

    /// As what it is counted; none if a connection just broke.
    pub(super) fn reason(&self) -> Option<Refused> {
        match self {
            Self::Io(_) => None,
            Self::Tls(_) => Some(Refused::Auth),
            Self::Refused(reason) => Some(*reason),
        }
    }
}

/// Random for each process.
pub(super) type Process = [u8; 8];

type Greeting = [u8; GREETING_BYTES];

/// Opens a connection.
pub(super) async fn open(
    stream: &mut (impl Socket + ?Sized),
    role: Role,
    credentials: &Credentials,
    process: Process,
    own: &Hello,
) -> Result<Session, Failure> {
    let ours = greeting(credentials, process)?;
    let mut theirs: Greeting = [0; GREETING_BYTES];
    if role == Role::Dialer {
        send(stream, &ours).await?;
    }
    stream.read_exact(&mut theirs).await?;
    let process = check(&ours, &theirs)?;
    let (dialers, acceptors) = match role {
        Role::Dialer => (&ours, &theirs),
        Role::Acceptor => (&theirs, &ours),
    };
    let derive = |label: &[u8]| match credentials {
        Credentials::Secret(secret) => prove(secret, label, dialers, acceptors),
        _ => None,
    };
    let (dialer, acceptor) = (derive(b"dialer proves"), derive(b"acceptor proves"));
    let key = |label| derive(label).map_or(Key::NONE, |key| Key::new(&finished(key)));
    let (dialer_key, acceptor_key) = (key(b"dialer sends"), key(b"acceptor sends"));
    if role == Role::Dialer {
        let mut bytes = dialer.map_or_else(Vec::new, |proof| finished(proof).to_vec());
        append_hello(&dialer_key, own, 0, &mut bytes);
        send(stream, &bytes).await?;
        verify(stream, acceptor).await?;
        let (checker, cutter) = (Checker::new(acceptor_key), Cutter::default());
        return hello(stream, process, dialer_key, checker, cutter).await;
    }
    send(stream, &ours).await?;
    verify(stream, dialer).await?;
    let (checker, cutter) = (Checker::new(dialer_key), Cutter::default());
    let session = hello(stream, process, acceptor_key, checker, cutter).await?;
    let mut bytes = acceptor.map_or_else(Vec::new, |proof| finished(proof).to_vec());
    append_hello(&session.key, own, 0, &mut bytes);
    send(stream, &bytes).await?;
    Ok(session)
}

/// Appends a signed hello.
pub(super) fn append_hello(key: &Key, own: &Hello, sequence: u64, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    let hello = own.to_bytes();
    key.append(bytes, Kind::Hello, own.group_id(), sequence, |bytes| bytes.extend(hello));
    key.seal(&mut bytes[start..]);
}

/// Reads the other side's hello.
async fn hello(
    stream: &mut (impl Socket + ?Sized),
    process: Process,
    key: Key,
    mut checker: Checker,
    mut cutter: Cutter,
) -> Result<Session, Failure> {
    loop {
        if let Some(bytes) = cutter.take(HELLO_BYTES_MAX)? {
            let packet = checker.check(bytes)?;
            let hello = Hello::from_bytes(packet.payload).map_err(|_| Refused::Malformed)?;
            if packet.kind != Kind::Hello {
                return Err(Refused::Malformed.into());
            }
            return Ok(Session { hello, process, key, checker, cutter });
        }
        if cutter.fill(stream).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

fn greeting(credentials: &Credentials, process: Process) -> io::Result<Greeting> {
    let mut greeting: Greeting = [0; GREETING_BYTES];
    let (head, random) = greeting.split_at_mut(HEAD_BYTES);
    head[..8].copy_from_slice(MAGIC);
    head[8..10].copy_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    head[10] = match credentials {
        Credentials::Insecure => 0,
        Credentials::Secret(_) => 1,
        Credentials::Tls(_) => 2,
    };
    random[..8].copy_from_slice(&process);
    getrandom::fill(&mut random[8..]).map_err(io::Error::other)?;
    Ok(greeting)
}

fn check(ours: &Greeting, theirs: &Greeting) -> Result<Process, Refused> {
    if ours[..8] != theirs[..8] {
        return Err(Refused::Garbage);
    }
    if ours[8..10] != theirs[8..10] {
        return Err(Refused::Version);
    }
    if ours[10] != theirs[10] {
        return Err(Refused::Auth);
    }
    let mut process = Process::default();
    process.copy_from_slice(&theirs[HEAD_BYTES..HEAD_BYTES + 8]);
    Ok(process)
}

fn prove(
    secret: &[u8],
    label: &[u8],
    dialers: &Greeting,
    acceptors: &Greeting,
) -> Option<Hmac<Sha256>> {
    // A key of any length will do.
    let mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    Some(mac.chain_update(label).chain_update(dialers).chain_update(acceptors))
}

fn finished(mac: Hmac<Sha256>) -> [u8; 32] {
    mac.finalize().into_bytes().into()
}

/// Reads the other side's proof, if there is to be one.
async fn verify(
    stream: &mut (impl Socket + ?Sized),
    expected: Option<Hmac<Sha256>>,
) -> Result<(), Failure> {
    let Some(expected) = expected else { return Ok(()) };
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await.map_err(|error| {
        let why = format!("no proof of the secret came, maybe for lack of ours: {error}");
        io::Error::new(error.kind(), why)
    })?;
    Ok(expected.verify_slice(&proof).map_err(|_| Refused::Auth)?)
}
