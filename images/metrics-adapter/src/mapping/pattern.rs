//! Regular expressions in Go's syntax, for the `regex` crate.
//!
//! Both are RE2's children; what differs is rewritten. In Go `\d`, `\s`, `\w` and `\b` are ASCII,
//! `[` and `&&` in a class are characters, a brace that repeats nothing is one too, and `\Q…\E`
//! quotes.

use regex::{Regex, RegexBuilder};

/// A compiled expression larger than this is refused.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Compiles an expression in Go's syntax; the error says what is wrong.
pub(super) fn compile(go: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(&translate(go)).size_limit(COMPILED_BYTES_MAX).build();
    regex.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "its compiled form is larger than 1 MiB".to_owned(),
        // The last line says it; those before draw the place in what `translate` has made.
        error => {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    })
}

fn translate(go: &str) -> String {
    let mut out = String::with_capacity(go.len() + 16);
    let mut rest = go;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(tail, false, &mut out),
            '[' => class(tail, &mut out),
            '{' if !repeats(tail) => {
                out.push_str("\\{");
                tail
            }
            c => {
                out.push(c);
                tail
            }
        };
    }
    out
}

/// What follows a backslash; returns what follows that.
fn escape<'a>(rest: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let tail = &rest[c.len_utf8()..];
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\x0C\r\x20]"),
        'S' => out.push_str(r"[^\t\n\x0C\r\x20]"),
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        '<' | '>' => out.push(c),
        'Q' if !in_class => {
            let (quoted, tail) = tail.split_once("\\E").unwrap_or((tail, ""));
            out.push_str(&regex::escape(quoted));
            return tail;
        }
        c => out.extend(['\\', c]),
    }
    tail
}

/// What follows the bracket of a class; returns what follows the class.
fn class<'a>(mut rest: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        rest = tail;
    }
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            ']' if !first => {
                out.push(']');
                return tail;
            }
            '\\' => escape(tail, true, out),
            '[' if tail.starts_with(':') && tail.contains(":]") => {
                let (name, tail) = tail.split_once(":]").unwrap_or((tail, ""));
                out.push('[');
                out.push_str(name);
                out.push_str(":]");
                tail
            }
            '[' | ']' | '&' | '~' => {
                out.extend(['\\', c]);
                tail
            }
            c => {
                out.push(c);
                tail
            }
        };
        first = false;
    }
    rest
}

/// Whether `2}`, `2,}` or `2,3}` follows a brace.
fn repeats(rest: &str) -> bool {
    let Some((body, _)) = rest.split_once('}') else { return false };
    let (from, to) = body.split_once(',').unwrap_or((body, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !from.is_empty() && digits(from) && digits(to)
}
