//! The keys of a pool: one table for reading, for messages and for documentation.

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
    theirs("distribution", "ketama", "`ketama` (consistent), `modula` or `random`."),
    theirs(
        "timeout",
        "none",
        "Milliseconds allowed for connecting and for each answer; 0 \
        means no limit.",
    ),
    theirs("backlog", "512", "Length of the queue of connections not yet accepted."),
    theirs(
        "client_connections",
        "0",
        "Clients connected at once, 0 for no limit; nutcracker \
        reads this key and ignores it.",
    ),
    theirs("tcpkeepalive", "false", "Keep-alive probes on client connections."),
    theirs("reuseport", "false", "Bind the listener with `SO_REUSEPORT`."),
    theirs("preconnect", "false", "Connect to all servers at the start."),
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
    theirs("redis_db", "0", "Database selected on each server connection."),
    theirs(
        "server_connections",
        "1",
        "Connections to each server; a client keeps to one of them, \
        so that it reads what it wrote.",
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
    theirs("server_failure_limit", "2", "Failures in a row after which a server is ejected."),
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
    ours("resp3", "false", "Grant `HELLO 3`; refused with `-NOPROTO` otherwise."),
    ours("flush_all", "false", "Pass `flush_all` on to all servers; memcached pools only."),
    ours("request_max", "1GiB", "Largest request in bytes, or with a unit (`KiB`, `MiB`, `GiB`)."),
];

const fn theirs(name: &'static str, default: &'static str, meaning: &'static str) -> PoolKey {
    PoolKey { name, default, meaning, extension: false }
}

const fn ours(name: &'static str, default: &'static str, meaning: &'static str) -> PoolKey {
    PoolKey { name, default, meaning, extension: true }
}

pub(super) fn known_keys(found: &str) -> String {
    let names: Vec<&str> = POOL_KEYS.iter().map(|key| key.name).collect();
    let hint = suggestion(found, names.iter().copied());
    format!("a pool key, one of {}{hint}", names.join(", "))
}

/// A question that names the nearest of `names`, or nothing if none is near.
pub(super) fn suggestion<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> String {
    let found: String = found.chars().take(64).collect::<String>().to_lowercase().replace('-', "_");
    let nearest = names.map(|name| (edits(&found, name), name)).min();
    match nearest {
        Some((edits, name)) if edits <= 1 + name.len() / 4 => format!("; did you mean {name}?"),
        _ => String::new(),
    }
}

/// Single-character edits that turn `a` into `b`.
pub(super) fn edits(a: &str, b: &str) -> usize {
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
