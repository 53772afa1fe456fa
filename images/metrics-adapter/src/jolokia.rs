//! Jolokia: beans of a JVM over HTTP and JSON, through the rules of JMX.
//!
//! One request reads the attributes of all beans that fit the patterns of the rules file; what the
//! beans say of themselves is asked for once, and again when a bean is new, at most once a minute.
//! Jolokia tells nothing of the order of composite keys, and gives tables as maps. An answer becomes
//! a tree, which takes about 15 times its bytes in memory: the limit on bodies is the one on that.
//! Source: Jolokia reference manual, protocol version 7.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};
use tracing::debug;

use crate::config::Remote;
use crate::jmx::{AttributeInfo, Number, ObjectName, Value};
use crate::pull::{Asked, Failure, Scraped};
use crate::rules::{JmxConfig, Rules, Selection};

#[cfg(test)]
mod tests;

/// Shortest time between two requests for what beans say of themselves.
const LIST_EVERY: Duration = Duration::from_secs(60);

/// A JVM with a Jolokia agent.
#[derive(Debug)]
pub struct Jolokia {
    asked: Asked,
    request: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    selection: Selection,
    rules: Rules,
    infos: Infos,
    listed: Option<Instant>,
}

/// What beans say of their attributes, by canonical name of the bean and name of the attribute.
type Infos = HashMap<String, HashMap<String, AttributeInfo>>;

/// Beans of an answer: attributes in the order of their names.
pub type Beans = Vec<(ObjectName, Vec<(String, Value)>)>;

// === impl Jolokia ===

impl Jolokia {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn new(remote: &Remote, rules: &JmxConfig, body_bytes_max: usize) -> anyhow::Result<Self> {
        let selection = rules.selection();
        let state =
            State { rules: Rules::new(rules), infos: Infos::new(), listed: None, selection };
        Ok(Self {
            asked: Asked::new(remote, body_bytes_max)?,
            request: request(&state.selection),
            state: Arc::new(Mutex::new(state)),
        })
    }

    /// Reads all beans that are wanted.
    ///
    /// # Errors
    /// No answer, or none that is one.
    pub async fn scrape(&self) -> Result<Scraped, Failure> {
        let body = self.asked.post(self.request.clone()).await?;
        let beans = blocking(move || beans(&body)).await??;
        if self.state().needs_list(&beans) {
            match self.list().await {
                Ok(infos) => self.state().infos = infos,
                Err(error) => debug!(%error, "what beans say of themselves could not be read"),
            }
        }
        let state = Arc::clone(&self.state);
        let scraped = blocking(move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            Scraped { families: state.apply(beans), rules: state.rules.counters() }
        });
        scraped.await
    }

    async fn list(&self) -> Result<Infos, Failure> {
        let body = self.asked.post(r#"{"type":"list"}"#.to_owned()).await?;
        blocking(move || infos(&body)).await?
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|error| Failure(format!("the scrape broke off: {error}")))
}

// === impl State ===

impl State {
    fn needs_list(&mut self, beans: &Beans) -> bool {
        let due = self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY);
        let unknown = |(name, _): &(ObjectName, _)| !self.infos.contains_key(&canonical(name));
        let needed = due && beans.iter().any(unknown);
        if needed {
            self.listed = Some(Instant::now());
        }
        needed
    }

    fn apply(&mut self, beans: Beans) -> Vec<crate::exposition::Family> {
        let mut scrape = self.rules.scrape();
        for (name, values) in beans {
            if !self.selection.wants_bean(&name) {
                continue;
            }
            let known = self.infos.get(&canonical(&name));
            let info = |attribute: &str| {
                let known = known.and_then(|infos| infos.get(attribute)).cloned();
                known.unwrap_or_else(|| AttributeInfo {
                    name: attribute.to_owned(),
                    declared: String::new(),
                    description: attribute.to_owned(),
                    readable: true,
                })
            };
            let pairs: Vec<(AttributeInfo, Value)> = values
                .into_iter()
                .map(|(attribute, value)| (info(&attribute), value))
                .filter(|(info, _)| self.selection.wants_attribute(&name, info))
                .collect();
            let pairs: Vec<(&AttributeInfo, &Value)> =
                pairs.iter().map(|(info, value)| (info, value)).collect();
            scrape.bean(&name, &pairs);
        }
        scrape.finish()
    }
}

