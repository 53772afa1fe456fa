//! A scrape: one request, one connection, the whole answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Connecting, and the longest silence within an answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Text, unless something else is asked for.
pub(super) const TEXT: &str = "Accept: text/plain;version=0.0.4\r\n";

/// The body of `/metrics`, as asked for by some header lines.
pub(super) fn scrape(port: u16, headers: &str) -> Result<Vec<u8>> {
    get(port, "/metrics", headers)
}

/// The body of a path.
pub(super) fn get(port: u16, path: &str, headers: &str) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connect")?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("read the answer to {path}"))?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").context("no HTTP answer")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    ensure!(head.split(' ').nth(1) == Some("200"), "{path} was answered {head}");
    Ok(answer.split_off(end + 4))
}

/// The page as text.
pub(super) fn text(port: u16) -> Result<String> {
    String::from_utf8(scrape(port, TEXT)?).context("the page is no text")
}

/// The sum of all series whose name begins so.
pub(super) fn sum(page: &str, prefix: &str) -> f64 {
    let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
    page.lines().filter(|line| line.starts_with(prefix)).filter_map(value).sum()
}

/// How many series have a name that begins so.
pub(super) fn count(page: &str, prefix: &str) -> usize {
    page.lines().filter(|line| line.starts_with(prefix)).count()
}
