//! The scanners against obvious parsers: however a stream is cut, the same frames and errors.
//!
//! Property tests and the fuzz targets share these checks. The parsers here start anew at the
//! first byte each time, recurse and know no limits of memory: all that the scanners must not do.

use super::memcache::{self, ReplyKind};
use super::resp;
use super::{BULK_BYTES_MAX, ELEMENTS_MAX, LINE_BYTES_MAX, REPLY_LINE_BYTES_MAX};
use super::{ProtocolError, Scan, Span};

/// What a stream holds: frames with what was found in them, then perhaps an error.
type Frames = (Vec<(usize, String)>, Option<&'static str>);

/// What an obvious parser says of the start of a stream.
enum Found {
    Frame(usize, String),
    More,
    Error(&'static str),
}

/// All kinds of memcached replies.
pub const KINDS: [ReplyKind; 4] =
    [ReplyKind::Line, ReplyKind::Values, ReplyKind::Meta, ReplyKind::MetaQuiet];

/// Deepest nesting that the obvious parser follows on its stack.
const DEPTH_MAX: usize = 200;

// === The checks ===

/// RESP requests: array form and inline.
///
/// # Panics
/// The scanner and the obvious parser differ, or a cut makes a difference.
pub fn resp_request(bytes: &[u8], cuts: &[usize]) {
    let all = || {
        let mut scanner = resp::RequestScan::default();
        move |bytes: &[u8]| {
            let scanned = scanner.scan(bytes);
            let mut detail = String::new();
            if let Ok(Scan::Done(_)) = scanned {
                detail = format!("{:?}", scanner.args);
                scanner.reset();
            }
            scanned.map(|scan| (scan, detail))
        }
    };
    let plain = obviously(bytes, obvious_request);
    assert_eq!(follow(all(), bytes, &[]), plain, "whole");
    assert_eq!(follow(all(), bytes, cuts), plain, "cut at {cuts:?}");
    assert_eq!(follow(all(), bytes, &each(bytes)), plain, "byte by byte");
    resp_tail(bytes, cuts);
}

/// RESP replies, both versions.
///
/// # Panics
/// As [`resp_request`].
pub fn resp_reply(bytes: &[u8], cuts: &[usize]) {
    let all = || {
        let mut scanner = resp::ReplyScan::default();
        move |bytes: &[u8]| {
            let scanned = scanner.scan(bytes);
            if let Ok(Scan::Done(_)) = scanned {
                scanner.reset();
            }
            scanned.map(|scan| (scan, String::new()))
        }
    };
    let whole = follow(all(), bytes, &[]);
    if let Some(plain) = obviously_reply(bytes) {
        assert_eq!(whole, plain, "whole");
    }
    assert_eq!(follow(all(), bytes, cuts), whole, "cut at {cuts:?}");
    assert_eq!(follow(all(), bytes, &each(bytes)), whole, "byte by byte");
    for cuts in [cuts, &each(bytes)] {
        let mut scanner = resp::ReplyScan::default();
        pass_on(&whole, bytes, cuts, |step| match step {
            Step::Scan(bytes) => scanner.scan(bytes).map(Told::Scan),
            Step::Passable(available) => Ok(Told::Bytes(scanner.passable(available))),
            Step::Took(taken) => {
                scanner.took(taken);
                Ok(Told::Bytes(0))
            }
            Step::Reset => {
                scanner.reset();
                Ok(Told::Bytes(0))
            }
        });
    }
}

/// memcached requests.
///
/// # Panics
/// As [`resp_request`].
pub fn memcache_request(bytes: &[u8], cuts: &[usize]) {
    let all = || {
        let mut scanner = memcache::RequestScan::default();
        move |bytes: &[u8]| {
            let scanned = scanner.scan(bytes);
            let mut detail = String::new();
            if let Ok(Scan::Done(length)) = scanned {
                let line = scanner.line().expect("a whole request has a line");
                assert_eq!(length, line.line_bytes + line.body_bytes);
                for key in &scanner.keys {
                    assert!(key.end as usize <= line.line_bytes && !key.is_empty());
                }
                detail = format!("{line:?} {:?}", scanner.keys);
                scanner.reset();
            }
            scanned.map(|scan| (scan, detail))
        }
    };
    let whole = follow(all(), bytes, &[]);
    let lengths =
        |frames: &Frames| (frames.0.iter().map(|frame| frame.0).collect::<Vec<_>>(), frames.1);
    assert_eq!(lengths(&whole), lengths(&obviously(bytes, obvious_command)), "whole");
    assert_eq!(follow(all(), bytes, cuts), whole, "cut at {cuts:?}");
    assert_eq!(follow(all(), bytes, &each(bytes)), whole, "byte by byte");
}

/// memcached replies of one kind.
///
/// # Panics
/// As [`resp_request`].
pub fn memcache_reply(bytes: &[u8], cuts: &[usize], kind: ReplyKind) {
    let all = || {
        let mut scanner = memcache::ReplyScan::default();
        move |bytes: &[u8]| {
            let scanned = scanner.scan(bytes, kind);
            if let Ok(Scan::Done(_)) = scanned {
                scanner.reset();
            }
            scanned.map(|scan| (scan, String::new()))
        }
    };
    let plain = obviously(bytes, |bytes| obvious_answer(bytes, kind));
    assert_eq!(follow(all(), bytes, &[]), plain, "whole, {kind:?}");
    assert_eq!(follow(all(), bytes, cuts), plain, "{kind:?} cut at {cuts:?}");
    assert_eq!(follow(all(), bytes, &each(bytes)), plain, "{kind:?} byte by byte");
    for cuts in [cuts, &each(bytes)] {
        let mut scanner = memcache::ReplyScan::default();
        pass_on(&plain, bytes, cuts, |step| match step {
            Step::Scan(bytes) => scanner.scan(bytes, kind).map(Told::Scan),
            Step::Passable(available) => Ok(Told::Bytes(scanner.passable(available))),
            Step::Took(taken) => {
                scanner.took(taken);
                Ok(Told::Bytes(0))
            }
            Step::Reset => {
                scanner.reset();
                Ok(Told::Bytes(0))
            }
        });
    }
}

/// Every place to cut, for streams short enough; coarser ones otherwise.
fn each(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).step_by(1 + bytes.len() / 4096).collect()
}

// === Following a stream ===

/// Shows a stream to a scanner, cut at `cuts`.
fn follow(
    mut scan: impl FnMut(&[u8]) -> Result<(Scan, String), ProtocolError>,
    bytes: &[u8],
    cuts: &[usize],
) -> Frames {
    let mut frames = Vec::new();
    let mut at = 0;
    let mut least = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        while at < end {
            match scan(&bytes[at..end]) {
                Ok((Scan::Done(length), detail)) => {
                    assert!(length > 0 && at + length <= end, "a frame of bytes not shown");
                    assert!(least <= length, "said to need {least}, has {length}");
                    frames.push((length, detail));
                    at += length;
                    least = 0;
                }
                Ok((Scan::More { need }, _)) => {
                    assert!(need > end - at, "needs {need} and has {}", end - at);
                    least = need;
                    break;
                }
                Err(error) => return (frames, Some(error.0)),
            }
        }
    }
    (frames, None)
}

