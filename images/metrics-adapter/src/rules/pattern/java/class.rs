//! Character classes.

use std::fmt::Write;

use super::{DEPTH_MAX, Refused, Writer, push_literal, syntax};

/// What stands between the brackets of a class.
const HORIZONTAL: &str = r"\x{20}\t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}";
const VERTICAL: &str = r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}";
const SPACE: &str = r"\x{20}\t\n\x0B\x0C\r";

/// Classes of ASCII by their POSIX names.
const POSIX: [(&str, &str); 13] = [
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7F"),
    ("Alpha", "a-zA-Z"),
    ("Digit", "0-9"),
    ("Alnum", "0-9a-zA-Z"),
    ("Punct", r"!-/:-@\[-`\{-\~"),
    ("Graph", r"!-\~"),
    ("Print", r"\x20-\~"),
    ("Blank", r"\x20\t"),
    ("Cntrl", r"\x00-\x1F\x7F"),
    ("XDigit", "0-9a-fA-F"),
    ("Space", SPACE),
];

/// One piece of a class.
enum Item {
    Character(char),
    /// What is written between brackets, for a whole class.
    Class(String),
}

// === impl Writer ===

impl Writer<'_> {
    /// Writes a class; its opening bracket has been taken.
    pub(super) fn class(&mut self, depth: usize) -> Result<(), Refused> {
        if depth > DEPTH_MAX {
            return syntax(format!("more than {DEPTH_MAX} classes within each other"));
        }
        self.out.text.push('[');
        if self.take("^") {
            self.out.text.push('^');
        }
        let mut empty = true;
        loop {
            if self.take("&&") {
                // What has no other side cuts nothing away.
                if !empty && self.peek() != Some(']') && !self.rest.as_str().starts_with("&&") {
                    self.out.text.push_str("&&");
                }
                continue;
            }
            let Some(c) = self.rest.next() else { return syntax("a class is not closed") };
            match c {
                ']' if !empty => break,
                '[' => self.class(depth + 1)?,
                _ if self.flags.comments && c.is_ascii_whitespace() => continue,
                _ => match self.item(c)? {
                    Item::Class(class) => {
                        let _ = write!(self.out.text, "[{class}]");
                    }
                    Item::Character(first) => self.range(first)?,
                },
            }
            empty = false;
        }
        self.out.text.push(']');
        Ok(())
    }

    /// Writes a character, or the range that it begins.
    fn range(&mut self, first: char) -> Result<(), Refused> {
        let mut ahead = self.rest.clone();
        let dash = ahead.next() == Some('-');
        let range = dash && ahead.next().is_some_and(|c| c != ']' && c != '[');
        push_literal(&mut self.out.text, first);
        if !range || self.rest.as_str().starts_with("-&&") {
            return Ok(());
        }
        self.rest.next();
        let Some(c) = self.rest.next() else { return syntax("a class is not closed") };
        match self.item(c)? {
            Item::Character(last) if last >= first => {
                self.out.text.push('-');
                push_literal(&mut self.out.text, last);
                Ok(())
            }
            Item::Character(last) => syntax(format!("the range `{first}-{last}` is upside down")),
            Item::Class(_) => syntax(format!("the range `{first}-` has no end")),
        }
    }

    fn item(&mut self, c: char) -> Result<Item, Refused> {
        if c != '\\' {
            return Ok(Item::Character(c));
        }
        let Some(c) = self.rest.next() else { return syntax("a backslash at the end") };
        match self.class_escape(c)? {
            Some(class) => Ok(Item::Class(class)),
            None => self.character_escape(c).map(Item::Character),
        }
    }

    /// What an escape stands for between brackets, if it is a class.
    pub(super) fn class_escape(&mut self, c: char) -> Result<Option<String>, Refused> {
        let (class, negated) = match c {
            'd' | 'D' => ("0-9", c == 'D'),
            'w' | 'W' => ("0-9A-Za-z_", c == 'W'),
            's' | 'S' => (SPACE, c == 'S'),
            'h' | 'H' => (HORIZONTAL, c == 'H'),
            'v' | 'V' => (VERTICAL, c == 'V'),
            'p' | 'P' => return self.property(c == 'P').map(Some),
            _ => return Ok(None),
        };
        Ok(Some(if negated { format!("^{class}") } else { class.to_owned() }))
    }

    fn property(&mut self, negated: bool) -> Result<String, Refused> {
        let name = match self.rest.next() {
            Some('{') => {
                let text = self.rest.as_str();
                let Some((name, rest)) = text.split_once('}') else {
                    return syntax("`\\p{` is not closed");
                };
                self.rest = rest.chars();
                name.to_owned()
            }
            Some(c) if c.is_ascii_alphabetic() => c.to_string(),
            _ => return syntax("`\\p` without a name"),
        };
        let sign = if negated { "^" } else { "" };
        if let Some((_, class)) = POSIX.iter().find(|(posix, _)| *posix == name) {
            return Ok(format!("{sign}{class}"));
        }
        let known = match name.as_str() {
            "javaLowerCase" => "Lowercase",
            "javaUpperCase" => "Uppercase",
            "javaWhitespace" => "White_Space",
            "javaLetter" | "javaAlphabetic" => "Alphabetic",
            "javaDigit" => "Nd",
            name => name.strip_prefix("Is").unwrap_or(name),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'=' | b' ');
        if known.is_empty() || !known.bytes().all(plain) || name.starts_with("In") {
            return syntax(format!("the class `{name}` is not known here"));
        }
        Ok(format!("{sign}\\p{{{known}}}"))
    }
}
