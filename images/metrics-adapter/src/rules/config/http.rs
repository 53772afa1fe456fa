//! `httpServer`: the page's path, threads, TLS and authentication.

use std::time::Duration;

use management::{Secret, Strings};

use super::JmxConfigError;
use super::connection::{StoreFile, resolved, secret, store, words};
use super::yaml::{At, MAX};

/// Most threads that may be asked for.
const THREADS_MAX: u32 = 256;
/// Most iterations that may be asked for: more would let every wrong password cost minutes.
const ITERATIONS_MAX: u32 = 100_000_000;
/// Longest derived key in bits.
const KEY_BITS_MAX: u32 = 65_536;

/// The HTTP server as the file asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpServerConfig {
    /// `metrics.path`, `/metrics` by default.
    pub metrics_path: String,
    /// `threads`; a server that needs none may take `maximum` for a limit on requests at a time.
    pub threads: HttpThreads,
    /// `maximumRequestSeconds`.
    pub request_max: Option<Duration>,
    /// `ssl`.
    pub tls: Option<HttpTls>,
    /// `authentication.basic`.
    pub basic: Option<BasicAuthentication>,
}

/// `httpServer.threads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpThreads {
    /// Kept when idle, at least 1.
    pub minimum: u32,
    /// At most 256, at least `minimum`.
    pub maximum: u32,
    /// How long an idle thread beyond the minimum lives.
    pub keep_alive: Duration,
}

/// `httpServer.ssl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTls {
    /// Certificate and key.
    pub key_store: StoreFile,
    /// `certificate.alias`: which entry of the key store. The original asks for it and then takes
    /// whichever key there is.
    pub alias: String,
    /// Authorities of client certificates; there when `mutual` is.
    pub trust_store: Option<StoreFile>,
    /// `mutualTLS`: clients must show a certificate.
    pub mutual: bool,
    /// Protocols by their Java names; empty for the default.
    pub protocols: Vec<String>,
    /// Cipher suites by their Java names; empty for the default.
    pub ciphers: Vec<String>,
}

/// `httpServer.authentication.basic`; the realm is `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuthentication {
    /// The one user.
    pub username: String,
    /// How a password is checked.
    pub check: PasswordCheck,
}

/// How a password is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is this.
    Plain(Secret),
    /// Digest of `salt:password` is this; SHA-1, SHA-256 or SHA-512.
    Digest {
        /// The function.
        hash: HashFunction,
        /// Expected bytes.
        expected: Vec<u8>,
        /// The salt as text.
        salt: String,
    },
    /// PBKDF2 of the password, with HMAC of the function, is this. The derived key is as long as
    /// `expected`.
    Pbkdf2 {
        /// The function.
        hash: HashFunction,
        /// Expected bytes.
        expected: Vec<u8>,
        /// The salt; its UTF-8 bytes are used.
        salt: String,
        /// Rounds, at least 1.
        iterations: u32,
    },
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

// === impl HttpServerConfig ===

impl Default for HttpServerConfig {
    fn default() -> Self {
        let threads = HttpThreads { minimum: 1, maximum: 10, keep_alive: Duration::from_secs(120) };
        let metrics_path = "/metrics".to_owned();
        Self { metrics_path, threads, request_max: None, tls: None, basic: None }
    }
}

/// Reads `httpServer`.
pub(super) fn http(top: &At<'_>, env: &dyn Strings) -> Result<HttpServerConfig, JmxConfigError> {
    let mut config = HttpServerConfig::default();
    let Some(at) = top.map("httpServer")? else { return Ok(config) };
    if let Some(metrics) = at.map("metrics")? {
        config.metrics_path = required(&metrics, "path")?;
    }
    if let Some(threads) = at.map("threads")? {
        config.threads = self::threads(&threads)?;
    }
    let seconds = at.whole("maximumRequestSeconds", 1, MAX)?;
    config.request_max = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    if let Some(ssl) = at.map("ssl")? {
        config.tls = Some(tls(&ssl, env)?);
    }
    if let Some(authentication) = at.map("authentication")? {
        if let Some(plugin) = authentication.some("plugin") {
            let what = "a class of Java, which cannot run here; expected authentication.basic";
            return Err(plugin.error(what));
        }
        let basic = authentication.map("basic")?;
        let basic = basic.ok_or_else(|| authentication.wrong("a map `basic`"))?;
        config.basic = Some(self::basic(&basic, env)?);
    }
    Ok(config)
}

