//! A backend that can be cut off.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use leader_elector::Boottime;
use leader_elector::backend::{
    Acquire, Backend, ClusterStatus, Consistency, Failure, Grant, Reply, Session, View,
};
use tokio::sync::watch;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Nobody answers, and everybody knows.
    NoQuorum,
    /// Nobody answers.
    Unknown,
    /// What is acquired is acquired, and the answer never comes.
    Stuck,
}

pub(crate) struct Faulty {
    inner: Arc<dyn Backend>,
    /// What is wrong, and since when.
    fault: Mutex<(Fault, Boottime)>,
}

// === impl Faulty ===

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn Backend>) -> Arc<Self> {
        Arc::new(Self { inner, fault: Mutex::new((Fault::None, Boottime::now())) })
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = (fault, Boottime::now());
    }

    fn check(&self) -> Result<(), Failure> {
        match self.fault.lock().unwrap().0 {
            Fault::None | Fault::Stuck => Ok(()),
            Fault::NoQuorum => Err(Failure::NoQuorum("cut off".to_owned())),
            Fault::Unknown => Err(Failure::Unknown("no answer came".to_owned())),
        }
    }

    /// As it is, or known since no later than the fault.
    fn seen(&self, view: View) -> View {
        let (fault, since) = *self.fault.lock().unwrap();
        if fault == Fault::None { view } else { View { observed: since, ..view } }
    }
}

impl Backend for Faulty {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn acquire(&self, acquire: Acquire, wait: Duration) -> Reply<'_, Grant> {
        Box::pin(async move {
            self.check()?;
            let granted = self.inner.acquire(acquire, wait).await;
            if self.fault.lock().unwrap().0 == Fault::Stuck {
                std::future::pending::<()>().await;
            }
            granted
        })
    }

    fn renew<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
    ) -> Reply<'a, Grant> {
        Box::pin(async move {
            self.check()?;
            self.inner.renew(election, session, token).await
        })
    }

    fn resign<'a>(
        &'a self,
        election: &'a Arc<str>,
        session: Session,
        token: u64,
        successor: Option<Arc<str>>,
    ) -> Reply<'a, ()> {
        Box::pin(async move {
            self.check()?;
            self.inner.resign(election, session, token, successor).await
        })
    }

    fn read<'a>(&'a self, election: &'a Arc<str>, consistency: Consistency) -> Reply<'a, View> {
        Box::pin(async move {
            if consistency == Consistency::Linearizable {
                self.check()?;
            }
            Ok(self.seen(self.inner.read(election, consistency).await?))
        })
    }

    fn watch<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, watch::Receiver<View>> {
        self.inner.watch(election)
    }

    fn list(&self) -> Reply<'_, Vec<(Arc<str>, View)>> {
        self.inner.list()
    }

    fn token_highest<'a>(&'a self, election: &'a Arc<str>) -> Reply<'a, u64> {
        self.inner.token_highest(election)
    }

    fn ready(&self) -> Result<(), String> {
        self.check().map_err(|failure| failure.to_string())
    }

    fn cluster(&self) -> ClusterStatus {
        self.inner.cluster()
    }
}
