//! Servers of the simulation: they hold real values and name the key of the request in what they
//! answer, so that a reply that reaches anybody else is noticed.
//!
//! A key has the form `{base}number`. Values are kept under `base`; the number tells requests
//! apart. Pools hash by the part in braces.

use std::collections::BTreeMap;

/// Password that servers of a pool with a password want to hear.
pub(super) const PASSWORD: &str = "open sesame";

/// What a server does with connections and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It answers.
    Serves,
    /// It refuses connections.
    Refuses,
    /// It takes requests and does not answer.
    Stalls,
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) mode: Mode,
    pub(super) is_redis: bool,
    /// Whether it wants a password first.
    pub(super) locked: bool,
    /// The database every request has to run in.
    pub(super) database: u32,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// One connection of the proxy to a server, as the server sees it.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) inbox: Vec<u8>,
    pub(super) outbox: Vec<u8>,
    unlocked: bool,
    database: u32,
    resp3: bool,
}

/// The part of a key that values are kept under.
pub(super) fn base(key: &[u8]) -> &[u8] {
    let end = key.iter().position(|&byte| byte == b'}').map_or(key.len(), |at| at + 1);
    &key[..end]
}

impl Server {
    pub(super) fn new(is_redis: bool, locked: bool, database: u32) -> Server {
        Server { mode: Mode::Serves, is_redis, locked, database, values: BTreeMap::new() }
    }

    /// Answers the first request in the inbox, if there is a whole one.
    pub(super) fn answer(&mut self, session: &mut Session, out_of_memory: bool) -> bool {
        let taken = if self.is_redis {
            self.redis(session, out_of_memory)
        } else {
            self.memcached(session)
        };
        session.inbox.drain(..taken);
        taken > 0
    }

    // === Redis ===

    fn redis(&mut self, session: &mut Session, out_of_memory: bool) -> usize {
        let Some((args, taken)) = request(&session.inbox) else { return 0 };
        let name = args[0].to_ascii_lowercase();
        let out = &mut session.outbox;
        match name.as_slice() {
            b"auth" => {
                assert_eq!(args[1], PASSWORD.as_bytes(), "password of the pool");
                session.unlocked = true;
                out.extend_from_slice(b"+OK\r\n");
                return taken;
            }
            b"hello" => {
                session.resp3 = true;
                out.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n");
                return taken;
            }
            b"select" => {
                session.database = text(&args[1]).parse().expect("a database");
                out.extend_from_slice(b"+OK\r\n");
                return taken;
            }
            _ => {}
        }
        assert!(session.unlocked || !self.locked, "a request before the password");
        assert_eq!(session.database, self.database, "a request before its database was selected");
        if out_of_memory {
            out.extend_from_slice(b"-OOM command not allowed\r\n");
            return taken;
        }
        self.redis_command(&name, &args, session.resp3, &mut session.outbox);
        taken
    }

    fn redis_command(&mut self, name: &[u8], args: &[Vec<u8>], resp3: bool, out: &mut Vec<u8>) {
        let key = args.get(1).cloned().unwrap_or_default();
        match name {
            b"get" => self.push_value(&key, out),
            b"set" => {
                self.values.insert(base(&key).to_vec(), args[2].clone());
                push(out, &[b"+OK ", &key, b"\r\n"]);
            }
            b"mget" => {
                push(out, &[format!("*{}\r\n", args.len() - 1).as_bytes()]);
                for key in &args[1..] {
                    self.push_value(key, out);
                }
            }
            b"mset" => {
                for pair in args[1..].chunks(2) {
                    self.values.insert(base(&pair[0]).to_vec(), pair[1].clone());
                }
                push(out, &[b"+OK\r\n"]);
            }
            b"del" | b"unlink" | b"touch" | b"exists" => {
                if matches!(name, b"del" | b"unlink") {
                    for key in &args[1..] {
                        self.values.remove(base(key));
                    }
                }
                push(out, &[format!(":{}\r\n", args.len() - 1).as_bytes()]);
            }
            b"type" => push(out, &[b"+", &key, b"\r\n"]),
            b"dump" => push(out, &[if resp3 { b"_\r\n".as_slice() } else { b"$-1\r\n" }]),
            b"incr" => push(out, &[b"-ERR no number in ", &key, b"\r\n"]),
            b"hgetall" => {
                let head = if resp3 { "%1\r\n" } else { "*2\r\n" };
                let length = format!("${}\r\n", key.len());
                push(out, &[head.as_bytes(), length.as_bytes(), &key, b"\r\n*2\r\n:1\r\n*0\r\n"]);
            }
            b"eval" => push(out, &[b"+", &args[3], b"\r\n"]),
            b"command" => push(out, &[b"*1\r\n+command\r\n"]),
            _ => panic!("the proxy passed on {}", name.escape_ascii()),
        }
    }

