use std::io::Cursor;
use std::sync::Arc;

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use tempfile::TempDir;

use super::jks::tests::{Entry, write};
use super::*;

/// An authority of a test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

// === impl Authority ===

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }
}

/// Key (PKCS#8) and certificate of somebody.
pub(crate) fn own_key(authority: &Authority, name: &str) -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let certificate = named(name).signed_by(&key, &authority.0).unwrap();
    (key.serialize_der(), certificate.der().to_vec())
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A key that vouches for itself, marked as an authority as some tools do.
fn self_signed(name: &str) -> (Vec<u8>, Vec<u8>) {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (key.serialize_der(), certificate.der().to_vec())
}

struct Files {
    dir: TempDir,
}

// === impl Files ===

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn store(&self, name: &str, bytes: &[u8]) -> Store {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Store { path, password: Some(Secret::from("changeit".to_owned())), ..Store::default() }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn p12(key: &[u8], chain: &[&[u8]], trusted: &[&[u8]], cipher: EncryptionAlgorithm) -> Vec<u8> {
    let mut store = KeyStore::new();
    if !key.is_empty() {
        let chain = chain.iter().map(|it| Certificate::from_der(it).unwrap());
        let key = PrivateKey::from_der(key).unwrap();
        let chain = PrivateKeyChain::new(b"1".as_slice(), key, chain);
        store.add_entry("mykey", KeyStoreEntry::PrivateKeyChain(chain));
    }
    for (index, it) in trusted.iter().enumerate() {
        let entry = KeyStoreEntry::Certificate(Certificate::from_der(it).unwrap());
        store.add_entry(&format!("root{index}"), entry);
    }
    store.writer("changeit").encryption_algorithm(cipher).write().unwrap()
}

/// Lets both shake hands in memory.
fn handshake(client: &TlsOptions, names: NameCheck, server: &TlsOptions) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let client = Arc::new(client.client(names).map_err(|error| text(&error))?);
    let server = Arc::new(server.server().map_err(|error| text(&error))?);
    let host = ServerName::try_from("elsewhere").unwrap();
    let mut client = ClientConnection::new(client, host).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        let mut sent = Cursor::new(sent);
        while sent.position() < sent.get_ref().len() as u64 {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets().map_err(|error| text(&error))?;
        }
        let mut sent = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sent).unwrap();
        }
        let mut sent = Cursor::new(sent);
        while sent.position() < sent.get_ref().len() as u64 {
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets().map_err(|error| text(&error))?;
        }
    }
    Ok(())
}

fn options(key_store: Option<Store>, trust_store: Option<Store>) -> TlsOptions {
    TlsOptions { key_store, trust_store, ..TlsOptions::default() }
}

#[test]
fn every_format_gives_a_server_and_its_client() {
    const PBES2: EncryptionAlgorithm = EncryptionAlgorithm::PbeWithHmacSha256AndAes256;
    const PBES1: EncryptionAlgorithm = EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc;
    let files = Files::new();
    let authority = Authority::new();
    let root = authority.der();
    let (key, own) = own_key(&authority, "jvm");
    let jks = [Entry::Key { alias: "mykey", key: &key, chain: vec![&own, &root] }];
    let jks_root = [Entry::Trusted { alias: "root", certificate: &root }];
    let pem_both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let mut pem_apart = files.store("own.crt", pem("CERTIFICATE", &own).as_bytes());
    pem_apart.key_path = Some(files.store("own.key", pem("PRIVATE KEY", &key).as_bytes()).path);
    let servers = [
        files.store("own.pem", pem_both.as_bytes()),
        pem_apart,
        files.store("own.p12", &p12(&key, &[&own, &root], &[], PBES2)),
        files.store("own-old.p12", &p12(&key, &[&own, &root], &[], PBES1)),
        files.store("own.jks", &write(&jks, "changeit")),
    ];
    let clients = [
        files.store("root.pem", pem("CERTIFICATE", &root).as_bytes()),
        files.store("root.p12", &p12(&[], &[], &[&root], PBES2)),
        files.store("root-old.p12", &p12(&[], &[], &[&root], PBES1)),
        files.store("root.jks", &write(&jks_root, "changeit")),
    ];
    for server in &servers {
        for client in &clients {
            let server = options(Some(server.clone()), None);
            let client = options(None, Some(client.clone()));
            let result = handshake(&client, NameCheck::Never, &server);
            assert_eq!(result, Ok(()), "{client:?} and {server:?}");
        }
    }
}

