//! From the tree of a file to pools as meant, with every problem on the way.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{POOL_KEYS, known_keys};
use super::values::{
    SERVER_FORM, boolean, bytes, duration, either, hash_tag, listen, named, number, server,
};
use super::yaml::{self, Key, Kind, Node, quoted};
use super::{
    Compat, ConfigError, EjectMode, Listen, ParsedFile, PoolConfig, Pools, Problem, Protocol,
    Secret, Setting,
};
use crate::placement::{Distribution, Hash, KeyBytes, Rules};

/// The reserved top-level key for process settings.
/// A mapping under it that has `servers` is a pool of that name, as it is to nutcracker.
pub const SETTINGS_KEY: &str = "ambassador-proxy";

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
    let Reader { mut pools, settings, mut problems, mut warnings } = reader;
    if problems.is_empty() && pools.is_empty() {
        let (found, expected) = ("no pool".into(), "at least one".into());
        problems.push(Problem { line: 1, key: String::new(), found, expected });
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(ConfigError { file: path.to_path_buf(), problems });
    }
    pools.sort_by(|a, b| nutcracker_order(&a.name, &b.name));
    warnings.sort_by_key(|problem| problem.line);
    Ok(ParsedFile { pools: Pools(pools), settings, warnings })
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
                    self.settings.insert(key.text, Setting { value: text, line: value.line });
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
                self.wrong(key.line, name.text.clone(), quoted(&key.text), &known_keys(&key.text));
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
                let found = if secret { "a secret".into() } else { quoted(text) };
                self.wrong(value.line, path, found, &expected);
            }
        }
        self.check(&draft, self.problems.len() == problems_before);
        if let (Some(listen), true) = (draft.listen, self.problems.len() == problems_before) {
            self.pools.push(PoolConfig { listen, ..draft.pool });
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
            ("redis_auth", !redis, "it in a pool with \"redis: true\" only"),
            ("redis_user", !redis, "it in a pool with \"redis: true\" only"),
            ("redis_user", redis && pool.redis_auth.is_none(), "\"redis_auth\" beside it"),
            ("resp3", pool.resp3 && !redis, "it in a pool with \"redis: true\" only"),
            ("flush_all", pool.flush_all && redis, "it in a memcached pool only"),
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
            return self.wrong(line, path.into(), "an empty list".into(), "at least one server");
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
        pool.servers.sort_by(|a, b| nutcracker_order(&a.label, &b.label));
        for pair in pool.servers.windows(2) {
            if pair[0].label == pair[1].label {
                let (first, second) = (pair[0].line, pair[1].line);
                let found = format!("{:?} again (first on line {first})", pair[0].label);
                self.wrong(second, path.into(), found, "each server name once");
            }
        }
        let sum: u64 = pool.servers.iter().map(|server| u64::from(server.weight)).sum();
        if sum > u64::from(u32::MAX) {
            let expected = format!("at most {}", u32::MAX);
            self.wrong(line, path.into(), format!("weights that add up to {sum}"), &expected);
        }
    }

    /// Two pools cannot listen on one address.
    fn listens(&mut self) {
        let mut problems = Vec::new();
        for (index, pool) in self.pools.iter().enumerate() {
            for other in &self.pools[..index] {
                let found =
                    format!("{:?}, where pool {:?} listens", pool.listen.to_string(), other.name);
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
        self.problems.push(Problem { line, key, found, expected: expected.into() });
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
            listen: Listen::Unix { path: PathBuf::new(), mode: None },
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
        Draft { pool, listen: None, seen: HashMap::new() }
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
                pool.protocol = if redis { Protocol::Redis } else { Protocol::Memcache };
            }
            "redis_auth" => pool.redis_auth = Some(Secret::new(text)),
            "redis_user" => pool.redis_user = Some(text.into()),
            "redis_db" => pool.redis_db = number(text, 0)?,
            "server_connections" => pool.server_connections = number(text, 1)?,
            "auto_eject_hosts" => pool.auto_eject_hosts = boolean(text)?,
            "server_retry_timeout" => pool.server_retry_timeout = duration(text)?,
            "server_failure_limit" => pool.server_failure_limit = number(text, 0)?,
            "compat" => {
                pool.compat =
                    either(text, ("strict", Compat::Strict), ("friendly", Compat::Friendly))?
            }
            "eject_mode" => {
                pool.eject_mode =
                    either(text, ("remap", EjectMode::Remap), ("fail_fast", EjectMode::FailFast))?
            }
            "resp3" => pool.resp3 = boolean(text)?,
            "flush_all" => pool.flush_all = boolean(text)?,
            "request_max" => pool.request_max = bytes(text)?,
            _ => return Err(known_keys(key)),
        }
        Ok(())
    }
}
