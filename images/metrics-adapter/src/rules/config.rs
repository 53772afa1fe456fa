//! The configuration file of `jmx_exporter`: every key of it, and a few of our own.
//!
//! It is accepted as the original accepts it: keys it does not know are ignored, numbers may stand
//! where texts are meant, `yes` and `on` are true. What is wrong is said with line and key.

mod connection;
mod http;
mod rule;
#[cfg(test)]
mod tests;
mod yaml;

use std::time::Duration;

use management::{Secret, Strings};

pub use connection::{Address, JmxTls, StoreFile};
pub use http::{
    BasicAuthentication, HashFunction, HttpServerConfig, HttpThreads, HttpTls, PasswordCheck,
};
pub use rule::{ExtraMetric, ExtraValue, MetricCustomizer, RuleConfig, RuleKind};

use super::engine::broken_templates;
use super::pattern::Pattern;
use super::selection::{BeanAttributes, Selection};
use crate::jmx::ObjectName;
use yaml::{At, MAX, Node};

/// A rules file, checked; patterns compile.
#[derive(Clone, Debug)]
pub struct JmxConfig {
    /// `hostPort` or `jmxUrl`: where the JVM is.
    pub address: Option<Address>,
    /// `username`.
    pub username: Option<String>,
    /// `password`.
    pub password: Option<Secret>,
    /// `ssl`: TLS towards the JVM.
    pub tls: JmxTls,
    /// `startDelaySeconds`: scrapes before it has passed since the start are errors.
    pub start_delay: Duration,
    /// `scrapeTimeoutSeconds`: past it the last good result is served and
    /// `jmx_scrape_timeout_total` rises.
    pub scrape_timeout: Option<Duration>,
    /// `lowercaseOutputName`.
    pub lowercase_output_name: bool,
    /// `lowercaseOutputLabelNames`.
    pub lowercase_output_label_names: bool,
    /// `inferCounterTypeFromName`: what ends in `_total` is a counter.
    pub infer_counter_type_from_name: bool,
    /// `includeObjectNames` (or `whitelistObjectNames`); `None` for all.
    pub include: Option<Vec<ObjectName>>,
    /// `excludeObjectNames` (or `blacklistObjectNames`).
    pub exclude: Vec<ObjectName>,
    /// `excludeJvmMetrics`.
    pub exclude_jvm_metrics: bool,
    /// `includeObjectNameAttributes`; when there is one, no other bean is read.
    pub include_attributes: Vec<BeanAttributes>,
    /// `excludeObjectNameAttributes`.
    pub exclude_attributes: Vec<BeanAttributes>,
    /// `autoExcludeObjectNameAttributes`, true by default.
    pub auto_exclude_attributes: bool,
    /// `metricCustomizers`; the first that fits a bean is used.
    pub customizers: Vec<MetricCustomizer>,
    /// `rules` in their order.
    pub rules: Vec<RuleConfig>,
    /// `httpServer`.
    pub http: HttpServerConfig,
    /// `naming`, ours: how names are treated on their way out.
    pub naming: Naming,
    /// `jvmMetrics`, ours: `jvm_*` and `process_*` as the Java agent has them.
    pub jvm_metrics: bool,
    /// `pruneBeans`, ours: beans that no rule can name are not read. Keys, attributes and values
    /// with a `<` in them are not reckoned with.
    pub prune_beans: bool,
    /// What is accepted without effect (`openTelemetry`, groups that a pattern does not have); to be
    /// logged once there is a log.
    pub warnings: Vec<String>,
    /// Patterns of the rules, compiled; of no use unless there is one for each rule.
    pub(super) patterns: Vec<Option<Pattern>>,
}

/// How names are treated on their way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// `jmx_1.x`: names lose `_total`, `_created`, `_bucket` and `_info`; counters regain `_total`.
    #[default]
    V1,
    /// `jmx_0.20`: names stay as rules make them.
    V0,
}

/// What is wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JmxConfigError {
    /// Line, from 1, where it is known.
    pub line: Option<u64>,
    /// The key, where it is known (`rules[2].pattern`, counted from 0).
    pub key: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

// === impl JmxConfig ===

impl Default for JmxConfig {
    /// What an empty file says.
    fn default() -> Self {
        Self {
            address: None,
            username: None,
            password: None,
            tls: JmxTls::default(),
            start_delay: Duration::ZERO,
            scrape_timeout: None,
            lowercase_output_name: false,
            lowercase_output_label_names: false,
            infer_counter_type_from_name: false,
            include: None,
            exclude: Vec::new(),
            exclude_jvm_metrics: false,
            include_attributes: Vec::new(),
            exclude_attributes: Vec::new(),
            auto_exclude_attributes: true,
            customizers: Vec::new(),
            rules: vec![RuleConfig::default()],
            http: HttpServerConfig::default(),
            naming: Naming::default(),
            jvm_metrics: false,
            prune_beans: false,
            warnings: Vec::new(),
            patterns: Vec::new(),
        }
    }
}

