//! The twelve hash functions of nutcracker, each from key bytes to 32 bits.
//!
//! Five of them read keys as C's `char`, which is signed on x86 and not on ARM; [`KeyBytes`]
//! says which of the two is meant, on every processor. Keys without bytes from 0x80 on hash
//! alike either way.

mod functions;

use std::fmt;
use std::str::FromStr;

pub(super) use functions::md5_points;
use functions::{
    FNV_32_BASIS, FNV_32_PRIME, FNV_64_BASIS_LOW, FNV_64_PRIME_LOW, crc16, crc32a, fnv1, fnv1a,
    hsieh, jenkins, murmur, one_at_a_time,
};

/// A hash function, under nutcracker's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// `one_at_a_time`: Bob Jenkins' one-at-a-time.
    OneAtATime,
    /// `md5`: the first four bytes of the digest, little-endian.
    Md5,
    /// `crc16`: XMODEM polynomial, but kept in 32 bits that are never cut to 16.
    Crc16,
    /// `crc32`: 15 bits of the IEEE CRC-32. Ketama puts all of that range on one server or two.
    Crc32,
    /// `crc32a`: the IEEE CRC-32 itself.
    Crc32a,
    /// `fnv1_64`: the low half of the 64-bit FNV-1.
    Fnv1_64,
    /// `fnv1a_64`: the default. 32-bit steps with constants of the 64-bit FNV-1a.
    Fnv1a64,
    /// `fnv1_32`: FNV-1.
    Fnv1_32,
    /// `fnv1a_32`: FNV-1a.
    Fnv1a32,
    /// `hsieh`: Paul Hsieh's SuperFastHash, seeded with 0.
    Hsieh,
    /// `murmur`: MurmurHash2, seeded from the length.
    Murmur,
    /// `jenkins`: lookup3's `hashlittle`, seeded with 13.
    Jenkins,
}

/// How bytes from 0x80 on enter a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyBytes {
    /// As negative numbers: nutcracker on x86. The default, on every processor.
    #[default]
    Signed,
    /// As they are: nutcracker on ARM.
    Unsigned,
}

/// A name that is not among those expected, with the list of those that are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", .expected.join(", "))]
pub struct UnknownName {
    /// The names that would have been accepted.
    pub expected: &'static [&'static str],
}

// === impl Hash ===

impl Hash {
    /// All functions, in nutcracker's order.
    pub const ALL: [Hash; 12] = [
        Hash::OneAtATime,
        Hash::Md5,
        Hash::Crc16,
        Hash::Crc32,
        Hash::Crc32a,
        Hash::Fnv1_64,
        Hash::Fnv1a64,
        Hash::Fnv1_32,
        Hash::Fnv1a32,
        Hash::Hsieh,
        Hash::Murmur,
        Hash::Jenkins,
    ];

    /// The names of [`Hash::ALL`], in the same order.
    pub const NAMES: [&'static str; 12] = [
        "one_at_a_time",
        "md5",
        "crc16",
        "crc32",
        "crc32a",
        "fnv1_64",
        "fnv1a_64",
        "fnv1_32",
        "fnv1a_32",
        "hsieh",
        "murmur",
        "jenkins",
    ];

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The hash of `key`; 0 for an empty one, whatever the function.
    #[inline]
    pub fn of(self, key: &[u8], bytes: KeyBytes) -> u32 {
        if key.is_empty() {
            return 0;
        }
        match bytes {
            KeyBytes::Signed => self.of_widened::<true>(key),
            KeyBytes::Unsigned => self.of_widened::<false>(key),
        }
    }

    #[inline]
    fn of_widened<const SIGNED: bool>(self, key: &[u8]) -> u32 {
        match self {
            Hash::OneAtATime => one_at_a_time::<SIGNED>(key),
            Hash::Md5 => md5_points(key)[0],
            Hash::Crc16 => crc16(key),
            Hash::Crc32 => (crc32a(key) >> 16) & 0x7fff,
            Hash::Crc32a => crc32a(key),
            // Only the low 32 bits are kept, and they depend on nothing above them.
            Hash::Fnv1_64 => fnv1::<SIGNED>(key, FNV_64_BASIS_LOW, FNV_64_PRIME_LOW),
            Hash::Fnv1a64 => fnv1a::<SIGNED>(key, FNV_64_BASIS_LOW, FNV_64_PRIME_LOW),
            Hash::Fnv1_32 => fnv1::<SIGNED>(key, FNV_32_BASIS, FNV_32_PRIME),
            Hash::Fnv1a32 => fnv1a::<SIGNED>(key, FNV_32_BASIS, FNV_32_PRIME),
            Hash::Hsieh => hsieh::<SIGNED>(key),
            Hash::Murmur => murmur(key),
            Hash::Jenkins => jenkins(key),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Hash {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let position = Self::NAMES.iter().position(|known| *known == name);
        position.map(|index| Self::ALL[index]).ok_or(UnknownName { expected: &Self::NAMES })
    }
}

// === impl KeyBytes ===

impl KeyBytes {
    /// The accepted names.
    pub const NAMES: [&'static str; 2] = ["signed", "unsigned"];
}

impl fmt::Display for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyBytes::Signed => "signed",
            KeyBytes::Unsigned => "unsigned",
        })
    }
}

impl FromStr for KeyBytes {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        match name {
            "signed" => Ok(KeyBytes::Signed),
            "unsigned" => Ok(KeyBytes::Unsigned),
            _ => Err(UnknownName { expected: &Self::NAMES }),
        }
    }
}
