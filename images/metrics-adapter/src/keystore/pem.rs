//! PEM files: certificates, and a private key that no password protects.

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Contents, ENTRIES_MAX, KeyEntry, Refusal};

/// Certificates, and the key with them if there is one. All certificates may be trusted.
pub(super) fn parse(bytes: &[u8]) -> Result<Contents, Refusal> {
    let (trusted, key) = sections(bytes)?;
    if trusted.is_empty() {
        return Err(Refusal::Format(if key.is_some() {
            "a key without its certificate".into()
        } else {
            "neither a key store of Java, nor PKCS#12, nor certificates in PEM".into()
        }));
    }
    let keys = key.map(|key| KeyEntry { alias: String::new(), chain: trusted.clone(), key });
    Ok(Contents { keys: keys.into_iter().collect(), trusted })
}

/// Certificates of one file with the key of another.
pub(super) fn with_key(certificates: &[u8], key: &[u8]) -> Result<Contents, Refusal> {
    let (chain, _) = sections(certificates)?;
    if chain.is_empty() {
        return Err(Refusal::Format("no certificate in PEM".into()));
    }
    let Some(key) = sections(key)?.1 else {
        return Err(Refusal::Format("no private key in PEM in the file of its key".into()));
    };
    let entry = KeyEntry { alias: String::new(), chain, key };
    Ok(Contents { keys: vec![entry], trusted: Vec::new() })
}

type Sections = (Vec<CertificateDer<'static>>, Option<PrivateKeyDer<'static>>);

fn sections(bytes: &[u8]) -> Result<Sections, Refusal> {
    const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    if memchr::memmem::find(bytes, ENCRYPTED).is_some() {
        return Err(Refusal::Format(
            "a private key with a password; write it without one (`openssl pkey -in … -out …`) or \
             use PKCS#12"
                .into(),
        ));
    }
    let mut certificates = Vec::new();
    let mut key = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes) {
        let (kind, der) = section.map_err(|error| Refusal::Format(format!("not PEM: {error}")))?;
        match kind {
            SectionKind::Certificate if certificates.len() == ENTRIES_MAX => {
                return Err(Refusal::Format(format!("more than {ENTRIES_MAX} certificates")));
            }
            SectionKind::Certificate => certificates.push(CertificateDer::from(der)),
            _ => key = key.or_else(|| PrivateKeyDer::from_pem(kind, der)),
        }
    }
    Ok((certificates, key))
}
