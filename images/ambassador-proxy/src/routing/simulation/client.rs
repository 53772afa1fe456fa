//! Clients of the simulation: they know what each of their requests may be answered with.

use std::collections::{BTreeMap, VecDeque};

use super::Dice;
use super::server::base;

/// Errors that a client may get when servers fail.
const FAILURES: &[&str] = &[
    "Connection refused",
    "Connection timed out",
    "Connection reset by peer",
    "Broken pipe",
    "Invalid argument",
    "Host is down",
    "unknown",
    "server queue full",
    "proxy out of memory",
    "server handshake failed",
];

/// What the value of a key may be.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// The key as the request named it.
    key: String,
    /// The newest version when the request was made; 0: never written.
    newest: u32,
    /// Whether the value has been deleted since.
    deleted: bool,
}

/// What a request is to be answered with.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// A bulk string that names the key and holds its value.
    Value(Known),
    /// An array of them.
    Array(Vec<Known>),
    /// memcached values, then `END`.
    Values(Vec<Known>),
    /// `VA` with the value, `EN`, or nothing when quiet.
    Meta { known: Known, quiet: bool },
    /// Exactly this; errors are possible when it came from a server.
    Text { text: String, local: bool },
    /// Nothing at all, or an error.
    Silence,
}

/// What became of the bytes a client has got.
#[derive(Debug, PartialEq, Eq)]
enum Check {
    /// They hold an answer of this length.
    Good(usize),
    /// They hold a failure of this length.
    Failed(usize),
    /// They may become one.
    More,
    Bad(String),
}

/// What clients may do and have to put up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    pub(super) is_redis: bool,
    pub(super) strict: bool,
    pub(super) resp3: bool,
    /// Values above 256 KiB now and then.
    pub(super) big: bool,
    /// Requests may fail and values be lost.
    pub(super) faults: bool,
    /// Clients have to give the password first.
    pub(super) locked: bool,
    pub(super) flush_all: bool,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    name: u32,
    manners: Manners,
    /// Bytes for the proxy, from `sent` on.
    pub(super) outbox: Vec<u8>,
    pub(super) sent: usize,
    /// Answers still to come.
    pub(super) wants: VecDeque<Want>,
    /// Bytes that have arrived and were not understood yet.
    got: Vec<u8>,
    versions: BTreeMap<String, (u32, bool)>,
    version: u32,
    requests: u32,
    resp3: bool,
    /// It has said that it will go, or something that ends the connection.
    pub(super) is_leaving: bool,
    pub(super) good: u64,
    pub(super) failed: u64,
}

impl Client {
    pub(super) fn new(name: u32, manners: Manners) -> Client {
        let mut client = Client {
            name,
            manners,
            outbox: Vec::new(),
            sent: 0,
            wants: VecDeque::new(),
            got: Vec::new(),
            versions: BTreeMap::new(),
            version: 0,
            requests: 0,
            resp3: false,
            is_leaving: false,
            good: 0,
            failed: 0,
        };
        if manners.locked {
            client.redis(&["AUTH", super::server::PASSWORD]);
            client.expect_local("+OK\r\n");
        }
        client
    }

    /// Bytes of an answer that is not complete.
    pub(super) fn has_partial_answer(&self) -> bool {
        !self.got.is_empty()
    }

    fn key(&mut self, dice: &mut Dice) -> String {
        self.requests += 1;
        format!("{{c{}k{}}}{}", self.name, dice.below(6), self.requests)
    }

    fn known(&self, key: &str) -> Known {
        let (newest, deleted) = self.versions.get(base_of(key)).copied().unwrap_or((0, true));
        Known { key: key.to_owned(), newest, deleted }
    }

