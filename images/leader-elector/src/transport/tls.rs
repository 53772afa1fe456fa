//! Mutual TLS: both sides have a certificate of one authority, which is for members alone.
//!
//! The name in a member's certificate is checked when it was dialed by a name. Addresses found in
//! DNS, or told by a member, are numbers that no certificate names; there the authority's word that
//! this is a member is enough, as everything else a member says of itself is believed anyway.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::time::Instant;

use super::lock;
use crate::config::TlsFiles;

/// How long files are taken to be unchanged; they are renewed hours before they expire.
const FILES_KEPT: Duration = Duration::from_secs(10);

/// Certificates as read from files, and again when they may have been renewed.
#[derive(Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    read: Mutex<(Instant, Configs)>,
}

/// For the two sides of a connection.
#[derive(Clone, Debug)]
pub(super) struct Configs {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
}

/// As webpki does it, but for addresses without a name.
#[derive(Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    webpki: Arc<WebPkiServerVerifier>,
}

// === impl Certificates ===

impl Certificates {
    pub(super) fn read(files: TlsFiles) -> anyhow::Result<Self> {
        let configs = Configs::read(&files)?;
        Ok(Self { files, read: Mutex::new((Instant::now(), configs)) })
    }

    /// The configurations by files not read long ago.
    pub(super) fn configs(&self) -> Configs {
        let mut read = lock(&self.read);
        if read.0.elapsed() >= FILES_KEPT {
            read.0 = Instant::now();
            match Configs::read(&self.files) {
                Ok(configs) => read.1 = configs,
                // In the middle of being renewed, most likely.
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(target: "transport", error, "reading certificates failed");
                }
            }
        }
        read.1.clone()
    }
}

// === impl Configs ===

impl Configs {
    fn read(files: &TlsFiles) -> anyhow::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.cert)?;
        let reading = || format!("reading the key in {}", files.key.display());
        let key = PrivateKeyDer::from_pem_file(&files.key).with_context(reading)?;
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca)? {
            roots.add(authority).with_context(|| files.ca.display().to_string())?;
        }
        let roots = Arc::new(roots);
        let members =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(members)
            .with_single_cert(chain.clone(), key.clone_key())?;
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()?;
        let verifier = Verifier { roots, provider: Arc::clone(&provider), webpki };
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)?;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let reading = || format!("reading certificates in {}", path.display());
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).with_context(reading)?.collect();
    let found = found.with_context(reading)?;
    ensure!(!found.is_empty(), "{} holds no certificate", path.display());
    Ok(found)
}

// === impl Verifier ===

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !matches!(server_name, ServerName::IpAddress(_)) {
            let webpki = &self.webpki;
            return webpki.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}