    fn push_value(&self, key: &[u8], out: &mut Vec<u8>) {
        let none = b"-".to_vec();
        let value = self.values.get(base(key)).unwrap_or(&none);
        let length = format!("${}\r\n", key.len() + 1 + value.len());
        push(out, &[length.as_bytes(), key, b"=", value, b"\r\n"]);
    }

    // === memcached ===

    fn memcached(&mut self, session: &mut Session) -> usize {
        let Some(end) = session.inbox.iter().position(|&byte| byte == b'\n') else { return 0 };
        let line = text(&session.inbox[..end]).trim_end().to_owned();
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let length_at = match words[0] {
            "set" | "add" | "replace" => Some(4),
            "ms" => Some(2),
            _ => None,
        };
        let length = length_at.map_or(0, |at| words[at].parse::<usize>().expect("a length") + 2);
        let taken = end + 1 + length;
        if session.inbox.len() < taken {
            return 0;
        }
        let body = session.inbox[end + 1..taken].strip_suffix(b"\r\n").unwrap_or_default().to_vec();
        let silent = words.last() == Some(&"noreply");
        let mut out = Vec::new();
        self.memcached_command(&words, body, &mut out);
        if !silent {
            session.outbox.append(&mut out);
        }
        taken
    }

    fn memcached_command(&mut self, words: &[&str], body: Vec<u8>, out: &mut Vec<u8>) {
        let key = words.get(1).copied().unwrap_or_default().as_bytes();
        match words[0] {
            "get" | "gets" => self.push_values(&words[1..], out),
            "gat" | "gats" => self.push_values(&words[2..], out),
            "set" => {
                self.values.insert(base(key).to_vec(), body);
                push(out, &[b"STORED ", key, b"\r\n"]);
            }
            "delete" => {
                self.values.remove(base(key));
                push(out, &[b"DELETED ", key, b"\r\n"]);
            }
            "incr" => push(out, &[b"NOT_FOUND ", key, b"\r\n"]),
            "touch" => push(out, &[b"TOUCHED ", key, b"\r\n"]),
            "version" => push(out, &[b"VERSION 1\r\n"]),
            "flush_all" => push(out, &[b"OK\r\n"]),
            "mn" => push(out, &[b"MN\r\n"]),
            "mg" | "ms" | "md" => self.meta(words, key, body, out),
            word => panic!("the proxy passed on {word}"),
        }
    }

    fn meta(&mut self, words: &[&str], key: &[u8], body: Vec<u8>, out: &mut Vec<u8>) {
        let quiet = words.iter().skip(2).any(|word| word.starts_with('q'));
        match words[0] {
            "mg" => match self.values.get(base(key)) {
                Some(value) => {
                    let head = format!("VA {} k", value.len());
                    push(out, &[head.as_bytes(), key, b"\r\n", value, b"\r\n"]);
                }
                None if quiet => {}
                None => push(out, &[b"EN\r\n"]),
            },
            "ms" => {
                self.values.insert(base(key).to_vec(), body);
                if !quiet {
                    push(out, &[b"HD k", key, b"\r\n"]);
                }
            }
            _ => {
                self.values.remove(base(key));
                if !quiet {
                    push(out, &[b"HD k", key, b"\r\n"]);
                }
            }
        }
    }

    fn push_values(&self, keys: &[&str], out: &mut Vec<u8>) {
        for key in keys {
            if let Some(value) = self.values.get(base(key.as_bytes())) {
                let head = format!("VALUE {key} 0 {}\r\n", value.len());
                push(out, &[head.as_bytes(), value, b"\r\n"]);
            }
        }
        push(out, &[b"END\r\n"]);
    }
}

fn push(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the clients of the simulation speak ASCII")
}

/// The first request of `bytes` in the array form, and its length.
fn request(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let line = |at: usize| {
        let end = at + bytes.get(at..)?.iter().position(|&byte| byte == b'\n')?;
        let number: usize = text(&bytes[at + 1..end]).trim_end().parse().expect("a number");
        Some((bytes[at], number, end + 1))
    };
    let (kind, count, mut at) = line(0)?;
    assert_eq!(kind, b'*', "requests are arrays");
    let mut args = Vec::new();
    for _ in 0..count {
        let (kind, length, body) = line(at)?;
        assert_eq!(kind, b'$', "arguments are bulk strings");
        args.push(bytes.get(body..body + length)?.to_vec());
        at = body + length + 2;
        bytes.get(at - 1)?;
    }
    Some((args, at))
}
