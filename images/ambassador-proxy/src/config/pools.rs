//! From the tree of a file to pools as meant, with every problem on the way.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::yaml::{self, Key, Kind, Node, quoted};
use super::{
    Address, Compat, ConfigError, EjectMode, Listen, ParsedFile, PoolConfig, Pools, Problem,
    Protocol, Secret, ServerConfig, Setting,
};
use crate::placement::{Distribution, Hash, KeyBytes, Rules};

/// The reserved top-level key for process settings.
/// A mapping under it that has `servers` is a pool of that name, as it is to nutcracker.
pub const SETTINGS_KEY: &str = "ambassador-proxy";

/// A pool key, for generated documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolKey {
    /// The key in the file.
    pub name: &'static str,
    /// What holds without it; `required` if a pool needs it.
    pub default: &'static str,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// Whether nutcracker does not know it.
    pub extension: bool,
}

/// All pool keys: nutcracker's first, then ours.
pub const POOL_KEYS: &[PoolKey] = &[
    theirs(
        "listen",
        "required",
        "Where clients connect: `host:port` (split at the last colon) \
        or `/path` with an optional octal mode.",
    ),
    theirs(
        "servers",
        "required",
        "List of `host:port:weight` or `/path:weight`, each with an \
        optional name after a space; placement goes by the name.",
    ),
    theirs(
        "hash",
        "fnv1a_64",
        "Hash function: `one_at_a_time`, `md5`, `crc16`, `crc32`, \
        `crc32a`, `fnv1_64`, `fnv1a_64`, `fnv1_32`, `fnv1a_32`, `hsieh`, `murmur` or `jenkins`.",
    ),
    theirs(
        "hash_tag",
        "none",
        "Two characters; where a key holds something between them, only \
        that is hashed.",
    ),
    theirs(
        "distribution",
        "ketama",
        "`ketama` (consistent), `modula` or `random`.",
    ),
    theirs(
        "timeout",
        "none",
        "Milliseconds allowed for connecting and for each answer; 0 \
        means no limit.",
    ),
    theirs(
        "backlog",
        "512",
        "Length of the queue of connections not yet accepted.",
    ),
    theirs(
        "client_connections",
        "0",
        "Clients connected at once, 0 for no limit; nutcracker \
        reads this key and ignores it.",
    ),
    theirs(
        "tcpkeepalive",
        "false",
        "Keep-alive probes on client connections.",
    ),
    theirs(
        "reuseport",
        "false",
        "Bind the listener with `SO_REUSEPORT`.",
    ),
    theirs(
        "preconnect",
        "false",
        "Connect to all servers at the start.",
    ),
    theirs(
        "redis",
        "false",
        "Whether the pool speaks Redis; memcached's text protocol \
        otherwise.",
    ),
    theirs(
        "redis_auth",
        "none",
        "Password that clients must give and that servers are given; \
        Redis pools only.",
    ),
    theirs(
        "redis_db",
        "0",
        "Database selected on each server connection.",
    ),
    theirs(
        "server_connections",
        "1",
        "Connections to each server; more than one lets requests \
        of one client overtake each other.",
    ),
    theirs(
        "auto_eject_hosts",
        "false",
        "Eject a server after `server_failure_limit` failures \
        in a row.",
    ),
    theirs(
        "server_retry_timeout",
        "30000",
        "Milliseconds for which an ejected server is left \
        alone.",
    ),
    theirs(
        "server_failure_limit",
        "2",
        "Failures in a row after which a server is ejected.",
    ),
    ours(
        "key_bytes",
        "signed",
        "How hashes read bytes from 0x80 on: `signed` as nutcracker on \
        x86, `unsigned` as nutcracker on ARM.",
    ),
    ours(
        "compat",
        "friendly",
        "`strict` closes connections where nutcracker does; `friendly` \
        answers an error and keeps them.",
    ),
    ours(
        "eject_mode",
        "remap",
        "`remap` gives the keys of an ejected server to the others, as \
        nutcracker does; `fail_fast` answers errors for them.",
    ),
    ours(
        "redis_user",
        "none",
        "ACL user that goes with `redis_auth`, towards servers and from \
        clients.",
    ),
    ours(
        "resp3",
        "false",
        "Grant `HELLO 3`; refused with `-NOPROTO` otherwise.",
    ),
    ours(
        "flush_all",
        "false",
        "Pass `flush_all` on to all servers; memcached pools only.",
    ),
    ours(
        "request_max",
        "1GiB",
        "Largest request in bytes, or with a unit (`KiB`, `MiB`, `GiB`).",
    ),
];

