//! The table of the sessions, `sessions.txt`, whose head tells how it is read.

const TABLE: &str = include_str!("sessions.txt");

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) pool: &'static str,
    /// The name of the difference in strict pools, if there is one.
    pub(super) strict: Option<&'static str>,
    /// The same for friendly ones.
    pub(super) friendly: Option<&'static str>,
    pub(super) steps: Vec<String>,
}

/// All of them, in the order of the table.
pub(super) fn all() -> Vec<Session> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(session).collect()
}

fn session(line: &'static str) -> Session {
    let (pool, rest) = line.split_once(' ').unwrap();
    let (mark, steps) = rest.trim_start().split_once(' ').unwrap();
    let (strict, friendly) = match mark.split_once(':') {
        None if mark == "same" => (None, None),
        Some(("friendly", name)) => (None, Some(name)),
        Some(("strict", name)) => (Some(name), None),
        Some(("both", name)) => (Some(name), Some(name)),
        _ => panic!("{mark} in {line}"),
    };
    let steps = steps.trim().split(" ; ").map(unescape).collect();
    Session { pool, strict, friendly, steps }
}

fn unescape(step: &str) -> String {
    step.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
}
