//! Regular expressions of Java, rewritten for other engines.
//!
//! The syntax is read piece by piece and every piece is written anew, so nothing reaches an engine
//! that has not been understood. Classes such as `\d`, `\w`, `\s` and `\b` are those of ASCII, as in
//! Java without `UNICODE_CHARACTER_CLASS`.
//!
//! Three texts can be asked for ([`Mode`]): one for an engine of finite automata, one for a
//! backtracking engine, and a looser one for an automaton, which fits wherever the pattern fits and
//! maybe elsewhere (what looks around is left out, a back-reference is anything).
//!
//! Source: the documentation of `java.util.regex.Pattern`.

mod class;
mod escape;

use std::fmt::Write;

/// Deepest nesting of groups and classes.
const DEPTH_MAX: usize = 100;
/// Longest pattern in bytes.
const PATTERN_BYTES_MAX: usize = 16 * 1024;
/// Most repetitions that a pattern may count.
const REPEAT_MAX: u32 = 1000;

/// Any character but Java's line terminators.
pub(super) const DOT: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";

/// For whom a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// An automaton; what it cannot do is [`Refused::Backtracking`].
    Plain,
    /// A backtracking engine.
    Backtracking,
    /// An automaton; what it cannot do is written as something looser.
    Loose,
}

/// A pattern rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// The text for the engine, not wrapped.
    pub(super) text: String,
    /// Number of capturing groups.
    pub(super) groups: usize,
    /// Named groups with their numbers.
    pub(super) names: Vec<(String, usize)>,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It looks around, refers back or never gives back.
    Backtracking,
    /// It is no pattern, or one that nobody here knows.
    Syntax(String),
}

/// What `(?i)` and the like have switched on.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    dot_all: bool,
    unix_lines: bool,
    comments: bool,
}

/// An open group.
struct Group {
    /// Where it begins in the text.
    from: usize,
    /// Flags to go back to.
    flags: Flags,
    /// It looks around, and is left out of the text.
    dropped: bool,
}

struct Writer<'a> {
    mode: Mode,
    rest: std::str::Chars<'a>,
    flags: Flags,
    open: Vec<Group>,
    out: Rewritten,
    /// Where the last piece at the top begins, when it is `.*` or `.*?`.
    dots_from: Option<usize>,
    top_alternation: bool,
}

/// Rewrites a pattern.
pub(super) fn rewrite(pattern: &str, mode: Mode) -> Result<Rewritten, Refused> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return syntax(format!("longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let mut writer = Writer {
        mode,
        rest: pattern.chars(),
        flags: Flags::default(),
        open: Vec::new(),
        out: Rewritten::default(),
        dots_from: None,
        top_alternation: false,
    };
    writer.run()?;
    if !writer.open.is_empty() {
        return syntax("a group is not closed");
    }
    // What is searched for need not say that anything may follow. See the module `sieve`.
    if mode == Mode::Loose
        && !writer.top_alternation
        && let Some(at) = writer.dots_from
    {
        writer.out.text.truncate(at);
    }
    Ok(writer.out)
}

fn syntax<T>(what: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Syntax(what.into()))
}

// === impl Writer ===

