//! How elections are written in etcd: keys, values, and the transactions on them.
//!
//! An election has three kinds of keys under its name. `leader` names the holder and goes with the
//! holder's etcd lease; the revision that wrote it is the token. `queue/SESSION` is a candidate who
//! waits, and goes with its lease. `token` stays, and was written last with the last `leader`, so
//! that the highest token is known while nobody leads.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::{KeyValue, encode};
use crate::backend::{Acquire, Lease, Session};

const LEADER: &str = "leader";
const TOKEN: &str = "token";
const QUEUE: &str = "queue/";

/// Where elections are, and what is added to revisions to make tokens.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Ends with a slash.
    pub(super) prefix: String,
    /// Added to each revision.
    pub(super) token_floor: u64,
}

/// A key of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Leader,
    Queue(Session),
    Token,
}

/// A holder or a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) session: Session,
    /// The revision that wrote it.
    pub(super) revision: u64,
    /// What it wrote.
    pub(super) value: Written,
}

/// The value of a key of a holder or a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) holder: String,
    pub(super) ttl_ms: u64,
    #[serde(default)]
    pub(super) priority: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<String>,
}

/// An election as etcd has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) leader: Option<Record>,
    /// Those who wait, next first.
    pub(super) queue: Vec<Record>,
    /// The revision of the last grant; 0 if there was none.
    pub(super) granted: u64,
}

// === impl Keys ===

impl Keys {
    fn of(&self, election: &str, rest: &str) -> String {
        format!("{}{election}/{rest}", self.prefix)
    }

    fn queue(&self, election: &str, session: Session) -> String {
        self.of(election, &format!("{QUEUE}{:016x}", session.0))
    }

    /// All keys.
    pub(super) fn everything(&self) -> (String, String) {
        (self.prefix.clone(), end_of(&self.prefix))
    }

    /// All keys of an election.
    pub(super) fn election(&self, election: &str) -> (String, String) {
        let prefix = self.of(election, "");
        let end = end_of(&prefix);
        (prefix, end)
    }

    /// What a key is of; `None` for one that was not written by this version.
    pub(super) fn parse<'k>(&self, key: &'k [u8]) -> Option<(&'k str, Key)> {
        let key = std::str::from_utf8(key).ok()?.strip_prefix(self.prefix.as_str())?;
        let (election, rest) = key.split_once('/')?;
        let key = match rest {
            LEADER => Key::Leader,
            TOKEN => Key::Token,
            _ => {
                let session = u64::from_str_radix(rest.strip_prefix(QUEUE)?, 16).ok()?;
                Key::Queue(Session(session))
            }
        };
        Some((election, key))
    }

    /// The lease that a leader's record stands for.
    pub(super) fn lease(&self, record: &Record) -> Lease {
        Lease {
            holder: record.value.holder.as_str().into(),
            session: record.session,
            token: self.token(record.revision),
            ttl: Duration::from_millis(record.value.ttl_ms),
            metadata: record.value.metadata.as_deref().map(Into::into),
        }
    }

    /// The token of a grant at `revision`.
    pub(super) fn token(&self, revision: u64) -> u64 {
        self.token_floor + revision
    }

    /// Takes a free election with an empty queue; else stands in the queue if `wait`.
    pub(super) fn enter(&self, acquire: &Acquire, value: &Written, wait: bool) -> Value {
        let election = &*acquire.election;
        let queue = self.of(election, QUEUE);
        let compare =
            [absent(&self.of(election, LEADER), None), absent(&queue, Some(&end_of(&queue)))];
        let otherwise = if wait {
            vec![put(&self.queue(election, acquire.session), value, acquire.session)]
        } else {
            Vec::new()
        };
        json!({
            "compare": compare,
            "success": self.grant(election, value, acquire.session),
            "failure": otherwise,
        })
    }

    /// Ends the lease of `from`, or of nobody, and grants it to `to` of the queue, or to nobody if
    /// the queue is empty. Does nothing if any of it is not so any more.
    pub(super) fn hand_over(
        &self,
        election: &str,
        from: Option<&Record>,
        to: Option<&Record>,
    ) -> Value {
        let leader = self.of(election, LEADER);
        let mut compare = vec![match from {
            Some(from) => json!({
                "key": encode(leader.as_bytes()),
                "target": "MOD",
                "result": "EQUAL",
                "mod_revision": from.revision.to_string(),
            }),
            None => absent(&leader, None),
        }];
        let success = match to {
            Some(to) => {
                let key = self.queue(election, to.session);
                compare.push(json!({
                    "key": encode(key.as_bytes()),
                    "target": "MOD",
                    "result": "EQUAL",
                    "mod_revision": to.revision.to_string(),
                }));
                let mut steps = self.grant(election, &to.value, to.session);
                steps.push(delete(&key));
                steps
            }
            None => {
                let queue = self.of(election, QUEUE);
                compare.push(absent(&queue, Some(&end_of(&queue))));
                vec![delete(&leader)]
            }
        };
        json!({ "compare": compare, "success": success, "failure": [] })
    }

    fn grant(&self, election: &str, value: &Written, session: Session) -> Vec<Value> {
        let token = encode(self.of(election, TOKEN).as_bytes());
        vec![
            put(&self.of(election, LEADER), value, session),
            json!({ "request_put": { "key": token, "value": "" } }),
        ]
    }
}

