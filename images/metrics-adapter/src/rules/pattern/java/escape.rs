//! What begins with a backslash.

use std::fmt::Write;

use super::{Mode, Refused, Writer, syntax};

// === impl Writer ===

impl Writer<'_> {
    /// Writes what a backslash begins; the backslash has been taken.
    pub(super) fn escape(&mut self) -> Result<(), Refused> {
        let Some(c) = self.rest.next() else { return syntax("a backslash at the end") };
        let backtracking = self.mode == Mode::Backtracking;
        match c {
            'b' => self.out.text.push_str(if backtracking { r"\b" } else { r"(?-u:\b)" }),
            'B' => self.out.text.push_str(if backtracking { r"\B" } else { r"(?-u:\B)" }),
            'A' => self.out.text.push_str(r"\A"),
            'z' | 'Z' => self.out.text.push_str(r"\z"),
            'R' => self.out.text.push_str(r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])"),
            'Q' => {
                let text = self.rest.as_str();
                let (quoted, rest) = text.split_once(r"\E").unwrap_or((text, ""));
                self.rest = rest.chars();
                quoted.chars().for_each(|c| self.literal(c));
            }
            'E' => {}
            'k' => {
                let name = if self.take("<") { self.name() } else { None };
                let known = |name: &String| self.out.names.iter().any(|(known, _)| known == name);
                let Some(name) = name.filter(known) else {
                    return syntax("`\\k` without a group of that name before it");
                };
                self.back_reference(&format!(r"\k<{name}>"))?;
            }
            '1'..='9' => {
                let mut number = c.to_digit(10).unwrap_or_default() as usize;
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
                    let longer = number * 10 + digit as usize;
                    if longer > self.out.groups {
                        break;
                    }
                    number = longer;
                    self.rest.next();
                }
                if number > self.out.groups {
                    return syntax(format!("`\\{number}` without that many groups before it"));
                }
                self.back_reference(&format!(r"(?:\{number})"))?;
            }
            _ => match self.class_escape(c)? {
                Some(class) => {
                    let _ = write!(self.out.text, "[{class}]");
                }
                None => {
                    let c = self.character_escape(c)?;
                    self.literal(c);
                }
            },
        }
        Ok(())
    }

    fn back_reference(&mut self, text: &str) -> Result<(), Refused> {
        match self.mode {
            Mode::Plain => return Err(Refused::Backtracking),
            Mode::Backtracking => self.out.text.push_str(text),
            Mode::Loose => self.out.text.push_str("(?:(?s:.)*)"),
        }
        Ok(())
    }

    /// A character written as an escape: the letter is taken, what follows is not.
    pub(super) fn character_escape(&mut self, c: char) -> Result<char, Refused> {
        let code = match c {
            't' => 9,
            'n' => 10,
            'r' => 13,
            'f' => 12,
            'a' => 7,
            'e' => 27,
            '0' => self.number(8, 3, "\\0")?,
            'x' if self.take("{") => {
                let code = self.number(16, 6, "\\x{")?;
                if !self.take("}") {
                    return syntax("`\\x{` is not closed");
                }
                code
            }
            'x' => self.exactly(2)?,
            'u' => self.exactly(4)?,
            'c' => match self.rest.next() {
                Some(control) if control.is_ascii() => u32::from(control) ^ 64,
                _ => return syntax("`\\c` without a letter"),
            },
            c if c.is_ascii_alphanumeric() => {
                return syntax(format!("the escape `\\{c}` is not known here"));
            }
            c => return Ok(c),
        };
        char::from_u32(code).map_or_else(|| syntax(format!("{code:#x} is no character")), Ok)
    }

    fn exactly(&mut self, digits: usize) -> Result<u32, Refused> {
        let before = self.rest.as_str().len();
        let number = self.number(16, digits, "\\x or \\u")?;
        if before - self.rest.as_str().len() == digits {
            return Ok(number);
        }
        syntax(format!("an escape without {digits} hexadecimal digits"))
    }

    fn number(&mut self, radix: u32, most: usize, what: &str) -> Result<u32, Refused> {
        let (mut number, mut count) = (0u32, 0);
        while count < most
            && let Some(digit) = self.peek().and_then(|c| c.to_digit(radix))
        {
            // Octal numbers end where a byte does.
            if radix == 8 && number * 8 + digit > 0o377 {
                break;
            }
            number = number * radix + digit;
            count += 1;
            self.rest.next();
        }
        if count == 0 { syntax(format!("`{what}` without digits")) } else { Ok(number) }
    }
}
