//! How names are made safe.

/// Ends that a name of 1.x cannot have, in the order in which they are looked for.
const RESERVED: [&str; 4] = ["_total", "_created", "_bucket", "_info"];

/// A name with nothing but letters and digits of ASCII, `:` and `_`; runs of `_` become one, and a
/// digit does not stand first.
pub(super) fn safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    let mut underscore = false;
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    for c in name.chars() {
        let kept = c.is_ascii_alphanumeric() || c == ':';
        if kept {
            out.push(c);
        } else if !underscore {
            out.push('_');
        }
        underscore = !kept;
    }
    out
}

/// The name of a label: as [`safe`], but a label has no colon.
pub(super) fn safe_label(name: &str) -> String {
    safe(name).replace(':', "_")
}

/// `threadCount` becomes `thread_count`, `testTCPTest` becomes `test_tcptest`.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut joined = true;
    for c in name.chars() {
        let upper = c.is_uppercase();
        if upper && !joined {
            out.push('_');
        }
        // Java's letter by letter; what becomes several letters stays.
        let mut lower = c.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(lower), None) => out.push(lower),
            _ => out.push(c),
        }
        joined = upper || c == '_';
    }
    out
}

/// The name without the ends that its kind would give it.
pub(super) fn without_reserved(name: &str) -> &str {
    let mut name = name;
    loop {
        let before = name;
        for end in RESERVED {
            if name == end {
                return &name[1..];
            }
            name = name.strip_suffix(end).unwrap_or(name);
        }
        if name == before {
            return name;
        }
    }
}
