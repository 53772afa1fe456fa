//! Which beans are asked for, and which attributes of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::config::JmxConfig;
use super::jvm;
use super::pattern::Pattern;
use super::sieve::Sieve;
use super::walk::BeanText;
use crate::jmx::{AttributeInfo, ObjectName, Value};

/// Domains of the JVM itself, left out by `excludeJvmMetrics`.
const JVM_DOMAINS: [&str; 11] = [
    "com.sun.management",
    "com.sun.management.jmxremote",
    "java.lang",
    "java.nio",
    "java.util.logging",
    "javax.management",
    "javax.management.remote",
    "jdk.internal",
    "jdk.management",
    "jdk.management.jfr",
    "sun.management",
];

/// Most beans whose answer is kept.
const DECIDED_MAX: usize = 200_000;

/// Attributes of `java.lang:type=Runtime` that cost much and give nothing.
const RUNTIME_SKIPPED: [&str; 4] =
    ["SystemProperties", "ClassPath", "BootClassPath", "LibraryPath"];

/// Attributes of one bean, as the file names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeanAttributes {
    /// The bean; the order of its properties does not matter.
    pub bean: ObjectName,
    /// Names of attributes.
    pub attributes: Vec<String>,
}

/// Which beans and attributes are wanted, with what scrapes have learnt.
#[derive(Clone, Debug)]
pub struct Selection {
    include: Option<Vec<ObjectName>>,
    exclude: Vec<ObjectName>,
    exclude_jvm: bool,
    /// By canonical name.
    include_attributes: HashMap<String, HashSet<String>>,
    exclude_attributes: HashMap<String, HashSet<String>>,
    /// What turned out to be of no use; by canonical name.
    learnt: HashMap<String, HashSet<String>>,
    learns: bool,
    /// Attributes that become labels: useful even if they are no metric.
    labels: HashSet<String>,
    prune: Option<Arc<Mutex<Prune>>>,
    /// Platform beans are read for `jvmMetrics`, whatever else is asked for.
    jvm: bool,
}

/// Which beans no rule can name, as far as that can be told.
///
/// It is taken for granted that no `<` stands in keys, attributes and values; then what a pattern
/// says of domain and properties can fit nowhere else. That a bean may have tables, whose index
/// columns become properties, is not.
#[derive(Clone, Debug)]
struct Prune {
    /// One for each pattern: together they would have states without number.
    sieves: Vec<Sieve>,
    /// What cannot stand behind the bean.
    never: Option<u8>,
    decided: HashMap<Box<str>, bool>,
}

// === impl Selection ===

impl Selection {
    /// What a file asks for.
    #[must_use]
    pub fn new(config: &JmxConfig) -> Self {
        Self { jvm: config.jvm_metrics, ..Self::of_rules(config) }
    }

    /// What a file asks for on behalf of its rules.
    pub(super) fn of_rules(config: &JmxConfig) -> Self {
        let customizers = config.customizers.iter();
        Self {
            include: config.include.clone(),
            exclude: config.exclude.clone(),
            exclude_jvm: config.exclude_jvm_metrics,
            include_attributes: by_bean(&config.include_attributes),
            exclude_attributes: by_bean(&config.exclude_attributes),
            learnt: HashMap::new(),
            learns: config.auto_exclude_attributes,
            labels: customizers.flat_map(|one| one.attributes_as_labels.clone()).collect(),
            prune: Prune::new(config).map(|prune| Arc::new(Mutex::new(prune))),
            jvm: false,
        }
    }

    /// Patterns to ask the server with; `None` asks for all names. What several patterns find is
    /// one set.
    #[must_use]
    pub fn queries(&self) -> Vec<Option<ObjectName>> {
        match &self.include {
            None => vec![None],
            Some(patterns) => {
                let of_jvm = if self.jvm { jvm::QUERIES.as_slice() } else { &[] };
                let of_jvm = of_jvm.iter().filter_map(|text| ObjectName::parse(text).ok());
                patterns.iter().cloned().chain(of_jvm).map(Some).collect()
            }
        }
    }

    /// Whether a bean that a query found is to be read. Beans that were asked for by name stay,
    /// whatever `excludeJvmMetrics` says.
    #[must_use]
    pub fn wants_bean(&self, name: &ObjectName) -> bool {
        (self.jvm && jvm::wants_bean(name)) || self.rules_want_bean(name)
    }

