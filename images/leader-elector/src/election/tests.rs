//! Cases of the table, and what holds for any commands in any order.

mod properties;

use super::*;
use crate::codec::{Reader, Writer};

/// A table and the log index it has come to.
#[derive(Default)]
struct Rig {
    table: Table,
    index: u64,
    changes: Vec<Change>,
}

// === impl Rig ===

impl Rig {
    fn apply(&mut self, command: Command) -> Outcome {
        self.index += 1;
        self.table.apply(self.index, command, &mut self.changes)
    }

    /// Plays one line of a case.
    fn play(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "state" {
            return state(&self.table, words[1]);
        }
        let command = parse(&words);
        // As every member reads it from the log.
        let mut writer = Writer::default();
        command.write(&mut writer);
        assert!(writer.bytes.len() <= COMMAND_BYTES_MAX);
        let mut reader = Reader::new(&writer.bytes);
        let read = Command::read(&mut reader).unwrap();
        assert_eq!(read, command);
        outcome(&self.apply(read))
    }
}

fn parse(words: &[&str]) -> Command {
    let election = || words[1].into();
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
    let number = |key: &str| value(key).map_or(0, |text| text.parse().unwrap());
    match words[0] {
        "init" => Command::Init { token_base: words[1].parse().unwrap() },
        "acquire" => Command::Acquire(Acquire {
            election: election(),
            holder: words[2][..1].into(),
            session: session(&words[2][1..]),
            ttl: Duration::from_secs(5),
            priority: value("priority=").map_or(0, |text| text.parse().unwrap()),
            wait: words.contains(&"wait"),
            metadata: None,
            request_id: value("id=").map(Into::into),
        }),
        "renew" => {
            Command::Renew { election: election(), session: session(words[2]), token: number("#") }
        }
        "resign" => Command::Resign {
            election: election(),
            session: session(&words[2][1..]),
            token: 0,
            successor: value("to=").map(Into::into),
        },
        "expire" => Command::Expire {
            election: election(),
            session: session(words[2]),
            token: number("#"),
            sequence: number("*"),
        },
        other => panic!("unknown command {other}"),
    }
}

fn session(text: &str) -> Session {
    Session(text.parse().unwrap())
}

fn lease(lease: &Lease) -> String {
    format!("{}{} #{}", lease.holder, lease.session.0, lease.token)
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".into(),
        Outcome::Holds(it) => format!("holds {}", lease(it)),
        Outcome::Queued(session) => format!("queued {}", session.0),
        Outcome::Held(it) => format!("held {}", lease(it)),
        Outcome::Duplicate(it) => format!("duplicate {}", lease(it)),
        Outcome::Gone(None) => "gone".into(),
        Outcome::Gone(Some(it)) => format!("gone {}", lease(it)),
        Outcome::Full => "full".into(),
    }
}

fn state(table: &Table, name: &str) -> String {
    let Some(election) = table.election(name) else { return "unknown".into() };
    let mut text = format!("v{} ", election.version);
    text += &match &election.held {
        Some(held) => format!("{} *{}", lease(&held.lease), held.sequence),
        None => "free".into(),
    };
    if !election.queue.is_empty() {
        text += " |";
    }
    for Waiting { acquire, sequence } in &election.queue {
        text += &format!(" {}{}*{sequence}", acquire.holder, acquire.session.0);
    }
    text
}

#[test]
fn cases() {
    let text = include_str!("testdata/cases.txt");
    let mut broken = Vec::new();
    for case in text.split("=== ").skip(1) {
        let (name, lines) = case.split_once('\n').unwrap();
        let mut rig = Rig::default();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once("->").unwrap();
            // Where holders are told by session alone, their letter is left out of the comparison.
            let expected = match expected.trim().strip_prefix("queued ") {
                Some(who) => format!("queued {}", &who[1..]),
                None => expected.trim().to_owned(),
            };
            let got = rig.play(command);
            if got != expected {
                broken.push(format!("{name}: {line}\n    got {got}"));
            }
        }
        let bytes = rig.table.to_bytes();
        assert_eq!(Table::from_bytes(&bytes).unwrap(), rig.table, "{name}");
    }
    assert!(broken.is_empty(), "broken:\n{}", broken.join("\n"));
}

fn take(rig: &mut Rig, election: &str, number: u64, wait: bool) -> Outcome {
    let wait = if wait { " wait" } else { "" };
    let line = format!("acquire {election} a{number}{wait}");
    rig.apply(parse(&line.split_whitespace().collect::<Vec<_>>()))
}

