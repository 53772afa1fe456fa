//! Shapes that do not fit a row: large, many, in pieces, half closed.

use std::io::Write as _;

use super::{Actor, LAST_REDIS, PATIENCE, Part, Stage, protocol, shown};
use crate::support::{Outcome, request};

/// Keys of a large `MGET`, requests of a long pipeline.
const MANY: usize = 1000;
const MIB: usize = 1 << 20;

/// How the bytes get to the proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    AtOnce,
    ByteByByte,
    /// Then our side of the connection is closed.
    HalfClosed,
}

use Way::{AtOnce, ByteByByte, HalfClosed};

/// What is compared: a pool, the bytes, how many replies.
type Case = (&'static str, Way, Vec<u8>, usize);

#[test]
fn large_and_odd_shapes_go_as_with_nutcracker() {
    let stage = Stage::start();
    let actors = [Part::Nutcracker, Part::Strict, Part::Friendly].map(|part| stage.actor(part));
    for (name, (pool, way, bytes, replies)) in cases(&stage) {
        let outcomes = actors.each_ref().map(|actor| {
            stage.flush();
            play(&stage, actor, pool, way, &bytes, replies)
        });
        for ours in &outcomes[1..] {
            let theirs = &outcomes[0];
            assert!(
                theirs == ours,
                "{name}:\n{}\n{}",
                shown(theirs),
                shown(ours)
            );
        }
    }
}

fn play(
    stage: &Stage,
    actor: &Actor,
    pool: &str,
    way: Way,
    bytes: &[u8],
    replies: usize,
) -> Outcome {
    if way == AtOnce {
        return stage.talk(actor, pool, bytes, replies);
    }
    let mut client = actor.client(pool);
    if way == ByteByByte {
        for byte in bytes {
            client.stream.write_all(&[*byte]).unwrap();
        }
        return client.outcome(protocol(pool), replies, PATIENCE);
    }
    client.send(bytes);
    client.half_close();
    // One reply more than asked for never comes: the outcome shows the close.
    client.outcome(protocol(pool), replies + 1, PATIENCE)
}

fn cases(stage: &Stage) -> Vec<(&'static str, Case)> {
    let [a, b] = [stage.key(0, 0), stage.key(1, 0)];
    let value: String = (0..MIB)
        .map(|at| char::from(b'a' + (at % 23) as u8))
        .collect();
    let names: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let nested = (0..20).fold("1".to_owned(), |inner, _| format!("{{{inner},'x',{{}}}}"));
    let script = request(&["EVAL", &format!("return {nested}"), "1", a]);
    let few = [
        request(&["SET", a, "1"]),
        request(&["MGET", a, b]),
        request(&["PING"]),
    ]
    .concat();
    let lines = format!("set {a} 0 0 2\r\nab\r\nget {a} {b}\r\ndelete {a} noreply\r\nget {a}\r\n");
    let lines = lines.into_bytes();
    let stored = format!("set {a} 0 0 {MIB}\r\n{value}\r\nget {a}\r\nget {b} {a}\r\n");
    let several = format!("get {}\r\n", names[..200].join(" "));
    let longest = "k".repeat(250);
    let long_key = format!("set {longest} 0 0 1\r\nx\r\nget {longest}\r\n");
    let half = b"*2\r\n$3\r\nGE".to_vec();
    let (redis, cache) = ("redis", "memcache");
    vec![
        (
            "values of 1 MiB",
            (redis, AtOnce, large_values(a, b, &value), 4),
        ),
        ("1000 keys", (redis, AtOnce, many_keys(&names), 4)),
        (
            "1000 requests",
            (redis, AtOnce, long_pipeline(&names), MANY),
        ),
        ("binary keys", (redis, AtOnce, binary_keys(), 257)),
        ("20 levels", (redis, AtOnce, script, 1)),
        ("byte by byte", (redis, ByteByByte, few.clone(), 3)),
        ("half-close", (redis, HalfClosed, few, 3)),
        ("half-close at once", (redis, HalfClosed, Vec::new(), 0)),
        ("half a request", (redis, HalfClosed, half, 0)),
        (
            "close after ping",
            (redis, HalfClosed, request(&[LAST_REDIS]), 1),
        ),
        (
            "memcached byte by byte",
            (cache, ByteByByte, lines.clone(), 3),
        ),
        ("memcached half-close", (cache, HalfClosed, lines, 3)),
        ("memcached 1 MiB", (cache, AtOnce, stored.into_bytes(), 3)),
        (
            "memcached 200 keys",
            (cache, AtOnce, several.into_bytes(), 1),
        ),
        (
            "memcached longest key",
            (cache, AtOnce, long_key.into_bytes(), 2),
        ),
    ]
}

fn large_values(a: &str, b: &str, value: &str) -> Vec<u8> {
    [
        request(&["SET", a, value]),
        request(&["SET", b, value]),
        request(&["GET", a]),
        request(&["MGET", b, a]),
    ]
    .concat()
}

fn many_keys(names: &[&str]) -> Vec<u8> {
    let pairs: Vec<&str> = names.iter().flat_map(|name| [*name, *name]).collect();
    [
        ("MSET", &pairs[..]),
        ("MGET", names),
        ("DEL", names),
        ("MGET", names),
    ]
    .iter()
    .flat_map(|(command, rest)| request(&[&[*command], *rest].concat()))
    .collect()
}

fn long_pipeline(names: &[&str]) -> Vec<u8> {
    let one = |number: usize| match number % 3 {
        0 => request(&["SET", names[number], "v"]),
        1 => request(&["GET", names[number - 1]]),
        _ => request(&["MGET", names[number - 1], names[number - 2]]),
    };
    (0..names.len()).flat_map(one).collect()
}

fn binary_keys() -> Vec<u8> {
    let keys: Vec<Vec<u8>> = (0..=255)
        .map(|byte| vec![byte, b'\r', b'\n', 255 - byte])
        .collect();
    let sets = keys
        .iter()
        .flat_map(|key| request(&[b"SET", &key[..], &key[..]]));
    sets.chain(request(&[&[b"MGET".to_vec()], &keys[..]].concat()))
        .collect()
}
