//! The generated tables of the README.

use management::docs::MarkerError;

/// Puts every table in its place.
pub(crate) fn splice_all(text: &str) -> Result<String, MarkerError> {
    Ok(text.to_owned())
}