/// One read per pattern. The options are always said, because their defaults differ between
/// versions.
fn request(selection: &Selection) -> String {
    let reads: Vec<Json> = selection
        .queries()
        .iter()
        .map(|pattern| {
            json!({
                "type": "read",
                "mbean": pattern.as_ref().map_or("*:*", ObjectName::as_str),
                "config": {
                    "ignoreErrors": "true",
                    "canonicalNaming": "false",
                    "serializeLong": "number",
                },
            })
        })
        .collect();
    Json::from(reads).to_string()
}

/// The beans of an answer to a list of reads; a bean that several patterns find is there once.
///
/// # Errors
/// It is no such answer, or an error but for a pattern that fits no bean.
pub fn beans(body: &[u8]) -> Result<Beans, Failure> {
    let answers: Vec<Json> = serde_json::from_slice(&crate::json::mend(body).0)
        .map_err(|error| Failure(format!("no answer of Jolokia: {error}")))?;
    let mut beans = Beans::new();
    let mut seen = std::collections::HashSet::new();
    let mut add = |name: &str, attributes: &Map<String, Json>| {
        let Ok(name) = ObjectName::parse(name) else { return };
        if seen.insert(name.clone()) {
            let values = attributes.iter().map(|(name, it)| (name.clone(), value(it))).collect();
            beans.push((name, values));
        }
    };
    for answer in &answers {
        let status = answer["status"].as_u64().unwrap_or(0);
        let asked = answer["request"]["mbean"].as_str().unwrap_or_default();
        match (&answer["value"], status) {
            (Json::Object(found), 200) if is_pattern(asked) => {
                for (name, attributes) in found {
                    if let Json::Object(attributes) = attributes {
                        add(name, attributes);
                    }
                }
            }
            (Json::Object(attributes), 200) => add(asked, attributes),
            // A pattern that fits nothing.
            (_, 404) => {}
            _ => {
                let error = answer["error"].as_str().unwrap_or("an answer without a value");
                let error: String = error.chars().take(200).collect();
                return Err(Failure(format!("Jolokia says {status}: {error}")));
            }
        }
    }
    Ok(beans)
}

/// Whether a name has a wildcard outside quotes.
fn is_pattern(name: &str) -> bool {
    let mut quoted = false;
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b'*' | b'?' if !quoted => return true,
            _ => {}
        }
    }
    false
}

/// What beans say of themselves: domain, properties, `attr`, name, then `type`, `desc`, `rw`.
fn infos(body: &[u8]) -> Result<Infos, Failure> {
    let wrong = |error: String| Failure(format!("no list of Jolokia: {error}"));
    let answer: Json = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
    let Json::Object(domains) = &answer["value"] else {
        return Err(wrong("it has no value".to_owned()));
    };
    let mut infos = Infos::new();
    for (domain, beans) in domains {
        for (properties, bean) in beans.as_object().into_iter().flatten() {
            let Ok(name) = ObjectName::parse(&format!("{domain}:{properties}")) else { continue };
            let attributes = bean["attr"].as_object().into_iter().flatten();
            let attributes = attributes.map(|(attribute, said)| {
                let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
                let info = AttributeInfo {
                    name: attribute.clone(),
                    declared: text("type"),
                    description: text("desc"),
                    readable: true,
                };
                (attribute.clone(), info)
            });
            infos.insert(canonical(&name), attributes.collect());
        }
    }
    Ok(infos)
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => Value::Number(match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Number::Integer(value),
            (None, Some(value)) => Number::Big(value.to_string()),
            _ => Number::Double(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) => Value::Array,
        Json::Object(members) => {
            Value::composite(members.iter().map(|(key, it)| (key.clone(), value(it))).collect())
        }
    }
}

/// The name with its properties in the order of their keys.
fn canonical(name: &ObjectName) -> String {
    let mut properties: Vec<(&str, &str)> = name.properties().collect();
    properties.sort_unstable();
    let mut text = format!("{}:", name.domain());
    for (key, value) in properties {
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push(',');
    }
    text
}
