//! The key store of Java's own, type `JKS`.
//!
//! All numbers big-endian: magic `feedfeed`, version 1 or 2, a count, and entries: a tag (1 key, 2
//! trusted certificate), the alias as a short string, milliseconds since 1970, and what the tag
//! says. A certificate has its type before it in version 2. At the end the SHA-1 of the password
//! (UTF-16), a constant text and everything before. A key is PKCS#8, XORed with a stream of SHA-1
//! over password and previous block, which begins with 20 random bytes; a SHA-1 of password and
//! plain key ends it. That protects little: the JDK writes PKCS#12 since version 9.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha1::{Digest, Sha1};

use super::{Contents, ENTRIES_MAX, KeyEntry, Refusal};

#[cfg(test)]
pub(crate) mod tests;

const DIGEST_BYTES: usize = 20;
/// Mixed into the digest of the file.
const WHITENER: &[u8] = b"Mighty Aphrodite";
/// 1.3.6.1.4.1.42.2.17.1.1, the protection of keys that is described above.
const PROTECTION: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];
/// Longest chain of a key.
const CHAIN_MAX: usize = 100;

/// Keys and trusted certificates. Without a password keys are left out, and nobody checks whether
/// the file is whole.
pub(super) fn parse(bytes: &[u8], password: Option<&str>) -> Result<Contents, Refusal> {
    let body = bytes.len().checked_sub(DIGEST_BYTES).ok_or_else(short)?;
    let (body, digest) = bytes.split_at(body);
    let password = password.map(utf16);
    if let Some(password) = &password
        && Sha1::new().chain_update(password).chain_update(WHITENER).chain_update(body).finalize()[..]
            != *digest
    {
        return Err(Refusal::Password);
    }
    let mut reader = Reader { left: body };
    reader.take(4)?;
    let version = reader.int()?;
    if !(1..=2).contains(&version) {
        return Err(Refusal::Unsupported(format!("a key store of type JKS, version {version}")));
    }
    let count = reader.int()? as usize;
    if count > ENTRIES_MAX {
        return Err(Refusal::Format(format!("more than {ENTRIES_MAX} entries")));
    }
    let mut contents = Contents::default();
    for _ in 0..count {
        let tag = reader.int()?;
        let alias = String::from_utf8_lossy(reader.short_bytes()?).into_owned();
        reader.take(8)?;
        match tag {
            1 => {
                let protected = reader.int_bytes()?;
                let chain = reader.chain(version)?;
                if let Some(password) = &password {
                    let key = unprotect(protected, password)?;
                    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
                    contents.keys.push(KeyEntry { alias, chain, key });
                }
            }
            2 => contents.trusted.push(reader.certificate(version)?),
            tag => return Err(Refusal::Format(format!("an entry of the unknown kind {tag}"))),
        }
    }
    Ok(contents)
}

/// The PKCS#8 key in an `EncryptedPrivateKeyInfo`.
fn unprotect(info: &[u8], password: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut info = Reader { left: Reader { left: info }.der(0x30)? };
    let algorithm = Reader { left: info.der(0x30)? }.der(0x06)?;
    if algorithm != PROTECTION {
        return Err(Refusal::Unsupported("the protection of the key".into()));
    }
    let protected = info.der(0x04)?;
    let end = protected.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= DIGEST_BYTES);
    let (protected, check) = protected.split_at(end.ok_or_else(short)?);
    let (salt, cipher) = protected.split_at(DIGEST_BYTES);
    let mut block = salt.to_vec();
    let mut key = Vec::with_capacity(cipher.len());
    for chunk in cipher.chunks(DIGEST_BYTES) {
        block = Sha1::new().chain_update(password).chain_update(&block).finalize().to_vec();
        key.extend(chunk.iter().zip(&block).map(|(byte, mask)| byte ^ mask));
    }
    if Sha1::new().chain_update(password).chain_update(&key).finalize()[..] != *check {
        return Err(Refusal::Password);
    }
    Ok(key)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn short() -> Refusal {
    Refusal::Format("the key store ends too early".into())
}

/// What is left of the bytes.
struct Reader<'a> {
    left: &'a [u8],
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let (taken, left) = self.left.split_at_checked(count).ok_or_else(short)?;
        self.left = left;
        Ok(taken)
    }

    fn int(&mut self) -> Result<u32, Refusal> {
        Ok(self.take(4)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn int_bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let count = self.int()? as usize;
        self.take(count)
    }

    fn short_bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let count = self.take(2)?;
        self.take(usize::from(count[0]) << 8 | usize::from(count[1]))
    }

    fn certificate(&mut self, version: u32) -> Result<CertificateDer<'static>, Refusal> {
        if version == 2 {
            let kind = self.short_bytes()?;
            if kind != b"X.509" {
                let kind = String::from_utf8_lossy(kind).into_owned();
                return Err(Refusal::Unsupported(format!("a certificate of type {kind:?}")));
            }
        }
        Ok(CertificateDer::from(self.int_bytes()?.to_vec()))
    }

    fn chain(&mut self, version: u32) -> Result<Vec<CertificateDer<'static>>, Refusal> {
        let count = self.int()? as usize;
        if count > CHAIN_MAX {
            return Err(Refusal::Format(format!("a chain of more than {CHAIN_MAX} certificates")));
        }
        (0..count).map(|_| self.certificate(version)).collect()
    }

    /// The content of a DER element of this tag.
    fn der(&mut self, tag: u8) -> Result<&'a [u8], Refusal> {
        let head = self.take(2)?;
        if head[0] != tag {
            return Err(Refusal::Format("the key is not in its DER envelope".into()));
        }
        let count = match head[1] {
            short @ ..=0x7f => usize::from(short),
            long @ 0x81..=0x84 => {
                let digits = self.take(usize::from(long & 0x7f))?;
                digits.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
            }
            _ => return Err(Refusal::Format("a length in DER that is none".into())),
        };
        self.take(count)
    }
}
