//! Addresses of targets, and their names resolved without making anybody wait.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use anyhow::Context;
use mio::Waker;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `udp://host:port`, or `host:port` as in the original.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
    /// `unix:///path`: a datagram socket.
    Unix(PathBuf),
}

/// Resolves names on threads of their own.
#[derive(Debug)]
pub(super) struct Resolver {
    waker: Arc<Waker>,
    sender: mpsc::Sender<(usize, Answer)>,
    receiver: mpsc::Receiver<(usize, Answer)>,
}

/// Addresses, in the order of preference.
pub(super) type Answer = io::Result<Vec<SocketAddr>>;

// === impl Address ===

impl Address {
    /// Without a host it is this one, as where Go connects to such an address.
    pub(super) fn parse(target: &str) -> anyhow::Result<Self> {
        let (scheme, rest) = target.split_once("://").unwrap_or(("udp", target));
        let here = if rest.starts_with(':') { "127.0.0.1" } else { "" };
        let address = match scheme {
            "udp" => Self::Udp(format!("{here}{rest}")),
            "tcp" => Self::Tcp(format!("{here}{rest}")),
            "unix" if rest.starts_with('/') => return Ok(Self::Unix(PathBuf::from(rest))),
            _ => anyhow::bail!(
                "relay target {target}: expected udp://host:port, tcp://host:port, \
                 unix:///path or host:port"
            ),
        };
        let port = rest.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.filter(|port: &u16| *port != 0)
            .with_context(|| format!("relay target {target}: expected host:port"))?;
        Ok(address)
    }
}

// === impl Resolver ===

impl Resolver {
    pub(super) fn new(waker: Arc<Waker>) -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { waker, sender, receiver }
    }

    /// Answers at once when there is no name in `address`; otherwise [`Resolver::answer`] will, and
    /// the waker says when.
    pub(super) fn ask(&self, index: usize, address: &str) -> Option<Answer> {
        if let Ok(address) = address.parse() {
            return Some(Ok(vec![address]));
        }
        let (sender, waker, address) =
            (self.sender.clone(), Arc::clone(&self.waker), address.to_owned());
        let resolve = move || {
            let answer = address.to_socket_addrs().map(Iterator::collect);
            // Neither can fail but at the end of the process.
            let _ = sender.send((index, answer));
            let _ = waker.wake();
        };
        match std::thread::Builder::new().name("relay-resolver".to_owned()).spawn(resolve) {
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// An answer that has come, with the index it was asked for.
    pub(super) fn answer(&self) -> Option<(usize, Answer)> {
        self.receiver.try_recv().ok()
    }
}
