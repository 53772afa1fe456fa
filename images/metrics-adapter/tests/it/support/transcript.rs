//! Conversations with a real JVM, kept as bytes: recorded by a proxy, replayed by a server.
//!
//! A transcript is what both sides said, in the order in which it was seen, over all connections.
//! The replay demands of the client exactly the bytes that a JDK once took from it. Ports in stubs
//! are replaced by numbers of listeners. TLS is ended by the proxy: what is kept is plain text.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::WAIT_MAX;

const MAGIC: &[u8] = b"JRMP transcript 1\n";
/// Longest transcript; they are to stay small.
const FILE_BYTES_MAX: usize = 256 << 10;

/// Something that was seen. Connections are numbered as they were opened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    /// A connection to this listener: 0 the registry's, 1 that of objects elsewhere.
    Open {
        listener: u8,
    },
    Client {
        connection: u8,
        bytes: Vec<u8>,
    },
    Server {
        connection: u8,
        bytes: Vec<u8>,
    },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    events: Vec<Event>,
}

// === impl Transcript ===

impl Transcript {
    pub(crate) fn path(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.bin"))
    }

    pub(crate) fn load(name: &str) -> Self {
        let path = Self::path(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut rest = bytes.strip_prefix(MAGIC).expect("a transcript");
        let mut events = Vec::new();
        while let [kind, number, after @ ..] = rest {
            if *kind == 0 {
                events.push(Event::Open { listener: *number });
                rest = after;
                continue;
            }
            let (count, after) = after.split_first_chunk().unwrap();
            let (bytes, after) = after.split_at(u32::from_be_bytes(*count) as usize);
            let (connection, bytes) = (*number, bytes.to_vec());
            events.push(match kind {
                1 => Event::Client { connection, bytes },
                _ => Event::Server { connection, bytes },
            });
            rest = after;
        }
        Self { events }
    }

    pub(crate) fn save(&self, name: &str) {
        let mut out = MAGIC.to_vec();
        for event in &self.events {
            let (kind, number, bytes) = match event {
                Event::Open { listener } => {
                    out.extend([0, *listener]);
                    continue;
                }
                Event::Client { connection, bytes } => (1, *connection, bytes),
                Event::Server { connection, bytes } => (2, *connection, bytes),
            };
            out.extend([kind, number]);
            out.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend(bytes);
        }
        assert!(out.len() <= FILE_BYTES_MAX, "{name}: {} bytes", out.len());
        std::fs::write(Self::path(name), out).unwrap();
    }

    fn open(&mut self, listener: u8) -> u8 {
        self.events.push(Event::Open { listener });
        let opened = self.events.iter().filter(|it| matches!(it, Event::Open { .. })).count();
        u8::try_from(opened - 1).unwrap()
    }

    /// What one side says in pieces is one event.
    fn said(&mut self, by_client: bool, connection: u8, said: &[u8]) {
        match self.events.last_mut() {
            Some(Event::Client { connection: last, bytes }) if by_client && *last == connection => {
                bytes.extend(said);
            }
            Some(Event::Server { connection: last, bytes })
                if !by_client && *last == connection =>
            {
                bytes.extend(said);
            }
            _ if by_client => self.events.push(Event::Client { connection, bytes: said.to_vec() }),
            _ => self.events.push(Event::Server { connection, bytes: said.to_vec() }),
        }
    }
}

/// Places of the ports in the stubs that are in these bytes: behind `UnicastRef` or `UnicastRef2`,
/// a byte for the second, and the host.
fn ports(bytes: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    for at in memchr::memmem::find_iter(bytes, b"UnicastRef") {
        let begin = if bytes.get(at + 10) == Some(&b'2') { at + 12 } else { at + 10 };
        if let Some([high, low]) = bytes.get(begin..begin + 2) {
            let host = usize::from(*high) << 8 | usize::from(*low);
            if begin + 2 + host + 4 <= bytes.len() {
                places.push(begin + 2 + host);
            }
        }
    }
    places
}

fn port_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_be_bytes([bytes[place + 2], bytes[place + 3]])
}

fn set_port(bytes: &mut [u8], place: usize, port: u16) {
    bytes[place..place + 4].copy_from_slice(&u32::from(port).to_be_bytes());
}

// === replay ===

/// Says what a JVM said, if it hears what the JVM heard.
pub(crate) struct Replay {
    port: u16,
    done: std::thread::JoinHandle<()>,
}