    /// A new value for a key; the account of versions knows it.
    fn value(&mut self, dice: &mut Dice, key: &str) -> Vec<u8> {
        self.version += 1;
        self.versions.insert(base_of(key).to_owned(), (self.version, false));
        let length = match dice.below(20) {
            0 if self.manners.big => 200_000 + dice.below(500_000),
            0..3 => 10_000 + dice.below(80_000),
            3..10 => dice.below(3_000),
            _ => dice.below(60),
        };
        value(base_of(key), self.version, length)
    }

    fn delete(&mut self, key: &str) {
        if let Some(version) = self.versions.get_mut(base_of(key)) {
            version.1 = true;
        }
    }

    fn expect(&mut self, text: String) {
        self.wants.push_back(Want::Text { text, local: false });
    }

    fn expect_local(&mut self, text: &str) {
        self.wants.push_back(Want::Text { text: text.to_owned(), local: true });
    }

    fn redis(&mut self, args: &[&str]) {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        crate::protocol::resp::push_request(&mut self.outbox, &args);
    }

    /// Makes up a further request.
    pub(super) fn ask(&mut self, dice: &mut Dice) {
        if self.is_leaving {
            return;
        }
        if self.outbox.len() == self.sent {
            self.outbox.clear();
            self.sent = 0;
        }
        match self.manners.is_redis {
            true if dice.below(12) == 0 => self.ask_redis_oddity(dice),
            true => self.ask_redis(dice),
            false => self.ask_memcached(dice),
        }
    }

    fn ask_redis(&mut self, dice: &mut Dice) {
        let key = self.key(dice);
        match dice.below(12) {
            0..4 => {
                let value = self.value(dice, &key);
                let args = [b"SET".as_slice(), key.as_bytes(), &value];
                crate::protocol::resp::push_request(&mut self.outbox, &args);
                self.expect(format!("+OK {key}\r\n"));
            }
            4..7 => {
                self.redis(&["GET", &key]);
                let known = self.known(&key);
                self.wants.push_back(Want::Value(known));
            }
            7 => {
                let keys: Vec<String> = (0..=dice.below(6)).map(|_| self.key(dice)).collect();
                let known = keys.iter().map(|key| self.known(key)).collect();
                let mut args = vec!["mGet"];
                args.extend(keys.iter().map(String::as_str));
                self.redis(&args);
                self.wants.push_back(Want::Array(known));
            }
            8 => {
                let keys: Vec<String> = (0..=dice.below(5)).map(|_| self.key(dice)).collect();
                let values: Vec<Vec<u8>> = keys.iter().map(|key| self.value(dice, key)).collect();
                let mut args = vec![b"MSET".as_slice()];
                for (key, value) in keys.iter().zip(&values) {
                    args.push(key.as_bytes());
                    args.push(value);
                }
                crate::protocol::resp::push_request(&mut self.outbox, &args);
                self.expect("+OK\r\n".to_owned());
            }
            9 => {
                let keys: Vec<String> = (0..=dice.below(4)).map(|_| self.key(dice)).collect();
                let name = ["DEL", "UNLINK", "TOUCH"][dice.below(3)];
                if name != "TOUCH" {
                    keys.iter().for_each(|key| self.delete(key));
                }
                let mut args = vec![name];
                args.extend(keys.iter().map(String::as_str));
                self.redis(&args);
                self.expect(format!(":{}\r\n", keys.len()));
            }
            10 => {
                self.redis(&["TYPE", &key]);
                self.expect(format!("+{key}\r\n"));
            }
            _ => {
                self.redis(&["hgetall", &key]);
                let head = if self.resp3 { "%1" } else { "*2" };
                let length = key.len();
                self.expect(format!("{head}\r\n${length}\r\n{key}\r\n*2\r\n:1\r\n*0\r\n"));
            }
        }
    }

