//! Shapes that do not fit a row: large, many, in pieces, half closed.

use std::io::Write as _;

use super::{Actor, LAST_REDIS, PATIENCE, Part, Stage, protocol, shown};
use crate::support::{End, Outcome, request};

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
            assert!(theirs == ours, "{name}:\n{}\n{}", shown(theirs), shown(ours));
        }
    }
}

/// nutcracker may miss the end when it comes along with bytes, so it is not asked.
#[test]
fn half_a_request_ends_with_its_client() {
    let stage = Stage::start();
    for (pool, half) in [("redis", &b"*2\r\n$3\r\nGE"[..]), ("memcache", b"set k 0 0 5\r\nab")] {
        let actor = stage.actor(Part::Friendly);
        let outcome = play(&stage, &actor, pool, Way::HalfClosed, half, 0);
        assert_eq!(outcome, Outcome { bytes: Vec::new(), end: End::Closed }, "{pool}");
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
    if way == Way::AtOnce {
        return stage.talk(actor, pool, bytes, replies);
    }
    let mut client = actor.client(pool);
    if way == Way::ByteByByte {
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
    let value: String = (0..MIB).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
    let big_pair: Vec<u8> = [["SET", a, &value], ["SET", b, &value]]
        .iter()
        .flat_map(|words| request(words))
        .chain(request(&["GET", a]))
        .chain(request(&["MGET", b, a]))
        .collect();
    let keys: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
    let pairs = keys.iter().flat_map(|key| [key.as_str(), key.as_str()]);
    let of = |command, rest: Vec<&str>| request(&[vec![command], rest].concat());
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut many = of("MSET", pairs.collect());
    many.extend(of("MGET", names.clone()));
    many.extend(of("DEL", names.clone()));
    many.extend(of("MGET", names.clone()));
    let pipeline: Vec<u8> = (0..MANY)
        .flat_map(|number| match number % 3 {
            0 => request(&["SET", names[number], "v"]),
            1 => request(&["GET", names[number - 1]]),
            _ => request(&["MGET", names[number - 1], names[number - 2]]),
        })
        .collect();
    let binary: Vec<Vec<u8>> =
        (0..=255_u8).map(|byte| vec![byte, b'\r', b'\n', 255 - byte]).collect();
    let mut bytes = Vec::new();
    for key in &binary {
        bytes.extend(request(&[b"SET", &key[..], &key[..]]));
    }
    bytes.extend(request(&[&[b"MGET".to_vec()], &binary[..]].concat()));
    let nested = (0..20).fold("1".to_owned(), |inner, _| format!("{{{inner},'x',{{}}}}"));
    let script = format!("return {nested}");
    let sessions =
        [request(&["SET", a, "1"]), request(&["MGET", a, b]), request(&["PING"])].concat();
    let caches = format!("set {a} 0 0 2\r\nab\r\nget {a} {b}\r\ndelete {a} noreply\r\nget {a}\r\n");
    let stored = format!("set {a} 0 0 {MIB}\r\n{value}\r\nget {a}\r\nget {b} {a}\r\n");
    let multiget = format!("get {}\r\n", names[..200].join(" "));
    let longest = "k".repeat(250);
    let long_key = format!("set {longest} 0 0 1\r\nx\r\nget {longest}\r\n");
    vec![
        ("values of 1 MiB", ("redis", Way::AtOnce, big_pair, 4)),
        ("1000 keys", ("redis", Way::AtOnce, many, 4)),
        ("1000 requests", ("redis", Way::AtOnce, pipeline, MANY)),
        ("binary keys", ("redis", Way::AtOnce, bytes, 257)),
        ("20 levels", ("redis", Way::AtOnce, request(&["EVAL", &script, "1", a]), 1)),
        ("byte by byte", ("redis", Way::ByteByByte, sessions.clone(), 3)),
        ("half-close", ("redis", Way::HalfClosed, sessions, 3)),
        ("half-close at once", ("redis", Way::HalfClosed, Vec::new(), 0)),
        ("close after ping", ("redis", Way::HalfClosed, request(&[LAST_REDIS]), 1)),
        ("memcached byte by byte", ("memcache", Way::ByteByByte, caches.clone().into_bytes(), 3)),
        ("memcached half-close", ("memcache", Way::HalfClosed, caches.into_bytes(), 3)),
        ("memcached 1 MiB", ("memcache", Way::AtOnce, stored.into_bytes(), 3)),
        ("memcached 200 keys", ("memcache", Way::AtOnce, multiget.into_bytes(), 1)),
        ("memcached longest key", ("memcache", Way::AtOnce, long_key.into_bytes(), 2)),
    ]
}
