//! Large requests, passed on as they arrive instead of being held.
//!
//! Such a request has a connection to its server for itself: on a shared one, a client that stalls
//! in the middle of a value would keep all others waiting. It is alone in its client's order: it
//! begins when all earlier replies have been sent on, and nothing is taken after it until its own
//! reply has been, so that order holds across the two connections. Where requests get no reply
//! (memcached's `noreply`) nothing could tell their order, so those clients' requests are held.

use super::client::{Client, Ending, Passing, Scanner, Tail};
use super::fabric::Fabric;
use super::failure::Failure;
use super::memcache::reply_kind;
use super::redis::{admit, fail, sender};
use super::upstream::{Expect, For, NEVER, WHOLE};
use crate::protocol::commands::Route;
use crate::protocol::memcache::{ReplyKind, Verb};
use crate::protocol::{decimal, resp};

/// What became of a large request.
pub(super) enum Begun {
    /// It is on its way; so many bytes are done with.
    Passing(usize),
    /// It has to be whole before it can be split; it is held.
    Held,
    /// Earlier replies have to be sent on first.
    Waiting,
}

/// Where a large request is to go.
enum Destination {
    Key {
        start: usize,
        end: usize,
        kind: ReplyKind,
    },
    Refused(Vec<u8>),
    /// Not even an answer.
    Closed,
}

/// Begins to pass on the request at the start of `bytes`.
pub(super) fn begin(client: &mut Client, fabric: &mut Fabric, bytes: &[u8]) -> Begun {
    let Some((destination, tail, ready)) = destination(client, fabric, bytes) else {
        return Begun::Held;
    };
    if client.in_flight() > 0 && !matches!(destination, Destination::Closed) {
        client.barrier = true;
        client.paused = true;
        return Begun::Waiting;
    }
    if let Destination::Closed = destination {
        fabric.pool(client.pool).plan.counters.pool.client_err.add(1);
        client.end(Ending::Now);
        return Begun::Held;
    }
    client.scanner.reset();
    let room = fabric.pool(client.pool).plan.conf.request_max.saturating_sub(ready as u64);
    let mut passing = Passing { upstream: None, tail, room, refusal: None };
    match destination {
        Destination::Closed => {}
        Destination::Refused(refusal) => passing.refusal = Some(refusal),
        Destination::Key { start, end, kind } => {
            let seq = client.expect_reply();
            match open(client, fabric, &bytes[start..end], seq, kind) {
                Ok(upstream) => {
                    fabric.upstreams[upstream as usize].out.extend(&bytes[..ready]);
                    passing.upstream = Some(upstream);
                }
                Err(failure) => fail(client, fabric, seq, failure),
            }
        }
    }
    client.passing = Some(passing);
    Begun::Passing(ready)
}

/// Looks at what there is of a large request: where it goes, how its rest is followed, and how
/// many bytes can be passed on before that rest. `None`: it has to be held.
fn destination(
    client: &Client,
    fabric: &mut Fabric,
    bytes: &[u8],
) -> Option<(Destination, Tail, usize)> {
    match &client.scanner {
        Scanner::Memcache(scanner) => {
            let line = scanner.line()?;
            let tail = Tail::Memcache(line.body_bytes);
            let kind = reply_kind(line.verb);
            let closes = line.strict_closes && fabric.pool(client.pool).strict;
            let destination = match (line.verb, scanner.keys.first()) {
                _ if closes => Destination::Closed,
                (Verb::Store | Verb::Meta { quiet: false }, Some(key))
                    if !line.noreply && !client.silent =>
                {
                    Destination::Key { start: key.start as usize, end: key.end as usize, kind }
                }
                (Verb::Bad(error), _) => Destination::Refused(format!("{error}\r\n").into_bytes()),
                _ => return None,
            };
            Some((destination, tail, line.line_bytes))
        }
        Scanner::Redis(scanner) => {
            let args = scanner.args.len() + scanner.args_left() as usize;
            let name = scanner.args.first()?.of(bytes);
            let tail = Tail::Redis(resp::RequestTail::new(scanner.args_left()));
            let destination = match admit(client, fabric, name, args) {
                Err(refusal) if super::redis::closes(client, fabric, &refusal) => {
                    Destination::Closed
                }
                Err(refusal) => Destination::Refused(refusal.into_bytes()),
                Ok(command) => {
                    let key = match command.route {
                        Route::Key(at) => scanner.args.get(usize::from(at))?,
                        Route::Counted(at) => {
                            let count = scanner.args.get(usize::from(at))?.of(bytes);
                            decimal(count).filter(|&count| count > 0)?;
                            scanner.args.get(usize::from(at) + 1)?
                        }
                        _ => return None,
                    };
                    Destination::Key {
                        start: key.start as usize,
                        end: key.end as usize,
                        kind: ReplyKind::Line,
                    }
                }
            };
            Some((destination, tail, scanner.place()))
        }
    }
}