#[test]
fn a_queue_has_an_end() {
    let mut rig = Rig::default();
    take(&mut rig, "e", 0, false);
    for number in 1..=QUEUE_MAX as u64 {
        assert_eq!(take(&mut rig, "e", number, true), Outcome::Queued(Session(number)));
    }
    assert_eq!(take(&mut rig, "e", 5_000, true), Outcome::Full);
    assert_eq!(take(&mut rig, "e", 7, true), Outcome::Queued(Session(7)), "it waits already");
    rig.play("resign e a3");
    assert_eq!(take(&mut rig, "e", 5_000, true), Outcome::Queued(Session(5_000)));
}

#[test]
fn free_elections_are_forgotten_first_those_that_changed_longest_ago() {
    let mut rig = Rig::default();
    for number in 0..ELECTIONS_MAX as u64 {
        take(&mut rig, &format!("e{number}"), number, false);
    }
    assert_eq!(take(&mut rig, "new", 1_000_000, false), Outcome::Full, "none is free");
    rig.play("resign e9 a9");
    let version = rig.table.version("e9");
    rig.play("resign e5 a5");
    assert!(matches!(take(&mut rig, "new", 1_000_000, false), Outcome::Holds(_)));
    assert_eq!(state(&rig.table, "e9"), "unknown");
    assert_eq!(rig.table.version("e9"), version, "a version never goes back");
    let known = rig.table.version("e5");
    assert!(known > version);
    assert!(matches!(take(&mut rig, "newer", 1_000_001, false), Outcome::Holds(_)));
    assert_eq!(rig.table.version("e5"), known);
    assert!(rig.table.version("e9") >= version);
}

#[test]
fn as_many_ended_sessions_are_remembered_as_promised() {
    let mut rig = Rig::default();
    let ended = ENDED_MAX as u64;
    for number in 0..=ended {
        rig.play(&format!("resign e a{number}"));
    }
    assert_eq!(take(&mut rig, "e", 1, false), Outcome::Gone(None));
    assert!(matches!(take(&mut rig, "e", 0, false), Outcome::Holds(_)), "long forgotten");
    let bytes = rig.table.to_bytes();
    assert_eq!(Table::from_bytes(&bytes).unwrap(), rig.table);
}

#[test]
fn changes_tell_what_the_table_has() {
    let mut rig = Rig::default();
    for line in ["acquire e a1", "renew e 1 #1", "acquire e b2 wait", "resign e a1", "resign e b2"]
    {
        rig.play(line);
    }
    let told: Vec<_> = rig
        .changes
        .iter()
        .map(|change| (change.version, change.token, change.lease.as_ref().map(lease)))
        .collect();
    let a1 = Some("a1 #1".to_owned());
    let b2 = Some("b2 #2".to_owned());
    assert_eq!(told, [(1, 1, a1), (4, 2, b2), (5, 2, None)]);
}

#[test]
fn the_longest_command_fits_its_limit() {
    let long = |length: usize| -> Arc<str> { "x".repeat(length).into() };
    let command = Command::Acquire(Acquire {
        election: long(NAME_BYTES_MAX),
        holder: long(NAME_BYTES_MAX),
        session: Session(u64::MAX),
        ttl: Duration::from_millis(u64::MAX),
        priority: i64::MIN,
        wait: true,
        metadata: Some(long(METADATA_BYTES_MAX)),
        request_id: Some(long(REQUEST_ID_BYTES_MAX)),
    });
    let mut writer = Writer::default();
    command.write(&mut writer);
    assert!(writer.bytes.len() <= COMMAND_BYTES_MAX, "{}", writer.bytes.len());
    assert_eq!(Command::read(&mut Reader::new(&writer.bytes)), Ok(command));
}

#[test]
fn bytes_that_are_no_table_are_refused() {
    let mut rig = Rig::default();
    for line in ["init 7", "acquire e a1 id=r", "acquire e b2 wait", "resign f c3"] {
        rig.play(line);
    }
    let bytes = rig.table.to_bytes();
    for end in 0..bytes.len() {
        assert!(Table::from_bytes(&bytes[..end]).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Table::from_bytes(&longer).is_err());
    let mut other = bytes;
    other[0] += 1;
    assert!(Table::from_bytes(&other).is_err(), "a version of the future");
}