impl Writer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.as_str().strip_prefix(text);
        if let Some(rest) = rest {
            self.rest = rest.chars();
        }
        rest.is_some()
    }

    fn run(&mut self) -> Result<(), Refused> {
        // Where the piece that a quantifier would repeat begins.
        let mut piece: Option<usize> = None;
        while let Some(c) = self.rest.next() {
            let at = self.out.text.len();
            let top = self.open.is_empty();
            match c {
                '*' | '+' | '?' | '{' => {
                    let Some(from) = piece.take() else {
                        return syntax(format!("nothing to repeat before `{c}`"));
                    };
                    let dots = self.quantifier(c, from)?;
                    self.dots_from = (top && dots).then_some(from);
                    continue;
                }
                '(' => {
                    piece = self.group()?;
                    self.dots_from = None;
                    continue;
                }
                ')' => {
                    piece = Some(self.close()?);
                    self.dots_from = None;
                    continue;
                }
                '|' => {
                    self.top_alternation |= top;
                    self.out.text.push('|');
                    piece = None;
                    self.dots_from = None;
                    continue;
                }
                _ if self.flags.comments && (c.is_ascii_whitespace() || c == '\x0b') => continue,
                '#' if self.flags.comments => {
                    let _ = self.rest.by_ref().find(|c| *c == '\n' || *c == '\r');
                    continue;
                }
                '.' => self.dot(),
                '^' | '$' => self.out.text.push(c),
                '[' => self.class(1)?,
                '\\' => self.escape()?,
                _ => self.literal(c),
            }
            self.dots_from = None;
            piece = (self.out.text.len() > at).then_some(at);
        }
        Ok(())
    }

    fn dot(&mut self) {
        self.out.text.push_str(match self.flags {
            Flags { dot_all: true, .. } => "(?s:.)",
            Flags { unix_lines: true, .. } => r"[^\n]",
            _ => DOT,
        });
    }

    fn literal(&mut self, c: char) {
        push_literal(&mut self.out.text, c);
    }

    /// Writes a quantifier; true when it made `.*` or `.*?`.
    fn quantifier(&mut self, c: char, from: usize) -> Result<bool, Refused> {
        let dots = c == '*' && self.out.text.get(from..) == Some(DOT);
        match c {
            '{' => self.repetition()?,
            c => self.out.text.push(c),
        }
        if self.take("?") {
            self.out.text.push('?');
        } else if self.take("+") {
            match self.mode {
                Mode::Plain => return Err(Refused::Backtracking),
                Mode::Backtracking => {
                    self.out.text.insert_str(from, "(?>");
                    self.out.text.push(')');
                }
                Mode::Loose => {}
            }
            return Ok(false);
        }
        Ok(dots)
    }

    fn repetition(&mut self) -> Result<(), Refused> {
        let text = self.rest.as_str();
        let Some((inner, rest)) = text.split_once('}') else {
            return syntax("a `{` that is no repetition; a brace itself is `\\{`");
        };
        let (least, most) = match inner.split_once(',') {
            None => (inner, inner),
            Some((least, most)) => (least, most),
        };
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= REPEAT_MAX);
        let fits = match (number(least), most) {
            (Some(_), "") => true,
            (Some(least), most) => number(most).is_some_and(|most| most >= least),
            (None, _) => false,
        };
        if !fits || !inner.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
            return syntax(format!("`{{{inner}}}` is no repetition of at most {REPEAT_MAX}"));
        }
        let _ = write!(self.out.text, "{{{inner}}}");
        self.rest = rest.chars();
        Ok(())
    }

    /// Opens a group. A group of flags alone is no piece.
    fn group(&mut self) -> Result<Option<usize>, Refused> {
        if self.open.len() >= DEPTH_MAX {
            return syntax(format!("more than {DEPTH_MAX} groups within each other"));
        }
        let (flags, from) = (self.flags, self.out.text.len());
        let mut dropped = false;
        if !self.take("?") {
            self.out.groups += 1;
            self.out.text.push('(');
        } else if self.take(":") {
            self.out.text.push_str("(?:");
        } else if self.take(">") {
            self.atomic()?;
        } else if ["=", "!", "<=", "<!"].iter().any(|look| self.rest.as_str().starts_with(look)) {
            dropped = self.look_around()?;
        } else if self.take("<") {
            self.named()?;
        } else {
            return self.flag_group(flags);
        }
        self.open.push(Group { from, flags, dropped });
        Ok(None)
    }

    fn atomic(&mut self) -> Result<(), Refused> {
        match self.mode {
            Mode::Plain => return Err(Refused::Backtracking),
            Mode::Backtracking => self.out.text.push_str("(?>"),
            Mode::Loose => self.out.text.push_str("(?:"),
        }
        Ok(())
    }

    /// True when what is within is to be left out.
    fn look_around(&mut self) -> Result<bool, Refused> {
        let long = usize::from(self.rest.as_str().starts_with('<')) + 1;
        let look: String = self.rest.by_ref().take(long).collect();
        let _ = write!(self.out.text, "(?{look}");
        match self.mode {
            Mode::Plain => Err(Refused::Backtracking),
            Mode::Backtracking => Ok(false),
            Mode::Loose => Ok(true),
        }
    }

    fn named(&mut self) -> Result<(), Refused> {
        let Some(name) = self.name() else { return syntax("a group's name is not `<letters>`") };
        if self.out.names.iter().any(|(earlier, _)| *earlier == name) {
            return syntax(format!("two groups are called {name}"));
        }
        self.out.groups += 1;
        let _ = write!(self.out.text, "(?P<{name}>");
        self.out.names.push((name, self.out.groups));
        Ok(())
    }

    /// `letters>`, after the `<`.
    fn name(&mut self) -> Option<String> {
        let (name, rest) = self.rest.as_str().split_once('>')?;
        let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && name.starts_with(|c: char| c.is_ascii_alphabetic());
        self.rest = rest.chars();
        fits.then(|| name.to_owned())
    }

    /// `(?flags)` or `(?flags:`.
    fn flag_group(&mut self, before: Flags) -> Result<Option<usize>, Refused> {
        let mut on = true;
        let mut passed = String::new();
        let mut passed_off = String::new();
        loop {
            match self.rest.next() {
                Some('-') if on => on = false,
                Some('s') => self.flags.dot_all = on,
                Some('d') => self.flags.unix_lines = on,
                Some('x') => self.flags.comments = on,
                Some(c @ ('i' | 'm')) => {
                    if on {
                        passed.push(c)
                    } else {
                        passed_off.push(c)
                    }
                }
                // Case is that of Unicode anyway.
                Some('u') => {}
                Some(end @ (')' | ':')) => {
                    if !passed_off.is_empty() {
                        passed.push('-');
                        passed.push_str(&passed_off);
                    }
                    if end == ')' {
                        if !passed.is_empty() {
                            let _ = write!(self.out.text, "(?{passed})");
                        }
                    } else {
                        let from = self.out.text.len();
                        let _ = write!(self.out.text, "(?{passed}:");
                        self.open.push(Group { from, flags: before, dropped: false });
                    }
                    return Ok(None);
                }
                Some(c) => return syntax(format!("the flag or group `(?{c}` is not known here")),
                None => return syntax("a group is not closed"),
            }
        }
    }

    fn close(&mut self) -> Result<usize, Refused> {
        let Some(group) = self.open.pop() else { return syntax("a `)` without its `(`") };
        self.flags = group.flags;
        if group.dropped {
            self.out.text.truncate(group.from);
            self.out.text.push_str("(?:");
        }
        self.out.text.push(')');
        Ok(group.from)
    }
}

/// Writes a character that stands for itself, in a class or outside.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || matches!(c, '_' | '<' | '>' | '=' | ',' | ':' | '/' | '"' | '@')
    {
        out.push(c);
    } else if c.is_ascii_graphic() {
        out.push('\\');
        out.push(c);
    } else {
        let _ = write!(out, "\\x{{{:x}}}", u32::from(c));
    }
}
