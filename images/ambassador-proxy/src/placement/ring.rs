//! The three distributions: which live member a 32-bit hash belongs to.
//!
//! Ketama's weights go through `f32` in one fixed order of operations, because the number of
//! points, and with it the owner of keys, hangs on the rounding. Modula keeps running sums of
//! weights instead of one entry per unit of weight, so that a weight of a thousand million costs
//! no memory and places alike.

use std::fmt;
use std::str::FromStr;

use super::hash::md5_points;
use super::{Member, UnknownName};

/// Points of a server of average weight on the ketama ring.
const POINTS_PER_SERVER: f32 = 160.0;
/// Points that come out of one MD5 digest.
const POINTS_PER_DIGEST: u32 = 4;
/// What is hashed for a point is cut to this many bytes, as in nutcracker's fixed buffer.
const POINT_TEXT_MAX: usize = 272;

/// How hashes are spread over the live members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Consistent hashing: removing a server moves only the keys it had.
    Ketama,
    /// The hash modulo the sum of weights: any change of servers moves most keys.
    Modula,
    /// A uniformly random server per request; weights and keys are ignored.
    Random,
}

/// Owner lookup over the live members of a pool. Immutable.
#[derive(Clone, Debug)]
pub struct Ring {
    kind: Kind,
    /// Points (ketama), units of weight (modula) or 1 (random) of each member; 0 if not live.
    shares: Vec<u32>,
    live: u32,
}

#[derive(Clone, Debug)]
enum Kind {
    /// No live member.
    Empty,
    /// One live member: it owns everything.
    Single(u32),
    /// Ascending points, and the owner of each. Two arrays, so that the search touches 4 bytes
    /// a step and the owner is read once.
    Ketama { points: Vec<u32>, owners: Vec<u32> },
    /// Ascending exclusive upper ends of each live member's range of remainders.
    Modula { ends: Vec<u32>, owners: Vec<u32>, total: u32 },
    /// The live members.
    Random { owners: Vec<u32> },
}

/// Where on the ring a hash fell, for explanations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Only one member lives; nothing was computed.
    OnlyMember,
    /// The first ketama point not below the hash; `wrapped` if that is the ring's first again.
    Point {
        /// Position of the point among `of` points.
        index: u32,
        /// Number of points on the ring.
        of: u32,
        /// The point itself.
        point: u32,
        /// Whether the hash lies beyond the last point.
        wrapped: bool,
    },
    /// The remainder of the hash modulo the sum of live weights.
    Remainder {
        /// The remainder.
        remainder: u32,
        /// The sum of live weights.
        of: u32,
    },
    /// Random placement: any of this many members.
    Any {
        /// Live members.
        of: u32,
    },
}

// === impl Distribution ===

impl Distribution {
    /// The accepted names, in nutcracker's order.
    pub const NAMES: [&'static str; 3] = ["ketama", "modula", "random"];
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Distribution {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "ketama" => Ok(Distribution::Ketama),
            "modula" => Ok(Distribution::Modula),
            "random" => Ok(Distribution::Random),
            _ => Err(UnknownName { expected: &Self::NAMES }),
        }
    }
}

// === impl Ring ===

impl Ring {
    /// The ring over those `members` for which `live` holds; members beyond the end of `live`
    /// are dead. Members must be in nutcracker's order: it decides between equal ketama points
    /// and gives modula its indices.
    pub fn build(distribution: Distribution, members: &[Member], live: &[bool]) -> Ring {
        let owners: Vec<u32> = (0_u32..)
            .zip(members.iter().zip(live))
            .filter_map(|(index, (_, live))| live.then_some(index))
            .collect();
        let live_count = owners.len() as u32;
        let mut shares = vec![0; members.len()];
        let kind = match distribution {
            Distribution::Ketama => ketama(members, &owners, &mut shares),
            Distribution::Modula => modula(members, &owners, &mut shares),
            Distribution::Random => {
                owners.iter().for_each(|owner| shares[*owner as usize] = 1);
                Kind::Random { owners: owners.clone() }
            }
        };
        let kind = match owners[..] {
            [] => Kind::Empty,
            [only] => Kind::Single(only),
            _ => kind,
        };
        Ring { kind, shares, live: live_count }
    }

