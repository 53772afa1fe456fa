//! Jolokia: beans of a JVM over HTTP and JSON, through the rules of JMX.

use crate::config::Remote;
use crate::pull::{Failure, Scraped};
use crate::rules::JmxConfig;

/// A JVM with a Jolokia agent.
#[derive(Debug)]
pub struct Jolokia {}

impl Jolokia {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn new(remote: &Remote, rules: &JmxConfig, body_bytes_max: usize) -> anyhow::Result<Self> {
        let _ = (remote, rules, body_bytes_max);
        Ok(Self {})
    }

    /// Reads all beans that are wanted.
    ///
    /// # Errors
    /// No answer, or none that is one.
    pub async fn scrape(&self) -> Result<Scraped, Failure> {
        Err(Failure("not yet".to_owned()))
    }
}