fn threads(at: &At<'_>) -> Result<HttpThreads, JmxConfigError> {
    let whole = |name, min, max| {
        let value = at.whole(name, min, max)?;
        value.ok_or_else(|| at.error(format!("found no {name}, expected a whole number")))
    };
    let minimum = whole("minimum", 1, MAX)?;
    let maximum = whole("maximum", minimum, THREADS_MAX.max(minimum))?;
    if maximum > THREADS_MAX {
        return Err(at.error(format!("maximum is {maximum}, expected at most {THREADS_MAX}")));
    }
    let keep_alive = Duration::from_secs(whole("keepAliveTime", 1, MAX)?.into());
    Ok(HttpThreads { minimum, maximum, keep_alive })
}

fn tls(at: &At<'_>, env: &dyn Strings) -> Result<HttpTls, JmxConfigError> {
    let key_store = store(at, "keyStore", env)?
        .ok_or_else(|| at.error("found no keyStore, expected filename and password of one"))?;
    let alias = match at.map("certificate")? {
        Some(certificate) => required(&certificate, "alias")?,
        None => return Err(at.error("found no certificate.alias, expected one")),
    };
    let mutual = at.boolean("mutualTLS")?.unwrap_or(false);
    // A trust store that nobody asks for is not even looked at.
    let trust_store = if mutual { store(at, "trustStore", env)? } else { None };
    if mutual && trust_store.is_none() {
        return Err(at.error("found mutualTLS without a trustStore, expected one"));
    }
    let (protocols, ciphers) = (words(at, "protocols")?, words(at, "ciphers")?);
    Ok(HttpTls { key_store, alias, trust_store, mutual, protocols, ciphers })
}

fn basic(at: &At<'_>, env: &dyn Strings) -> Result<BasicAuthentication, JmxConfigError> {
    required(at, "username")?;
    let username = resolved(at, "username", env)?.unwrap_or_default();
    let algorithm = at.text("algorithm")?.unwrap_or_else(|| "plaintext".to_owned());
    if algorithm.eq_ignore_ascii_case("plaintext") {
        required(at, "password")?;
        let password = secret(at, "password", env)?.unwrap_or_default();
        return Ok(BasicAuthentication { username, check: PasswordCheck::Plain(password) });
    }
    let (derived, hash, rounds) = match algorithm.as_str() {
        "SHA-1" => (false, HashFunction::Sha1, 0),
        "SHA-256" => (false, HashFunction::Sha256, 0),
        "SHA-512" => (false, HashFunction::Sha512, 0),
        "PBKDF2WithHmacSHA1" => (true, HashFunction::Sha1, 1_300_000),
        "PBKDF2WithHmacSHA256" => (true, HashFunction::Sha256, 600_000),
        "PBKDF2WithHmacSHA512" => (true, HashFunction::Sha512, 210_000),
        _ => {
            let at = at.member("algorithm").unwrap_or_else(|| at.clone());
            return Err(at.wrong("plaintext, SHA-1, SHA-256, SHA-512 or PBKDF2WithHmacSHA…"));
        }
    };
    let text = required(at, "passwordHash")?;
    let expected = hex(&text).ok_or_else(|| {
        let found = text.len();
        at.error(format!("passwordHash: found {found} bytes, expected hexadecimal digits"))
    })?;
    let salt = required(at, "salt")?;
    if !derived {
        let check = PasswordCheck::Digest { hash, expected, salt };
        return Ok(BasicAuthentication { username, check });
    }
    let iterations = at.whole("iterations", 1, ITERATIONS_MAX)?.unwrap_or(rounds);
    // The unit of keyLength changed from bytes to bits; both are in use.
    let length = at.whole("keyLength", 1, KEY_BITS_MAX)?.unwrap_or(128) as usize;
    if length != expected.len() && length != expected.len() * 8 {
        let bits = expected.len() * 8;
        return Err(at.error(format!("keyLength is {length}, but passwordHash has {bits} bits")));
    }
    let check = PasswordCheck::Pbkdf2 { hash, expected, salt, iterations };
    Ok(BasicAuthentication { username, check })
}

fn required(at: &At<'_>, name: &str) -> Result<String, JmxConfigError> {
    let text = at.text(name)?.filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| at.error(format!("found no {name}, expected one")))
}

/// Bytes of hexadecimal digits; colons between them are overlooked.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
