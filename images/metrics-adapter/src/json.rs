//! JSON over HTTP: every number of a document is a sample named by its path, through a mapping.

use crate::config::JsonConfig;
use crate::pull::{Failure, Scraped};

/// A document that is read again and again.
#[derive(Debug)]
pub struct Json {}

impl Json {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn new(config: &JsonConfig, body_bytes_max: usize) -> anyhow::Result<Self> {
        let _ = (config, body_bytes_max);
        Ok(Self {})
    }

    /// Reads the document.
    ///
    /// # Errors
    /// No answer, or none that is a document.
    pub async fn scrape(&self) -> Result<Scraped, Failure> {
        Err(Failure("not yet".to_owned()))
    }
}