    fn rules_want_bean(&self, name: &ObjectName) -> bool {
        let included = match &self.include {
            None => !(self.exclude_jvm && JVM_DOMAINS.contains(&name.domain())),
            Some(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
        };
        included
            && !self.exclude.iter().any(|pattern| pattern.matches(name))
            && name.as_str() != "jdk.management.jfr:type=FlightRecorder"
            && (self.include_attributes.is_empty()
                || self.include_attributes.contains_key(&canonical(name)))
            && self.prune.as_ref().is_none_or(|prune| {
                let mut prune = prune.lock().unwrap_or_else(PoisonError::into_inner);
                prune.can_be_named(name)
            })
    }

    /// Whether an attribute of a wanted bean is to be read.
    #[must_use]
    pub fn wants_attribute(&self, name: &ObjectName, attribute: &AttributeInfo) -> bool {
        (self.jvm && attribute.readable && jvm::wants_attribute(name, &attribute.name))
            || (self.rules_want_bean_of(name) && self.rules_want_attribute(name, attribute))
    }

    /// Beans that are read for `jvmMetrics` alone show rules nothing.
    fn rules_want_bean_of(&self, name: &ObjectName) -> bool {
        !self.jvm || !jvm::wants_bean(name) || self.rules_want_bean(name)
    }

    fn rules_want_attribute(&self, name: &ObjectName, attribute: &AttributeInfo) -> bool {
        let label = self.labels.contains(&attribute.name);
        // No rule ever sees an array.
        if !attribute.readable || (attribute.declared.starts_with('[') && !label) {
            return false;
        }
        if name.as_str() == "java.lang:type=Runtime"
            && RUNTIME_SKIPPED.iter().any(|skip| attribute.name.eq_ignore_ascii_case(skip))
        {
            return false;
        }
        let named = [&self.include_attributes, &self.exclude_attributes, &self.learnt];
        if named.iter().all(|map| map.is_empty()) {
            return true;
        }
        let bean = canonical(name);
        let has = |map: &HashMap<String, HashSet<String>>| {
            map.get(&bean).is_some_and(|names| names.contains(&attribute.name))
        };
        (self.include_attributes.is_empty() || has(&self.include_attributes))
            && !has(&self.exclude_attributes)
            && !has(&self.learnt)
    }

    /// Remembers attributes whose values are of no use, so that they are not read again. True when
    /// there were any: the bean's list of wanted attributes has changed then.
    pub fn learn(&mut self, name: &ObjectName, values: &[(&AttributeInfo, &Value)]) -> bool {
        if !self.learns {
            return false;
        }
        let mut changed = false;
        for (info, value) in values {
            if matches!(value, Value::Other(_)) {
                let names = self.learnt.entry(canonical(name)).or_default();
                changed |= names.insert(info.name.clone());
            }
        }
        changed
    }

    /// Forgets what was learnt of beans that are gone.
    pub fn retain(&mut self, alive: &[ObjectName]) {
        if self.learnt.is_empty() {
            return;
        }
        let alive: HashSet<String> = alive.iter().map(canonical).collect();
        self.learnt.retain(|bean, _| alive.contains(bean));
    }
}

// === impl Prune ===

impl Prune {
    /// `None` when it was not asked for, or some rule names everything.
    fn new(config: &JmxConfig) -> Option<Self> {
        if !config.prune_beans || config.rules.iter().any(|rule| rule.pattern.is_none()) {
            return None;
        }
        let texts = config.rules.iter().filter_map(|rule| rule.pattern.as_deref());
        let patterns: Vec<Pattern> = texts.map(Pattern::compile_or_never).collect();
        let sieves = patterns.iter().map(|pattern| Sieve::new(&[pattern.loose()]));
        // `<cache>` stands where the value would.
        let never = (!config.rules.iter().any(|rule| rule.cache)).then_some(b'<');
        Some(Self { sieves: sieves.collect::<Option<_>>()?, never, decided: HashMap::new() })
    }

    fn can_be_named(&mut self, name: &ObjectName) -> bool {
        if let Some(decided) = self.decided.get(name.as_str()) {
            return *decided;
        }
        if self.decided.len() >= DECIDED_MAX {
            self.decided.clear();
        }
        let bean = BeanText::new(name).angled;
        let open = bean.strip_suffix('>').unwrap_or(&bean);
        let can = self.sieves.iter_mut().any(|sieve| sieve.can_find(open, self.never));
        self.decided.insert(name.as_str().into(), can);
        can
    }
}

fn by_bean(given: &[BeanAttributes]) -> HashMap<String, HashSet<String>> {
    let mut out: HashMap<String, HashSet<String>> = HashMap::new();
    for BeanAttributes { bean, attributes } in given {
        out.entry(canonical(bean)).or_default().extend(attributes.iter().cloned());
    }
    out
}

/// The name with its properties sorted by key.
fn canonical(name: &ObjectName) -> String {
    let mut properties: Vec<(&str, &str)> = name.properties().collect();
    properties.sort_unstable();
    let mut out = name.domain().to_owned();
    for (index, (key, value)) in properties.iter().enumerate() {
        out.push(if index == 0 { ':' } else { ',' });
        out.push_str(key);
        out.push('=');
        out.push_str(value);
    }
    out
}
