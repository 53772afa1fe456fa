//! What was learnt about beans that cannot be read at once.

use std::collections::{HashMap, HashSet};

use crate::jmx::ObjectName;

/// Most beans that something is remembered of; beyond, all is forgotten and learnt again.
const BEANS_MAX: usize = 10_000;

/// Most attributes refused of one bean.
const ATTRIBUTES_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Memory {
    beans: HashMap<ObjectName, Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Attributes that end the connection when they are asked for.
    refused: HashSet<String>,
    /// Asking for several attributes at once throws.
    singly: bool,
}

// === impl Memory ===

impl Memory {
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
        self.beans.get(bean).is_some_and(|known| known.singly)
    }

    pub(super) fn refuse(&mut self, bean: &ObjectName, attribute: &str) {
        let refused = &mut self.known(bean).refused;
        if refused.len() < ATTRIBUTES_MAX {
            refused.insert(attribute.to_owned());
        }
    }

    pub(super) fn ask_singly(&mut self, bean: &ObjectName) {
        self.known(bean).singly = true;
    }

    fn known(&mut self, bean: &ObjectName) -> &mut Known {
        if self.beans.len() >= BEANS_MAX && !self.beans.contains_key(bean) {
            self.beans.clear();
        }
        self.beans.entry(bean.clone()).or_default()
    }
}
