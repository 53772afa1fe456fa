//! The generated tables of the README.

use management::docs::{MarkerError, endpoints_table, flags_table, splice};

use crate::{IMAGE, app, config};

/// Puts every table in its place.
pub(crate) fn splice_all(text: &str) -> Result<String, MarkerError> {
    let text = splice(text, "flags", &flags_table(&IMAGE, &config::command()))?;
    splice(&text, "endpoints", &endpoints_table(app::ENDPOINTS))
}