    /// What is answered by the proxy, refused, or rare.
    fn ask_redis_oddity(&mut self, dice: &mut Dice) {
        let key = self.key(dice);
        let number = self.requests.to_string();
        match dice.below(if self.manners.strict { 4 } else { 12 }) {
            0 => {
                self.redis(&["PING"]);
                self.expect_local("+PONG\r\n");
            }
            1 => {
                self.redis(&["INCR", &key]);
                self.expect(format!("-ERR no number in {key}\r\n"));
            }
            2 => {
                self.redis(&["EVAL", "return 1", "1", &key]);
                self.expect(format!("+{key}\r\n"));
            }
            3 => {
                self.redis(&["DUMP", &key]);
                self.expect(if self.resp3 { "_\r\n" } else { "$-1\r\n" }.to_owned());
            }
            4 | 5 => {
                self.redis(&["ECHO", &number]);
                self.expect_local(&format!("${}\r\n{number}\r\n", number.len()));
            }
            6 => {
                self.outbox.extend_from_slice(format!("PING {number}\r\n").as_bytes());
                self.expect_local(&format!("${}\r\n{number}\r\n", number.len()));
            }
            7 => {
                self.redis(&["SUBSCRIBE", &number]);
                self.expect_local("-ERR unknown command 'SUBSCRIBE'\r\n");
            }
            8 => {
                self.redis(&["GET"]);
                self.expect_local("-ERR wrong number of arguments for 'get' command\r\n");
            }
            9 if self.manners.resp3 => {
                self.resp3 = dice.below(2) == 0;
                self.redis(&["HELLO", if self.resp3 { "3" } else { "2" }]);
                let head = if self.resp3 { "%7" } else { "*14" };
                self.expect_local(&format!("{head}\r\n$6\r\nserver\r\n"));
            }
            10 if dice.below(4) == 0 => {
                self.redis(&["QUIT"]);
                self.expect_local("+OK\r\n");
                self.is_leaving = true;
            }
            11 if dice.below(4) == 0 => {
                self.outbox.extend_from_slice(b"*1\r\n:oops\r\n");
                self.expect_local("-ERR Protocol error: expected '$'\r\n");
                self.is_leaving = true;
            }
            _ => self.outbox.extend_from_slice(b"*0\r\n"),
        }
    }

    fn ask_memcached(&mut self, dice: &mut Dice) {
        let key = self.key(dice);
        let strict = self.manners.strict;
        match dice.below(if strict { 8 } else { 16 }) {
            0..3 => {
                let silent = dice.below(4) == 0;
                let value = self.value(dice, &key);
                let tail = if silent { " noreply" } else { "" };
                let line = format!("set {key} 0 0 {}{tail}\r\n", value.len());
                self.outbox.extend_from_slice(line.as_bytes());
                self.outbox.extend_from_slice(&value);
                self.outbox.extend_from_slice(b"\r\n");
                if !silent {
                    self.expect(format!("STORED {key}\r\n"));
                }
            }
            3 | 4 => self.get("get", vec![key]),
            5 => {
                let keys = (0..=dice.below(6)).map(|_| self.key(dice)).collect();
                self.get("gets", keys);
            }
            6 => {
                self.delete(&key);
                let silent = dice.below(4) == 0;
                let tail = if silent { " noreply" } else { "" };
                self.line(&format!("delete {key}{tail}"));
                if !silent {
                    self.expect(format!("DELETED {key}\r\n"));
                }
            }
            7 => {
                self.line(&format!("touch {key} 10"));
                self.expect(format!("TOUCHED {key}\r\n"));
            }
            8 => {
                let keys = (0..=dice.below(3)).map(|_| self.key(dice)).collect();
                self.get("gat 100", keys);
            }
            9 | 10 => {
                let quiet = dice.below(2) == 0;
                let known = self.known(&key);
                self.line(&format!("mg {key} v k{}", if quiet { " q" } else { "" }));
                self.wants.push_back(Want::Meta { known, quiet });
                self.after_quiet(quiet);
            }
            11 | 12 => self.meta_set(dice, &key),
            13 => {
                self.line("mn");
                self.expect_local("MN\r\n");
            }
            _ => self.ask_memcached_oddity(dice),
        }
    }

