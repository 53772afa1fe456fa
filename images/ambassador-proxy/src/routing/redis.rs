//! What a Redis request is, and where it goes.

use super::client::{Client, Ending, Scanner};
use super::fabric::{Fabric, Sender, Wanted, whole};
use super::failure::Failure;
use super::join::{Join, Merge};
use crate::protocol::commands::{Command, Local, Route, lookup};
use crate::protocol::memcache::ReplyKind;
use crate::protocol::resp::{push_bulk, push_header, push_request, split_inline};
use crate::protocol::{Span, decimal};

/// The key that chooses the server for commands that any server can answer, as in twemproxy.
const PLACEHOLDER: &[u8] = b"placeholder";
/// The version that clients are told, which decides what they believe a server can do.
const REDIS_VERSION: &str = "7.0.0";

/// Takes one whole request.
#[inline]
pub(super) fn take(client: &mut Client, fabric: &mut Fabric, frame: &[u8]) {
    let Scanner::Redis(scanner) = &mut client.scanner else { return };
    if frame[0] != b'*' {
        return take_inline(client, fabric, frame);
    }
    let args = std::mem::take(&mut scanner.args);
    take_args(client, fabric, frame, &args);
    if let Scanner::Redis(scanner) = &mut client.scanner {
        scanner.args = args;
    }
}

/// Takes an inline command by writing it in the array form first.
#[cold]
fn take_inline(client: &mut Client, fabric: &mut Fabric, line: &[u8]) {
    if fabric.pool(client.pool).strict {
        return super::refuse_bytes(client, fabric, "expected '*'");
    }
    let args = match split_inline(line) {
        Ok(args) => args,
        Err(error) => return super::refuse_bytes(client, fabric, error.0),
    };
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut frame = Vec::new();
    push_request(&mut frame, &args);
    let mut scan = crate::protocol::resp::RequestScan::default();
    if scan.scan(&frame).is_ok() {
        take_args(client, fabric, &frame, &scan.args);
    }
}

#[inline]
fn take_args(client: &mut Client, fabric: &mut Fabric, frame: &[u8], args: &[Span]) {
    let Some(name) = args.first() else {
        // `*0` and an empty line: Redis ignores them.
        if fabric.pool(client.pool).strict {
            super::refuse_bytes(client, fabric, "empty request");
        }
        return;
    };
    let name = name.of(frame);
    match admit(client, fabric, name, args.len()) {
        Err(refusal) => refuse(client, fabric, &refusal),
        Ok(command) => match command.route {
            Route::Key(at) => forward(client, fabric, args[usize::from(at)].of(frame), frame),
            Route::Counted(at) => counted(client, fabric, frame, args, usize::from(at)),
            Route::Anywhere => forward(client, fabric, PLACEHOLDER, frame),
            Route::Local(local) => answer(client, fabric, local, frame, args),
            Route::SplitArray => split(client, fabric, command, frame, args, Merge::Array, 1),
            Route::SplitSum => split(client, fabric, command, frame, args, Merge::Sum, 1),
            Route::SplitPairs => split(client, fabric, command, frame, args, Merge::AllOk, 2),
        },
    }
}

/// Whether the client may ask this: a known command, the right number of arguments, a password.
/// Otherwise the error to answer with.
#[inline]
pub(super) fn admit(
    client: &Client,
    fabric: &mut Fabric,
    name: &[u8],
    args: usize,
) -> Result<&'static Command, String> {
    let strict = fabric.pool(client.pool).strict;
    let Some(command) = lookup(name).filter(|command| command.twemproxy || !strict) else {
        let shown = &name[..name.len().min(64)];
        return Err(format!("-ERR unknown command '{}'\r\n", shown.escape_ascii()));
    };
    if !(command.takes(args) && (!strict || command.takes_strict(args))) {
        let name = command.name;
        return Err(format!("-ERR wrong number of arguments for '{name}' command\r\n"));
    }
    let opens = matches!(
        command.route,
        Route::Local(Local::Auth | Local::Hello | Local::Quit | Local::Reset)
    );
    if !client.session.authenticated && !opens {
        return Err("-NOAUTH Authentication required\r\n".to_owned());
    }
    Ok(command)
}

/// Answers with an error; a strict pool closes without a word instead, but for `NOAUTH`.
#[cold]
fn refuse(client: &mut Client, fabric: &mut Fabric, refusal: &str) {
    if closes(client, fabric, refusal) {
        let pool = fabric.pool(client.pool);
        pool.plan.counters.pool.client_err.add(1);
        client.end(Ending::Now);
    } else {
        client.answer(refusal.as_bytes());
    }
}

/// Whether the connection closes in place of this error.
pub(super) fn closes(client: &Client, fabric: &mut Fabric, refusal: &str) -> bool {
    fabric.pool(client.pool).strict && !refusal.starts_with("-NOAUTH")
}

