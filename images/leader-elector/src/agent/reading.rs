//! What can be asked without holding anything.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Agent, Seen, observer};
use crate::backend::{ClusterStatus, Consistency, Failure, View};

impl Agent {
    /// The election now.
    ///
    /// # Errors
    /// As the backend says; a local read needs no quorum.
    pub async fn read(
        &self,
        election: &Arc<str>,
        consistency: Consistency,
    ) -> Result<View, Failure> {
        self.backend.read(election, consistency).await
    }

    /// The election from now on.
    ///
    /// # Errors
    /// As the backend says.
    pub async fn watch(
        self: &Arc<Self>,
        election: &Arc<str>,
    ) -> Result<watch::Receiver<Seen>, Failure> {
        observer::watch(self, election).await
    }

    /// All elections known here.
    ///
    /// # Errors
    /// As the backend says.
    pub async fn list(&self) -> Result<Vec<(Arc<str>, View)>, Failure> {
        self.backend.list().await
    }

    /// Whether a token is that of the lease now; if not, the highest token given.
    ///
    /// # Errors
    /// As the backend says.
    pub async fn check(
        &self,
        election: &Arc<str>,
        token: u64,
    ) -> Result<(View, Option<u64>), Failure> {
        let view = self.read(election, Consistency::Linearizable).await?;
        if view.lease.as_ref().is_some_and(|lease| lease.token == token) {
            return Ok((view, None));
        }
        let highest = self.backend.token_highest(election).await?;
        Ok((view, Some(highest)))
    }

    /// Whether requests can be carried out.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), String> {
        self.backend.ready()
    }

    /// The group.
    #[must_use]
    pub fn cluster(&self) -> ClusterStatus {
        self.backend.cluster()
    }

    /// Removes a member of the group for good.
    ///
    /// # Errors
    /// As the backend says.
    pub async fn remove_member(&self, name: &str) -> Result<(), Failure> {
        self.backend.remove_member(name).await
    }
}
