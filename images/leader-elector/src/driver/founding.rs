//! From an empty disk to a member of a group.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use tracing::{info, warn};

use super::{Driver, Phase};
use crate::Boottime;
use crate::bootstrap::{Decision, Hello, Identity, decide, stranded};
use crate::replica::{Options, Replica, logger};
use crate::store::Store;

/// Who this member is, from its store or new.
pub(super) fn identity(store: &mut dyn Store, options: &Options) -> anyhow::Result<Identity> {
    if let Some(identity) = store.identity()? {
        ensure!(
            identity.name == options.name,
            "the store belongs to member {}, and this one is called {}",
            identity.name,
            options.name
        );
        return Ok(identity);
    }
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("draw a random id")?;
    // 0 means nobody.
    let id = u64::from_le_bytes(bytes).max(1);
    let identity = Identity { id, name: options.name.clone(), group: None };
    store.set_identity(&identity)?;
    Ok(identity)
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