/// Who the client is to the fabric.
#[inline]
pub(super) fn sender(client: &Client) -> Sender {
    Sender { id: client.id, pool: client.pool, resp3: client.session.resp3 }
}

/// Sends a request to the server of its key, byte for byte.
#[inline]
fn forward(client: &mut Client, fabric: &mut Fabric, key: &[u8], frame: &[u8]) {
    let now_us = fabric.now_us;
    let server = fabric.pool(client.pool).locate(key, now_us);
    forward_to(client, fabric, server, frame, ReplyKind::Line);
}

/// Tells a client that its request failed here.
#[cold]
pub(super) fn fail(client: &mut Client, fabric: &mut Fabric, seq: u64, failure: Failure) {
    fabric.pool(client.pool).plan.counters.pool.forward_error.add(1);
    client.reply(seq, failure.reply(client.protocol).as_bytes());
}

/// A command whose keys follow their count, such as `EVAL script 2 a b`.
fn counted(client: &mut Client, fabric: &mut Fabric, frame: &[u8], args: &[Span], at: usize) {
    let keys = args.get(at).and_then(|count| decimal(count.of(frame)));
    match (keys, args.get(at + 1)) {
        (Some(1..), Some(key)) => forward(client, fabric, key.of(frame), frame),
        _ => refuse(client, fabric, "-ERR at least one key is needed to choose the server\r\n"),
    }
}

/// Splits a request by the servers of its keys, `step` arguments to a key.
fn split(
    client: &mut Client,
    fabric: &mut Fabric,
    command: &Command,
    frame: &[u8],
    args: &[Span],
    merge: Merge,
    step: usize,
) {
    let strict = fabric.pool(client.pool).strict;
    if strict && command.name == "exists" {
        // twemproxy sends all of it to the server of the first key.
        return forward(client, fabric, args[1].of(frame), frame);
    }
    let keys = args[1..].iter().step_by(step).map(|span| span.of(frame));
    let plan = SplitPlan::of(fabric, client.pool, keys);
    if let [only] = plan.fragments.as_slice() {
        // One key, or all on one server: the request is right as it is.
        let server = only.server;
        fabric.keep_plan(plan);
        return forward_to(client, fabric, server, frame, ReplyKind::Line);
    }
    let join = Join::new(merge, strict, plan.fragments.len() as u16, plan.order.clone());
    let seq = client.expect_join(join);
    let name = command.name.as_bytes();
    let plan = send_fragments(client, fabric, plan, seq, ReplyKind::Line, |out, target| {
        push_header(out, b'*', (1 + target.keys * step) as u64);
        push_bulk(out, name);
    });
    for (arguments, &fragment) in args[1..].chunks(step).zip(&plan.order) {
        if let Some(out) = fabric.fragment_tail(&plan, fragment) {
            for argument in arguments {
                push_bulk(out, argument.of(frame));
            }
        }
    }
    fabric.fragments_done(client.pool, plan);
}

/// Sends a request to a server that has been chosen.
#[inline]
pub(super) fn forward_to(
    client: &mut Client,
    fabric: &mut Fabric,
    server: Result<usize, Failure>,
    frame: &[u8],
    kind: ReplyKind,
) {
    let seq = client.expect_reply();
    let sent = fabric.admits().and(server).and_then(|server| {
        fabric.send(sender(client), server, whole(seq, kind), |out| out.extend_from_slice(frame))
    });
    if let Err(failure) = sent {
        fail(client, fabric, seq, failure);
    }
}

/// Begins the fragments of a split request, each with what `begin` writes. Those that cannot be
/// sent have failed already; the others take their keys next.
pub(super) fn send_fragments(
    client: &mut Client,
    fabric: &mut Fabric,
    mut plan: SplitPlan,
    seq: u64,
    kind: ReplyKind,
    begin: impl Fn(&mut Vec<u8>, &Target),
) -> SplitPlan {
    for (fragment, target) in plan.fragments.iter_mut().enumerate() {
        let wanted = Some(Wanted { seq, fragment: fragment as u16, kind });
        let sent = fabric.admits().and(target.server).and_then(|server| {
            fabric.send(sender(client), server, wanted, |out| begin(out, target))
        });
        target.upstream = sent.ok().map(|up| (up, fabric.upstreams[up as usize].out.len()));
        if let Err(failure) = sent {
            fabric.pool(client.pool).plan.counters.pool.forward_error.add(1);
            client.fragment_failed(seq, failure.reply(client.protocol).as_bytes());
        }
    }
    plan
}

