//! The generated tables of the README.

use management::docs::{MarkerError, endpoints_table, flags_table, metrics_table, splice};

use crate::{IMAGE, app, config, metrics};

/// Puts every table in its place.
pub(crate) fn splice_all(text: &str) -> Result<String, MarkerError> {
    let text = splice(text, "flags", &flags_table(&IMAGE, &config::command()))?;
    let text = splice(&text, "endpoints", &endpoints_table(app::ENDPOINTS))?;
    let (ours, theirs) = metrics::all();
    let text = splice(&text, "metrics", &metrics_table(&ours))?;
    splice(&text, "statsd-metrics", &metrics_table(&theirs))
}

#[cfg(test)]
mod tests {
    #[test]
    fn readme_is_fresh() {
        let text = include_str!("../README.md");
        let fresh = super::splice_all(text).expect("the README has its markers");
        assert!(fresh == text, "README.md is stale; run `cargo xtask docs`");
    }
}
