//! `rules` and `metricCustomizers`.

use super::JmxConfigError;
use super::yaml::{At, Data};

/// Most rules of a file.
const RULES_MAX: usize = 10_000;

/// A rule as written.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleConfig {
    /// Line where it begins, from 1.
    pub line: u64,
    /// Line of the pattern, from 1.
    pub pattern_line: u64,
    /// `pattern`; a rule without one fits everything.
    pub pattern: Option<String>,
    /// `name`; without one the default format names the series.
    pub name: Option<String>,
    /// `value`; without one (or with an empty one) it is the attribute's.
    pub value: Option<String>,
    /// `valueFactor`, 1 by default.
    pub value_factor: f64,
    /// `help`.
    pub help: Option<String>,
    /// `labels`, sorted by key.
    pub labels: Vec<(String, String)>,
    /// `type`.
    pub kind: RuleKind,
    /// `cache`: the pattern sees `<cache>` in place of the value.
    pub cache: bool,
    /// `attrNameSnakeCase`.
    pub attr_name_snake_case: bool,
}

/// `type` of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuleKind {
    /// `UNTYPED`, `UNKNOWN` or none.
    #[default]
    Unknown,
    /// `GAUGE`.
    Gauge,
    /// `COUNTER`.
    Counter,
    /// Anything else: no kind of its own, but not the same as the others either.
    Other(String),
}

/// A metric customizer.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCustomizer {
    /// `mbeanFilter.domain`.
    pub domain: String,
    /// `mbeanFilter.properties`: all of these must be among those of the bean.
    pub properties: Vec<(String, String)>,
    /// `attributesAsLabels`.
    pub attributes_as_labels: Vec<String>,
    /// `extraMetrics`.
    pub extra_metrics: Vec<ExtraMetric>,
}

/// A metric that no bean has.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtraMetric {
    /// Taken for the name of an attribute.
    pub name: String,
    /// Taken for its value.
    pub value: ExtraValue,
    /// Taken for its description.
    pub description: Option<String>,
}

/// The value of a metric that no bean has.
#[derive(Clone, Debug, PartialEq)]
pub enum ExtraValue {
    /// A whole number.
    Integer(i64),
    /// Another number.
    Double(f64),
    /// A truth value.
    Boolean(bool),
    /// A text.
    Text(String),
}

/// Reads `rules`; a file without the key has one rule that fits everything.
pub(super) fn rules(top: &At<'_>) -> Result<Vec<RuleConfig>, JmxConfigError> {
    let Some(at) = top.member("rules") else { return Ok(vec![RuleConfig::default()]) };
    let items = at.as_list()?;
    if items.len() > RULES_MAX {
        return Err(at.error(format!("found {} rules, expected at most {RULES_MAX}", items.len())));
    }
    items.iter().map(rule).collect()
}

fn rule(at: &At<'_>) -> Result<RuleConfig, JmxConfigError> {
    at.as_map()?;
    let pattern = at.member("pattern");
    let labels = match at.some("labels") {
        Some(labels) => Some(sorted(&labels)?),
        None => None,
    };
    let factor = match at.some("valueFactor") {
        Some(factor) => {
            let text = factor.as_text()?;
            crate::rules::number::java_double(&text).ok_or_else(|| factor.wrong("a number"))?
        }
        None => 1.0,
    };
    let kind = match at.text("type")?.as_deref() {
        None | Some("UNTYPED" | "UNKNOWN") => RuleKind::Unknown,
        Some("GAUGE") => RuleKind::Gauge,
        Some("COUNTER") => RuleKind::Counter,
        Some(other) => RuleKind::Other(other.to_owned()),
    };
    let rule = RuleConfig {
        line: at.node.line,
        pattern_line: pattern.as_ref().map_or(at.node.line, |pattern| pattern.node.line),
        pattern: at.text("pattern")?,
        name: at.text("name")?,
        value: at.text("value")?.filter(|value| !value.is_empty()),
        value_factor: factor,
        help: at.text("help")?,
        labels: labels.clone().unwrap_or_default(),
        kind,
        cache: at.boolean("cache")?.unwrap_or(false),
        attr_name_snake_case: at.boolean("attrNameSnakeCase")?.unwrap_or(false),
    };
    if rule.name.is_none() && (labels.is_some() || rule.help.is_some()) {
        return Err(at.error("found labels or help without a name, expected a name as well"));
    }
    if rule.name.is_some() && rule.pattern.is_none() {
        return Err(at.error("found a name without a pattern, expected a pattern as well"));
    }
    Ok(rule)
}