    fn ask_memcached_oddity(&mut self, dice: &mut Dice) {
        match dice.below(6) {
            0 => {
                self.line("version");
                self.expect("VERSION 1\r\n".to_owned());
            }
            1 => {
                self.line("nonsense");
                self.expect_local("ERROR\r\n");
            }
            2 => {
                self.line("set {c0k0} 0 nonsense 3\r\nabc");
                self.expect_local("CLIENT_ERROR bad command line format\r\n");
            }
            3 if self.manners.flush_all => {
                self.line("flush_all");
                self.expect("OK\r\n".to_owned());
            }
            4 if dice.below(4) == 0 => {
                self.line("quit");
                self.is_leaving = true;
            }
            5 if dice.below(4) == 0 => {
                self.line("set {c0k0} 0 0 3\r\nabcde");
                self.expect_local("CLIENT_ERROR bad data chunk\r\n");
                self.is_leaving = true;
            }
            _ => {
                self.line("verbosity 1");
                self.expect_local("OK\r\n");
            }
        }
    }

    fn meta_set(&mut self, dice: &mut Dice, key: &str) {
        let quiet = dice.below(2) == 0;
        let value = self.value(dice, key);
        self.line(&format!("ms {key} {}{}", value.len(), if quiet { " q" } else { "" }));
        self.outbox.extend_from_slice(&value);
        self.line("");
        if quiet {
            self.wants.push_back(Want::Silence);
        } else {
            self.expect(format!("HD k{key}\r\n"));
        }
        self.after_quiet(quiet);
    }

    /// With faults, what follows a quiet command must not fail, lest the failure be taken for that
    /// of the quiet one.
    fn after_quiet(&mut self, quiet: bool) {
        if quiet && self.manners.faults {
            self.line("mn");
            self.expect_local("MN\r\n");
        }
    }

    fn get(&mut self, command: &str, keys: Vec<String>) {
        self.line(&format!("{command} {}", keys.join(" ")));
        let known = keys.iter().map(|key| self.known(key)).collect();
        self.wants.push_back(Want::Values(known));
    }

    fn line(&mut self, text: &str) {
        self.outbox.extend_from_slice(text.as_bytes());
        self.outbox.extend_from_slice(b"\r\n");
    }

    // === Answers ===

    /// Takes bytes from the proxy.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.got.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let Some(want) = self.wants.front() else {
                let rest = &self.got[at..];
                if rest.is_empty() {
                    break;
                }
                let shown = rest[..rest.len().min(200)].escape_ascii();
                return Err(format!("client {}: nobody asked for {shown}", self.name));
            };
            match check(want, &self.got[at..], self.manners.faults) {
                Check::Good(length) => {
                    at += length;
                    self.good += 1;
                    if !self.hello_rest(&mut at) {
                        break;
                    }
                    self.wants.pop_front();
                }
                Check::Failed(length) => {
                    at += length;
                    self.failed += 1;
                    self.wants.pop_front();
                }
                Check::More => break,
                Check::Bad(why) => {
                    let rest = &self.got[at..];
                    let shown = rest[..rest.len().min(200)].escape_ascii();
                    let name = self.name;
                    return Err(format!("client {name}: {why}; wanted {want:?}, got {shown}"));
                }
            }
        }
        self.got.drain(..at);
        Ok(())
    }

    /// Skips the rest of the answer to `HELLO`, of which only the beginning is fixed.
    fn hello_rest(&mut self, at: &mut usize) -> bool {
        let Some(Want::Text { text, local: true }) = self.wants.front() else { return true };
        if !text.ends_with("server\r\n") {
            return true;
        }
        let end: &[u8] = b"modules\r\n*0\r\n";
        match self.got[*at..].windows(end.len()).position(|window| window == end) {
            Some(found) => {
                *at += found + end.len();
                true
            }
            None => {
                *at -= text.len();
                self.good -= 1;
                false
            }
        }
    }

    /// Answers that cannot be told from silence are taken as given.
    pub(super) fn settle(&mut self) {
        while let Some(want) = self.wants.front() {
            let silent = matches!(want, Want::Silence | Want::Meta { quiet: true, .. });
            if !silent || !self.got.is_empty() {
                return;
            }
            self.wants.pop_front();
        }
    }
}

