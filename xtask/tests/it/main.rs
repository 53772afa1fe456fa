//! The tree's own rules, as tests: what a reviewer would otherwise have to see.

mod names;
mod recipes;
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the tree, by its path from the root.
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Paths of all files that are, or would be, under version control.
fn files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
    // A file deleted but not yet staged is still listed.
    text.lines().filter(|path| root().join(path).is_file()).map(str::to_owned).collect()
}

/// The images: the folders of `images/`, sorted.
fn images() -> Vec<String> {
    let mut names: Vec<String> = files()
        .iter()
        .filter_map(|path| path.strip_prefix("images/")?.strip_suffix("/Cargo.toml"))
        .filter(|name| !name.contains('/'))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}

/// The recipes: the files of `compose/`, sorted.
fn recipes() -> Vec<String> {
    let mut names: Vec<String> = files()
        .iter()
        .filter_map(|path| path.strip_prefix("compose/")?.strip_suffix(".yml"))
        .filter(|name| !name.contains('/'))
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}
