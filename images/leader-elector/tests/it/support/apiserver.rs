//! A server that speaks the Lease resource of Kubernetes: as much of it as a client can tell.
//!
//! Versions are numbers over all objects, a write of another version is a conflict, watches begin
//! at a version and are refused when it was compacted. Faults are switched on by the tests.

mod connection;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use store::Store;

/// What goes wrong, for as long as it is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Requests are taken and not answered; watches say nothing.
    pub(crate) silent: bool,
    /// Watches and lists are forbidden, as by a role with get, create and update alone.
    pub(crate) no_watch: bool,
    /// Everything is forbidden.
    pub(crate) forbidden: bool,
    /// So many writes are carried out, and answered with a 504.
    pub(crate) lost_answers: usize,
    /// So many requests are answered with a 500, and not carried out.
    pub(crate) errors: usize,
}

/// What a request was, for tests that look.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
}

/// The server; it ends when this is dropped.
pub(crate) struct ApiServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    store: Mutex<Store>,
    /// Changes with the store: wakes watches.
    changed: watch::Sender<u64>,
    faults: watch::Sender<Faults>,
    asked: Mutex<Vec<Asked>>,
}

// === impl ApiServer ===

impl ApiServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            store: Mutex::default(),
            changed: watch::Sender::new(0),
            faults: watch::Sender::default(),
            asked: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        let serving = Arc::clone(&shared);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection::serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Switches faults on and off.
    pub(crate) fn fault(&self, set: impl FnOnce(&mut Faults)) {
        self.shared.faults.send_modify(set);
    }

    /// Looks at, or changes, what is stored, past every client.
    pub(crate) fn store<T>(&self, with: impl FnOnce(&mut Store) -> T) -> T {
        let result = with(&mut self.shared.store.lock().unwrap());
        self.shared.changed.send_modify(|count| *count += 1);
        result
    }

    /// A Lease as it is stored.
    pub(crate) fn lease(&self, name: &str) -> Option<Value> {
        self.store(|store| store.get(name))
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}