/// Gets a connection for the request and says who waits for its reply.
fn open(
    client: &Client,
    fabric: &mut Fabric,
    key: &[u8],
    seq: u64,
    kind: ReplyKind,
) -> Result<u32, Failure> {
    fabric.admits()?;
    let now_us = fabric.now_us;
    let server = fabric.pool(client.pool).locate(key, now_us)?;
    let upstream = fabric.open_for_passing(sender(client), server)?;
    let up = &mut fabric.upstreams[upstream as usize];
    // The clock runs while bytes wait for the server, and from the end of the request on.
    let to = For::Client { id: client.id, seq, fragment: WHOLE };
    up.fifo.push_back(Expect { to, kind, deadline_us: NEVER });
    up.stats.requests.add(1);
    Ok(upstream)
}

/// Passes on what `bytes` hold of the client's large request. Returns how many are done with;
/// `client.passing` is `None` once the request is complete.
pub(super) fn pass(client: &mut Client, fabric: &mut Fabric, bytes: &[u8]) -> usize {
    let Some(passing) = &mut client.passing else { return 0 };
    let passed = passing.tail.pass(bytes).map_err(|error| error.0);
    let passed = passed.and_then(|taken| {
        passing.room = passing.room.checked_sub(taken as u64).ok_or("request too large")?;
        Ok(taken)
    });
    let taken = match passed {
        Ok(taken) => taken,
        Err(why) => {
            // The server holds half a request; closing the client closes its connection too.
            super::refuse_bytes(client, fabric, why);
            client.end(Ending::Now);
            return bytes.len();
        }
    };
    if let Some(upstream) = passing.upstream {
        let up = &mut fabric.upstreams[upstream as usize];
        up.out.extend(&bytes[..taken]);
        up.stats.request_bytes.add(taken as u64);
        fabric.touch(upstream);
        fabric.account_upstream(upstream);
        fabric.watch_passing(upstream, false);
    }
    if passing.tail.is_done() {
        complete(client, fabric);
    }
    taken
}

/// The whole request has been passed on, or discarded.
fn complete(client: &mut Client, fabric: &mut Fabric) {
    let Some(passing) = client.passing.take() else { return };
    client.barrier = true;
    if let Some(refusal) = passing.refusal {
        client.answer(&refusal);
    }
    let Some(upstream) = passing.upstream else { return };
    let now_us = fabric.now_us;
    let up = &mut fabric.upstreams[upstream as usize];
    let deadline_us = up.timeout_us.map_or(NEVER, |timeout| now_us + timeout);
    match up.fifo.back_mut() {
        // It may have timed out already; then its time is not to begin again.
        Some(Expect { to: For::Nobody, .. }) => {}
        Some(expect) => expect.deadline_us = deadline_us,
        // The reply came before the request was complete.
        None => up.release_when_sent = true,
    }
    fabric.next_deadline_us = fabric.next_deadline_us.min(deadline_us);
}
