//! What was learnt about beans that cannot be read at once.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use crate::jmx::ObjectName;

/// Most beans that something is remembered of; beyond, all is forgotten and learnt again.
const BEANS_MAX: usize = 10_000;

/// Most attributes refused of one bean.
const ATTRIBUTES_MAX: usize = 1_000;

/// Passes after which a bean is given another try.
const AGE_MAX: u64 = 200;

#[derive(Debug, Default)]
pub(super) struct Memory {
    beans: HashMap<ObjectName, Known>,
    /// Passes so far.
    pass: u64,
}

#[derive(Debug)]
struct Known {
    /// Attributes that end the connection when they are asked for.
    refused: HashSet<String>,
    bulk: Bulk,
    /// Pass in which it was learnt.
    since: u64,
}

/// How asking for several attributes at once goes.
#[derive(Debug, PartialEq, Eq)]
enum Bulk {
    /// It does, without those that are refused.
    Works,
    /// It broke off, and it is not known yet which attribute is to blame.
    Suspect,
    /// As before, and one to blame has been found.
    Found,
    /// It does not, whatever is asked for.
    Fails,
}

// === impl Memory ===

impl Memory {
    /// Begins a pass over all beans. What was learnt longest ago is forgotten when it is old: one
    /// bean a pass, as trying it may cost connections.
    pub(super) fn begin_pass(&mut self) {
        self.pass += 1;
        let oldest = self.beans.iter().min_by_key(|(_, known)| known.since);
        if let Some((name, known)) = oldest
            && known.since + AGE_MAX <= self.pass
        {
            let name = name.clone();
            self.beans.remove(&name);
        }
    }

    /// Whether an attribute may be asked for.
    pub(super) fn allows(&self, bean: &ObjectName, attribute: &str) -> bool {
        self.beans.get(bean).is_none_or(|known| !known.refused.contains(attribute))
    }

    /// Whether something is known of a bean.
    pub(super) fn knows(&self, bean: &ObjectName) -> bool {
        !self.beans.is_empty() && self.beans.contains_key(bean)
    }

    /// Whether the attributes of a bean are to be asked for one by one.
    pub(super) fn singly(&self, bean: &ObjectName) -> bool {
        self.beans.get(bean).is_some_and(|known| known.bulk != Bulk::Works)
    }

    pub(super) fn refuse(&mut self, bean: &ObjectName, attribute: &str) {
        let known = self.known(bean);
        if known.refused.len() < ATTRIBUTES_MAX {
            known.refused.insert(attribute.to_owned());
        }
        if known.bulk == Bulk::Suspect {
            known.bulk = Bulk::Found;
        }
    }

    /// Asking for all attributes ended the connection; one of them may be to blame.
    pub(super) fn suspect(&mut self, bean: &ObjectName) {
        let known = self.known(bean);
        if known.bulk == Bulk::Works {
            known.bulk = Bulk::Suspect;
        }
    }

    /// All attributes of a bean have been asked for one by one.
    pub(super) fn settle(&mut self, bean: &ObjectName) {
        if let Some(known) = self.beans.get_mut(bean) {
            match known.bulk {
                Bulk::Suspect => known.bulk = Bulk::Fails,
                Bulk::Found => known.bulk = Bulk::Works,
                Bulk::Works | Bulk::Fails => {}
            }
        }
    }

    pub(super) fn ask_singly(&mut self, bean: &ObjectName) {
        self.known(bean).bulk = Bulk::Fails;
    }

    /// Forgets everything: the process is another one.
    pub(super) fn clear(&mut self) {
        self.beans.clear();
    }

    fn known(&mut self, bean: &ObjectName) -> &mut Known {
        if self.beans.len() >= BEANS_MAX && !self.beans.contains_key(bean) {
            self.beans.clear();
        }
        let since = self.pass;
        let new = || Known { refused: HashSet::new(), bulk: Bulk::Works, since };
        self.beans.entry(bean.clone()).or_insert_with(new)
    }
}