const fn theirs(name: &'static str, default: &'static str, meaning: &'static str) -> PoolKey {
    PoolKey {
        name,
        default,
        meaning,
        extension: false,
    }
}

const fn ours(name: &'static str, default: &'static str, meaning: &'static str) -> PoolKey {
    PoolKey {
        name,
        default,
        meaning,
        extension: true,
    }
}

/// The kernel's limit for the path of a socket, in bytes, without the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Smallest `request_max`: a memcached command with a key of 250 bytes must fit.
const REQUEST_MAX_LEAST: u64 = 1 << 10;

/// Reads a configuration. `path` is only used in messages.
///
/// # Errors
/// All problems found; those of YAML itself end the search.
pub fn parse_pools(path: &Path, text: &str) -> Result<ParsedFile, ConfigError> {
    let mut reader = Reader::default();
    match yaml::read(text) {
        Ok(root) => reader.file(root),
        Err(problem) => reader.problems.push(problem),
    }
    let Reader {
        mut pools,
        settings,
        mut problems,
        mut warnings,
    } = reader;
    if problems.is_empty() && pools.is_empty() {
        let (found, expected) = ("no pool".into(), "at least one".into());
        problems.push(Problem {
            line: 1,
            key: String::new(),
            found,
            expected,
        });
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(ConfigError {
            file: path.to_path_buf(),
            problems,
        });
    }
    pools.sort_by(|a, b| nutcracker_order(&a.name, &b.name));
    warnings.sort_by_key(|problem| problem.line);
    Ok(ParsedFile {
        pools: Pools(pools),
        settings,
        warnings,
    })
}

/// The order of pools, servers and everything else with a name: by length, then by bytes.
fn nutcracker_order(a: &str, b: &str) -> std::cmp::Ordering {
    (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()))
}

