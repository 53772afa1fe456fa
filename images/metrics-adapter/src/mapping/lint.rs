//! What is allowed in a mapping file but hardly meant.

use super::{Matcher, Rule};

/// Rules compared with each other at most; the work grows with the square.
const RULES_MAX: usize = 4096;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Line of the rule, from 1.
    pub line: u64,
    /// What is odd.
    pub message: String,
}

/// Rules that can never match, and references to nothing.
pub(super) fn warnings(rules: &[Rule], ordered: bool) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let templates = rule.labels.iter().map(|(_, template)| template);
        for reference in templates.chain([&rule.name]).flat_map(|template| template.dangling()) {
            let message = format!("`{reference}` refers to nothing and becomes empty");
            warnings.push(Warning { line: rule.line, message });
        }
        let before = &rules[..at.min(RULES_MAX)];
        if let Some(other) = before.iter().find(|other| takes_all(other, rule, ordered)) {
            let message = format!(
                "`{}` never matches: `{}` in line {} takes all of it",
                rule.pattern, other.pattern, other.line
            );
            warnings.push(Warning { line: rule.line, message });
        }
    }
    warnings
}

/// Whether the earlier rule leaves nothing for the later one.
fn takes_all(earlier: &Rule, later: &Rule, ordered: bool) -> bool {
    let kinds = earlier.metric_type.is_none() || earlier.metric_type == later.metric_type;
    kinds
        && match (&earlier.matcher, &later.matcher) {
            (Matcher::Glob(earlier), Matcher::Glob(later)) if ordered => earlier.covers(later),
            (Matcher::Glob(earlier), Matcher::Glob(later)) => earlier.equals(later),
            (Matcher::Regex(earlier), Matcher::Regex(later)) => earlier.as_str() == later.as_str(),
            _ => false,
        }
}
