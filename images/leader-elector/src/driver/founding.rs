//! From an empty disk to a member of a group.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use tracing::{info, warn};

use super::{Driver, Phase};
use crate::Boottime;
use crate::bootstrap::{Decision, Hello, Identity, decide, stranded};
use crate::replica::{Replica, logger};
use crate::store::Store;

/// Who this member is: from its store, or drawn now and stored.
///
/// # Errors
/// The store cannot be used, or belongs to a member of another name.
pub fn identity(store: &mut dyn Store, name: &Arc<str>) -> anyhow::Result<Identity> {
    if let Some(identity) = store.identity()? {
        ensure!(
            identity.name == *name,
            "the store belongs to member {}, and this one is called {name}",
            identity.name,
        );
        return Ok(identity);
    }
    // 0 means nobody.
    let id = random()?.max(1);
    let identity = Identity { id, name: Arc::clone(name), group: None };
    store.set_identity(&identity)?;
    Ok(identity)
}

/// A number that nobody can foresee.
///
/// # Errors
/// The system has none.
pub fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("draw a random number")?;
    Ok(u64::from_le_bytes(bytes))
}

impl Driver {
    /// Looks whether this member can become part of a group.
    pub(super) fn found(
        &mut self,
        hellos: &BTreeMap<u64, Hello>,
        unanswered: usize,
    ) -> anyhow::Result<()> {
        let group = match decide(&self.hello, hellos, unanswered) {
            Decision::Wait(reason) => {
                if self.shared.set_phase(Phase::Waiting(reason)) {
                    info!(reason, answering = hellos.len(), unanswered, "waiting for a group");
                }
                return Ok(());
            }
            Decision::Found(group) => {
                info!(founders = group.founders.len(), group = ?group.id, "founding a group");
                group
            }
            Decision::Adopt(group) => {
                info!(founders = group.founders.len(), group = ?group.id, "founding with others");
                group
            }
            Decision::Join(group) => {
                info!(group = ?group.id, "joining a group");
                group
            }
        };
        self.identity.group = Some(group);
        self.store.set_identity(&self.identity).context("save the group")?;
        self.start()
    }

    /// Starts the replica of the group in the identity.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let Some(group) = self.identity.group.clone() else { return Ok(()) };
        self.hello.group = Some(group.clone());
        self.peers.greet(self.hello.clone());
        let saved = self.store.load().context("load the group's state")?;
        let now = Boottime::now();
        let replica = Replica::logged(self.options.clone(), &group, saved, now, &logger())?;
        self.shared.publish_table(replica.table());
        self.shared.started(&group);
        self.replica = Some(replica);
        Ok(())
    }

    /// Founders who decided from an old view may leave one behind: it says so.
    pub(super) fn look_for_stranding(&mut self, hellos: &BTreeMap<u64, Hello>) {
        let Some(group) = &self.identity.group else { return };
        let left_behind = stranded(self.identity.id, group, hellos);
        if self.shared.set_stranded(left_behind) && left_behind {
            warn!(
                group = ?group.id,
                "the others work in another group; wipe this member's data folder to let it join"
            );
        }
    }
}
