//! What a memcached request is, and where it goes.

use super::client::{Client, Ending, Scanner};
use super::fabric::{Fabric, Wanted, whole};
use super::join::{Join, Merge};
use super::redis::{SplitPlan, fail, forward_to, send_fragments, sender};
use crate::protocol::Span;
use crate::protocol::memcache::{Line, ReplyKind, Verb};

/// The key that chooses the server for `version`, as in twemproxy.
const PLACEHOLDER: &[u8] = b"placeholder";
/// Ends the answer of a server to a quiet meta command, which may be no answer at all.
const END_MARK: &[u8] = b"mn\r\n";

/// Takes one whole request.
#[inline]
pub(super) fn take(client: &mut Client, fabric: &mut Fabric, frame: &[u8]) {
    let Scanner::Memcache(scanner) = &mut client.scanner else { return };
    let Some(line) = scanner.line() else { return };
    if fabric.pool(client.pool).strict && line.strict_closes {
        fabric.pool(client.pool).plan.counters.pool.client_err.add(1);
        return client.end(Ending::Now);
    }
    let keys = std::mem::take(&mut scanner.keys);
    take_line(client, fabric, frame, line, &keys);
    if let Scanner::Memcache(scanner) = &mut client.scanner {
        scanner.keys = keys;
    }
}

#[inline]
fn take_line(client: &mut Client, fabric: &mut Fabric, frame: &[u8], line: Line, keys: &[Span]) {
    let kind = reply_kind(line.verb);
    match line.verb {
        Verb::Get | Verb::GetAndTouch if keys.len() > 1 => {
            split(client, fabric, frame, keys);
        }
        Verb::Get | Verb::GetAndTouch | Verb::Store | Verb::Single | Verb::Meta { .. } => {
            forward(client, fabric, keys[0].of(frame), frame, kind, line.noreply);
        }
        Verb::Version => forward(client, fabric, PLACEHOLDER, frame, kind, false),
        Verb::MetaNop => client.answer(b"MN\r\n"),
        Verb::FlushAll if fabric.pool(client.pool).plan.conf.flush_all => {
            everywhere(client, fabric, frame, line.noreply);
        }
        Verb::FlushAll => {
            answer(client, line.noreply, b"CLIENT_ERROR flush_all is not allowed in this pool\r\n");
        }
        Verb::Verbosity => answer(client, line.noreply, b"OK\r\n"),
        Verb::Stats => {
            let stats = stats(fabric, client.pool);
            client.answer(stats.as_bytes());
        }
        Verb::Quit => client.end(Ending::AfterReplies),
        Verb::Bad(error) => {
            fabric.stats.protocol_errors.add(1);
            client.answer(format!("{error}\r\n").as_bytes());
        }
    }
}

/// How the reply to a request ends.
#[inline]
pub(super) fn reply_kind(verb: Verb) -> ReplyKind {
    match verb {
        Verb::Get | Verb::GetAndTouch => ReplyKind::Values,
        Verb::Meta { quiet: true } => ReplyKind::MetaQuiet,
        Verb::Meta { quiet: false } => ReplyKind::Meta,
        _ => ReplyKind::Line,
    }
}

fn answer(client: &mut Client, noreply: bool, text: &[u8]) {
    if !noreply {
        client.answer(text);
    }
}

/// Sends a request to the server of its key, byte for byte.
#[inline]
fn forward(
    client: &mut Client,
    fabric: &mut Fabric,
    key: &[u8],
    frame: &[u8],
    kind: ReplyKind,
    noreply: bool,
) {
    let seq = (!noreply).then(|| client.expect_reply());
    client.silent |= noreply;
    let now_us = fabric.now_us;
    let server = fabric.admits().and_then(|()| fabric.pool(client.pool).locate(key, now_us));
    let sent = server.and_then(|server| {
        let wanted = seq.and_then(|seq| whole(seq, kind));
        fabric.send(sender(client), server, wanted, |out| {
            out.extend_from_slice(frame);
            if kind == ReplyKind::MetaQuiet {
                out.extend_from_slice(END_MARK);
            }
        })
    });
    if let (Err(failure), Some(seq)) = (sent, seq) {
        fail(client, fabric, seq, failure);
    }
}

/// Splits a `get` by the servers of its keys.
fn split(client: &mut Client, fabric: &mut Fabric, frame: &[u8], keys: &[Span]) {
    let plan = SplitPlan::of(fabric, client.pool, keys.iter().map(|key| key.of(frame)));
    if let [only] = plan.fragments.as_slice() {
        let server = only.server;
        fabric.keep_plan(plan);
        return forward_to(client, fabric, server, frame, ReplyKind::Values);
    }
    let strict = fabric.pool(client.pool).strict;
    let join = Join::new(Merge::Values, strict, plan.fragments.len() as u16, plan.order.clone())
        .with_keys(keys.iter().map(|key| key.of(frame)));
    let seq = client.expect_join(join);
    // The command, and the expiry of `gat`: everything before the first key.
    let command = frame[..keys[0].start as usize].trim_ascii_end();
    let plan = send_fragments(client, fabric, plan, seq, ReplyKind::Values, |out, _| {
        out.extend_from_slice(command);
    });
    for (key, &fragment) in keys.iter().zip(&plan.order) {
        if let Some(out) = fabric.fragment_tail(&plan, fragment) {
            out.push(b' ');
            out.extend_from_slice(key.of(frame));
        }
    }
    for fragment in 0..plan.fragments.len() {
        if let Some(out) = fabric.fragment_tail(&plan, fragment as u16) {
            out.extend_from_slice(b"\r\n");
        }
    }
    fabric.fragments_done(client.pool, plan);
}

/// Sends a request to every server; one answer stands for all.
fn everywhere(client: &mut Client, fabric: &mut Fabric, frame: &[u8], noreply: bool) {
    let servers = fabric.pool(client.pool).links.len();
    let strict = fabric.pool(client.pool).strict;
    let join = Join::new(Merge::SameLine, strict, servers as u16, Vec::new());
    let seq = (!noreply).then(|| client.expect_join(join));
    client.silent |= noreply;
    for server in 0..servers {
        let wanted = seq.map(|seq| Wanted { seq, fragment: server as u16, kind: ReplyKind::Line });
        let sent = fabric.send(sender(client), server, wanted, |out| out.extend_from_slice(frame));
        if let (Err(failure), Some(seq)) = (sent, seq) {
            fabric.pool(client.pool).plan.counters.pool.forward_error.add(1);
            client.fragment_failed(seq, failure.reply(client.protocol).as_bytes());
        }
    }
}

/// The statistics of the pool in memcached's form.
fn stats(fabric: &mut Fabric, pool: usize) -> String {
    let pool = fabric.pool(pool);
    let mut out = format!(
        "STAT pid {}\r\nSTAT version {}\r\nSTAT pool {}\r\nSTAT curr_connections {}\r\n",
        std::process::id(),
        env!("CARGO_PKG_VERSION"),
        pool.plan.conf.name,
        pool.clients,
    );
    for (server, stats) in pool.plan.conf.servers.iter().zip(&pool.plan.counters.servers) {
        let label = &server.label;
        out += &format!("STAT {label}:requests {}\r\n", stats.requests.get());
        out += &format!("STAT {label}:responses {}\r\n", stats.responses.get());
    }
    out + "END\r\n"
}
