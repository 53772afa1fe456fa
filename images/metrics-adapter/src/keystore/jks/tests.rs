use super::*;
use crate::keystore::tests::{Authority, own_key};

/// Writes a key store of version 2 as the JDK does.
pub(crate) fn write(entries: &[Entry<'_>], password: &str) -> Vec<u8> {
    let mut out = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2];
    int(&mut out, entries.len());
    for entry in entries {
        let (tag, alias) = match entry {
            Entry::Key { alias, .. } => (1, alias),
            Entry::Trusted { alias, .. } => (2, alias),
        };
        int(&mut out, tag);
        short(&mut out, alias.as_bytes());
        out.extend(1_600_000_000_000_u64.to_be_bytes());
        match entry {
            Entry::Key { key, chain, .. } => {
                let info = protect(key, password);
                int(&mut out, info.len());
                out.extend(info);
                int(&mut out, chain.len());
                chain.iter().for_each(|it| certificate(&mut out, it));
            }
            Entry::Trusted { certificate: it, .. } => certificate(&mut out, it),
        }
    }
    sign(out, password)
}

pub(crate) enum Entry<'a> {
    Key { alias: &'a str, key: &'a [u8], chain: Vec<&'a [u8]> },
    Trusted { alias: &'a str, certificate: &'a [u8] },
}

fn sign(mut out: Vec<u8>, password: &str) -> Vec<u8> {
    let digest = Sha1::new()
        .chain_update(utf16(password))
        .chain_update(WHITENER)
        .chain_update(&out)
        .finalize();
    out.extend(digest);
    out
}

fn int(out: &mut Vec<u8>, value: usize) {
    out.extend(u32::try_from(value).unwrap().to_be_bytes());
}

fn short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

fn certificate(out: &mut Vec<u8>, der: &[u8]) {
    short(out, b"X.509");
    int(out, der.len());
    out.extend(der);
}

fn protect(key: &[u8], password: &str) -> Vec<u8> {
    let password = utf16(password);
    let salt = [7_u8; DIGEST_BYTES];
    let mut protected = salt.to_vec();
    let mut block = salt.to_vec();
    for chunk in key.chunks(DIGEST_BYTES) {
        block = Sha1::new().chain_update(&password).chain_update(&block).finalize().to_vec();
        protected.extend(chunk.iter().zip(&block).map(|(byte, mask)| byte ^ mask));
    }
    protected.extend(Sha1::new().chain_update(&password).chain_update(key).finalize());
    let algorithm = der(0x30, &[der(0x06, PROTECTION), der(0x05, &[])].concat());
    der(0x30, &[algorithm, der(0x04, &protected)].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short @ 0..0x80) => out.push(short),
        _ => {
            out.push(0x82);
            out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

fn sample(password: &str) -> (Vec<u8>, Authority) {
    let authority = Authority::new();
    let (key, own) = own_key(&authority, "jvm");
    let root = authority.der();
    let entries = [
        Entry::Key { alias: "mykey", key: &key, chain: vec![&own, &root] },
        Entry::Trusted { alias: "root", certificate: &root },
    ];
    (write(&entries, password), authority)
}

#[test]
fn keys_and_certificates_come_back() {
    let (bytes, authority) = sample("changeit");
    let contents = parse(&bytes, Some("changeit")).unwrap();
    assert_eq!(contents.trusted, [CertificateDer::from(authority.der())]);
    assert_eq!(contents.keys.len(), 1);
    assert_eq!(contents.keys[0].alias, "mykey");
    assert_eq!(contents.keys[0].chain.len(), 2);
    rustls::crypto::ring::sign::any_supported_type(&contents.keys[0].key).unwrap();
}

#[test]
fn a_wrong_password_is_told_from_damage_by_nobody() {
    let (bytes, _) = sample("changeit");
    assert_eq!(parse(&bytes, Some("changeme")).unwrap_err(), Refusal::Password);
    let mut damaged = bytes;
    damaged[40] ^= 1;
    assert_eq!(parse(&damaged, Some("changeit")).unwrap_err(), Refusal::Password);
}

#[test]
fn certificates_can_be_read_without_the_password() {
    let (bytes, _) = sample("changeit");
    let contents = parse(&bytes, None).unwrap();
    assert_eq!((contents.keys.len(), contents.trusted.len()), (0, 1));
}

#[test]
fn passwords_beyond_ascii_are_utf16() {
    let (bytes, _) = sample("pässwörd€");
    assert_eq!(parse(&bytes, Some("pässwörd€")).unwrap().keys.len(), 1);
}

/// Every prefix, and every byte changed, under a digest that fits: an error or a result, no panic.
#[test]
fn damage_is_an_error() {
    let (bytes, _) = sample("x");
    let body = &bytes[..bytes.len() - DIGEST_BYTES];
    for end in 0..body.len() {
        assert!(parse(&sign(body[..end].to_vec(), "x"), Some("x")).is_err(), "prefix of {end}");
    }
    for place in 0..body.len() {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut changed = body.to_vec();
            changed[place] = value;
            let _ = parse(&sign(changed, "x"), Some("x"));
        }
    }
}

#[test]
fn huge_counts_are_refused() {
    let head = |version: u8, count: u32| {
        let mut bytes = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, version];
        bytes.extend(count.to_be_bytes());
        sign(bytes, "x")
    };
    assert!(parse(&head(2, 0), Some("x")).unwrap().trusted.is_empty());
    assert!(matches!(parse(&head(2, u32::MAX), Some("x")), Err(Refusal::Format(_))));
    assert!(matches!(parse(&head(3, 0), Some("x")), Err(Refusal::Unsupported(_))));
}