#[derive(Default)]
struct Reader {
    pools: Vec<PoolConfig>,
    settings: BTreeMap<String, Setting>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader {
    fn file(&mut self, root: Node) {
        let Kind::Map(pairs) = root.kind else {
            let expected = "a mapping of pool names to pools";
            return self.wrong(root.line, String::new(), root.described(), expected);
        };
        let mut seen = HashMap::new();
        for (key, body) in pairs {
            if !self.first(&mut seen, &key, "", "each pool once") {
                continue;
            }
            match body.kind {
                Kind::Map(pairs) if key.text == SETTINGS_KEY && !has_servers(&pairs) => {
                    self.settings(pairs);
                }
                Kind::Map(pairs) => self.pool(&key, pairs),
                _ => self.wrong(body.line, key.text.clone(), body.described(), "a mapping"),
            }
        }
        self.listens();
    }

    fn settings(&mut self, pairs: Vec<(Key, Node)>) {
        let mut seen = HashMap::new();
        for (key, value) in pairs {
            let path = format!("{SETTINGS_KEY}.{}", key.text);
            if !self.first(&mut seen, &key, SETTINGS_KEY, "each key once") {
                continue;
            }
            match value.kind {
                Kind::Scalar(text) if !text.is_empty() => {
                    self.settings.insert(
                        key.text,
                        Setting {
                            value: text,
                            line: value.line,
                        },
                    );
                }
                _ => self.wrong(value.line, path, value.described(), "one value"),
            }
        }
    }

    fn pool(&mut self, name: &Key, pairs: Vec<(Key, Node)>) {
        let problems_before = self.problems.len();
        if name.text.is_empty() {
            self.wrong(name.line, String::new(), quoted(""), "the name of a pool");
        }
        let mut draft = Draft::new(name);
        for (key, value) in pairs {
            if !self.first(&mut draft.seen, &key, &name.text, "each key once") {
                continue;
            }
            let path = format!("{}.{}", name.text, key.text);
            if key.text == "servers" {
                self.servers(&mut draft.pool, &path, value);
                continue;
            }
            if !POOL_KEYS.iter().any(|known| known.name == key.text) {
                self.wrong(
                    key.line,
                    name.text.clone(),
                    quoted(&key.text),
                    &known_keys(&key.text),
                );
                continue;
            }
            let text = match &value.kind {
                Kind::Scalar(text) if !text.is_empty() => text,
                _ => {
                    self.wrong(value.line, path, value.described(), "one value");
                    continue;
                }
            };
            if let Err(expected) = draft.set(&key.text, text) {
                let secret = key.text == "redis_auth";
                let found = if secret {
                    "a secret".into()
                } else {
                    quoted(text)
                };
                self.wrong(value.line, path, found, &expected);
            }
        }
        self.check(&draft, self.problems.len() == problems_before);
        if let (Some(listen), true) = (draft.listen, self.problems.len() == problems_before) {
            self.pools.push(PoolConfig {
                listen,
                ..draft.pool
            });
        }
    }

    /// What only shows when all keys of a pool are known. Keys contradict each other only if
    /// each is `sound`: a misspelt `redis` would make nonsense of what follows from it.
    fn check(&mut self, draft: &Draft, sound: bool) {
        let pool = &draft.pool;
        let redis = pool.protocol == Protocol::Redis;
        let line_of = |key: &str| draft.seen.get(key).copied();
        for required in ["listen", "servers"] {
            if line_of(required).is_none() {
                let found = format!("no {required:?}");
                self.wrong(pool.line, pool.name.clone(), found, "one");
            }
        }
        let rules: [(&str, bool, &str); 5] = [
            (
                "redis_auth",
                !redis,
                "it in a pool with \"redis: true\" only",
            ),
            (
                "redis_user",
                !redis,
                "it in a pool with \"redis: true\" only",
            ),
            (
                "redis_user",
                redis && pool.redis_auth.is_none(),
                "\"redis_auth\" beside it",
            ),
            (
                "resp3",
                pool.resp3 && !redis,
                "it in a pool with \"redis: true\" only",
            ),
            (
                "flush_all",
                pool.flush_all && redis,
                "it in a memcached pool only",
            ),
        ];
        for (key, broken, expected) in rules {
            if let (Some(line), true) = (line_of(key), sound && broken) {
                let found = format!("{key:?} in a {} pool", pool.protocol);
                self.wrong(line, format!("{}.{key}", pool.name), found, expected);
            }
        }
        if let (Some(line), false, true) = (line_of("redis_db"), redis, pool.redis_db > 0) {
            self.warnings.push(Problem {
                line,
                key: format!("{}.redis_db", pool.name),
                found: "a database for a memcached pool, which has none".into(),
                expected: "\"redis: true\" beside it".into(),
            });
        }
    }

    fn servers(&mut self, pool: &mut PoolConfig, path: &str, value: Node) {
        let line = value.line;
        let Kind::List(items) = value.kind else {
            return self.wrong(line, path.into(), value.described(), "a list of servers");
        };
        if items.is_empty() {
            return self.wrong(
                line,
                path.into(),
                "an empty list".into(),
                "at least one server",
            );
        }
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let Kind::Scalar(text) = &item.kind else {
                self.wrong(item.line, path, item.described(), SERVER_FORM);
                continue;
            };
            match server(text, item.line) {
                Ok(server) => pool.servers.push(server),
                Err(expected) => self.wrong(item.line, path, quoted(text), &expected),
            }
        }
        pool.servers
            .sort_by(|a, b| nutcracker_order(&a.label, &b.label));
        for pair in pool.servers.windows(2) {
            if pair[0].label == pair[1].label {
                let (first, second) = (pair[0].line, pair[1].line);
                let found = format!("{:?} again (first on line {first})", pair[0].label);
                self.wrong(second, path.into(), found, "each server name once");
            }
        }
        let sum: u64 = pool
            .servers
            .iter()
            .map(|server| u64::from(server.weight))
            .sum();
        if sum > u64::from(u32::MAX) {
            let expected = format!("at most {}", u32::MAX);
            self.wrong(
                line,
                path.into(),
                format!("weights that add up to {sum}"),
                &expected,
            );
        }
    }