impl JmxConfig {
    /// Reads and checks the text of a file. `env` gives variables for `password: ${NAME}`.
    ///
    /// # Errors
    /// [`JmxConfigError`].
    pub fn parse(text: &str, env: &dyn Strings) -> Result<Self, JmxConfigError> {
        let root = Node::parse(text)?;
        let top = root.top();
        let seconds = |name, min| {
            let seconds = top.whole(name, min, MAX)?;
            Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
        };
        let flag = |name| Ok(top.boolean(name)?.unwrap_or(false));
        let mut config = Self {
            address: connection::address(&top)?,
            username: connection::resolved(&top, "username", env)?.filter(|user| !user.is_empty()),
            password: connection::secret(&top, "password", env)?,
            tls: connection::tls(&top, env)?,
            start_delay: seconds("startDelaySeconds", 0)?.unwrap_or_default(),
            scrape_timeout: seconds("scrapeTimeoutSeconds", 1)?,
            lowercase_output_name: flag("lowercaseOutputName")?,
            lowercase_output_label_names: flag("lowercaseOutputLabelNames")?,
            infer_counter_type_from_name: flag("inferCounterTypeFromName")?,
            include: names(&top, "includeObjectNames", "whitelistObjectNames")?,
            exclude: names(&top, "excludeObjectNames", "blacklistObjectNames")?.unwrap_or_default(),
            exclude_jvm_metrics: flag("excludeJvmMetrics")?,
            include_attributes: attributes(&top, "includeObjectNameAttributes")?,
            exclude_attributes: attributes(&top, "excludeObjectNameAttributes")?,
            auto_exclude_attributes: top
                .boolean("autoExcludeObjectNameAttributes")?
                .unwrap_or(true),
            customizers: rule::customizers(&top)?,
            rules: rule::rules(&top)?,
            http: http::http(&top, env)?,
            naming: naming(&top)?,
            jvm_metrics: flag("jvmMetrics")?,
            prune_beans: flag("pruneBeans")?,
            warnings: warnings(&top),
            patterns: Vec::new(),
        };
        config.compile()?;
        Ok(config)
    }

    /// Compiles patterns, and looks whether templates fit them.
    fn compile(&mut self) -> Result<(), JmxConfigError> {
        for (index, rule) in self.rules.iter().enumerate() {
            let compiled = rule.pattern.as_deref().map(Pattern::compile).transpose();
            let pattern = compiled.map_err(|message| JmxConfigError {
                line: Some(rule.pattern_line),
                key: Some(format!("rules[{index}].pattern")),
                message,
            })?;
            if let Some(what) = broken_templates(rule, pattern.as_ref()) {
                let line = rule.line;
                self.warnings.push(format!("line {line}: rules[{index}].{what}"));
            }
            self.patterns.push(pattern);
        }
        Ok(())
    }

    /// Which beans and attributes are wanted.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection::new(self)
    }
}

fn names(top: &At<'_>, name: &str, alias: &str) -> Result<Option<Vec<ObjectName>>, JmxConfigError> {
    let Some(at) = top.member(name).or_else(|| top.member(alias)) else { return Ok(None) };
    at.as_list()?.iter().map(object_name).collect::<Result<_, _>>().map(Some)
}

fn object_name(at: &At<'_>) -> Result<ObjectName, JmxConfigError> {
    let text = at.as_text()?;
    ObjectName::parse(&text).map_err(|error| at.error(error.to_string()))
}

fn attributes(top: &At<'_>, name: &str) -> Result<Vec<BeanAttributes>, JmxConfigError> {
    let Some(at) = top.member(name) else { return Ok(Vec::new()) };
    let entry = |(name, at): (&str, At<'_>)| {
        let bean = ObjectName::parse(name).map_err(|error| at.error(error.to_string()))?;
        let attributes = at.as_list()?.iter().map(At::as_text).collect::<Result<_, _>>()?;
        Ok(BeanAttributes { bean, attributes })
    };
    at.as_map()?.into_iter().map(entry).collect()
}

fn naming(top: &At<'_>) -> Result<Naming, JmxConfigError> {
    let Some(at) = top.some("naming") else { return Ok(Naming::default()) };
    match at.as_text()?.as_str() {
        "jmx_1.x" => Ok(Naming::V1),
        "jmx_0.20" => Ok(Naming::V0),
        _ => Err(at.wrong("jmx_1.x or jmx_0.20")),
    }
}

fn warnings(top: &At<'_>) -> Vec<String> {
    let push = top.some("openTelemetry").map(|at| {
        let line = at.node.line;
        format!(
            "line {line}: openTelemetry: nothing is pushed from here; the rest of the file counts"
        )
    });
    push.into_iter().collect()
}