    /// The member that owns `hash`, or `None` when none lives.
    /// `random` is called only for random placement over more than one live member.
    #[inline]
    pub fn lookup(&self, hash: u32, random: impl FnOnce() -> u32) -> Option<u32> {
        match &self.kind {
            Kind::Empty => None,
            Kind::Single(only) => Some(*only),
            Kind::Ketama { points, owners } => {
                let index = points.partition_point(|point| *point < hash);
                Some(owners[if index == owners.len() { 0 } else { index }])
            }
            Kind::Modula { ends, owners, total } => {
                let remainder = hash % total;
                Some(owners[ends.partition_point(|end| *end <= remainder)])
            }
            Kind::Random { owners } => Some(owners[random() as usize % owners.len()]),
        }
    }

    /// Whether [`Ring::lookup`] gives the same answer for every hash (apart from chance).
    #[inline]
    pub fn ignores_hash(&self) -> bool {
        matches!(self.kind, Kind::Empty | Kind::Single(_) | Kind::Random { .. })
    }

    /// How [`Ring::lookup`] comes to its answer for `hash`; `None` when no member lives.
    pub fn slot(&self, hash: u32) -> Option<Slot> {
        match &self.kind {
            Kind::Empty => None,
            Kind::Single(_) => Some(Slot::OnlyMember),
            Kind::Ketama { points, .. } => {
                let found = points.partition_point(|point| *point < hash);
                let wrapped = found == points.len();
                let index = if wrapped { 0 } else { found };
                let (at, of) = (index as u32, points.len() as u32);
                Some(Slot::Point { index: at, of, point: points[index], wrapped })
            }
            Kind::Modula { total, .. } => {
                Some(Slot::Remainder { remainder: hash % total, of: *total })
            }
            Kind::Random { .. } => Some(Slot::Any { of: self.live }),
        }
    }

    /// What each member holds of the ring, by member index: ketama points, units of weight for
    /// modula, 1 for random; 0 for a member that is not live or got nothing.
    pub fn shares(&self) -> &[u32] {
        &self.shares
    }

    /// How many members live.
    pub fn live(&self) -> u32 {
        self.live
    }

    /// The ketama points in ascending order with their owners; empty for other distributions
    /// and where a single member lives.
    pub fn points(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let (points, owners): (&[u32], &[u32]) = match &self.kind {
            Kind::Ketama { points, owners } => (points, owners),
            _ => (&[], &[]),
        };
        points.iter().copied().zip(owners.iter().copied())
    }
}

fn ketama(members: &[Member], live: &[u32], shares: &mut [u32]) -> Kind {
    // The configuration refuses sums beyond 32 bits, which the original would wrap.
    let total = live.iter().fold(0_u32, |sum, at| sum.saturating_add(members[*at as usize].weight));
    let mut ring: Vec<(u32, u32)> = Vec::with_capacity(live.len() * 160);
    for &owner in live {
        let member = &members[owner as usize];
        let digests = digests_of(member.weight, total, live.len() as u32);
        shares[owner as usize] = digests * POINTS_PER_DIGEST;
        for digest in 0..digests {
            let mut text = format!("{}-{digest}", member.label).into_bytes();
            text.truncate(POINT_TEXT_MAX);
            ring.extend(md5_points(&text).map(|point| (point, owner)));
        }
    }
    // Stable: of equal points the earlier member's comes first, as the original's sort leaves it.
    ring.sort_by_key(|(point, _)| *point);
    let (points, owners) = ring.into_iter().unzip();
    Kind::Ketama { points, owners }
}

/// How many digests, of four points each, a member of `weight` gets.
fn digests_of(weight: u32, total: u32, live: u32) -> u32 {
    let fraction = weight as f32 / total as f32;
    let share = fraction * POINTS_PER_SERVER / POINTS_PER_DIGEST as f32 * live as f32;
    // The tiny constant is a double in the original, which widens the sum before it is cut back.
    let share = (f64::from(share) + 1e-10) as f32;
    share.floor() as u32
}

fn modula(members: &[Member], live: &[u32], shares: &mut [u32]) -> Kind {
    let mut total = 0_u32;
    let mut ends = Vec::with_capacity(live.len());
    for &owner in live {
        let weight = members[owner as usize].weight;
        shares[owner as usize] = weight;
        // The configuration refuses sums beyond 32 bits; saturating keeps the ends ascending.
        total = total.saturating_add(weight);
        ends.push(total);
    }
    Kind::Modula { ends, owners: live.to_vec(), total }
}