    /// Two pools cannot listen on one address.
    fn listens(&mut self) {
        let mut problems = Vec::new();
        for (index, pool) in self.pools.iter().enumerate() {
            for other in &self.pools[..index] {
                let found = format!(
                    "{:?}, where pool {:?} listens",
                    pool.listen.to_string(),
                    other.name
                );
                let clash = Problem {
                    line: pool.line,
                    key: format!("{}.listen", pool.name),
                    found,
                    expected: "an address of its own".into(),
                };
                match overlap(&pool.listen, &other.listen) {
                    Overlap::Same => problems.push(clash),
                    Overlap::Wildcard => self.warnings.push(clash),
                    Overlap::None => {}
                }
            }
        }
        self.problems.append(&mut problems);
    }

    /// Notes a key as seen; a second time is a problem.
    fn first(
        &mut self,
        seen: &mut HashMap<String, u32>,
        key: &Key,
        parent: &str,
        expected: &str,
    ) -> bool {
        let Some(line) = seen.get(&key.text).copied() else {
            seen.insert(key.text.clone(), key.line);
            return true;
        };
        let found = format!("{} again (first on line {line})", quoted(&key.text));
        self.wrong(key.line, parent.into(), found, expected);
        false
    }

    fn wrong(&mut self, line: u32, key: String, found: String, expected: &str) {
        self.problems.push(Problem {
            line,
            key,
            found,
            expected: expected.into(),
        });
    }
}

enum Overlap {
    Same,
    /// One of them takes all addresses of the port.
    Wildcard,
    None,
}

fn overlap(a: &Listen, b: &Listen) -> Overlap {
    const WILDCARDS: [&str; 2] = ["0.0.0.0", "::"];
    match (a, b) {
        (Listen::Unix { path: a, .. }, Listen::Unix { path: b, .. }) if a == b => Overlap::Same,
        (Listen::Tcp { host: a, port: at }, Listen::Tcp { host: b, port: bt }) if at == bt => {
            if a == b {
                Overlap::Same
            } else if WILDCARDS.contains(&a.as_str()) || WILDCARDS.contains(&b.as_str()) {
                Overlap::Wildcard
            } else {
                Overlap::None
            }
        }
        _ => Overlap::None,
    }
}

fn has_servers(pairs: &[(Key, Node)]) -> bool {
    pairs.iter().any(|(key, _)| key.text == "servers")
}

/// A pool while its keys are read.
struct Draft {
    pool: PoolConfig,
    listen: Option<Listen>,
    /// Key to line.
    seen: HashMap<String, u32>,
}

impl Draft {
    fn new(name: &Key) -> Self {
        let pool = PoolConfig {
            name: name.text.clone(),
            line: name.line,
            // Stands in until the pool is complete.
            listen: Listen::Unix {
                path: PathBuf::new(),
                mode: None,
            },
            protocol: Protocol::Memcache,
            rules: Rules::default(),
            timeout: None,
            backlog: 512,
            client_connections: 0,
            tcpkeepalive: false,
            reuseport: false,
            preconnect: false,
            redis_auth: None,
            redis_user: None,
            redis_db: 0,
            server_connections: 1,
            auto_eject_hosts: false,
            server_retry_timeout: Duration::from_secs(30),
            server_failure_limit: 2,
            servers: Vec::new(),
            compat: Compat::Friendly,
            eject_mode: EjectMode::Remap,
            resp3: false,
            flush_all: false,
            request_max: 1 << 30,
        };
        Draft {
            pool,
            listen: None,
            seen: HashMap::new(),
        }
    }

