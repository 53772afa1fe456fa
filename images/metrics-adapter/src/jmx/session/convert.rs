//! Objects of Java to values.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::budget::{Budget, Spent};
use crate::java::{Graph, Item, NodeId, Object, Slot, View};
use crate::jmx::value::{big_decimal, big_integer};
use crate::jmx::{Number, Value};

/// Deepest nesting of composite and tabular data.
const DEPTH_MAX: usize = 16;

/// Most index columns of a table.
const INDEX_MAX: usize = 64;

/// The value that an object is. What is nested too deep or too large is [`Value::Other`], as is
/// every class that metrics cannot use.
#[must_use]
pub fn value_of(graph: &Graph, id: NodeId) -> Value {
    value_within(graph, id, 0, &mut Budget::reply())
}

/// As [`value_of`], with what is left of a budget; `name` are the bytes that the value's bean and
/// attribute are called by.
pub(super) fn value_within(graph: &Graph, id: NodeId, name: usize, budget: &mut Budget) -> Value {
    let mut conversion = Conversion { graph, budget, types: HashMap::new() };
    conversion.value(id, DEPTH_MAX, name).unwrap_or_else(|Spent| {
        Value::Other(graph.object(id).map(|it| it.class_name().to_owned()).unwrap_or_default())
    })
}

/// An `AttributeList` of a bean whose name has so many bytes.
pub(super) fn list(
    graph: &Graph,
    root: NodeId,
    bean: usize,
    budget: &mut Budget,
) -> Result<Vec<(String, Value)>, Spent> {
    let Some(list) = graph.object(root) else { return Ok(Vec::new()) };
    let mut conversion = Conversion { graph, budget, types: HashMap::new() };
    let mut seen = HashSet::new();
    let mut values = Vec::new();
    for id in list.items().nodes().filter(|id| seen.insert(*id)) {
        let Some(attribute) = conversion.fields(id)? else { continue };
        let name = graph.text(attribute.node("name")).unwrap_or_default();
        conversion.budget.bytes(name.len())?;
        let value = conversion.value(attribute.node("value"), DEPTH_MAX, bean + name.len())?;
        values.push((name.to_owned(), value));
    }
    Ok(values)
}

struct Conversion<'g, 'b> {
    graph: &'g Graph,
    budget: &'b mut Budget,
    /// What open types say of themselves.
    types: HashMap<NodeId, Option<Arc<str>>>,
}

// === impl Conversion ===

