//! The arithmetic. `SIGNED` says whether bytes from 0x80 on are negative.

use md5::{Digest, Md5};

pub(super) const FNV_32_BASIS: u32 = 2_166_136_261;
pub(super) const FNV_32_PRIME: u32 = 16_777_619;
/// Low halves of the 64-bit constants 0xcbf29ce484222325 and 0x100000001b3.
pub(super) const FNV_64_BASIS_LOW: u32 = 0x8422_2325;
pub(super) const FNV_64_PRIME_LOW: u32 = 0x1b3;

/// Bit-reversed IEEE 802.3 polynomial.
const CRC32_POLYNOMIAL: u32 = 0xedb8_8320;
const CRC16_POLYNOMIAL: u16 = 0x1021;
static CRC32_TABLE: [u32; 256] = crc32_table();
static CRC16_TABLE: [u16; 256] = crc16_table();

/// The four ring points in the MD5 digest of `text`: its words, little-endian.
pub(in crate::placement) fn md5_points(text: &[u8]) -> [u32; 4] {
    let digest = Md5::digest(text);
    let mut points = [0; 4];
    for (point, word) in points.iter_mut().zip(digest.chunks_exact(4)) {
        *point = le32(word);
    }
    points
}

#[inline(always)]
fn widen<const SIGNED: bool>(byte: u8) -> u32 {
    if SIGNED { i32::from(byte.cast_signed()).cast_unsigned() } else { u32::from(byte) }
}

#[inline(always)]
fn le16(pair: &[u8]) -> u32 {
    u32::from(u16::from_le_bytes([pair[0], pair[1]]))
}

#[inline(always)]
fn le32(word: &[u8]) -> u32 {
    u32::from_le_bytes([word[0], word[1], word[2], word[3]])
}

#[inline]
pub(super) fn fnv1<const SIGNED: bool>(key: &[u8], basis: u32, prime: u32) -> u32 {
    key.iter().fold(basis, |hash, &byte| hash.wrapping_mul(prime) ^ widen::<SIGNED>(byte))
}

#[inline]
pub(super) fn fnv1a<const SIGNED: bool>(key: &[u8], basis: u32, prime: u32) -> u32 {
    key.iter().fold(basis, |hash, &byte| (hash ^ widen::<SIGNED>(byte)).wrapping_mul(prime))
}

#[inline]
pub(super) fn one_at_a_time<const SIGNED: bool>(key: &[u8]) -> u32 {
    let mut hash = 0_u32;
    for &byte in key {
        hash = hash.wrapping_add(widen::<SIGNED>(byte));
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash.wrapping_add(hash << 15)
}

#[inline]
pub(super) fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0, |crc: u32, &byte| {
        let index = ((crc >> 8) ^ u32::from(byte)) & 0xff;
        (crc << 8) ^ u32::from(CRC16_TABLE[index as usize])
    })
}

#[inline]
pub(super) fn crc32a(key: &[u8]) -> u32 {
    !key.iter().fold(u32::MAX, |crc, &byte| {
        (crc >> 8) ^ CRC32_TABLE[((crc ^ u32::from(byte)) & 0xff) as usize]
    })
}

#[inline]
pub(super) fn hsieh<const SIGNED: bool>(key: &[u8]) -> u32 {
    let mut hash = 0_u32;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        hash = hash.wrapping_add(le16(word));
        let mixed = (le16(&word[2..]) << 11) ^ hash;
        hash = (hash << 16) ^ mixed;
        hash = hash.wrapping_add(hash >> 11);
    }
    match *words.remainder() {
        [a, b, c] => {
            hash = hash.wrapping_add(le16(&[a, b]));
            hash ^= hash << 16;
            // The one byte of this function that is read as a signed one.
            hash ^= widen::<SIGNED>(c) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [a, b] => {
            hash = hash.wrapping_add(le16(&[a, b]));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [a] => {
            hash = hash.wrapping_add(u32::from(a));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    hash ^= hash << 3;
    hash = hash.wrapping_add(hash >> 5);
    hash ^= hash << 4;
    hash = hash.wrapping_add(hash >> 17);
    hash ^= hash << 25;
    hash.wrapping_add(hash >> 6)
}

#[inline]
pub(super) fn murmur(key: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    // The C code counts in 32 bits, too; keys never come near that length.
    let length = key.len() as u32;
    let mut hash = 0xdead_beef_u32.wrapping_mul(length) ^ length;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let mut mixed = le32(word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

/// `key` must not be empty: the original answers its initial state there, callers answer 0.
#[inline]
pub(super) fn jenkins(key: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(key.len() as u32).wrapping_add(13);
    let (mut a, mut b, mut c) = (start, start, start);
    let mut rest = key;
    // The last block, even a full one, belongs to the final mix.
    while rest.len() > 12 {
        a = a.wrapping_add(le32(rest));
        b = b.wrapping_add(le32(&rest[4..]));
        c = c.wrapping_add(le32(&rest[8..]));
        (a, b, c) = jenkins_mix(a, b, c);
        rest = &rest[12..];
    }
    let mut last = [0; 12];
    last[..rest.len()].copy_from_slice(rest);
    a = a.wrapping_add(le32(&last));
    b = b.wrapping_add(le32(&last[4..]));
    c = c.wrapping_add(le32(&last[8..]));
    jenkins_final(a, b, c)
}

#[inline(always)]
fn jenkins_mix(mut a: u32, mut b: u32, mut c: u32) -> (u32, u32, u32) {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    (a, b, c)
}

#[inline(always)]
fn jenkins_final(mut a: u32, mut b: u32, mut c: u32) -> u32 {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ CRC32_POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ CRC16_POLYNOMIAL };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}