    /// Takes one key over; the error says what was expected.
    fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        let pool = &mut self.pool;
        let rules = &mut pool.rules;
        match key {
            "listen" => self.listen = Some(listen(text)?),
            "hash" => rules.hash = named(text, &Hash::NAMES)?,
            "hash_tag" => rules.hash_tag = Some(hash_tag(text)?),
            "distribution" => rules.distribution = named(text, &Distribution::NAMES)?,
            "key_bytes" => rules.key_bytes = named(text, &KeyBytes::NAMES)?,
            "timeout" => pool.timeout = Some(duration(text)?).filter(|limit| !limit.is_zero()),
            "backlog" => pool.backlog = number(text, 0)?,
            "client_connections" => pool.client_connections = number(text, 0)?,
            "tcpkeepalive" => pool.tcpkeepalive = boolean(text)?,
            "reuseport" => pool.reuseport = boolean(text)?,
            "preconnect" => pool.preconnect = boolean(text)?,
            "redis" => {
                let redis = boolean(text)?;
                pool.protocol = if redis {
                    Protocol::Redis
                } else {
                    Protocol::Memcache
                };
            }
            "redis_auth" => pool.redis_auth = Some(Secret::new(text)),
            "redis_user" => pool.redis_user = Some(text.into()),
            "redis_db" => pool.redis_db = number(text, 0)?,
            "server_connections" => pool.server_connections = number(text, 1)?,
            "auto_eject_hosts" => pool.auto_eject_hosts = boolean(text)?,
            "server_retry_timeout" => pool.server_retry_timeout = duration(text)?,
            "server_failure_limit" => pool.server_failure_limit = number(text, 0)?,
            "compat" => {
                pool.compat = either(
                    text,
                    ("strict", Compat::Strict),
                    ("friendly", Compat::Friendly),
                )?
            }
            "eject_mode" => {
                pool.eject_mode = either(
                    text,
                    ("remap", EjectMode::Remap),
                    ("fail_fast", EjectMode::FailFast),
                )?
            }
            "resp3" => pool.resp3 = boolean(text)?,
            "flush_all" => pool.flush_all = boolean(text)?,
            "request_max" => pool.request_max = bytes(text)?,
            _ => return Err(known_keys(key)),
        }
        Ok(())
    }
}

// === values ===

const NUMBER_MAX: u32 = i32::MAX.unsigned_abs();
const LISTEN_FORM: &str = "host:port with a port from 1 to 65535, or /path with an optional octal \
    mode up to 0777";
const SERVER_FORM: &str = "host:port:weight or /path:weight, with an optional name after a space";

/// Digits only, as nutcracker reads numbers: no sign, no space, leading zeros without meaning.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| text.parse().ok())
        .flatten()
        .filter(|number| *number <= NUMBER_MAX)
}

fn number(text: &str, least: u32) -> Result<u32, String> {
    let found = digits(text).filter(|number| *number >= least);
    found.ok_or_else(|| format!("a whole number from {least} to {NUMBER_MAX}"))
}

fn boolean(text: &str) -> Result<bool, String> {
    either(text, ("true", true), ("false", false))
}

fn either<T>(text: &str, a: (&str, T), b: (&str, T)) -> Result<T, String> {
    if text == a.0 {
        Ok(a.1)
    } else if text == b.0 {
        Ok(b.1)
    } else {
        Err(format!("{} or {}", a.0, b.0))
    }
}

fn named<T: std::str::FromStr>(text: &str, names: &[&str]) -> Result<T, String> {
    text.parse().map_err(|_| {
        let hint = suggestion(text, names.iter().copied());
        format!("one of {}{hint}", names.join(", "))
    })
}

fn hash_tag(text: &str) -> Result<[u8; 2], String> {
    let bytes = text.as_bytes();
    bytes
        .try_into()
        .map_err(|_| "exactly two characters, such as \"{}\"".into())
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let scale = match unit {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let milliseconds = digits(count)
        .zip(scale)
        .map(|(count, scale)| u64::from(count) * scale);
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        format!("milliseconds as a whole number up to {NUMBER_MAX}, or with a unit: 400ms, 2s, 1m")
    })
}

fn bytes(text: &str) -> Result<u64, String> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(split);
    let shift = match unit {
        "" => Some(0),
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let count = count.parse::<u64>().ok().zip(shift);
    let bytes = count.and_then(|(count, shift)| count.checked_mul(1_u64 << shift));
    bytes
        .filter(|bytes| *bytes >= REQUEST_MAX_LEAST)
        .ok_or_else(|| {
            format!("bytes from {REQUEST_MAX_LEAST} on, or with a unit: 512KiB, 64MiB, 1GiB")
        })
}

