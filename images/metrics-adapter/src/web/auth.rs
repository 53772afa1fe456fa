//! Basic authentication: plain passwords, and the salted hashes that `jmx_exporter` takes.
//!
//! Slow hashes are made on threads that may block, few at a time, and credentials that were right
//! once are remembered by their digest, so that a scrape costs a digest and not a hash.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use management::Secret;
use pbkdf2::pbkdf2;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use tokio::sync::Semaphore;

#[cfg(test)]
mod tests;

/// Most credentials remembered.
const VERIFIED_MAX: usize = 64;
/// Most hashes made at a time.
const HASHES_MAX: usize = 1;
/// Most requests that wait for a hash, with those that are made; more are refused unlooked at.
const WAITING_MAX: usize = 8;

/// How a password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `SHA-1` of `salt:password`.
    Sha1,
    /// `SHA-256` of `salt:password`.
    Sha256,
    /// `SHA-512` of `salt:password`.
    Sha512,
    /// `PBKDF2WithHmacSHA1`.
    Pbkdf2Sha1,
    /// `PBKDF2WithHmacSHA256`.
    Pbkdf2Sha256,
    /// `PBKDF2WithHmacSHA512`.
    Pbkdf2Sha512,
}

/// What a password is compared with.
#[derive(Clone, Debug)]
pub enum Hash {
    /// Itself.
    Plain(Secret),
    /// Its hash.
    Salted {
        /// How it was made.
        algorithm: Algorithm,
        /// The hash; that of PBKDF2 is made as long as this is.
        hash: Vec<u8>,
        /// Put before the password.
        salt: String,
        /// Rounds of PBKDF2.
        iterations: u32,
    },
}

/// Who may look.
#[derive(Clone, Debug)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub hash: Hash,
}

/// What came of a request's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right, or none are needed.
    Admitted,
    /// Wrong or missing.
    Refused,
    /// Too many are being looked at.
    Busy,
}

/// All users.
#[derive(Debug)]
pub struct Auth {
    users: Arc<[User]>,
    verified: Mutex<Vec<[u8; 32]>>,
    hashes: Semaphore,
    waiting: Semaphore,
}

// === impl Algorithm ===

impl Algorithm {
    /// What may stand in a file.
    pub const EXPECTED: &str = "SHA-1, SHA-256, SHA-512, PBKDF2WithHmacSHA1, \
                                PBKDF2WithHmacSHA256 or PBKDF2WithHmacSHA512";

    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "SHA-1" => Self::Sha1,
            "SHA-256" => Self::Sha256,
            "SHA-512" => Self::Sha512,
            "PBKDF2WithHmacSHA1" => Self::Pbkdf2Sha1,
            "PBKDF2WithHmacSHA256" => Self::Pbkdf2Sha256,
            "PBKDF2WithHmacSHA512" => Self::Pbkdf2Sha512,
            _ => return None,
        })
    }

    /// Rounds where none are given, as `jmx_exporter` has them.
    fn iterations(self) -> u32 {
        match self {
            Self::Pbkdf2Sha1 => 1_300_000,
            Self::Pbkdf2Sha256 => 600_000,
            Self::Pbkdf2Sha512 => 210_000,
            Self::Sha1 | Self::Sha256 | Self::Sha512 => 1,
        }
    }

    fn hash(self, password: &str, salt: &str, iterations: u32, length: usize) -> Vec<u8> {
        fn digest<D: Digest>(password: &str, salt: &str) -> Vec<u8> {
            let hasher = D::new().chain_update(salt).chain_update(":").chain_update(password);
            hasher.finalize().to_vec()
        }
        let mut out = vec![0; length];
        let (word, seasoning) = (password.as_bytes(), salt.as_bytes());
        // Fails for no length of key at all: a MAC takes any.
        let _ = match self {
            Self::Sha1 => return digest::<Sha1>(password, salt),
            Self::Sha256 => return digest::<Sha256>(password, salt),
            Self::Sha512 => return digest::<Sha512>(password, salt),
            Self::Pbkdf2Sha1 => pbkdf2::<Hmac<Sha1>>(word, seasoning, iterations, &mut out),
            Self::Pbkdf2Sha256 => pbkdf2::<Hmac<Sha256>>(word, seasoning, iterations, &mut out),
            Self::Pbkdf2Sha512 => pbkdf2::<Hmac<Sha512>>(word, seasoning, iterations, &mut out),
        };
        out
    }
}

// === impl Hash ===

impl Hash {
    /// A hash written as hexadecimal digits, with or without colons; `None` when it is none, or
    /// longer than 1 KiB.
    #[must_use]
    pub fn salted(
        algorithm: Algorithm,
        hash: &str,
        salt: &str,
        iterations: Option<u32>,
    ) -> Option<Self> {
        let digits: Vec<u8> = hash.bytes().filter(|byte| *byte != b':').collect();
        if digits.is_empty() || digits.len() > 2048 || !digits.len().is_multiple_of(2) {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let hash: Option<Vec<u8>> =
            digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
        let iterations = iterations.unwrap_or(algorithm.iterations());
        Some(Self::Salted { algorithm, hash: hash?, salt: salt.to_owned(), iterations })
    }

    fn matches(&self, password: &str) -> bool {
        match self {
            Self::Plain(secret) => secret.matches(password),
            Self::Salted { algorithm, hash, salt, iterations } => {
                same(&algorithm.hash(password, salt, *iterations, hash.len()), hash)
            }
        }
    }
}

// === impl Auth ===

impl Auth {
    /// Nobody is asked for credentials when there are no users.
    #[must_use]
    pub fn new(users: Vec<User>) -> Self {
        Self {
            users: users.into(),
            verified: Mutex::default(),
            hashes: Semaphore::new(HASHES_MAX),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }

    /// Looks at the value of `Authorization`.
    pub async fn verify(&self, header: Option<&str>) -> Verdict {
        if self.users.is_empty() {
            return Verdict::Admitted;
        }
        let Some((name, password)) = header.and_then(credentials) else {
            return Verdict::Refused;
        };
        let digest: [u8; 32] = Sha256::digest(format!("{name}\0{password}")).into();
        if self.is_verified(&digest) {
            return Verdict::Admitted;
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Verdict::Busy;
        };
        // Never closed.
        let Ok(_hashing) = self.hashes.acquire().await else {
            return Verdict::Busy;
        };
        let users = Arc::clone(&self.users);
        let right = tokio::task::spawn_blocking(move || admits(&users, &name, &password));
        if !right.await.unwrap_or(false) {
            return Verdict::Refused;
        }
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() == VERIFIED_MAX {
            verified.remove(0);
        }
        verified.push(digest);
        Verdict::Admitted
    }

    fn is_verified(&self, digest: &[u8; 32]) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.iter().any(|known| same(known, digest))
    }
}

/// An unknown name costs as much as a known one.
fn admits(users: &[User], name: &str, password: &str) -> bool {
    let known = users.iter().find(|user| same(user.name.as_bytes(), name.as_bytes()));
    let right = known.or(users.first()).is_some_and(|user| user.hash.matches(password));
    known.is_some() && right
}

fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Whether both are the same, in time that depends on their lengths alone.
fn same(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    std::hint::black_box(difference) == 0 && left.len() == right.len()
}