/// Which keys go where.
#[derive(Debug, Default)]
pub(super) struct SplitPlan {
    pub(super) fragments: Vec<Target>,
    /// For each key the number of its fragment.
    pub(super) order: Vec<u16>,
    /// The fragment of each server, and of none.
    of_server: Vec<u16>,
}

/// One server and how many keys are for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) server: Result<usize, Failure>,
    pub(super) keys: usize,
    /// The connection that has taken the fragment, and how much it had queued then.
    pub(super) upstream: Option<(u32, usize)>,
}

impl SplitPlan {
    /// Places every key; keys without a server share a fragment that fails.
    pub(super) fn of<'a>(
        fabric: &mut Fabric,
        pool: usize,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> SplitPlan {
        let mut plan = fabric.take_plan();
        let now_us = fabric.now_us;
        let pool = fabric.pool(pool);
        plan.of_server.resize(pool.links.len() + 1, u16::MAX);
        for key in keys {
            let server = pool.locate(key, now_us);
            let fragment = &mut plan.of_server[server.unwrap_or(pool.links.len())];
            if *fragment == u16::MAX {
                *fragment = plan.fragments.len() as u16;
                plan.fragments.push(Target { server, keys: 0, upstream: None });
            }
            plan.fragments[usize::from(*fragment)].keys += 1;
            plan.order.push(*fragment);
        }
        plan
    }

    /// Empties the plan for the next request; room for ordinary requests stays.
    pub(super) fn clear(&mut self) {
        self.fragments.clear();
        self.of_server.clear();
        self.order.clear();
        self.order.shrink_to(1024);
    }
}

// === What is answered here ===

fn answer(client: &mut Client, fabric: &mut Fabric, local: Local, frame: &[u8], args: &[Span]) {
    let arg = |at: usize| args.get(at).map(|span| span.of(frame));
    let strict = fabric.pool(client.pool).strict;
    let mut out = Vec::new();
    match local {
        Local::Ping => match arg(1) {
            None => out.extend_from_slice(b"+PONG\r\n"),
            Some(text) => push_bulk(&mut out, text),
        },
        Local::Echo => push_bulk(&mut out, arg(1).unwrap_or_default()),
        Local::Quit => {
            if !strict {
                client.answer(b"+OK\r\n");
            }
            return client.end(Ending::AfterReplies);
        }
        Local::Auth => {
            let (user, password) = match arg(2) {
                Some(password) => (arg(1), password),
                None => (None, arg(1).unwrap_or_default()),
            };
            let verdict = authenticate(client, fabric, user, password);
            out.extend_from_slice(verdict.err().unwrap_or("+OK\r\n").as_bytes());
        }
        Local::Hello => {
            let words: Vec<&[u8]> = args[1..].iter().map(|span| span.of(frame)).collect();
            let before = client.session.resp3;
            let verdict = hello(client, fabric, &words);
            // Another protocol is another connection; what was asked on this one comes first.
            client.barrier |= client.session.resp3 != before;
            match verdict {
                Ok(()) => push_hello(&mut out, client),
                Err(error) => out.extend_from_slice(error.as_bytes()),
            }
        }
        Local::Client => client_command(client, arg(1).unwrap_or_default(), arg(2), &mut out),
        Local::Select => {
            let database = fabric.pool(client.pool).plan.conf.redis_db;
            let asked = arg(1).and_then(decimal);
            // A pool has one database, which clients know as 0.
            out.extend_from_slice(match asked {
                Some(index) if index == 0 || index == u64::from(database) => b"+OK\r\n".as_slice(),
                _ => b"-ERR DB index is out of range\r\n",
            });
        }
        Local::Info => push_bulk(&mut out, info(fabric, client.pool).as_bytes()),
        Local::Time => {
            let micros = fabric.wall_us();
            push_header(&mut out, b'*', 2);
            push_bulk(&mut out, (micros / 1_000_000).to_string().as_bytes());
            push_bulk(&mut out, (micros % 1_000_000).to_string().as_bytes());
        }
        Local::Reset => {
            client.barrier |= client.session.resp3;
            client.session = Default::default();
            client.session.authenticated = fabric.pool(client.pool).plan.conf.redis_auth.is_none();
            out.extend_from_slice(b"+RESET\r\n");
        }
    }
    client.answer(&out);
}

