//! PKCS#12 (RFC 7292), as `keytool` and `openssl pkcs12` write it.

use p12_keystore::error::Error;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Contents, ENTRIES_MAX, KeyEntry, Refusal};

/// Keys and trusted certificates. A certificate that is neither a key's nor marked as trusted (as
/// `keytool -importcert` marks them) is not trusted: so the JDK has it too.
pub(super) fn parse(bytes: &[u8], password: &str) -> Result<Contents, Refusal> {
    let store = KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict)
        .map_err(|error| refusal(&error))?;
    if store.entries_len() > ENTRIES_MAX {
        return Err(Refusal::Format(format!("more than {ENTRIES_MAX} entries")));
    }
    let mut contents = Contents::default();
    for (alias, entry) in store.entries() {
        match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => contents.keys.push(KeyEntry {
                alias: alias.clone(),
                chain: chain.certs().iter().map(certificate).collect(),
                key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec())),
            }),
            KeyStoreEntry::Certificate(trusted) => contents.trusted.push(certificate(trusted)),
            KeyStoreEntry::Secret(_) => {}
        }
    }
    Ok(contents)
}

fn certificate(certificate: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.as_der().to_vec())
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => Refusal::Password,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            Refusal::Unsupported("the cipher of this PKCS#12 file".into())
        }
        other => Refusal::Format(format!("not PKCS#12: {other}")),
    }
}
