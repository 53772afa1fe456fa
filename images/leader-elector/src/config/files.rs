//! Secrets and certificates in files.

use std::path::Path;

use management::{ConfigError, Secret};

use super::{SECRET_BYTES_MIN, Typed};

/// A file of a secret or of certificates is not longer.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Reads a secret; white space around it is an editor's, not the secret's.
pub(super) fn secret(typed: &Typed<'_>, flag: &str, path: &Path) -> Result<Secret, ConfigError> {
    let text = read(typed, flag, path)?;
    let text = text.trim();
    if text.len() < SECRET_BYTES_MIN {
        let message = format!(
            "{} holds a secret of {} bytes, expected at least {SECRET_BYTES_MIN}",
            path.display(),
            text.len()
        );
        return Err(typed.refused(flag, message));
    }
    Ok(Secret::from(text.to_owned()))
}

/// Looks whether a file of certificates or of a key can be read and is one.
pub(super) fn pem(typed: &Typed<'_>, flag: &str, path: &Path) -> Result<(), ConfigError> {
    if read(typed, flag, path)?.contains("-----BEGIN ") {
        return Ok(());
    }
    Err(typed.refused(flag, format!("{} holds nothing in PEM", path.display())))
}

fn read(typed: &Typed<'_>, flag: &str, path: &Path) -> Result<String, ConfigError> {
    let failed = |error: &dyn std::fmt::Display| {
        typed.refused(flag, format!("reading {}: {error}", path.display()))
    };
    let length = std::fs::metadata(path).map_err(|error| failed(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(&format_args!("longer than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(&error))
}