/// Checks a password. The texts are twemproxy's where twemproxy has one.
fn authenticate(
    client: &mut Client,
    fabric: &mut Fabric,
    user: Option<&[u8]>,
    password: &[u8],
) -> Result<(), &'static str> {
    let conf = &fabric.pool(client.pool).plan.conf;
    let Some(expected) = &conf.redis_auth else {
        return Err("-ERR Client sent AUTH, but no password is set\r\n");
    };
    let known_user = match user {
        None => true,
        Some(user) => user == conf.redis_user.as_deref().unwrap_or("default").as_bytes(),
    };
    // Every byte is compared, so that the time taken tells nothing.
    let expected = expected.expose().as_bytes();
    let differences = expected.iter().zip(password).fold(0, |sum, (a, b)| sum | (a ^ b));
    let right = known_user && expected.len() == password.len() && differences == 0;
    client.session.authenticated = right;
    match (right, user) {
        (true, _) => Ok(()),
        (false, None) => Err("-ERR invalid password\r\n"),
        (false, Some(_)) => {
            Err("-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        }
    }
}

/// `HELLO [2|3 [AUTH user password] [SETNAME name]]`.
fn hello(client: &mut Client, fabric: &mut Fabric, words: &[&[u8]]) -> Result<(), &'static str> {
    let version = match words.first() {
        None => None,
        Some(&b"2") => Some(false),
        Some(&b"3") if fabric.pool(client.pool).plan.conf.resp3 => Some(true),
        Some(version) if decimal(version).is_some() => {
            return Err("-NOPROTO unsupported protocol version\r\n");
        }
        Some(_) => return Err("-ERR Protocol version is not an integer or out of range\r\n"),
    };
    let mut rest = words.get(1..).unwrap_or_default();
    let mut name = None;
    while !rest.is_empty() {
        rest = match rest {
            [word, user, password, rest @ ..] if word.eq_ignore_ascii_case(b"auth") => {
                authenticate(client, fabric, Some(user), password)?;
                rest
            }
            [word, given, rest @ ..] if word.eq_ignore_ascii_case(b"setname") => {
                name = Some(given.to_vec());
                rest
            }
            _ => return Err("-ERR syntax error in HELLO\r\n"),
        };
    }
    if !client.session.authenticated {
        return Err(
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time\r\n",
        );
    }
    client.session.resp3 = version.unwrap_or(client.session.resp3);
    client.session.name = name.unwrap_or_else(|| std::mem::take(&mut client.session.name));
    Ok(())
}

fn push_hello(out: &mut Vec<u8>, client: &Client) {
    let resp3 = client.session.resp3;
    if resp3 {
        push_header(out, b'%', 7)
    } else {
        push_header(out, b'*', 14)
    }
    let mut text = |key: &str, value: &str| {
        push_bulk(out, key.as_bytes());
        push_bulk(out, value.as_bytes());
    };
    text("server", "redis");
    text("version", REDIS_VERSION);
    push_bulk(out, b"proto");
    push_header(out, b':', if resp3 { 3 } else { 2 });
    push_bulk(out, b"id");
    push_header(out, b':', u64::from(client.id.generation));
    let mut text = |key: &str, value: &str| {
        push_bulk(out, key.as_bytes());
        push_bulk(out, value.as_bytes());
    };
    text("mode", "standalone");
    text("role", "master");
    push_bulk(out, b"modules");
    push_header(out, b'*', 0);
}

/// `CLIENT …`: what a library says of itself while connecting; nothing of it reaches a server.
fn client_command(client: &mut Client, word: &[u8], argument: Option<&[u8]>, out: &mut Vec<u8>) {
    let mut word = word.to_vec();
    word.make_ascii_lowercase();
    match (word.as_slice(), argument) {
        (b"setname", Some(name)) => {
            client.session.name = name[..name.len().min(256)].to_vec();
            out.extend_from_slice(b"+OK\r\n");
        }
        (b"getname", None) => push_bulk(out, &client.session.name),
        (b"id", None) => push_header(out, b':', u64::from(client.id.generation)),
        (b"info", None) => {
            let id = client.id.generation;
            let resp = if client.session.resp3 { 3 } else { 2 };
            let name = client.session.name.escape_ascii();
            push_bulk(out, format!("id={id} name={name} db=0 resp={resp}\n").as_bytes());
        }
        (b"setinfo", Some(_)) | (b"no-evict" | b"no-touch", Some(_)) => {
            out.extend_from_slice(b"+OK\r\n");
        }
        _ => {
            out.extend_from_slice(b"-ERR this CLIENT subcommand is not supported by the proxy\r\n")
        }
    }
}

fn info(fabric: &mut Fabric, pool: usize) -> String {
    let pool = fabric.pool(pool);
    let conf = &pool.plan.conf;
    let live = pool.plan.health.live().iter().filter(|&&live| live).count();
    format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\nredis_mode:standalone\r\n\
         proxy:ambassador-proxy\r\nproxy_version:{}\r\nproxy_pool:{}\r\n\r\n\
         # Clients\r\nconnected_clients:{}\r\n\r\n\
         # Replication\r\nrole:master\r\n\r\n\
         # Proxy\r\nservers:{}\r\nservers_live:{live}\r\n",
        env!("CARGO_PKG_VERSION"),
        conf.name,
        pool.clients,
        conf.servers.len(),
    )
}