fn base_of(key: &str) -> &str {
    std::str::from_utf8(base(key.as_bytes())).expect("keys are ASCII")
}

/// The value of a key in one version: it names both and is filled with what follows from them.
fn value(base: &str, version: u32, length: usize) -> Vec<u8> {
    let head = format!("{base}:{version}:{length}:");
    let pattern = format!("<{base}{version}>\r\n");
    let mut value = head.into_bytes();
    value.reserve(length + pattern.len());
    let end = value.len() + length;
    while value.len() < end {
        value.extend_from_slice(pattern.as_bytes());
    }
    value.truncate(end);
    value
}

impl Known {
    /// Whether `stored` may be the value.
    fn allows(&self, stored: Option<&[u8]>, faults: bool) -> Result<(), String> {
        let Some(stored) = stored else {
            return match self.deleted || faults {
                true => Ok(()),
                false => Err(format!("{} has lost version {}", self.key, self.newest)),
            };
        };
        let mut parts = stored.splitn(4, |&byte| byte == b':');
        let mut part = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or("");
        let (base, version, length) = (part(), part(), part());
        if base != base_of(&self.key) {
            return Err(format!("{} has the value of {base}", self.key));
        }
        let version: u32 = version.parse().map_err(|_| "no version".to_owned())?;
        let length = length.parse().map_err(|_| "no length".to_owned())?;
        if value(base, version, length) != stored {
            return Err(format!("the value of {} is damaged", self.key));
        }
        let right = match faults {
            true => version <= self.newest,
            false => version == self.newest && !self.deleted,
        };
        if right { Ok(()) } else { Err(format!("{} has version {version}", self.key)) }
    }
}

fn check(want: &Want, got: &[u8], faults: bool) -> Check {
    if got.is_empty() {
        return Check::More;
    }
    if let Want::Silence = want {
        // Only a failure says anything; otherwise the next answer begins here.
        return match is_failure(got).filter(|_| faults) {
            Some(true) => line(got),
            None if faults => Check::More,
            _ => Check::Good(0),
        };
    }
    if let Want::Text { text, .. } = want {
        let common = text.len().min(got.len());
        if got[..common] == text.as_bytes()[..common] {
            return if common == text.len() { Check::Good(common) } else { Check::More };
        }
    }
    let local = matches!(want, Want::Text { local: true, .. });
    if faults && !local {
        match is_failure(got) {
            Some(true) => return line(got),
            Some(false) => {}
            None => return Check::More,
        }
    }
    let checked = match want {
        Want::Value(known) => bulk(known, got, faults),
        Want::Array(known) => array(known, got, faults),
        Want::Values(known) => values(known, got, faults),
        Want::Meta { known, quiet } => meta(known, *quiet, got, faults),
        Want::Text { .. } | Want::Silence => Err("another text".to_owned()),
    };
    match checked {
        Ok(Some(length)) => Check::Good(length),
        Ok(None) => Check::More,
        Err(why) => Check::Bad(why),
    }
}

/// Whether a failure begins here; `None`: too short to say.
fn is_failure(got: &[u8]) -> Option<bool> {
    let text = |head: &str, failure: &str| format!("{head}{failure}\r\n").into_bytes();
    let mut possible = vec![b"-OOM command not allowed\r\n".to_vec()];
    for failure in FAILURES {
        possible.push(text("-ERR ", failure));
        possible.push(text("SERVER_ERROR ", failure));
    }
    if possible.iter().any(|text| got.starts_with(text)) {
        return Some(true);
    }
    match possible.iter().any(|text| text.starts_with(got)) {
        true => None,
        false => Some(false),
    }
}

