//! Members with certificates.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// An authority and its folder of files.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = tempfile::tempdir().unwrap();
        let authority = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this name.
    fn member(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.path().join(format!("{name}-{kind}.pem"));
        std::fs::write(file("cert"), cert.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        TlsFiles { cert: file("cert"), key: file("key"), ca: self.folder.path().join("ca.pem") }
    }
}

#[tokio::test]
async fn members_talk_with_certificates() {
    let authority = Authority::new();
    let start = |id, name| Node::start(id, name, Auth::Tls(authority.member(name)));
    all_talk(vec![start(1, "a").await, start(2, "b").await, start(3, "c").await]).await;
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let mut a = Node::start(1, "a", Auth::Tls(ours.member("a"))).await;
    // One that trusts us, but is not trusted.
    let files = TlsFiles { ca: ours.member("x").ca, ..theirs.member("b") };
    let b = Node::start(2, "b", Auth::Tls(files)).await;
    b.find(&[a.address]);
    a.refuses(Refused::Auth).await;
    a.find(&[b.address]);
    b.refuses(Refused::Auth).await;
    a.knows(|known| known.unanswered == 1).await;
    assert!(a.known.borrow().hellos.is_empty() && b.known.borrow().hellos.is_empty());
}

#[tokio::test]
async fn who_is_dialed_by_name_must_have_it() {
    let authority = Authority::new();
    let start = |id, name| Node::start(id, name, Auth::Tls(authority.member(name)));
    let (mut a, b, c) = (start(1, "a").await, start(2, "b").await, start(3, "localhost").await);
    let by_name = |node: &Node| {
        let address = format!("localhost:{}", node.address.port());
        a.targets.send_replace(vec![Target { name: None, address }]);
    };
    by_name(&b);
    a.refuses(Refused::Auth).await;
    by_name(&c);
    a.knows(|known| known.hellos.keys().eq([&3])).await;
}

#[tokio::test]
async fn missing_files_are_an_error() {
    let authority = Authority::new();
    let files = TlsFiles { key: "/nowhere".into(), ..authority.member("a") };
    let inbox = Arc::new(Channels(mpsc::unbounded_channel().0, mpsc::unbounded_channel().0));
    let listen = "127.0.0.1:0".parse().unwrap();
    let bound = Transport::bind(listen, Auth::Tls(files), hello(1, "a", None), inbox).await;
    let error = format!("{:#}", bound.err().unwrap());
    assert!(error.starts_with("reading the key in /nowhere: "), "{error}");
}
