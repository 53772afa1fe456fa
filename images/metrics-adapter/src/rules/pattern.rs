//! A rule's pattern: wrapped as the original wraps it, for the engine that can do it.
//!
//! The original compiles `^.*(?:P).*$` and asks for a match of the whole text. The greedy prefix
//! makes the last place win at which `P` fits; a plain search would find the first.

mod java;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use java::{DOT, Mode, Refused, Rewritten};

/// Most memory of one compiled pattern in bytes.
const COMPILED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most memory of what an automaton remembers of one pattern in bytes.
const AUTOMATON_BYTES_MAX: usize = 512 * 1024;
/// Steps back that a backtracking match may take. A text of 200 bytes needs some hundreds; this is
/// some milliseconds.
const STEPS_MAX: usize = 200_000;

/// Fits nothing.
pub(super) const NEVER: &str = r"[^\s\S]";

/// A pattern, compiled. Copies share what is compiled.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    engine: Engine,
    groups: usize,
    names: Vec<(String, usize)>,
    loose: String,
}

#[derive(Clone, Debug)]
enum Engine {
    Automaton(regex::Regex),
    Backtracking(Arc<fancy_regex::Regex>),
}

/// What groups have captured.
pub(super) enum Captures<'t> {
    Automaton(regex::Captures<'t>),
    Backtracking(fancy_regex::Captures<'t, str>),
}

/// Matches that were given up because of [`STEPS_MAX`].
#[derive(Debug, Default)]
pub(super) struct StepLimitHits(AtomicU64);

// === impl Pattern ===

impl Pattern {
    /// Compiles a pattern of Java.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let loose = java::rewrite(text, Mode::Loose).map_err(said)?.text;
        let (rewritten, backtracking) = match java::rewrite(text, Mode::Plain) {
            Err(Refused::Backtracking) => {
                (java::rewrite(text, Mode::Backtracking).map_err(said)?, true)
            }
            rewritten => (rewritten.map_err(said)?, false),
        };
        let Rewritten { text: inner, groups, names } = rewritten;
        let wrapped = format!("^{DOT}*(?:{inner}){DOT}*$");
        let engine = if backtracking {
            fancy_regex::RegexBuilder::new(&wrapped)
                .backtrack_limit(STEPS_MAX)
                .delegate_size_limit(COMPILED_BYTES_MAX)
                .delegate_dfa_size_limit(AUTOMATON_BYTES_MAX)
                .build()
                .map(|regex| Engine::Backtracking(Arc::new(regex)))
                .map_err(|error| error.to_string())
        } else {
            regex::RegexBuilder::new(&wrapped)
                .size_limit(COMPILED_BYTES_MAX)
                .dfa_size_limit(AUTOMATON_BYTES_MAX)
                .build()
                .map(Engine::Automaton)
                .map_err(|error| error.to_string())
        };
        // Engines draw pictures of several lines; the last one says what is wrong.
        let engine = engine.map_err(|error| {
            let last = error.lines().last().unwrap_or_default();
            format!("not compiled: {}", last.trim_start_matches("error: "))
        })?;
        Ok(Self { engine, groups, names, loose })
    }

    /// As [`Pattern::compile`]; what does not compile fits nothing.
    pub(super) fn compile_or_never(text: &str) -> Self {
        Self::compile(text).unwrap_or_else(|_| Self::compile(NEVER).expect("a constant compiles"))
    }

    /// Something that an automaton can search for and that is found wherever the pattern fits.
    pub(super) fn loose(&self) -> &str {
        &self.loose
    }

    /// Whether the pattern fits wherever [`Pattern::loose`] is found, in texts without line
    /// terminators.
    pub(super) fn loose_is_exact(&self) -> bool {
        matches!(self.engine, Engine::Automaton(_))
    }

    /// Number of capturing groups.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// Number of a named group.
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }

    /// Whether it fits the whole text. A match that takes too long is none, and counted.
    pub(super) fn is_match(&self, text: &str, hits: &StepLimitHits) -> bool {
        match &self.engine {
            Engine::Automaton(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or_else(|_| hits.count()),
        }
    }

    /// As [`Pattern::is_match`], with what groups have captured.
    pub(super) fn captures<'t>(&self, text: &'t str, hits: &StepLimitHits) -> Option<Captures<'t>> {
        match &self.engine {
            Engine::Automaton(regex) => regex.captures(text).map(Captures::Automaton),
            Engine::Backtracking(regex) => match regex.captures(text) {
                Ok(captures) => captures.map(Captures::Backtracking),
                Err(_) => {
                    hits.count();
                    None
                }
            },
        }
    }
}

fn said(refused: Refused) -> String {
    match refused {
        Refused::Syntax(what) => what,
        Refused::Backtracking => "this engine cannot do it".to_owned(),
    }
}

// === impl Captures ===

impl Captures<'_> {
    /// What a group has captured; nothing when it took no part.
    pub(super) fn get(&self, group: usize) -> &str {
        match self {
            Self::Automaton(captures) => captures.get(group).map_or("", |found| found.as_str()),
            Self::Backtracking(captures) => captures.get(group).map_or("", |found| found.as_str()),
        }
    }
}

// === impl StepLimitHits ===

impl StepLimitHits {
    /// Counts one; false, for there is no match.
    fn count(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// How many there have been.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
