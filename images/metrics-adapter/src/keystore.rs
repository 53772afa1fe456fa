//! Certificates and keys: PEM files, PKCS#12 and Java key stores, made into rustls configurations.
//!
//! What a file is, its content tells; the type that a configuration names is only checked, as the
//! JDK itself reads PKCS#12 under the name JKS and the reverse. Key stores are read, never written.

mod jks;
mod pem;
mod pkcs12;
mod tls;

use std::io::Read;
use std::path::{Path, PathBuf};

use management::Secret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use tls::{NameCheck, TlsOptions};

#[cfg(test)]
pub(crate) mod tests;

/// Longest file. A bundle of all public authorities is a quarter of a megabyte.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most entries of one file.
pub const ENTRIES_MAX: usize = 10_000;

/// Bundles of the authorities that the system trusts, as Debian, Red Hat and Alpine have them.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A file with certificates, keys or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// The file.
    pub path: PathBuf,
    /// A PEM file with the private key, where `path` is a PEM file with certificates alone.
    pub key_path: Option<PathBuf>,
    /// The type's name in the configuration: `JKS`, `PKCS12` or `PEM` in any case. It is checked,
    /// but the content decides.
    pub type_name: Option<String>,
    /// The password of the store and of its keys. Trusted certificates of a Java key store can be
    /// read without.
    pub password: Option<Secret>,
}

/// Why a key store or what was asked of TLS is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file cannot be read.
    #[error("reading {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// More than [`FILE_BYTES_MAX`].
    #[error("{0}: longer than {FILE_BYTES_MAX} bytes")]
    TooLong(PathBuf),
    /// The file is not what it should be.
    #[error("{path}: {what}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The password does not open the store.
    #[error("{0}: the password is wrong, or the file is damaged")]
    Password(PathBuf),
    /// A format or cipher that is not read here, but by `keytool`.
    #[error(
        "{path}: {what} is not supported; convert it with `keytool -importkeystore -srckeystore \
         {path} -destkeystore {path}.p12 -deststoretype PKCS12`"
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The format or cipher.
        what: String,
    },
    /// No private key, or none of the name.
    #[error("{path}: no private key{}", alias.as_ref().map_or(String::new(), |it| format!(" named {it:?}")))]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The alias that was asked for.
        alias: Option<String>,
    },
    /// Nothing in it can be trusted.
    #[error("{0}: no trusted certificate")]
    NoTrusted(PathBuf),
    /// A trust store is needed, and there is none.
    #[error("a trust store is needed: {0}")]
    NoTrustStore(&'static str),
    /// A name of a protocol, cipher suite or store type that is not known.
    #[error("{what} {name:?} is not supported; supported are {known}")]
    UnknownName {
        /// What it should be a name of.
        what: &'static str,
        /// The name.
        name: String,
        /// Names that are.
        known: String,
    },
    /// What the TLS library says.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
}

/// What a file holds.
#[derive(Debug, Default)]
struct Contents {
    keys: Vec<KeyEntry>,
    trusted: Vec<CertificateDer<'static>>,
}

/// A private key and the certificates that belong to it, its own first.
#[derive(Debug)]
struct KeyEntry {
    alias: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What a reader of one format says of bytes that are not good.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    Format(String),
    Password,
    Unsupported(String),
}

// === impl Store ===

impl Store {
    /// The private key of an alias, or the first one, with its certificates.
    ///
    /// # Errors
    /// [`KeystoreError`].
    fn key(&self, alias: Option<&str>) -> Result<KeyEntry, KeystoreError> {
        let contents = self.load()?;
        let fits = |entry: &KeyEntry| alias.is_none_or(|it| it.eq_ignore_ascii_case(&entry.alias));
        contents.keys.into_iter().find(fits).ok_or_else(|| KeystoreError::NoKey {
            path: self.path.clone(),
            alias: alias.map(str::to_owned),
        })
    }

    /// The certificates to trust: trusted entries, and, as the JDK does it, the own certificate of
    /// each key.
    ///
    /// # Errors
    /// [`KeystoreError`].
    fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
        let contents = self.load()?;
        let mut trusted = contents.trusted;
        for entry in contents.keys {
            trusted.extend(entry.chain.into_iter().next().filter(|own| !trusted.contains(own)));
        }
        if trusted.is_empty() {
            return Err(KeystoreError::NoTrusted(self.path.clone()));
        }
        Ok(trusted)
    }

    fn load(&self) -> Result<Contents, KeystoreError> {
        if let Some(name) = &self.type_name
            && !["JKS", "PKCS12", "PEM"].iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            return Err(KeystoreError::Unsupported {
                path: self.path.clone(),
                what: format!("a key store of type {name:?}"),
            });
        }
        let bytes = read(&self.path)?;
        let password = self.password.as_ref().map(Secret::expose);
        let contents = match &self.key_path {
            Some(key) => pem::with_key(&bytes, &read(key)?),
            None => parse(&bytes, password),
        };
        contents.map_err(|refusal| refusal.of(&self.path))
    }
}

// === impl Refusal ===

impl Refusal {
    fn of(self, path: &Path) -> KeystoreError {
        let path = path.to_owned();
        match self {
            Self::Format(what) => KeystoreError::Format { path, what },
            Self::Password => KeystoreError::Password(path),
            Self::Unsupported(what) => KeystoreError::Unsupported { path, what },
        }
    }
}

fn parse(bytes: &[u8], password: Option<&str>) -> Result<Contents, Refusal> {
    match bytes {
        [0xfe, 0xed, 0xfe, 0xed, ..] => jks::parse(bytes, password),
        [0xce, 0xce, 0xce, 0xce, ..] => {
            Err(Refusal::Unsupported("a key store of type JCEKS".into()))
        }
        // A DER sequence.
        [0x30, ..] => pkcs12::parse(bytes, password.unwrap_or_default()),
        _ => pem::parse(bytes),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let failed = |source| KeystoreError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(KeystoreError::TooLong(path.to_owned()));
    }
    Ok(bytes)
}

/// What the system trusts.
fn system_roots() -> Result<Vec<CertificateDer<'static>>, KeystoreError> {
    let bundle = SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.is_file());
    let path = bundle.ok_or(KeystoreError::NoTrustStore(
        "none is configured, and the system has no bundle of authorities",
    ))?;
    Store { path: path.to_owned(), ..Store::default() }.trusted()
}
