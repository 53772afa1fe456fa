//! The replacement texts of a rule.

use crate::rules::config::RuleConfig;
use crate::rules::pattern::Pattern;
use crate::rules::template::Template;

/// What a rule fills in.
#[derive(Debug, Default)]
pub(super) struct Templates {
    pub(super) name: Option<Template>,
    pub(super) value: Option<Template>,
    pub(super) help: Option<Template>,
    pub(super) labels: Vec<(Template, Template)>,
    pub(super) uses_groups: bool,
    /// Some text has `$0` in it: as patterns fit whole match strings, that is the value, too.
    pub(super) uses_whole: bool,
}

// === impl Templates ===

impl Templates {
    pub(super) fn new(config: &RuleConfig, pattern: Option<&Pattern>) -> Result<Self, String> {
        let named = |key: &'static str| move |what: String| format!("{key}: {what}");
        let parse = |key: &'static str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| Template::parse(text, pattern)).transpose().map_err(named(key))
        };
        let mut all = Self {
            name: parse("name", &config.name)?,
            value: parse("value", &config.value)?,
            help: parse("help", &config.help)?,
            labels: Vec::new(),
            uses_groups: false,
            uses_whole: false,
        };
        for (name, value) in &config.labels {
            let pair = (Template::parse(name, pattern), Template::parse(value, pattern));
            all.labels.push((pair.0.map_err(named("labels"))?, pair.1.map_err(named("labels"))?));
        }
        all.uses_whole = all.any(Template::uses_whole);
        all.uses_groups = all.any(Template::uses_groups);
        Ok(all)
    }

    fn any(&self, has: fn(&Template) -> bool) -> bool {
        let singles = [&self.name, &self.value, &self.help].into_iter().flatten();
        let pairs = self.labels.iter().flat_map(|(name, value)| [name, value]);
        singles.chain(pairs).any(has)
    }
}

/// What templates ask of groups that are not there. The original finds out when the rule is hit.
pub(in crate::rules) fn broken_templates(
    config: &RuleConfig,
    pattern: Option<&Pattern>,
) -> Option<String> {
    Templates::new(config, pattern).err()
}