fn port(text: &str) -> Option<u16> {
    digits(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0)
}

fn socket_path(text: &str) -> Result<PathBuf, String> {
    if text.len() > SOCKET_PATH_BYTES_MAX {
        return Err(format!(
            "the path of a socket of at most {SOCKET_PATH_BYTES_MAX} bytes"
        ));
    }
    Ok(PathBuf::from(text))
}

/// A host without the brackets that may enclose an IPv6 address.
fn host(text: &str) -> Option<&str> {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c);
    (!inner.is_empty() && !inner.contains(odd)).then_some(inner)
}

fn listen(text: &str) -> Result<Listen, String> {
    if text.starts_with('/') {
        let Some((path, mode)) = text.rsplit_once(' ') else {
            return Ok(Listen::Unix {
                path: socket_path(text)?,
                mode: None,
            });
        };
        let octal = mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let mode = u32::from_str_radix(mode, 8)
            .ok()
            .filter(|mode| octal && *mode <= 0o777);
        let mode = mode.ok_or(LISTEN_FORM)?;
        // Mode 0 is how nutcracker notes that none was given: it sets none.
        return Ok(Listen::Unix {
            path: socket_path(path)?,
            mode: Some(mode).filter(|m| *m > 0),
        });
    }
    let (name, number) = text.rsplit_once(':').ok_or(LISTEN_FORM)?;
    let (host, port) = host(name).zip(port(number)).ok_or(LISTEN_FORM)?;
    Ok(Listen::Tcp {
        host: host.into(),
        port,
    })
}

/// Reads a server from the right: name, weight, port.
fn server(text: &str, line: u32) -> Result<ServerConfig, String> {
    let (place, name) = match text.rsplit_once(' ') {
        Some((place, name)) => (place, Some(name)),
        None => (text, None),
    };
    if name == Some("") {
        return Err("a name after the last space".into());
    }
    let (place, weight) = place.rsplit_once(':').ok_or(SERVER_FORM)?;
    let (address, own_label) = address(place)?;
    let weight = digits(weight).filter(|weight| *weight > 0);
    let weight =
        weight.ok_or_else(|| format!("a weight from 1 to {NUMBER_MAX} ({SERVER_FORM})"))?;
    let label = name.map_or(own_label, str::to_owned);
    Ok(ServerConfig {
        label,
        name_given: name.is_some(),
        address,
        weight,
        line,
    })
}

/// An address and the label it has without a name.
fn address(place: &str) -> Result<(Address, String), String> {
    if place.starts_with('/') {
        if place.contains(':') {
            return Err(SERVER_FORM.into());
        }
        // The colon before the weight belongs to nutcracker's label of a socket.
        return Ok((Address::Unix(socket_path(place)?), format!("{place}:")));
    }
    let (name, number) = place.rsplit_once(':').ok_or(SERVER_FORM)?;
    let host = host(name).ok_or(SERVER_FORM)?;
    let port = port(number).ok_or_else(|| format!("a port from 1 to 65535 ({SERVER_FORM})"))?;
    // libmemcached's rule, which nutcracker keeps: its default port is not in the label.
    // Otherwise the port is in it as written.
    let label = if port == 11211 {
        host.into()
    } else {
        format!("{host}:{number}")
    };
    Ok((
        Address::Tcp {
            host: host.into(),
            port,
        },
        label,
    ))
}

// === suggestions ===

fn known_keys(found: &str) -> String {
    let names: Vec<&str> = POOL_KEYS.iter().map(|key| key.name).collect();
    let hint = suggestion(found, names.iter().copied());
    format!("a pool key, one of {}{hint}", names.join(", "))
}

/// A question that names the nearest of `names`, or nothing if none is near.
fn suggestion<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> String {
    let found: String = found
        .chars()
        .take(64)
        .collect::<String>()
        .to_lowercase()
        .replace('-', "_");
    let nearest = names.map(|name| (edits(&found, name), name)).min();
    match nearest {
        Some((edits, name)) if edits <= 1 + name.len() / 4 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// Single-character edits that turn `a` into `b`.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
