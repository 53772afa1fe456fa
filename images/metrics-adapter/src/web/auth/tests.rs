use super::*;

fn header(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn user(hash: Hash) -> User {
    User { name: "prom".to_owned(), hash }
}

async fn admitted(auth: &Auth, name: &str, password: &str) -> bool {
    auth.verify(Some(&header(name, password))).await == Verdict::Admitted
}

/// Hashes made with Python's `hashlib` for the password `pa:ss` and the salt `sea`.
#[tokio::test]
async fn every_way_to_hash_admits_the_password_and_no_other() {
    let hashes = [
        ("SHA-1", include_hash("sha1")),
        ("SHA-256", include_hash("sha256")),
        ("SHA-512", include_hash("sha512")),
        ("PBKDF2WithHmacSHA1", include_hash("pbkdf2-sha1")),
        ("PBKDF2WithHmacSHA256", include_hash("pbkdf2-sha256")),
        ("PBKDF2WithHmacSHA512", include_hash("pbkdf2-sha512")),
    ];
    for (name, hash) in hashes {
        let algorithm = Algorithm::parse(name).unwrap();
        let hash = Hash::salted(algorithm, hash, "sea", Some(1000)).unwrap();
        let auth = Auth::new(vec![user(hash)]);
        assert!(admitted(&auth, "prom", "pa:ss").await, "{name}");
        assert!(admitted(&auth, "prom", "pa:ss").await, "{name}, remembered");
        for (who, what) in [("prom", "pa:s"), ("prom", ""), ("Prom", "pa:ss"), ("", "pa:ss")] {
            assert!(!admitted(&auth, who, what).await, "{name} {who} {what}");
        }
    }
}

fn include_hash(name: &str) -> &'static str {
    let table = include_str!("hashes.txt");
    let mut lines = table.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(known, _)| *known == name).unwrap().1
}

#[tokio::test]
async fn without_users_everybody_may_look() {
    assert_eq!(Auth::new(Vec::new()).verify(None).await, Verdict::Admitted);
}

#[tokio::test]
async fn what_is_no_basic_authorization_is_refused() {
    let auth = Auth::new(vec![user(Hash::Plain(Secret::from("x".to_owned())))]);
    let colonless = format!("Basic {}", STANDARD.encode("prom"));
    for wrong in ["", "Basic", "Basic ?", "Bearer cHJvbTp4", colonless.as_str()] {
        assert_eq!(auth.verify(Some(wrong)).await, Verdict::Refused, "{wrong}");
    }
    assert_eq!(auth.verify(None).await, Verdict::Refused);
    let lower = header("prom", "x").replace("Basic", "basic");
    assert_eq!(auth.verify(Some(&lower)).await, Verdict::Admitted);
}

#[test]
fn a_hash_is_pairs_of_hexadecimal_digits() {
    for (text, length) in
        [("00:ff", Some(2)), ("00FF", Some(2)), ("0", None), ("zz", None), ("", None)]
    {
        let hash = Hash::salted(Algorithm::Sha1, text, "", None);
        let found = hash.map(|hash| match hash {
            Hash::Salted { hash, .. } => hash.len(),
            Hash::Plain(_) => 0,
        });
        assert_eq!(found, length, "{text}");
    }
}