fn obviously(bytes: &[u8], parse: impl Fn(&[u8]) -> Found) -> Frames {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match parse(&bytes[at..]) {
            Found::Frame(length, detail) => {
                frames.push((length, detail));
                at += length;
            }
            Found::More => break,
            Found::Error(error) => return (frames, Some(error)),
        }
    }
    (frames, None)
}

enum Step<'a> {
    Scan(&'a [u8]),
    Passable(usize),
    Took(usize),
    Reset,
}

enum Told {
    Scan(Scan),
    Bytes(usize),
}

/// Passes each reply on as it comes: the pieces make the frames of `whole`.
fn pass_on(
    whole: &Frames,
    bytes: &[u8],
    cuts: &[usize],
    mut scanner: impl FnMut(Step<'_>) -> Result<Told, ProtocolError>,
) {
    let mut bytes_of = |step: Step<'_>| match scanner(step) {
        Ok(Told::Bytes(bytes)) => (None, bytes),
        Ok(Told::Scan(scan)) => (Some(Ok(scan)), 0),
        Err(error) => (Some(Err(error)), 0),
    };
    let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut.min(bytes.len())).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let (mut at, mut passed, mut frame) = (0, 0, 0);
    for end in ends {
        while at < end {
            match bytes_of(Step::Scan(&bytes[at..end])).0 {
                Some(Ok(Scan::Done(length))) => {
                    let expected = whole.0.get(frame).map(|frame| frame.0);
                    assert_eq!(Some(passed + length), expected, "frame {frame} in pieces");
                    at += length;
                    (passed, frame) = (0, frame + 1);
                    bytes_of(Step::Reset);
                }
                Some(Ok(Scan::More { .. })) => {
                    let length = bytes_of(Step::Passable(end - at)).1;
                    assert!(length <= end - at);
                    bytes_of(Step::Took(length));
                    at += length;
                    passed += length;
                    if length == 0 {
                        break;
                    }
                }
                Some(Err(error)) => {
                    assert_eq!((frame, Some(error.0)), (whole.0.len(), whole.1), "in pieces");
                    return;
                }
                None => unreachable!("a scan says something"),
            }
        }
    }
    assert_eq!((frame, None), (whole.0.len(), whole.1), "in pieces");
}

