//! Connections between members.
//!
//! Every member dials every address it knows of and sends only there; it receives only on what it
//! accepted. So each direction has its own queue, nobody has to agree whose connection it is, and a
//! network that carries one direction alone is noticed as that. A connection opens with a handshake
//! (`handshake`) and carries packets (`packet`); its first is the hello, and another follows
//! when a member has become part of a group.
//!
//! Frames may be lost: with a connection, or when a member reads too slowly. They are never repeated,
//! reordered within a connection, or given to anybody but the member they were sent to. What does
//! not belong here closes its connection and is counted by reason ([`Counters::refused`]).
//!
//! A secret proves who sends what and that it is whole; it does not hide it. TLS does both.
//!
//! Nothing here remembers an address: names are resolved anew for each attempt.

mod accept;
mod counters;
mod dial;
mod handshake;
mod outbox;
mod packet;
mod table;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::bootstrap::Hello;
use crate::config::PeerAuth;
pub use crate::config::TlsFiles;
use crate::discovery::Target;
use crate::wire::Frame;
pub use counters::{Counters, Refused};
pub use outbox::Outbox;
use table::Shared;
use tls::Certificates;

/// Most connections accepted at a time: one of each of the most members, and some to spare.
const CONNECTIONS_MAX: usize = 128;
/// Longest handshake, after the connection.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Most frames that wait for a member that does not read; Raft has fewer under way.
const QUEUE_FRAMES_MAX: usize = 1024;
/// Most bytes that wait for a member that does not read, but for one last frame.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Silence of the network, not of the member, after which a connection is given up.
const SILENCE: Duration = Duration::from_secs(3);

/// How members prove themselves.
#[derive(Clone)]
pub enum Auth {
    /// By a secret that they all know.
    Secret(Arc<[u8]>),
    /// By certificates of one authority.
    Tls(TlsFiles),
    /// Not at all.
    Insecure,
}

/// [`Auth`], ready for use.
enum Credentials {
    Secret(Arc<[u8]>),
    Tls(Box<Certificates>),
    Insecure,
}

/// Who takes what comes in. Called on the thread of the connections: to be quick.
pub trait Inbox: Send + Sync {
    /// A member has sent a frame.
    fn frame(&self, from: u64, frame: Frame);
    /// The last connection to a member has gone.
    fn unreachable(&self, id: u64);
}

/// What members that are connected now say of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Their hellos, by id.
    pub hellos: BTreeMap<u64, Hello>,
    /// Addresses given by discovery at which nobody has answered.
    pub unanswered: usize,
}

/// The peer port and all connections. Runs as long as [`Transport::run`] is polled.
pub struct Transport {
    shared: Arc<Shared>,
    listener: TcpListener,
}

// === impl Auth ===

impl From<&PeerAuth> for Auth {
    fn from(auth: &PeerAuth) -> Self {
        match auth {
            PeerAuth::Secret(secret) => Self::Secret(secret.expose().as_bytes().into()),
            PeerAuth::Tls(files) => Self::Tls(files.clone()),
            PeerAuth::None => Self::Insecure,
        }
    }
}

// === impl Transport ===

impl Transport {
    /// Listens; nothing is accepted or dialed before [`Transport::run`].
    ///
    /// # Errors
    /// The address cannot be listened on, or certificates cannot be read.
    pub async fn bind(
        listen: SocketAddr,
        auth: Auth,
        hello: Hello,
        inbox: Arc<dyn Inbox>,
    ) -> anyhow::Result<Self> {
        let credentials = match auth {
            Auth::Secret(secret) => Credentials::Secret(secret),
            Auth::Tls(files) => Credentials::Tls(Box::new(Certificates::read(files)?)),
            Auth::Insecure => Credentials::Insecure,
        };
        let listening = || format!("listening for members on {listen}");
        let listener = TcpListener::bind(listen).await.with_context(listening)?;
        let mut process = handshake::Process::default();
        getrandom::fill(&mut process).context("drawing a random number")?;
        Ok(Self { shared: Arc::new(Shared::new(credentials, process, inbox, hello)), listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sends frames and changes the hello.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox { shared: Arc::clone(&self.shared) }
    }

    /// Who is connected.
    #[must_use]
    pub fn known(&self) -> watch::Receiver<Known> {
        self.shared.known.subscribe()
    }

    /// What is counted.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// Accepts and dials, for ever. All connections end when this is dropped.
    pub async fn run(self, mut targets: watch::Receiver<Vec<Target>>) {
        let Self { shared, listener } = self;
        let mut tasks = JoinSet::new();
        let mut dials: HashMap<String, AbortHandle> = HashMap::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut more = true;
        shared.set_targets(addresses(&targets.borrow_and_update()));
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
                            let served = accept::serve(Arc::clone(&shared), stream, from);
                            tasks.spawn(async move {
                                served.await;
                                drop(permit);
                            });
                        } else {
                            shared.counters.refuse(Refused::Limit);
                        }
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(target: "transport", %error, "accepting failed");
                        // Out of file descriptors, most likely; it does not help to hurry.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                changed = targets.changed(), if more => {
                    // Without anybody to change them they stay.
                    more = changed.is_ok();
                    shared.set_targets(addresses(&targets.borrow_and_update()));
                }
                () = shared.changed.notified() => {}
                Some(ended) = tasks.join_next() => {
                    if let Some(panic) = ended.err().and_then(|it| it.try_into_panic().ok()) {
                        std::panic::resume_unwind(panic);
                    }
                    continue;
                }
            }
            let wanted = shared.wanted();
            dials.retain(|address, dial| {
                let keep = wanted.contains(address);
                if !keep {
                    dial.abort();
                }
                keep
            });
            for address in wanted {
                dials.entry(address).or_insert_with_key(|address| {
                    tasks.spawn(dial::keep(Arc::clone(&shared), address.clone()))
                });
            }
        }
    }
}

fn addresses(targets: &[Target]) -> BTreeSet<String> {
    targets.iter().map(|target| target.address.clone()).collect()
}

/// Small frames go at once, and a network that swallows everything is noticed.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(1))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(1))?;
    sockopt::set_tcp_keepcnt(stream, 2)?;
    let silence = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
    Ok(sockopt::set_tcp_user_timeout(stream, silence)?)
}

/// Nobody panics while holding one of these locks, and if so, what they guard is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
