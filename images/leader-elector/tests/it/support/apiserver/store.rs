//! Leases with versions, and what happened to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// All Leases of the one namespace.
#[derive(Debug, Default)]
pub(crate) struct Store {
    version: u64,
    leases: BTreeMap<String, Value>,
    /// Version, type and object.
    events: Vec<(u64, &'static str, Value)>,
    /// Events up to this version are forgotten.
    compacted: u64,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Absent,
    Exists,
    Conflict,
    Invalid,
    Gone,
}

// === impl Store ===

impl Store {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.leases.get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.leases.values().cloned().collect()
    }

    pub(crate) fn create(&mut self, lease: Value) -> Result<Value, Refusal> {
        let name = lease["metadata"]["name"].as_str().ok_or(Refusal::Invalid)?.to_owned();
        if self.leases.contains_key(&name) {
            return Err(Refusal::Exists);
        }
        self.write(name, lease, "ADDED")
    }

    pub(crate) fn replace(&mut self, name: &str, lease: Value) -> Result<Value, Refusal> {
        let stored = self.leases.get(name).ok_or(Refusal::Absent)?;
        let (given, has) =
            (&lease["metadata"]["resourceVersion"], &stored["metadata"]["resourceVersion"]);
        if !given.is_null() && given != has {
            return Err(Refusal::Conflict);
        }
        self.write(name.to_owned(), lease, "MODIFIED")
    }

    pub(crate) fn delete(&mut self, name: &str) {
        if let Some(mut lease) = self.leases.remove(name) {
            self.version += 1;
            lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.events.push((self.version, "DELETED", lease));
        }
    }

    /// Forgets what happened so far.
    pub(crate) fn compact(&mut self) {
        self.version += 1;
        self.compacted = self.version;
        self.events.clear();
    }

    /// What happened to a Lease after `from`.
    pub(crate) fn since(&self, from: u64, name: &str) -> Result<Vec<(u64, Value)>, Refusal> {
        if from < self.compacted {
            return Err(Refusal::Gone);
        }
        let events = self
            .events
            .iter()
            .filter(|(version, _, lease)| *version > from && lease["metadata"]["name"] == name);
        let event = |(version, kind, lease): &(u64, &str, Value)| {
            (*version, json!({ "type": kind, "object": lease }))
        };
        Ok(events.map(event).collect())
    }

    fn write(
        &mut self,
        name: String,
        mut lease: Value,
        kind: &'static str,
    ) -> Result<Value, Refusal> {
        let spec = &lease["spec"];
        let positive = |value: &Value| value.is_null() || value.as_i64().is_some_and(|it| it > 0);
        let counted = |value: &Value| value.is_null() || value.as_i64().is_some_and(|it| it >= 0);
        let time = |value: &Value| {
            // 2006-01-02T15:04:05.000000Z
            value.is_null() || value.as_str().is_some_and(|it| it.len() == 27 && it.ends_with('Z'))
        };
        let valid = positive(&spec["leaseDurationSeconds"])
            && counted(&spec["leaseTransitions"])
            && time(&spec["acquireTime"])
            && time(&spec["renewTime"]);
        let annotations = &lease["metadata"]["annotations"];
        let texts = annotations.as_object().is_none_or(|map| map.values().all(Value::is_string));
        if !valid || !texts {
            return Err(Refusal::Invalid);
        }
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.events.push((self.version, kind, lease.clone()));
        self.leases.insert(name, lease.clone());
        Ok(lease)
    }
}