/// Follows requests in the array form as a large request is followed: the frames end where the
/// scanner says.
fn resp_tail(bytes: &[u8], cuts: &[usize]) {
    let mut scanner = resp::RequestScan::default();
    if bytes.first() != Some(&b'*') {
        return;
    }
    let Ok(Scan::Done(length)) = scanner.scan(bytes) else { return };
    let mut start = bytes.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    for done in 0..scanner.args.len() {
        let mut tail = resp::RequestTail::new((scanner.args.len() - done) as u32);
        let mut at = start;
        let mut ends: Vec<usize> = cuts.iter().map(|&cut| cut.clamp(start, bytes.len())).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        for end in ends {
            at += tail.pass(&bytes[at..end]).expect("the scanner has accepted it");
        }
        assert!(tail.is_done() && at == length, "from argument {done}: {at} of {length}");
        start = scanner.args[done].end as usize + 2;
    }
}

// === Obvious parsers ===

/// `Err`: what is wrong; `Ok(None)`: more is needed.
type Parsed<T> = Result<Option<(T, usize)>, &'static str>;

/// A number up to CR LF, as RESP writes it.
fn number(bytes: &[u8]) -> Parsed<i64> {
    const WRONG: &str = "invalid length";
    let end = bytes.iter().position(|&byte| !(byte.is_ascii_digit() || byte == b'-'));
    let text = &bytes[..end.unwrap_or(bytes.len())];
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.contains(&b'-') || digits.len() > 18 || digits.len() > 1 && digits[0] == b'0' {
        return Err(WRONG);
    }
    match end.map(|end| &bytes[end..]) {
        None | Some([b'\r']) => Ok(None),
        Some([b'\r', b'\n', ..]) => {
            let text = std::str::from_utf8(text).map_err(|_| WRONG)?;
            Ok(Some((text.parse().map_err(|_| WRONG)?, text.len() + 2)))
        }
        Some(_) => Err(WRONG),
    }
}

fn obvious_request(bytes: &[u8]) -> Found {
    if bytes[0] != b'*' {
        let line = &bytes[..bytes.len().min(LINE_BYTES_MAX + 1)];
        return match line.iter().position(|&byte| byte == b'\n') {
            Some(at) => Found::Frame(at + 1, "[]".to_owned()),
            None if bytes.len() <= LINE_BYTES_MAX => Found::More,
            None => Found::Error("too big inline request"),
        };
    }
    match request_array(bytes) {
        Ok(Some((args, length))) => Found::Frame(length, format!("{args:?}")),
        Ok(None) => Found::More,
        Err(error) => Found::Error(error),
    }
}

fn request_array(bytes: &[u8]) -> Parsed<Vec<Span>> {
    let Some((count, length)) = number(&bytes[1..])? else { return Ok(None) };
    if count > ELEMENTS_MAX {
        return Err("invalid multibulk length");
    }
    let mut at = 1 + length;
    let mut args = Vec::new();
    for _ in 0..count.max(0) {
        match bytes.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err("expected '$'"),
        }
        let Some((length, header)) = number(&bytes[at + 1..])? else { return Ok(None) };
        if !(0..=BULK_BYTES_MAX).contains(&length) {
            return Err("invalid bulk length");
        }
        let start = at + 1 + header;
        let end = start + length as usize;
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {}
            (None, _) | (Some(b'\r'), None) => return Ok(None),
            _ => return Err("bulk string without its end"),
        }
        args.push(Span::new(start, end));
        at = end + 2;
    }
    Ok(Some((args, at)))
}

