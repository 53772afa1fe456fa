//! rustls configurations from key stores, and names of protocols and cipher suites as Java has them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};

use super::{KeystoreError, Store, system_roots};

/// Protocols that Java knows and nobody should speak; ignored beside one that is spoken.
const OLD_PROTOCOLS: [&str; 4] = ["SSLv2Hello", "SSLv3", "TLSv1", "TLSv1.1"];

/// What a configuration says about TLS, in the words of `jmx_exporter`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// The own certificate and key. A server needs one.
    pub key_store: Option<Store>,
    /// The key's name in the store; the first key without.
    pub alias: Option<String>,
    /// Whom to trust. A client without one trusts whom the system trusts.
    pub trust_store: Option<Store>,
    /// `TLSv1.2`, `TLSv1.3`; both if empty.
    pub protocols: Vec<String>,
    /// Names of cipher suites as in Java (and at IANA); all of the library's if empty.
    pub ciphers: Vec<String>,
    /// A server's clients must show a certificate that the trust store vouches for.
    pub mutual: bool,
}

/// Whether the server's certificate must be made out to the host that was connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameCheck {
    /// The chain must lead to the trust store and be in date; the name is not looked at. For RMI:
    /// its stubs name internal hosts that no certificate is made out to, and the JDK's own client
    /// does not look either. Whoever trusts a public authority here trusts everybody it vouches
    /// for, so the trust store should hold the server's own certificate or a private authority.
    Never,
    /// As browsers do.
    Always,
}

// === impl TlsOptions ===

impl TlsOptions {
    /// What a client needs.
    ///
    /// # Errors
    /// [`KeystoreError`]: a store is of no use, a name is not known.
    pub fn client(&self, names: NameCheck) -> Result<ClientConfig, KeystoreError> {
        let provider = self.provider()?;
        let trusted = match &self.trust_store {
            Some(store) => store.trusted()?,
            None => system_roots()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions()?)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(names, trusted, &provider)?);
        let Some(store) = &self.key_store else {
            return Ok(builder.with_no_client_auth());
        };
        let own = store.key(self.alias.as_deref())?;
        Ok(builder.with_client_auth_cert(own.chain, own.key)?)
    }

    /// What a server needs.
    ///
    /// # Errors
    /// [`KeystoreError`]: no key store, a store is of no use, a name is not known, or `mutual`
    /// without a trust store.
    pub fn server(&self) -> Result<ServerConfig, KeystoreError> {
        let provider = self.provider()?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions()?)?;
        let store = self.key_store.as_ref().ok_or_else(|| KeystoreError::NoKey {
            path: "key store".into(),
            alias: self.alias.clone(),
        })?;
        let own = store.key(self.alias.as_deref())?;
        let builder = if self.mutual {
            let Some(store) = &self.trust_store else {
                return Err(KeystoreError::NoTrustStore("clients are to show certificates"));
            };
            let roots = Arc::new(roots(&store.trusted()?));
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        Ok(builder.with_single_cert(own.chain, own.key)?)
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, KeystoreError> {
        let mut versions = Vec::new();
        for name in &self.protocols {
            match name.as_str() {
                "TLSv1.2" => versions.push(&rustls::version::TLS12),
                "TLSv1.3" => versions.push(&rustls::version::TLS13),
                // What Java takes as "all that there are".
                "TLS" | "SSL" => {
                    versions.extend([&rustls::version::TLS12, &rustls::version::TLS13]);
                }
                old if OLD_PROTOCOLS.contains(&old) => {}
                other => return Err(unknown_protocol(other)),
            }
        }
        match self.protocols.last() {
            None => Ok(rustls::ALL_VERSIONS.to_vec()),
            Some(old) if versions.is_empty() => Err(unknown_protocol(old)),
            Some(_) => Ok(versions),
        }
    }

    fn provider(&self) -> Result<Arc<CryptoProvider>, KeystoreError> {
        let mut provider = ring::default_provider();
        let known: Vec<String> =
            provider.cipher_suites.iter().map(|it| java_name(it.suite())).collect();
        if let Some(name) = self.ciphers.iter().find(|name| !known.contains(name)) {
            return Err(KeystoreError::UnknownName {
                what: "cipher suite",
                name: name.clone(),
                known: known.join(", "),
            });
        }
        if !self.ciphers.is_empty() {
            let asked = |suite| self.ciphers.contains(&java_name(suite));
            provider.cipher_suites.retain(|it| asked(it.suite()));
        }
        Ok(Arc::new(provider))
    }
}

/// The library's own names differ for version 1.3.
fn java_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

fn unknown_protocol(name: &str) -> KeystoreError {
    KeystoreError::UnknownName {
        what: "protocol",
        name: name.to_owned(),
        known: "TLSv1.2, TLSv1.3".into(),
    }
}

/// Certificates that the library cannot read as authorities are left out.
fn roots(trusted: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    roots
}

fn verifier(
    names: NameCheck,
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, KeystoreError> {
    let roots = roots(&trusted);
    match names {
        NameCheck::Never => Ok(Arc::new(AnyName {
            roots,
            trusted,
            algorithms: provider.signature_verification_algorithms,
        })),
        NameCheck::Always => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?;
            Ok(verifier)
        }
    }
}

/// Checks everything but the name; see [`NameCheck::Never`].
#[derive(Debug)]
struct AnyName {
    roots: RootCertStore,
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

// === impl AnyName ===

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // A certificate that is in the trust store itself is good, as it is for the JDK: self-signed
        // ones are also marked as authorities, which no path through them would allow.
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