impl Replay {
    /// With `tls`, objects are served over it.
    pub(crate) fn start(transcript: Transcript, tls: Option<Arc<ServerConfig>>) -> Self {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap().port());
        let done = std::thread::spawn(move || play(&transcript, &listeners, ports, tls.as_ref()));
        Self { port: ports[0], done }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Everything must have been said and heard.
    pub(crate) fn finish(self) {
        if let Err(reason) = self.done.join() {
            std::panic::resume_unwind(reason);
        }
    }
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

fn play(
    transcript: &Transcript,
    listeners: &[TcpListener; 2],
    own_ports: [u16; 2],
    tls: Option<&Arc<ServerConfig>>,
) {
    let mut streams: Vec<Box<dyn Stream>> = Vec::new();
    for (index, event) in transcript.events.iter().enumerate() {
        match event {
            Event::Open { listener } => {
                let tcp = accept(&listeners[usize::from(*listener)], index);
                streams.push(match tls {
                    Some(tls) if *listener == 1 => {
                        let server = ServerConnection::new(Arc::clone(tls)).unwrap();
                        Box::new(StreamOwned::new(server, tcp))
                    }
                    _ => Box::new(tcp),
                });
            }
            Event::Client { connection, bytes } => {
                let mut heard = vec![0; bytes.len()];
                let stream = &mut streams[usize::from(*connection)];
                let result = stream.read_exact(&mut heard);
                assert!(result.is_ok(), "event {index}: the client said too little: {result:?}");
                let differs = heard.iter().zip(bytes).position(|(ours, theirs)| ours != theirs);
                assert_eq!(differs, None, "event {index}: the client says something else");
            }
            Event::Server { connection, bytes } => {
                let mut bytes = bytes.clone();
                for place in ports(&bytes) {
                    let port = own_ports[usize::from(port_at(&bytes, place))];
                    set_port(&mut bytes, place, port);
                }
                let stream = &mut streams[usize::from(*connection)];
                // A client that has what it wants may be gone before the end.
                let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
            }
        }
    }
}

/// Waits for a client, not for ever.
fn accept(listener: &TcpListener, index: usize) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    super::wait_until(&format!("a client connects (event {index})"), || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (tcp, _) = accepted.unwrap();
    tcp.set_nonblocking(false).unwrap();
    tcp.set_read_timeout(Some(WAIT_MAX)).unwrap();
    tcp
}

// === recording ===

/// TLS of objects: towards the client, and towards the JVM.
#[derive(Clone)]
pub(crate) struct BothTls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

/// A proxy before a JVM that writes down what is said.
pub(crate) struct Recorder {
    port: u16,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
    transcript: Arc<Mutex<Transcript>>,
}

/// What all connections of a recorder share.
struct Shared {
    transcript: Arc<Mutex<Transcript>>,
    /// Of the JVM: the registry's, and the one that stubs lead to.
    theirs: Mutex<[u16; 2]>,
    ours: [u16; 2],
    tls: Option<BothTls>,
}

impl Recorder {
    pub(crate) fn start(jvm_port: u16, tls: Option<BothTls>) -> Self {
        let listeners = [0, 1].map(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        });
        let ours = [0, 1].map(|index: usize| listeners[index].local_addr().unwrap().port());
        let transcript = Arc::new(Mutex::new(Transcript::default()));
        let theirs = Mutex::new([jvm_port, 0]);
        let shared = Arc::new(Shared { transcript: Arc::clone(&transcript), theirs, ours, tls });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(record(listeners, shared, stopped));
        });
        Self { port: ours[0], stop, thread, transcript }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What was said, after the client is done.
    pub(crate) fn finish(self) -> Transcript {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
        lock(&self.transcript).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn record(
    listeners: [TcpListener; 2],
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let [registry, objects] =
        listeners.map(|listener| tokio::net::TcpListener::from_std(listener).unwrap());
    let mut connections = JoinSet::new();
    loop {
        let (tcp, listener) = tokio::select! {
            accepted = registry.accept() => (accepted.unwrap().0, 0),
            accepted = objects.accept() => (accepted.unwrap().0, 1),
            _ = &mut stopped => break,
        };
        let number = lock(&shared.transcript).open(listener);
        connections.spawn(connect(tcp, listener, number, Arc::clone(&shared)));
    }
    // What was said on connections that are closed already is passed on.
    while connections.join_next().await.is_some() {}
}

async fn connect(client: tokio::net::TcpStream, listener: u8, number: u8, shared: Arc<Shared>) {
    let port = lock(&shared.theirs)[usize::from(listener)];
    let server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    match shared.tls.clone() {
        Some(tls) if listener == 1 => {
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let server = TlsConnector::from(tls.client).connect(name, server).await.unwrap();
            let client = TlsAcceptor::from(tls.server).accept(client).await.unwrap();
            pass(client, server, number, &shared).await;
        }
        _ => pass(client, server, number, &shared).await,
    }
}

async fn pass(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    number: u8,
    shared: &Shared,
) {
    let mut asked = vec![0; 64 << 10];
    let mut answered = vec![0; 64 << 10];
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                lock(&shared.transcript).said(true, number, &asked[..count]);
                let _ = server.write_all(&asked[..count]).await;
                let _ = server.flush().await;
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                let bytes = &mut answered[..count];
                redirect(bytes, number, shared);
                let _ = client.write_all(bytes).await;
                let _ = client.flush().await;
            }
        }
    }
}

/// Lets stubs lead to the proxy, and writes down bytes with numbers of listeners in them.
fn redirect(bytes: &mut [u8], number: u8, shared: &Shared) {
    let mut kept = bytes.to_vec();
    for place in ports(bytes) {
        let port = port_at(bytes, place);
        let mut theirs = lock(&shared.theirs);
        let listener = u16::from(port != theirs[0]);
        if listener == 1 {
            theirs[1] = port;
        }
        set_port(&mut kept, place, listener);
        set_port(bytes, place, shared.ours[usize::from(listener)]);
    }
    lock(&shared.transcript).said(false, number, &kept);
}