#[test]
fn the_name_counts_only_where_it_is_asked_for() {
    let files = Files::new();
    let authority = Authority::new();
    let (key, own) = own_key(&authority, "jvm");
    let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let server = options(Some(files.store("own.pem", both.as_bytes())), None);
    let root = pem("CERTIFICATE", &authority.der());
    let client = options(None, Some(files.store("root.pem", root.as_bytes())));
    assert_eq!(handshake(&client, NameCheck::Never, &server), Ok(()));
    let refused = handshake(&client, NameCheck::Always, &server).unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    let (key, own) = own_key(&authority, "elsewhere");
    let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let server = options(Some(files.store("else.pem", both.as_bytes())), None);
    assert_eq!(handshake(&client, NameCheck::Always, &server), Ok(()));
}

#[test]
fn a_stranger_is_refused_whatever_his_name() {
    let files = Files::new();
    let (key, own) = own_key(&Authority::new(), "elsewhere");
    let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let server = options(Some(files.store("own.pem", both.as_bytes())), None);
    let other = pem("CERTIFICATE", &Authority::new().der());
    let client = options(None, Some(files.store("other.pem", other.as_bytes())));
    for names in [NameCheck::Never, NameCheck::Always] {
        assert!(handshake(&client, names, &server).is_err(), "{names:?}");
    }
}

/// As with `keytool -genkeypair`, and its certificate in the client's trust store.
#[test]
fn a_self_signed_server_is_trusted_by_itself() {
    let files = Files::new();
    let (key, own) = self_signed("jvm");
    let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let server = options(Some(files.store("own.pem", both.as_bytes())), None);
    let entries = [Entry::Trusted { alias: "jvm", certificate: &own }];
    let client = options(None, Some(files.store("trust.jks", &write(&entries, "changeit"))));
    assert_eq!(handshake(&client, NameCheck::Never, &server), Ok(()));
    // One file for both sides: the own certificate of a key is trusted too.
    let entries = [Entry::Key { alias: "jvm", key: &key, chain: vec![&own] }];
    let shared = files.store("shared.jks", &write(&entries, "changeit"));
    let client = options(None, Some(shared.clone()));
    assert_eq!(handshake(&client, NameCheck::Never, &options(Some(shared), None)), Ok(()));
}

#[test]
fn clients_show_certificates_where_they_must() {
    let files = Files::new();
    let authority = Authority::new();
    let root = files.store("root.pem", pem("CERTIFICATE", &authority.der()).as_bytes());
    let store = |name: &str| {
        let (key, own) = own_key(&authority, name);
        let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
        files.store(&format!("{name}.pem"), both.as_bytes())
    };
    let mut server = options(Some(store("server")), Some(root.clone()));
    server.mutual = true;
    let known = options(Some(store("client")), Some(root.clone()));
    assert_eq!(handshake(&known, NameCheck::Never, &server), Ok(()));
    assert!(handshake(&options(None, Some(root)), NameCheck::Never, &server).is_err());
    server.trust_store = None;
    assert!(matches!(server.server(), Err(KeystoreError::NoTrustStore(_))));
}

