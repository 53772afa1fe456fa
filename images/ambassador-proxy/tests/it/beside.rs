//! Sessions with the real nutcracker and with ours, on the same servers: the same bytes go in,
//! and the same bytes and closes must come out.
//!
//! Where they do not, the difference is one of [`INTENDED`](differences::INTENDED), and the
//! README has the same table. A session that is marked as different and is not fails as well, so
//! the table holds no more than what is true.

mod differences;
mod large;
mod sessions;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use ambassador_proxy::config::{Protocol, parse_pools};
use ambassador_proxy::protocol::commands;

use crate::support::{
    Client, DeadPort, End, Nutcracker, Outcome, Proxy, Server, free_port, request,
};
use sessions::Session;

/// How long nothing must happen before a conversation counts as hanging.
const PATIENCE: Duration = Duration::from_secs(3);
/// What every session ends with, to see whether the connection still serves.
const LAST_REDIS: &str = "PING";
const LAST_MEMCACHE: &str = "get @a99";
/// The timeout of the pools whose server hangs, in ms.
const TIMEOUT_MS: u32 = 300;

/// The pools that every proxy here has, each with the servers it stands before.
const POOLS: [&str; 9] =
    ["redis", "one", "dead", "slow", "auth", "wrong", "memcache", "deadmc", "slowmc"];

/// The servers, shared by all proxies, and the proxies.
pub(crate) struct Stage {
    redis: [Server; 2],
    memcached: [Server; 2],
    locked: Server,
    frozen: [Server; 2],
    dead: DeadPort,
    /// Keys that nutcracker and ours put on the first and on the second server.
    keys: [Vec<String>; 2],
}

/// A proxy on the stage, by the port of each pool.
pub(crate) struct Actor {
    ports: Vec<(&'static str, u16)>,
    _nutcracker: Option<Nutcracker>,
    _proxy: Option<Proxy>,
}

/// Which program, and in which mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Nutcracker,
    Strict,
    Friendly,
}

#[test]
fn sessions_go_as_with_nutcracker_or_differ_as_intended() {
    let stage = Stage::start();
    let [theirs, strict, friendly] =
        [Part::Nutcracker, Part::Strict, Part::Friendly].map(|part| stage.actor(part));
    let (mut surprises, mut seen) = (String::new(), Vec::new());
    for Session { pool, strict: strict_name, friendly: friendly_name, steps } in &sessions::all() {
        let outcomes = [&theirs, &strict, &friendly].map(|actor| stage.play(actor, pool, steps));
        let [reference, strict, friendly] = &outcomes;
        seen.extend(strict_name.iter().map(|name| (*name, true)));
        seen.extend(friendly_name.iter().map(|name| (*name, false)));
        for (mode, ours, name) in
            [("strict", strict, strict_name), ("friendly", friendly, friendly_name)]
        {
            if (reference == ours) != name.is_none() {
                writeln!(
                    surprises,
                    "{pool} {steps:?}, {mode}, marked {name:?}:\n  nutcracker {}\n  ours       {}",
                    shown(reference),
                    shown(ours),
                )
                .unwrap();
            }
        }
    }
    assert!(surprises.is_empty(), "{surprises}");
    differences::check_names(&seen);
}

/// Every command of the table with every number of arguments.
#[test]
fn commands_take_as_many_arguments_as_with_nutcracker() {
    let stage = Stage::start();
    let [theirs, strict, friendly] =
        [Part::Nutcracker, Part::Strict, Part::Friendly].map(|part| stage.actor(part));
    let mut surprises = String::new();
    let mut names: Vec<&str> =
        commands::all().filter(|command| command.twemproxy).map(|command| command.name).collect();
    // What a server tells of itself is long; the others have sessions of their own.
    names.retain(|name| !["lolwut", "command", "quit", "move"].contains(name));
    names.sort_unstable();
    for name in &names {
        let play = |actor: &Actor| -> Vec<Outcome> {
            stage.flush();
            (0..8).map(|count| stage.talk(actor, "redis", &arguments(name, count), 1)).collect()
        };
        let (theirs, strict, friendly) = (play(&theirs), play(&strict), play(&friendly));
        for (count, (theirs, strict)) in theirs.iter().zip(&strict).enumerate() {
            // Without a key nutcracker goes by the count, and the server finds the error.
            let keyless = matches!(*name, "zdiff" | "zinter" | "zunion") && count == 1;
            if theirs != strict && !keyless {
                let (theirs, strict) = (shown(theirs), shown(strict));
                writeln!(surprises, "{name} with {count}: {theirs}\n  strict {strict}").unwrap();
            }
        }
        for (count, (theirs, friendly)) in theirs.iter().zip(&friendly).enumerate() {
            // Where nutcracker closes, the friendly answer is an error or what Redis says.
            let keyless = matches!(*name, "zdiff" | "zinter" | "zunion") && count == 1;
            let differs = theirs != friendly && theirs.end != End::Closed && !keyless;
            if differs || friendly.end != End::Open {
                let (theirs, friendly) = (shown(theirs), shown(friendly));
                writeln!(surprises, "{name} with {count}: {theirs}\n  friendly {friendly}")
                    .unwrap();
            }
        }
    }
    assert!(surprises.is_empty(), "{surprises}");
    println!("{} commands compared", names.len());
}