/// The frames of a stream of replies; `None` when it is nested too deeply to say.
fn obviously_reply(bytes: &[u8]) -> Option<Frames> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match reply(&bytes[at..], 0) {
            Ok(Some(((), length))) => {
                if !bytes[at..at + length].ends_with(b"\r\n") {
                    return Some((frames, Some("reply without its end")));
                }
                frames.push((length, String::new()));
                at += length;
            }
            Ok(None) => break,
            Err("too deep") => return None,
            Err(error) => return Some((frames, Some(error))),
        }
    }
    Some((frames, None))
}

fn reply(bytes: &[u8], depth: usize) -> Parsed<()> {
    if depth > DEPTH_MAX {
        return Err("too deep");
    }
    let Some(&kind) = bytes.first() else { return Ok(None) };
    if b"+-:_#,(".contains(&kind) {
        let line = &bytes[..bytes.len().min(REPLY_LINE_BYTES_MAX + 1)];
        return match line.iter().position(|&byte| byte == b'\n') {
            Some(at) => Ok(Some(((), at + 1))),
            None if bytes.len() <= REPLY_LINE_BYTES_MAX => Ok(None),
            None => Err("reply line too long"),
        };
    }
    let Some((count, header)) = number(&bytes[1..])? else { return Ok(None) };
    let mut at = 1 + header;
    let mut elements = match kind {
        b'$' | b'=' | b'!' => {
            let end = if count < 0 { at } else { at + count as usize + 2 };
            return Ok((bytes.len() >= end).then_some(((), end)));
        }
        b'*' | b'~' | b'>' => count.max(0),
        b'%' => 2 * count.max(0),
        b'|' => 2 * count.max(0) + 1,
        _ => return Err("unknown reply type"),
    };
    while elements > 0 {
        let Some(rest) = bytes.get(at..) else { return Ok(None) };
        let Some(((), length)) = reply(rest, depth + 1)? else { return Ok(None) };
        at += length;
        elements -= 1;
    }
    Ok(Some(((), at)))
}

fn obvious_command(bytes: &[u8]) -> Found {
    let shown = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = shown.iter().position(|&byte| byte == b'\n') else {
        return match bytes.len() < LINE_BYTES_MAX {
            true => Found::More,
            false => Found::Error("line too long"),
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let words: Vec<&[u8]> =
        line.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    let length_at = match words.first().copied().unwrap_or_default() {
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => 4,
        b"ms" => 2,
        _ => usize::MAX,
    };
    let body = words.get(length_at).and_then(|word| length_of(word)).map_or(0, |body| body + 2);
    let total = end + 1 + body;
    if bytes.len() < total {
        return Found::More;
    }
    if body > 0 && !bytes[..total].ends_with(b"\r\n") {
        return Found::Error("bad data chunk");
    }
    Found::Frame(total, String::new())
}

/// The length of a value, if the text is one.
fn length_of(text: &[u8]) -> Option<usize> {
    let digits = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse::<u64>().ok()?;
    (number <= BULK_BYTES_MAX as u64).then_some(number as usize)
}

fn obvious_answer(bytes: &[u8], kind: ReplyKind) -> Found {
    let mut at = 0;
    loop {
        let Some(rest) = bytes.get(at..) else { return Found::More };
        let shown = &rest[..rest.len().min(REPLY_LINE_BYTES_MAX + 1)];
        let Some(end) = shown.iter().position(|&byte| byte == b'\n') else {
            return match rest.len() <= REPLY_LINE_BYTES_MAX {
                true => Found::More,
                false => Found::Error("reply line too long"),
            };
        };
        let line = &rest[..=end];
        at += end + 1;
        let (head, length_at) = match kind {
            ReplyKind::Line => return Found::Frame(at, String::new()),
            ReplyKind::Values => (b"VALUE ".as_slice(), 3),
            ReplyKind::Meta | ReplyKind::MetaQuiet => (b"VA ".as_slice(), 1),
        };
        if !line.starts_with(head) {
            if kind == ReplyKind::MetaQuiet && line != b"MN\r\n" {
                continue;
            }
            return Found::Frame(at, String::new());
        }
        let line = line.trim_ascii_end();
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let Some(length) = words.nth(length_at).and_then(length_of) else {
            return Found::Error("value without its length");
        };
        at += length + 2;
        if bytes.len() < at {
            return Found::More;
        }
        if kind == ReplyKind::Meta {
            return Found::Frame(at, String::new());
        }
    }
}
