//! Network message statistics: what an image counts per listener and upstream.

use serde::Serialize;
use serde_json::{Value, json};

/// An image's counters. Called on the management thread for `/mgmt/v1/network` and `/metrics`.
pub trait Network: Send + Sync {
    /// A reading of every listener and upstream.
    fn snapshot(&self) -> Vec<Traffic>;
}

/// Which side of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficKind {
    /// Where clients come in.
    Listener,
    /// Where the image goes.
    Upstream,
}

/// The counters of one listener or upstream, since the start of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Which side.
    pub kind: TrafficKind,
    /// Its name in the image's configuration; few values, it becomes a label.
    pub name: String,
    /// Address listened on or connected to.
    pub address: String,
    /// Connections open now.
    pub open: u64,
    /// Connections accepted or established.
    pub connections: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Messages received: requests of a listener, replies of an upstream.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Connections refused, reset or timed out, and messages that could not be served.
    pub errors: u64,
}

/// Queue overflows and retransmissions of this network namespace, which no process counter shows.
pub(crate) fn host() -> Value {
    let text = std::fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let read = |name| counter(&text, "TcpExt:", name);
    json!({
        "listen_overflows": read("ListenOverflows"),
        "listen_drops": read("ListenDrops"),
        "syn_retransmits": read("TCPSynRetrans"),
        "timeouts": read("TCPTimeouts"),
    })
}

/// One counter of a file of header and value lines.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let index = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_counter_by_its_header() {
        let text = "TcpExt: A ListenOverflows B\nTcpExt: 1 7 3\nIpExt: X\nIpExt: 9\n";
        assert_eq!(counter(text, "TcpExt:", "ListenOverflows"), Some(7));
        assert_eq!(counter(text, "TcpExt:", "Missing"), None);
        assert_eq!(counter("", "TcpExt:", "A"), None);
    }
}
