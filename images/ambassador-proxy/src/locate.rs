//! Where a key lives, and why: the answer behind `ambassador-proxy locate`.
//!
//! It explains placement with all servers live. Ejection is a matter of the running process,
//! which this module knows nothing of.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

use crate::config::PoolConfig;
use crate::placement::{Hash, Slot};

/// How a key found its server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Name of the pool.
    pub pool: String,
    /// The key; bytes that are not UTF-8 are replaced.
    pub key: String,
    /// What was hashed: the part inside the hash tag, or the whole key.
    pub hashed: String,
    /// Whether the hash tag cut `hashed` out of the key.
    pub tag_used: bool,
    /// Name of the hash function.
    pub hash: String,
    /// Its value; absent where nothing needs hashing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_value: Option<u32>,
    /// Name of the distribution.
    pub distribution: String,
    /// What the hash met in the distribution.
    pub found: Found,
    /// The owner; absent for random placement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// The reasoning in one sentence.
    pub why: String,
}

/// Where in the distribution a key fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The pool has one server.
    OnlyServer,
    /// A ketama point.
    Point {
        /// Value of the point.
        point: u32,
        /// Its position on the ring, from 0.
        position: u32,
        /// Points on the ring.
        points: u32,
        /// Whether the hash lay beyond the last point.
        wrapped: bool,
    },
    /// A remainder.
    Remainder {
        /// The hash modulo the sum of weights.
        remainder: u32,
        /// The sum of weights.
        weights: u32,
    },
    /// Any server, at random.
    AnyServer,
}

/// A server as the explanation shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Position in nutcracker's order, from 0.
    pub index: u32,
    /// What placement knows it by.
    pub label: String,
    /// Where it is.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// What it holds: points on the ring, or units of weight.
    pub share: u32,
    /// Line in the file, from 1.
    pub line: u32,
}

/// Explains which server of `pool` owns `key` while all servers live.
pub fn locate(pool: &PoolConfig, key: &[u8]) -> Explanation {
    let placement = pool.placement();
    let rules = placement.rules();
    let hashed = rules.hashed_part(key);
    let value = rules.hash(key);
    let slot = placement.ring().slot(value);
    let owner = placement.locate(key, || 0).filter(|_| !matches!(slot, Some(Slot::Any { .. })));
    let server = owner.map(|index| {
        let server = &pool.servers[index as usize];
        Server {
            index,
            label: server.label.clone(),
            address: server.address.to_string(),
            weight: server.weight,
            share: placement.ring().shares()[index as usize],
            line: server.line,
        }
    });
    let found = Found::from(slot);
    Explanation {
        pool: pool.name.clone(),
        key: String::from_utf8_lossy(key).into_owned(),
        hashed: String::from_utf8_lossy(hashed).into_owned(),
        tag_used: hashed.len() != key.len(),
        hash: rules.hash.to_string(),
        hash_value: (!placement.ring().ignores_hash()).then_some(value),
        distribution: rules.distribution.to_string(),
        why: why(found, value, hashed, rules.hash, pool),
        found,
        server,
    }
}

impl From<Option<Slot>> for Found {
    fn from(slot: Option<Slot>) -> Self {
        match slot {
            Some(Slot::Point { index, of, point, wrapped }) => {
                Found::Point { point, position: index, points: of, wrapped }
            }
            Some(Slot::Remainder { remainder, of }) => Found::Remainder { remainder, weights: of },
            Some(Slot::Any { .. }) => Found::AnyServer,
            // A pool has at least one server, and all of them live here.
            Some(Slot::OnlyMember) | None => Found::OnlyServer,
        }
    }
}

fn why(found: Found, value: u32, hashed: &[u8], hash: Hash, pool: &PoolConfig) -> String {
    let text = hashed.escape_ascii();
    let hashing = match hashed {
        [] => "an empty key hashes to 0".to_owned(),
        _ => format!("{hash} of \"{text}\" is {value}"),
    };
    match found {
        Found::OnlyServer => "the pool has a single server; nothing is hashed".into(),
        Found::AnyServer => {
            format!("each request goes to any of {} servers", pool.servers.len())
        }
        Found::Point { point, wrapped: false, .. } => {
            format!("{hashing}; the first ring point from there on is {point}")
        }
        Found::Point { point, wrapped: true, .. } => {
            format!("{hashing}; no ring point is from there on, so the first of all, {point}")
        }
        Found::Remainder { remainder, weights } => {
            format!("{hashing}; modulo {weights}, the sum of weights, that is {remainder}")
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key      {:?}", self.key)?;
        writeln!(f, "pool     {}", self.pool)?;
        if self.tag_used {
            writeln!(f, "tag      {:?}", self.hashed)?;
        }
        if let Some(value) = self.hash_value {
            writeln!(f, "hash     {} = {value}", self.hash)?;
        }
        match self.found {
            Found::Point { point, position, points, .. } => {
                writeln!(f, "point    {point} (position {position} of {points}, from 0)")?;
            }
            Found::Remainder { remainder, weights } => {
                writeln!(f, "slot     {remainder} of {weights}")?;
            }
            Found::OnlyServer | Found::AnyServer => {}
        }
        if let Some(Server { index, label, address, weight, .. }) = &self.server {
            writeln!(f, "server   {label} at {address} (index {index}, weight {weight})")?;
        }
        write!(f, "why      {}: {}", self.distribution, self.why)
    }
}
