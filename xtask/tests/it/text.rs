//! Rules for the text of files.

use crate::{files, read};

#[test]
fn every_document_has_one_title() {
    for path in files().iter().filter(|path| path.ends_with(".md")) {
        let mut in_code = false;
        let mut titles = 0;
        for line in read(path).lines() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            titles += usize::from(!in_code && line.starts_with("# "));
        }
        assert_eq!(titles, 1, "{path}");
    }
}

/// Words that belong to one machine or to unfinished work.
#[test]
fn no_file_speaks_of_a_machine_or_of_unfinished_work() {
    // Put together here, so that this file does not contain them.
    let words = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"], ["/Use", "rs/"], ["FIX", "ME"]]
        .map(|halves| halves.concat());
    let todo = ["TO", "DO"].concat();
    for path in files() {
        // Binary files have no words.
        let Ok(text) = std::fs::read_to_string(crate::root().join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let found = words.iter().chain([&todo]).find(|word| line.contains(word.as_str()));
            assert_eq!(found, None, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn sources_keep_the_rules_that_no_lint_checks() {
    for path in files().iter().filter(|path| path.ends_with(".rs")) {
        assert!(!path.ends_with("/mod.rs"), "{path}: modules are foo.rs and foo/");
        for (number, line) in read(path).lines().enumerate() {
            let line = line.trim_start();
            for attribute in ["#[ignore", "#[should_panic", "#[allow", "#![allow"] {
                assert!(!line.starts_with(attribute), "{path}:{}: {line}", number + 1);
            }
        }
    }
}

#[test]
fn lines_end_cleanly() {
    // Test data and fuzzing corpora may hold any bytes.
    const ENDINGS: [&str; 6] = [".md", ".py", ".rs", ".toml", ".yaml", ".yml"];
    let is_text = |path: &&String| ENDINGS.iter().any(|ending| path.ends_with(ending));
    for path in files().iter().filter(is_text) {
        let text = read(path);
        assert!(text.ends_with('\n'), "{path} ends within a line");
        for (number, line) in text.lines().enumerate() {
            assert_eq!(line, line.trim_end(), "{path}:{} ends in blanks", number + 1);
        }
    }
}
