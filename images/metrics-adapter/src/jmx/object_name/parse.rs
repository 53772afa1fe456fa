//! Text to name.

use super::{ObjectName, ObjectNameError, Property, range};

/// Longest text; a name comes over the wire with a length of 16 bits.
const BYTES_MAX: usize = 65_535;

pub(super) fn parse(text: &str) -> Result<ObjectName, ObjectNameError> {
    let text = if text.is_empty() { "*:*" } else { text };
    if text.len() > BYTES_MAX {
        return Err(error(text, "it is longer than 65535 bytes"));
    }
    let Some(colon) = text.find(':') else {
        return Err(error(text, "there is no colon after the domain"));
    };
    let domain = &text[..colon];
    if domain.contains('\n') {
        return Err(error(text, "a line feed in the domain"));
    }
    let mut at = colon + 1;
    if at == text.len() {
        return Err(error(text, "there are no properties"));
    }
    let mut properties = Vec::new();
    let mut open = false;
    loop {
        if text[at..].starts_with('*') {
            if open {
                return Err(error(text, "a second * in the list"));
            }
            open = true;
            at += 1;
        } else {
            let (property, end) = property(text, at)?;
            properties.push(property);
            at = end;
        }
        if at == text.len() {
            break;
        }
        if !text[at..].starts_with(',') {
            return Err(error(text, "a comma is missing after * or a closing quote"));
        }
        at += 1;
        if at == text.len() {
            return Err(error(text, "it ends on a comma"));
        }
    }
    let mut keys: Vec<&str> = properties.iter().map(|found| &text[range(found.key)]).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(error(text, &format!("the key {} is there twice", twice[0])));
    }
    Ok(ObjectName {
        text: text.into(),
        domain: place(colon),
        properties: properties.into_boxed_slice(),
        domain_pattern: domain.contains(['*', '?']),
        open,
    })
}

/// One `key=value`, and where it ends.
fn property(text: &str, at: usize) -> Result<(Property, usize), ObjectNameError> {
    let rest = &text[at..];
    let equals = match rest.find(['=', ',', ':', '*', '?', '\n']) {
        Some(0) => return Err(error(text, "a key is empty or starts with a reserved character")),
        Some(found) if rest.as_bytes()[found] == b'=' => at + found,
        Some(_) => return Err(error(text, "a reserved character in a key")),
        None => return Err(error(text, "a key without a value")),
    };
    let from = equals + 1;
    let (to, pattern) =
        if text[from..].starts_with('"') { quoted(text, from)? } else { plain(text, from)? };
    let key = (place(at), place(equals));
    Ok((Property { key, value: (place(from), place(to)), pattern }, to))
}

/// End of a value without quotes, and whether it has wildcards.
fn plain(text: &str, from: usize) -> Result<(usize, bool), ObjectNameError> {
    let rest = &text[from..];
    let end = rest.find(',').map_or(text.len(), |found| from + found);
    let value = &text[from..end];
    if value.contains(['=', ':', '"', '\n']) {
        return Err(error(text, "a reserved character in a value without quotes"));
    }
    Ok((end, value.contains(['*', '?'])))
}

/// End of a quoted value, behind its closing quote, and whether it has unescaped wildcards.
fn quoted(text: &str, from: usize) -> Result<(usize, bool), ObjectNameError> {
    let mut pattern = false;
    let mut bytes = text.bytes().enumerate().skip(from + 1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some((_, b'\\' | b'"' | b'?' | b'*' | b'n')) => {}
                _ => return Err(error(text, "an unknown escape in a quoted value")),
            },
            b'"' => return Ok((at + 1, pattern)),
            b'\n' => return Err(error(text, "a line feed in a quoted value")),
            b'*' | b'?' => pattern = true,
            _ => {}
        }
    }
    Err(error(text, "a quote is not closed"))
}

/// A place in a text of at most 65,535 bytes.
fn place(at: usize) -> u32 {
    at as u32
}

fn error(text: &str, what: &str) -> ObjectNameError {
    // What is shown of a hostile text is bounded.
    let shown: String = text.chars().take(200).collect();
    ObjectNameError(format!("{shown:?}: {what}"))
}