/// A command with so many arguments that are as good as can be.
fn arguments(name: &str, count: usize) -> Vec<u8> {
    let mut words = vec![name.to_owned()];
    for at in 0..count {
        words.push(match (name, at) {
            ("eval", 0) => "return 1".to_owned(),
            ("evalsha", 0) => "0".repeat(40),
            ("eval" | "evalsha" | "zdiff" | "zinter" | "zunion", 0 | 1) if at < 2 => "1".to_owned(),
            (_, 0) => format!("{{t}}{name}"),
            _ => at.to_string(),
        });
    }
    if matches!(name, "zdiff" | "zinter" | "zunion") && count > 0 {
        // nutcracker goes by the count and we by the first key: the same server for both.
        words[1] = "1".to_owned();
    }
    request(&words)
}

pub(crate) fn shown(outcome: &Outcome) -> String {
    let mut text = outcome.bytes.escape_ascii().to_string();
    if text.len() > 400 {
        text = format!(
            "{}…{} ({} bytes)",
            &text[..200],
            &text[text.len() - 150..],
            outcome.bytes.len()
        );
    }
    format!("{:?} {text}", outcome.end)
}

// === impl Stage ===

impl Stage {
    pub(crate) fn start() -> Stage {
        let config = "x:\n  listen: 127.0.0.1:1\n  hash_tag: \"{}\"\n  servers:\n   - h:1:1 a\n   - h:2:1 b\n";
        let parsed = parse_pools(Path::new("keys.yml"), config).unwrap();
        let placement = parsed.pools.0[0].placement();
        let mut keys = [Vec::new(), Vec::new()];
        for number in 0..200 {
            let key = format!("key-{}", number * 7919);
            let server = placement.locate(key.as_bytes(), || 0).unwrap();
            keys[server as usize].push(key);
        }
        let frozen = [Server::redis(&[]), Server::memcached(&[])];
        for server in &frozen {
            server.freeze();
        }
        Stage {
            redis: [Server::redis(&[]), Server::redis(&[])],
            memcached: [Server::memcached(&["-I", "4m"]), Server::memcached(&["-I", "4m"])],
            locked: Server::redis(&["--requirepass", "secret"]),
            frozen,
            dead: DeadPort::new(),
            keys,
        }
    }

    pub(crate) fn actor(&self, part: Part) -> Actor {
        let ports: Vec<(&str, u16)> = POOLS.iter().map(|pool| (*pool, free_port())).collect();
        let mut config = String::new();
        for (pool, port) in &ports {
            writeln!(config, "{pool}:\n  listen: 127.0.0.1:{port}\n  hash_tag: \"{{}}\"").unwrap();
            if part == Part::Strict {
                config.push_str("  compat: strict\n");
            }
            config.push_str(&self.rest_of_pool(pool));
        }
        let (nutcracker, proxy) = match part {
            Part::Nutcracker => (Some(Nutcracker::start(&config)), None),
            _ => (None, Some(Proxy::start(&config, &[]))),
        };
        Actor { ports, _nutcracker: nutcracker, _proxy: proxy }
    }

