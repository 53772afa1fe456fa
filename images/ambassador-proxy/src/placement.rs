//! Which server owns a key: hash, hash tag and distribution, exactly as nutcracker places them.
//!
//! Everything here is pure: no clock, no random source (the caller hands one in), no sockets.
//! A pool that moves from nutcracker to this proxy must find each key where it was left, so
//! nothing in this module is a matter of taste: odd arithmetic (32-bit steps in `fnv1a_64`,
//! an unmasked `crc16`, `f32` weights) is part of the format. It refuses to be clever about
//! ejection: the caller says which servers are live and gets a new [`Ring`].

mod hash;
mod ring;
#[cfg(test)]
mod tests;

pub use hash::{Hash, KeyBytes, UnknownName};
pub use ring::{Distribution, Ring, Slot};

/// Keys sampled by [`moved_share`]: enough for a standard error of half a per cent.
pub const MOVED_SHARE_SAMPLES: u32 = 10_000;

/// One server as the ring sees it.
/// Members are kept in nutcracker's order: shorter labels first, equal lengths by bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The text the ring points are made of, see `config::ServerConfig::label`.
    pub label: String,
    /// Relative weight, at least 1.
    pub weight: u32,
}

/// How a key becomes a 32-bit number, and how that number chooses a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The hash function.
    pub hash: Hash,
    /// Whether bytes from 0x80 on count as negative, as they do in nutcracker on x86.
    pub key_bytes: KeyBytes,
    /// Opening and closing byte of the part of a key that alone is hashed.
    pub hash_tag: Option<[u8; 2]>,
    /// The distribution of hashes over servers.
    pub distribution: Distribution,
}

/// A pool's rules, its members and the ring over those of them that live.
/// Immutable: ejecting or re-admitting a server means [`Placement::with_live`].
#[derive(Clone, Debug)]
pub struct Placement {
    rules: Rules,
    members: Vec<Member>,
    ring: Ring,
}

// === impl Rules ===

impl Default for Rules {
    /// What nutcracker assumes where the file is silent.
    fn default() -> Self {
        Rules {
            hash: Hash::Fnv1a64,
            key_bytes: KeyBytes::Signed,
            hash_tag: None,
            distribution: Distribution::Ketama,
        }
    }
}

impl Rules {
    /// The part of `key` that is hashed: what lies between the first opening byte and the first
    /// closing byte after it, or the whole key if there is no such part or it is empty.
    /// A later pair is not looked for.
    #[inline]
    pub fn hashed_part<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        let Some([open, close]) = self.hash_tag else {
            return key;
        };
        let Some(start) = memchr::memchr(open, key) else {
            return key;
        };
        let rest = &key[start + 1..];
        match memchr::memchr(close, rest) {
            None | Some(0) => key,
            Some(length) => &rest[..length],
        }
    }

    /// The hash of `key`, after the hash tag. An empty key hashes to 0.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        self.hash.of(self.hashed_part(key), self.key_bytes)
    }
}

// === impl Placement ===

impl Placement {
    /// A placement over all `members`, which must be in nutcracker's order.
    pub fn new(rules: Rules, members: Vec<Member>) -> Self {
        let live = vec![true; members.len()];
        Self::with_members(rules, members, &live)
    }

    /// The same pool with only the members live for which `live` holds.
    /// A member beyond the end of `live` counts as dead.
    pub fn with_live(&self, live: &[bool]) -> Self {
        Self::with_members(self.rules, self.members.clone(), live)
    }

    fn with_members(rules: Rules, members: Vec<Member>, live: &[bool]) -> Self {
        let ring = Ring::build(rules.distribution, &members, live);
        Placement { rules, members, ring }
    }

    /// The index of the member that owns `key`, or `None` when no member lives.
    /// `random` is called only for [`Distribution::Random`] with more than one live member.
    #[inline]
    pub fn locate(&self, key: &[u8], random: impl FnOnce() -> u32) -> Option<u32> {
        if self.ring.ignores_hash() {
            // One live server (or none, or random placement): the key does not matter.
            return self.ring.lookup(0, random);
        }
        self.ring.lookup(self.rules.hash(key), random)
    }

    /// The rules in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// All members, live or not, in nutcracker's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The ring over the live members.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }
}

/// The share of keys, from 0 to 1, whose owner has another label in `new` than in `old`.
/// Samples [`MOVED_SHARE_SAMPLES`] fixed keys, so equal inputs give equal answers; the keys hold
/// no hash tag. Where a label can move to another address, use [`moved_share_by`].
pub fn moved_share(old: &Placement, new: &Placement) -> f64 {
    moved_share_by(old, new, |before, after| {
        old.members[before as usize].label == new.members[after as usize].label
    })
}

/// [`moved_share`] with the caller's own idea of when member `before` of `old` and member
/// `after` of `new` are one server.
pub fn moved_share_by(old: &Placement, new: &Placement, same: impl Fn(u32, u32) -> bool) -> f64 {
    let mut moved = 0_u32;
    for sample in 0..MOVED_SHARE_SAMPLES {
        let bits = scramble(u64::from(sample));
        let key = format!("{bits:016x}");
        let random = || (bits >> 32) as u32;
        let stayed = match (old.locate(key.as_bytes(), random), new.locate(key.as_bytes(), random))
        {
            (Some(before), Some(after)) => same(before, after),
            (None, None) => true,
            _ => false,
        };
        moved += u32::from(!stayed);
    }
    f64::from(moved) / f64::from(MOVED_SHARE_SAMPLES)
}

/// The splitmix64 step: spreads a counter over 64 bits, the same everywhere.
fn scramble(counter: u64) -> u64 {
    let mut bits = counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