impl<'g> Conversion<'g, '_> {
    /// `weight` is what a metric would repeat for each value within.
    fn value(&mut self, id: NodeId, depth: usize, weight: usize) -> Result<Value, Spent> {
        self.budget.value(weight)?;
        let found = match self.graph.view(id) {
            View::Null => Value::Null,
            View::Text(text) | View::Enum { name: text, .. } => {
                self.budget.bytes(text.len())?;
                Value::Text(text.to_owned())
            }
            View::Array(_) => Value::Array,
            View::Class(_) => Value::Other("java.lang.Class".to_owned()),
            View::Object(object) => {
                self.budget.bytes(object.width())?;
                match self.object(object, depth, weight)? {
                    Some(value) => value,
                    None => {
                        self.budget.bytes(object.class_name().len())?;
                        Value::Other(object.class_name().to_owned())
                    }
                }
            }
        };
        Ok(found)
    }

    fn object(
        &mut self,
        object: Object<'g>,
        depth: usize,
        weight: usize,
    ) -> Result<Option<Value>, Spent> {
        Ok(match object.class_name() {
            "java.lang.Boolean" => match object.field("value") {
                Some(Slot::Boolean(value)) => Some(Value::Boolean(value)),
                _ => None,
            },
            "java.lang.Character" => None,
            "java.math.BigInteger" => self.big_integer(object).map(big),
            "java.math.BigDecimal" => {
                let unscaled = self.fields(object.node("intVal"))?;
                let unscaled = unscaled.and_then(|unscaled| self.big_integer(unscaled));
                match (unscaled, object.field("scale")) {
                    (Some(unscaled), Some(Slot::Int(scale))) => {
                        Some(big(big_decimal(&unscaled, scale)))
                    }
                    _ => None,
                }
            }
            // What stands for an adder in a stream is no number itself.
            "java.util.concurrent.atomic.LongAdder$SerializationProxy"
            | "java.util.concurrent.atomic.DoubleAdder$SerializationProxy" => boxed(object),
            class if is_collection(class) => Some(Value::Array),
            _ if object.extends("java.lang.Number") => boxed(object),
            _ if object.extends("java.util.Date") => date(object),
            _ if depth == 0 => None,
            _ if object.extends("javax.management.openmbean.CompositeDataSupport") => {
                let description = self.description(object.node("compositeType"))?;
                let weight = weight + description.as_ref().map_or(0, |text| text.len());
                let entries = self.entries(object, depth - 1, weight)?;
                entries.map(|entries| Value::Composite { description, entries })
            }
            _ if object.extends("javax.management.openmbean.TabularDataSupport") => {
                self.tabular(object, depth - 1, weight)?
            }
            _ => None,
        })
    }

    /// An object whose fields are to be looked at; one of many fields costs more.
    fn fields(&mut self, id: NodeId) -> Result<Option<Object<'g>>, Spent> {
        let object = self.graph.object(id);
        self.budget.bytes(object.map_or(0, |object| object.width()))?;
        Ok(object)
    }

    /// `contents` is a map; as written: keys and values in turn.
    fn entries(
        &mut self,
        object: Object<'g>,
        depth: usize,
        weight: usize,
    ) -> Result<Option<Vec<(String, Value)>>, Spent> {
        let Some(contents) = self.graph.object(object.node("contents")) else { return Ok(None) };
        let mut entries = Vec::new();
        let mut last = None;
        for item in contents.items() {
            self.budget.bytes(1)?;
            let Item::Node(id) = item else { continue };
            let Some(key) = last.take() else {
                last = Some(id);
                continue;
            };
            let Some(key) = self.graph.text(key) else { return Ok(None) };
            self.budget.bytes(key.len())?;
            let value = self.value(id, depth, weight + key.len())?;
            entries.push((key.to_owned(), value));
        }
        Ok(last.is_none().then_some(entries))
    }

    /// `dataMap` is a map from the values of the index to rows.
    fn tabular(
        &mut self,
        object: Object<'g>,
        depth: usize,
        weight: usize,
    ) -> Result<Option<Value>, Spent> {
        let Some(declared) = self.fields(object.node("tabularType"))? else { return Ok(None) };
        let Some(index) = self.texts(declared.node("indexNames"))? else { return Ok(None) };
        let description = self.description(declared.node("rowType"))?;
        let Some(data) = self.graph.object(object.node("dataMap")) else { return Ok(None) };
        let weight = weight + description.as_ref().map_or(0, |text| text.len());
        let mut rows = Vec::new();
        let mut is_key = false;
        for item in data.items() {
            self.budget.bytes(1)?;
            let Item::Node(id) = item else { continue };
            is_key = !is_key;
            if is_key {
                continue;
            }
            self.budget.value(0)?;
            let before = self.budget.values_used();
            let Some(row) = self.fields(id)? else { return Ok(None) };
            let Some(row) = self.entries(row, depth, weight)? else { return Ok(None) };
            // Any of its texts may be of the index, and is a label of all values in the row then.
            self.budget.bytes(text_bytes(&row) * (self.budget.values_used() - before))?;
            rows.push(row);
        }
        Ok((!is_key).then_some(Value::Tabular { description, index, rows }))
    }

    /// What an open type says of itself.
    fn description(&mut self, id: NodeId) -> Result<Option<Arc<str>>, Spent> {
        if let Some(known) = self.types.get(&id) {
            return Ok(known.clone());
        }
        let text = self.fields(id)?.and_then(|it| self.graph.text(it.node("description")));
        let text = text.filter(|text| !text.is_empty());
        self.budget.bytes(text.map_or(0, str::len))?;
        Ok(self.types.entry(id).or_insert(text.map(Arc::from)).clone())
    }

    /// The strings of a list, within whatever wrappers it comes.
    fn texts(&mut self, id: NodeId) -> Result<Option<Vec<String>>, Spent> {
        let mut at = id;
        // Unmodifiable random access list around a list around an array, and room to spare.
        for _ in 0..4 {
            let items = match self.graph.view(at) {
                View::Array(array) => array.items(),
                View::Object(object) => {
                    self.budget.bytes(object.width())?;
                    let inner = ["list", "a", "c"].map(|field| object.node(field));
                    if let Some(inner) = inner.into_iter().find(|inner| *inner != NodeId::NULL) {
                        at = inner;
                        continue;
                    }
                    object.items()
                }
                _ => return Ok(None),
            };
            let mut texts = Vec::new();
            for item in items {
                self.budget.bytes(1)?;
                let Item::Node(id) = item else { continue };
                let Some(text) = self.graph.text(id) else { return Ok(None) };
                self.budget.bytes(text.len())?;
                texts.push(text.to_owned());
                if texts.len() > INDEX_MAX {
                    return Ok(None);
                }
            }
            return Ok(Some(texts));
        }
        Ok(None)
    }

    fn big_integer(&self, object: Object<'g>) -> Option<String> {
        let View::Array(magnitude) = self.graph.view(object.node("magnitude")) else {
            return None;
        };
        match object.field("signum")? {
            Slot::Int(sign) => big_integer(sign < 0, magnitude.bytes()),
            _ => None,
        }
    }
}

/// Keys and texts of a row, as far as its labels may have them.
fn text_bytes(row: &[(String, Value)]) -> usize {
    let of_value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Composite { entries, .. } => text_bytes(entries),
        _ => 0,
    };
    row.iter().map(|(key, value)| key.len() + of_value(value)).sum()
}

fn big(text: String) -> Value {
    Value::Number(Number::Big(text))
}

/// The field `value` of boxed and atomic numbers.
fn boxed(object: Object<'_>) -> Option<Value> {
    Some(Value::Number(match object.field("value")? {
        Slot::Byte(value) => Number::Integer(value.into()),
        Slot::Short(value) => Number::Integer(value.into()),
        Slot::Int(value) => Number::Integer(value.into()),
        Slot::Long(value) => Number::Integer(value),
        Slot::Float(value) => Number::Float(value),
        Slot::Double(value) => Number::Double(value),
        Slot::Boolean(_) | Slot::Char(_) | Slot::Node(_) => return None,
    }))
}

/// Eight bytes in a block of its own. A `Timestamp` has whole seconds there and its fraction in a
/// field.
fn date(object: Object<'_>) -> Option<Value> {
    let Item::Bytes(bytes) = object.items().next()? else { return None };
    let millis = i64::from_be_bytes(*bytes.first_chunk()?);
    let fraction = match object.field("nanos") {
        Some(Slot::Int(nanos)) if object.extends("java.sql.Timestamp") => {
            i64::from(nanos / 1_000_000)
        }
        _ => 0,
    };
    Some(Value::Date(millis.saturating_add(fraction)))
}

/// Lists, sets and queues of the platform.
fn is_collection(class: &str) -> bool {
    class.strip_prefix("java.util.").is_some_and(|class| {
        ["List", "Set", "Deque", "Queue", "Vector", "Collection", "Stack"]
            .iter()
            .any(|kind| class.ends_with(kind))
            || class == "CollSer"
    })
}
