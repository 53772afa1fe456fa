//! The generated tables of the README.

use management::docs::{MarkerError, endpoints_table, flags_table, metrics_table, splice};

use crate::config::POOL_KEYS;
use crate::config::args::command;
use crate::{IMAGE, app, metrics};

/// Puts every table in its place.
pub(crate) fn splice_all(text: &str) -> Result<String, MarkerError> {
    let text = splice(text, "pool-keys", &pool_keys())?;
    let text = splice(&text, "flags", &flags_table(&IMAGE, &command()))?;
    let text = splice(&text, "endpoints", &endpoints_table(app::ENDPOINTS))?;
    splice(&text, "metrics", &metrics_table(metrics::all()))
}

fn pool_keys() -> String {
    let mut table =
        String::from("| Key | Default | In nutcracker | Meaning |\n| --- | --- | --- | --- |\n");
    for key in POOL_KEYS {
        let theirs = if key.extension { "no" } else { "yes" };
        let default =
            if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        table += &format!("| `{}` | {default} | {theirs} | {} |\n", key.name, key.meaning);
    }
    table
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
