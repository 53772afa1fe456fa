//! The intended differences from nutcracker: the table of the README.

use std::collections::BTreeSet;
use std::fs;

const BEGIN: &str = "<!-- generated:differences -->\n";
const END: &str = "<!-- /generated:differences -->";

/// One row.
pub(super) struct Intended {
    /// What the sessions call it.
    pub(super) name: &'static str,
    pub(super) also_strict: bool,
    pub(super) what: &'static str,
    pub(super) nutcracker: &'static str,
    pub(super) here: &'static str,
}

pub(super) const INTENDED: &[Intended] = &[
    Intended {
        name: "unknown",
        also_strict: false,
        what: "an unknown command",
        nutcracker: "closes without a word; replies on their way are lost",
        here: "an error of its own; the connection stays",
    },
    Intended {
        name: "arguments",
        also_strict: false,
        what: "a wrong number of arguments, a malformed command line",
        nutcracker: "closes",
        here: "an error; the connection stays",
    },
    Intended {
        name: "bad-bytes",
        also_strict: false,
        what: "bytes that are not of the protocol",
        nutcracker: "closes; replies on their way are lost",
        here: "earlier replies, an error, then closes",
    },
    Intended {
        name: "inline",
        also_strict: false,
        what: "inline commands of Redis",
        nutcracker: "closes",
        here: "served",
    },
    Intended {
        name: "empty",
        also_strict: false,
        what: "an empty request (`*0`, an empty line)",
        nutcracker: "closes",
        here: "ignored, as by Redis",
    },
    Intended {
        name: "quit",
        also_strict: false,
        what: "`QUIT`",
        nutcracker: "closes without an answer",
        here: "`+OK`, then closes",
    },
    Intended {
        name: "handshake",
        also_strict: false,
        what: "`HELLO`, `CLIENT`, `SELECT`, `ECHO`, `INFO`, `TIME`, `RESET`, `AUTH user password`",
        nutcracker: "closes",
        here: "answered by the proxy",
    },
    Intended {
        name: "new-commands",
        also_strict: false,
        what: "streams, `OBJECT`, scripts that only read, functions; memcached's `gat`, `gats`, `mg ms md ma me mn`, `stats`, `verbosity`, `flush_all`",
        nutcracker: "closes",
        here: "served; `flush_all` where the pool allows it",
    },
    Intended {
        name: "exists",
        also_strict: false,
        what: "`EXISTS` with several keys",
        nutcracker: "all of it goes to the server of the first key",
        here: "split by server and summed",
    },
    Intended {
        name: "negative",
        also_strict: false,
        what: "a storage command with a negative expiry",
        nutcracker: "closes",
        here: "passed on",
    },
    Intended {
        name: "split-error",
        also_strict: false,
        what: "`MGET`, or `get` with several keys, of which a server fails",
        nutcracker: "an error, then closes",
        here: "an error; the connection stays",
    },
    Intended {
        name: "move",
        also_strict: true,
        what: "`MOVE`",
        nutcracker: "0.5.0 closes; a later version, never released, passes it on",
        here: "passed on",
    },
    Intended {
        name: "zset-numkeys",
        also_strict: true,
        what: "`ZDIFF`, `ZINTER`, `ZUNION`",
        nutcracker: "sent to the server of the number of keys",
        here: "sent to the server of the first key; without a key refused",
    },
    Intended {
        name: "split-of-one",
        also_strict: true,
        what: "`MGET` whose keys are all of one server, which fails",
        nutcracker: "an error, then closes",
        here: "passed on whole; an error; the connection stays",
    },
    Intended {
        name: "multiget-order",
        also_strict: true,
        what: "values of memcached's `get` with several keys, one of them missing",
        nutcracker: "in the order of the servers' answers",
        here: "in the order of the keys",
    },
    Intended {
        name: "bare-newline",
        also_strict: true,
        what: "a line of memcached's protocol that ends without CR",
        nutcracker: "LF becomes part of the key",
        here: "LF ends the line, as in memcached; a strict pool closes",
    },
    Intended {
        name: "elements",
        also_strict: true,
        what: "a request that announces more than 1,048,576 elements",
        nutcracker: "waits for them",
        here: "refused at once",
    },
    Intended {
        name: "server-password",
        also_strict: true,
        what: "a server that refuses the pool's password",
        nutcracker: "its errors are passed on",
        here: "`server handshake failed`; nothing is sent to it",
    },
];

/// Sessions show every row and no other difference.
pub(super) fn check_names(seen: &[(&'static str, bool)]) {
    let table: BTreeSet<(&str, bool)> = INTENDED
        .iter()
        .flat_map(|row| [Some((row.name, false)), row.also_strict.then_some((row.name, true))])
        .flatten()
        .collect();
    let seen: BTreeSet<(&str, bool)> = seen.iter().copied().collect();
    assert_eq!(seen, table, "(name, in strict pools): shown by the sessions, and in the table");
}

fn markdown() -> String {
    let mut out = String::from(
        "| What | nutcracker 0.5.0 | Here | Also strict |\n| --- | --- | --- | --- |\n",
    );
    for Intended { also_strict, what, nutcracker, here, .. } in INTENDED {
        let also = if *also_strict { "yes" } else { "no" };
        out += &format!("| {what} | {nutcracker} | {here} | {also} |\n");
    }
    out
}

#[test]
fn the_readme_tells_the_differences() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (table, _) = rest.split_once(END).unwrap();
    assert_eq!(table, markdown(), "the table of {path} is to be the second of these");
}