fn sorted(at: &At<'_>) -> Result<Vec<(String, String)>, JmxConfigError> {
    let mut out = Vec::new();
    for (name, value) in at.as_map()? {
        if !matches!(value.node.data, Data::Null) {
            out.push((name.to_owned(), value.as_text()?));
        }
    }
    // Java sorts by UTF-16 units; names of labels are ASCII where it matters.
    out.sort();
    Ok(out)
}

/// Reads `metricCustomizers`.
pub(super) fn customizers(top: &At<'_>) -> Result<Vec<MetricCustomizer>, JmxConfigError> {
    let Some(at) = top.member("metricCustomizers") else { return Ok(Vec::new()) };
    at.as_list()?.iter().map(customizer).collect()
}

fn customizer(at: &At<'_>) -> Result<MetricCustomizer, JmxConfigError> {
    let filter = at.map("mbeanFilter")?;
    let filter = filter.ok_or_else(|| at.error("found no mbeanFilter, expected one"))?;
    let domain = filter.text("domain")?;
    let domain = domain.ok_or_else(|| filter.error("found no domain, expected one"))?;
    let properties = filter.some("properties").map(|at| sorted(&at)).transpose()?;
    let (labels, extras) = (at.some("attributesAsLabels"), at.some("extraMetrics"));
    if labels.is_none() && extras.is_none() {
        let message = "found neither attributesAsLabels nor extraMetrics, expected one of them";
        return Err(at.error(message));
    }
    let mut attributes_as_labels = Vec::new();
    if let Some(labels) = labels {
        for label in labels.as_list()? {
            attributes_as_labels.push(label.as_text()?);
        }
    }
    let mut extra_metrics = Vec::new();
    if let Some(extras) = extras {
        for extra in extras.as_list()? {
            extra_metrics.push(extra_metric(&extra)?);
        }
    }
    let properties = properties.unwrap_or_default();
    Ok(MetricCustomizer { domain, properties, attributes_as_labels, extra_metrics })
}

fn extra_metric(at: &At<'_>) -> Result<ExtraMetric, JmxConfigError> {
    let name = at.text("name")?.ok_or_else(|| at.error("found no name, expected one"))?;
    let value = at.some("value").ok_or_else(|| at.error("found no value, expected one"))?;
    let value = match &value.node.data {
        Data::Boolean(value) => ExtraValue::Boolean(*value),
        Data::Scalar(text) => match (text.parse(), text.parse()) {
            (Ok(value), _) => ExtraValue::Integer(value),
            (_, Ok(value)) => ExtraValue::Double(value),
            _ => ExtraValue::Text(text.clone()),
        },
        _ => return Err(value.wrong("a number, a truth value or a text")),
    };
    Ok(ExtraMetric { name, value, description: at.text("description")? })
}

// === impl RuleConfig ===

impl Default for RuleConfig {
    /// The rule of a file without `rules`.
    fn default() -> Self {
        Self {
            line: 0,
            pattern_line: 0,
            pattern: None,
            name: None,
            value: None,
            value_factor: 1.0,
            help: None,
            labels: Vec::new(),
            kind: RuleKind::Unknown,
            cache: false,
            attr_name_snake_case: false,
        }
    }
}