#[test]
fn names_of_protocols_and_ciphers() {
    let files = Files::new();
    let authority = Authority::new();
    let (key, own) = own_key(&authority, "jvm");
    let both = pem("CERTIFICATE", &own) + &pem("PRIVATE KEY", &key);
    let mut server = options(Some(files.store("own.pem", both.as_bytes())), None);
    let mut attempt = |protocols: &[&str], ciphers: &[&str]| {
        server.protocols = protocols.iter().map(|it| (*it).to_owned()).collect();
        server.ciphers = ciphers.iter().map(|it| (*it).to_owned()).collect();
        server.server().map(|_| ()).map_err(|error| error.to_string())
    };
    let gcm = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    for (protocols, ciphers) in [
        (&["TLSv1.2"][..], &[gcm][..]),
        (&["TLSv1.3"], &["TLS_AES_256_GCM_SHA384"]),
        (&["TLSv1.1", "TLSv1.2"], &[]),
        (&["TLS"], &[gcm, "TLS_AES_128_GCM_SHA256"]),
        (&[], &[]),
    ] {
        assert_eq!(attempt(protocols, ciphers), Ok(()), "{protocols:?} {ciphers:?}");
    }
    for (protocols, ciphers, names) in [
        (&["TLSv1"][..], &[][..], "\"TLSv1\""),
        (&["tls1.2"], &[], "\"tls1.2\""),
        (&[], &["TLS_RSA_WITH_AES_128_CBC_SHA"], "\"TLS_RSA_WITH_AES_128_CBC_SHA\""),
        // A suite of the other version alone: nothing is left to speak.
        (&["TLSv1.2"], &["TLS_AES_128_GCM_SHA256"], "no usable cipher suites"),
    ] {
        let error = attempt(protocols, ciphers).unwrap_err();
        assert!(error.contains(names), "{error}");
    }
}

#[test]
fn files_that_are_of_no_use() {
    let files = Files::new();
    let (key, own) = self_signed("jvm");
    let encrypted = pem("ENCRYPTED PRIVATE KEY", b"0") + &pem("CERTIFICATE", &own);
    let jks = [Entry::Trusted { alias: "a", certificate: &own }];
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("empty", Vec::new(), "neither a key store of Java"),
        ("text", b"hello".to_vec(), "neither a key store of Java"),
        ("key.pem", pem("PRIVATE KEY", &key).into(), "a key without its certificate"),
        ("secret.pem", encrypted.into(), "a private key with a password"),
        ("jceks", vec![0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2], "keytool -importkeystore"),
        ("der", vec![0x30, 0x03, 0x02, 0x01, 0x03], "not PKCS#12"),
        ("other.jks", write(&jks, "otherpass"), "the password is wrong"),
        ("trust.jks", write(&jks, "changeit"), "no private key"),
    ];
    for (name, bytes, expected) in cases {
        let store = files.store(name, &bytes);
        let error = store.key(None).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.contains(&store.path.display().to_string()), "{name}: {error}");
    }
    let wrong = p12(&key, &[&own], &[], EncryptionAlgorithm::PbeWithHmacSha256AndAes256);
    let mut store = files.store("wrong.p12", &wrong);
    store.password = Some(Secret::from("wrong".to_owned()));
    assert!(matches!(store.key(None), Err(KeystoreError::Password(_))));
    store.password = Some(Secret::from("changeit".to_owned()));
    assert!(store.key(Some("MyKey")).is_ok(), "aliases have no case");
    let error = store.key(Some("other")).unwrap_err().to_string();
    assert!(error.ends_with("no private key named \"other\""), "{error}");
    store.type_name = Some("BCFKS".into());
    assert!(matches!(store.key(None), Err(KeystoreError::Unsupported { .. })));
    store.type_name = Some("jks".into());
    assert!(store.key(None).is_ok(), "the content decides");
    store.path.set_extension("missing");
    assert!(matches!(store.key(None), Err(KeystoreError::Read { .. })));
}

#[test]
fn long_files_are_not_read() {
    let files = Files::new();
    let store = files.store("long.pem", b"");
    std::fs::File::create(&store.path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(store.trusted(), Err(KeystoreError::TooLong(_))));
}

#[test]
fn passwords_are_not_printed() {
    let store = Files::new().store("any", b"");
    assert!(!format!("{store:?}").contains("changeit"));
}