/// The end of the range of keys with this prefix, which ends with a slash.
fn end_of(prefix: &str) -> String {
    // `0` comes after `/`.
    format!("{}0", prefix.strip_suffix('/').unwrap_or(prefix))
}

fn absent(key: &str, end: Option<&str>) -> Value {
    let mut compare = json!({
        "key": encode(key.as_bytes()),
        "target": "CREATE",
        "result": "EQUAL",
        "create_revision": "0",
    });
    if let Some(end) = end {
        compare["range_end"] = encode(end.as_bytes()).into();
    }
    compare
}

fn put(key: &str, value: &Written, session: Session) -> Value {
    // A struct of texts and numbers is always JSON.
    let value = serde_json::to_vec(value).unwrap_or_default();
    json!({ "request_put": {
        "key": encode(key.as_bytes()),
        "value": encode(&value),
        "lease": lease_id(session),
    }})
}

fn delete(key: &str) -> Value {
    json!({ "request_delete_range": { "key": encode(key.as_bytes()) } })
}

/// A session is its lease in etcd, whose numbers have a sign.
pub(super) fn lease_id(session: Session) -> String {
    session.0.cast_signed().to_string()
}

// === impl Written, Record ===

impl Written {
    pub(super) fn new(acquire: &Acquire) -> Self {
        Self {
            holder: acquire.holder.to_string(),
            ttl_ms: u64::try_from(acquire.ttl.as_millis()).unwrap_or(u64::MAX),
            priority: acquire.priority,
            metadata: acquire.metadata.as_deref().map(str::to_owned),
            request_id: acquire.request_id.as_deref().map(str::to_owned),
        }
    }
}

impl Record {
    /// Reads a key's value; `None` if another program wrote it.
    pub(super) fn read(kv: &KeyValue) -> Option<Self> {
        let value = serde_json::from_slice(&kv.value).ok()?;
        Some(Self { session: Session(kv.lease), revision: kv.mod_revision, value })
    }

    /// Whether it is the candidacy of `acquire`, or of the same request sent before.
    pub(super) fn is_of(&self, acquire: &Acquire) -> bool {
        self.session == acquire.session
            || (self.value.request_id.is_some()
                && self.value.request_id.as_deref() == acquire.request_id.as_deref()
                && *self.value.holder == *acquire.holder)
    }
}

// === impl State ===

impl State {
    /// The state that a range of all keys of one election shows.
    pub(super) fn of(keys: &Keys, kvs: &[KeyValue]) -> Self {
        let mut state = Self::default();
        for kv in kvs {
            match keys.parse(&kv.key) {
                Some((_, Key::Leader)) => state.leader = Record::read(kv),
                Some((_, Key::Queue(_))) => state.queue.extend(Record::read(kv)),
                Some((_, Key::Token)) => state.granted = kv.mod_revision,
                None => {}
            }
        }
        state.queue.sort_by_key(place);
        state
    }

    /// Whom a resignation of `session` grants the lease: `successor` if it waits, else the first.
    pub(super) fn next(&self, session: Session, successor: Option<&str>) -> Option<&Record> {
        let others = || self.queue.iter().filter(move |record| record.session != session);
        let chosen = others().find(|record| Some(record.value.holder.as_str()) == successor);
        chosen.or_else(|| others().next())
    }
}

/// Higher priority first, then first come first served.
pub(super) fn place(record: &Record) -> (i64, u64) {
    (record.value.priority.saturating_neg(), record.revision)
}
