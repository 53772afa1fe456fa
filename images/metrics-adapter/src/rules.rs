//! The rules of `jmx_exporter`: beans and attributes in, families out. Pure.

pub mod config;
mod number;
mod selection;

pub use config::{JmxConfig, JmxConfigError};
pub use selection::{BeanAttributes, Selection};

use crate::exposition::Family;
use crate::jmx::{AttributeInfo, ObjectName, Value};

/// Compiled rules, with what they have learnt about attributes seen before.
#[derive(Debug)]
pub struct Rules {
    _private: (),
}

/// One scrape: attributes go in, families come out.
#[derive(Debug)]
pub struct Scrape<'a> {
    rules: &'a mut Rules,
}

// === impl Rules ===

impl Rules {
    /// Compiles the rules of a file.
    #[must_use]
    pub fn new(config: &JmxConfig) -> Self {
        let _ = config;
        Self { _private: () }
    }

    /// Begins a scrape.
    pub fn scrape(&mut self) -> Scrape<'_> {
        Scrape { rules: self }
    }
}

// === impl Scrape ===

impl Scrape<'_> {
    /// The readable, wanted attributes of one bean with their values.
    pub fn bean(&mut self, name: &ObjectName, attributes: &[(&AttributeInfo, &Value)]) {
        let _ = (&self.rules, name, attributes);
    }

    /// Families in the order of their names.
    #[must_use]
    pub fn finish(self) -> Vec<Family> {
        Vec::new()
    }
}

/// Whether what a file says compiles.
fn check(config: &JmxConfig) -> Result<(), JmxConfigError> {
    let _ = config;
    Ok(())
}