fn line(got: &[u8]) -> Check {
    match got.iter().position(|&byte| byte == b'\n') {
        Some(at) => Check::Failed(at + 1),
        None => Check::More,
    }
}

type Checked = Result<Option<usize>, String>;

/// `$length`, the key, `=`, the value or `-`.
fn bulk(known: &Known, got: &[u8], faults: bool) -> Checked {
    let Some(end) = got.iter().take(24).position(|&byte| byte == b'\n') else { return Ok(None) };
    let length: usize = got[..end]
        .strip_prefix(b"$")
        .and_then(|text| std::str::from_utf8(text).ok())
        .and_then(|text| text.trim_end().parse().ok())
        .ok_or("no bulk string")?;
    let Some(body) = got.get(end + 1..end + 3 + length) else { return Ok(None) };
    let body = body.strip_suffix(b"\r\n").ok_or("bulk string without its end")?;
    let stored = body
        .strip_prefix(known.key.as_bytes())
        .and_then(|rest| rest.strip_prefix(b"="))
        .ok_or("the value of another request")?;
    known.allows(Some(stored).filter(|&stored| stored != b"-"), faults)?;
    Ok(Some(end + 3 + length))
}

fn array(known: &[Known], got: &[u8], faults: bool) -> Checked {
    let head = format!("*{}\r\n", known.len());
    if got.len() < head.len() {
        return Ok(None);
    }
    if !got.starts_with(head.as_bytes()) {
        return Err("no array of that length".to_owned());
    }
    let mut at = head.len();
    for known in known {
        match bulk(known, &got[at..], faults)? {
            Some(length) => at += length,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

fn values(known: &[Known], got: &[u8], faults: bool) -> Checked {
    let mut at = 0;
    let mut known = known.iter();
    loop {
        let rest = &got[at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        let text = String::from_utf8_lossy(&rest[..end]).trim_end().to_owned();
        if text == "END" {
            for missing in known {
                missing.allows(None, faults)?;
            }
            return Ok(Some(at + end + 1));
        }
        let words: Vec<&str> = text.split(' ').collect();
        let ["VALUE", key, "0", length] = words[..] else { return Err("no VALUE".to_owned()) };
        let length: usize = length.parse().map_err(|_| "no length".to_owned())?;
        let Some(body) = rest.get(end + 1..end + 3 + length) else { return Ok(None) };
        loop {
            let next = known.next().ok_or("the value of another request")?;
            if next.key == key {
                next.allows(body.strip_suffix(b"\r\n"), faults)?;
                break;
            }
            next.allows(None, faults)?;
        }
        at += end + 3 + length;
    }
}

fn meta(known: &Known, quiet: bool, got: &[u8], faults: bool) -> Checked {
    let Some(end) = got.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let text = String::from_utf8_lossy(&got[..end]).trim_end().to_owned();
    let words: Vec<&str> = text.split(' ').collect();
    let own_key = format!("k{}", known.key);
    match words[..] {
        ["VA", length, key] if key == own_key => {
            let length: usize = length.parse().map_err(|_| "no length".to_owned())?;
            let Some(body) = got.get(end + 1..end + 3 + length) else { return Ok(None) };
            known.allows(body.strip_suffix(b"\r\n"), faults)?;
            Ok(Some(end + 3 + length))
        }
        ["EN"] if !quiet => {
            known.allows(None, faults)?;
            Ok(Some(end + 1))
        }
        _ if quiet => {
            // A miss says nothing; this is the answer to the next request.
            known.allows(None, faults)?;
            Ok(Some(0))
        }
        _ => Err("no meta answer of this request".to_owned()),
    }
}