    fn rest_of_pool(&self, pool: &str) -> String {
        let [redis_a, redis_b] = [self.redis[0].entry("a"), self.redis[1].entry("b")];
        let [cache_a, cache_b] = [self.memcached[0].entry("a"), self.memcached[1].entry("b")];
        let dead = self.dead.entry("b");
        let timeout = format!("  timeout: {TIMEOUT_MS}\n");
        let (redis, servers) = ("  redis: true\n", "  servers:\n");
        match pool {
            "redis" => format!("{redis}{servers}{redis_a}{redis_b}"),
            "one" => format!("{redis}{servers}{redis_a}"),
            "dead" => format!("{redis}{servers}{redis_a}{dead}"),
            "slow" => format!("{redis}{timeout}{servers}{redis_a}{}", self.frozen[0].entry("b")),
            "auth" => format!("{redis}  redis_auth: secret\n{servers}{}", self.locked.entry("a")),
            "wrong" => format!("{redis}  redis_auth: other\n{servers}{}", self.locked.entry("a")),
            "memcache" => format!("{servers}{cache_a}{cache_b}"),
            "deadmc" => format!("{servers}{cache_a}{dead}"),
            "slowmc" => format!("{timeout}{servers}{cache_a}{}", self.frozen[1].entry("b")),
            _ => unreachable!("every pool has its servers here"),
        }
    }

    pub(crate) fn flush(&self) {
        for server in self.redis.iter().chain(&self.memcached) {
            server.flush();
        }
        let mut client = self.locked.client();
        client.ask(&["AUTH", "secret"]);
        client.ask(&["FLUSHALL"]);
    }

    /// The key with this number on the first (0) or second (1) server.
    pub(crate) fn key(&self, server: usize, number: usize) -> &str {
        &self.keys[server][number]
    }

    /// Plays a session from empty servers.
    fn play(&self, actor: &Actor, pool: &str, steps: &[String]) -> Outcome {
        self.flush();
        let protocol = protocol(pool);
        let (mut bytes, mut replies) = (Vec::new(), 0);
        for step in steps {
            let (step, silent) = match step.strip_prefix('~') {
                Some(step) => (step, true),
                None => (step.as_str(), false),
            };
            replies += usize::from(!silent);
            bytes.extend(self.step(protocol, step));
        }
        self.talk(actor, pool, &bytes, replies)
    }

    /// The bytes of a step: `=` begins raw bytes, `@a1` is a key on the first server; in
    /// memcached's steps `|` is the end of a line before the last one.
    fn step(&self, protocol: Protocol, step: &str) -> Vec<u8> {
        if let Some(raw) = step.strip_prefix('=') {
            return raw.as_bytes().to_vec();
        }
        let words = step.split(' ').map(|word| {
            let key =
                |server: usize, number: &str| self.key(server, number.parse().unwrap()).to_owned();
            match word.as_bytes() {
                [b'@', b'a', ..] => key(0, &word[2..]),
                [b'@', b'b', ..] => key(1, &word[2..]),
                _ => word.replace('_', " "),
            }
        });
        let words: Vec<String> = words.collect();
        match protocol {
            Protocol::Redis => request(&words),
            Protocol::Memcache => {
                format!("{}\r\n", words.join(" ").replace('|', "\r\n")).into_bytes()
            }
        }
    }

    /// Sends all of it at once, then a last request once the replies are there.
    pub(crate) fn talk(&self, actor: &Actor, pool: &str, bytes: &[u8], replies: usize) -> Outcome {
        let protocol = protocol(pool);
        let mut client = actor.client(pool);
        client.send(bytes);
        let mut outcome = client.outcome(protocol, replies, PATIENCE);
        if outcome.end == End::Open {
            let last = if protocol == Protocol::Redis { LAST_REDIS } else { LAST_MEMCACHE };
            // Who has closed by now takes no request; the next read tells.
            let _ = client.stream.write_all(&self.step(protocol, last));
            let last = client.outcome(protocol, 1, PATIENCE);
            outcome.bytes.extend(last.bytes);
            outcome.end = last.end;
        }
        outcome
    }
}

pub(crate) fn protocol(pool: &str) -> Protocol {
    if pool.ends_with("mc") || pool == "memcache" { Protocol::Memcache } else { Protocol::Redis }
}

impl Actor {
    pub(crate) fn client(&self, pool: &str) -> Client {
        let (_, port) = self.ports.iter().find(|(name, _)| *name == pool).unwrap();
        Client::connect(*port)
    }
}
