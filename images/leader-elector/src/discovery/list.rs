//! The file of members: a `NAME=HOST:PORT` a line; empty lines and what follows a `#` do not count.

use std::sync::Arc;

use super::Target;
use crate::config::{PEERS_MAX, host_port, is_name};

/// What is wrong with a file of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line that names no member.
    #[error("line {line}: found {found:?}, expected NAME=HOST:PORT, an IPv6 address in brackets")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        found: String,
    },
    /// A name or an address that was there before.
    #[error("line {line}: {found:?} is there twice")]
    Twice {
        /// The number of the later line, from 1.
        line: usize,
        /// The name or address.
        found: String,
    },
    /// More members than are allowed.
    #[error("more than {PEERS_MAX} members")]
    Long,
}

/// Reads the members in a file.
///
/// # Errors
/// The first line that is wrong.
pub fn parse(text: &str) -> Result<Vec<Target>, ListError> {
    let mut targets: Vec<Target> = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        let text = text.split_once('#').map_or(text, |(before, _)| before).trim();
        if text.is_empty() {
            continue;
        }
        let wrong = || ListError::Line { line, found: text.chars().take(80).collect() };
        let (name, address) = text.split_once('=').ok_or_else(wrong)?;
        let (name, address) = (name.trim_end(), address.trim_start());
        let reachable = host_port(address).is_some_and(|(_, port)| port > 0);
        if !is_name(name) || !reachable {
            return Err(wrong());
        }
        let twice = |found: &str| ListError::Twice { line, found: found.to_owned() };
        for target in &targets {
            if target.name.as_deref() == Some(name) {
                return Err(twice(name));
            }
            if target.address == address {
                return Err(twice(address));
            }
        }
        if targets.len() == PEERS_MAX {
            return Err(ListError::Long);
        }
        targets.push(Target { name: Some(Arc::from(name)), address: address.to_owned() });
    }
    Ok(targets)
}
