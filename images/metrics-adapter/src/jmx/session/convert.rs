//! Objects of Java to values.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::java::{Graph, Item, NodeId, Object, Slot, View};
use crate::jmx::value::{big_decimal, big_integer};
use crate::jmx::{Number, Value};

/// Most values within one; references let a small stream name the same object again and again.
const VALUES_MAX: usize = 100_000;

/// Deepest nesting of composite and tabular data.
const DEPTH_MAX: usize = 16;

/// The value that an object is. What is nested too deep or too large is [`Value::Other`], as is
/// every class that metrics cannot use.
#[must_use]
pub fn value_of(graph: &Graph, id: NodeId) -> Value {
    Conversion { graph, left: VALUES_MAX }.value(id, DEPTH_MAX)
}

struct Conversion<'g> {
    graph: &'g Graph,
    /// Values that may still be made.
    left: usize,
}

// === impl Conversion ===

impl<'g> Conversion<'g> {
    fn value(&mut self, id: NodeId, depth: usize) -> Value {
        match self.graph.view(id) {
            View::Null => Value::Null,
            View::Text(text) => Value::Text(text.to_owned()),
            View::Enum { name, .. } => Value::Text(name.to_owned()),
            View::Array(_) => Value::Array,
            View::Class(_) => Value::Other("java.lang.Class".to_owned()),
            View::Object(object) => self
                .object(object, depth)
                .unwrap_or_else(|| Value::Other(object.class_name().to_owned())),
        }
    }

    fn object(&mut self, object: Object<'g>, depth: usize) -> Option<Value> {
        match object.class_name() {
            "java.lang.Boolean" => match object.field("value")? {
                Slot::Boolean(value) => Some(Value::Boolean(value)),
                _ => None,
            },
            "java.lang.Character" => None,
            "java.math.BigInteger" => self.big_integer(object).map(big),
            "java.math.BigDecimal" => {
                let unscaled = self.big_integer(self.graph.object(object.node("intVal"))?)?;
                match object.field("scale")? {
                    Slot::Int(scale) => Some(big(big_decimal(&unscaled, scale))),
                    _ => None,
                }
            }
            // What stands for an adder in a stream is no number itself.
            "java.util.concurrent.atomic.LongAdder$SerializationProxy"
            | "java.util.concurrent.atomic.DoubleAdder$SerializationProxy" => boxed(object),
            class if is_collection(class) => Some(Value::Array),
            _ if object.extends("java.lang.Number") => boxed(object),
            _ if object.extends("java.util.Date") => date(object),
            _ if object.extends("javax.management.openmbean.CompositeDataSupport") => {
                let entries = self.entries(object, depth.checked_sub(1)?)?;
                let description = self.description(object.node("compositeType"));
                Some(Value::Composite { description, entries })
            }
            _ if object.extends("javax.management.openmbean.TabularDataSupport") => {
                self.tabular(object, depth.checked_sub(1)?)
            }
            _ => None,
        }
    }

    /// `contents` is a map; as written: keys and values in turn.
    fn entries(&mut self, object: Object<'g>, depth: usize) -> Option<Vec<(String, Value)>> {
        let contents = self.graph.object(object.node("contents"))?;
        let mut nodes = contents.items().nodes();
        let mut columns = Vec::new();
        while let Some(key) = nodes.next() {
            let value = nodes.next()?;
            self.left = self.left.checked_sub(1)?;
            columns.push((self.graph.text(key)?.to_owned(), self.value(value, depth)));
        }
        Some(columns)
    }

    /// `dataMap` is a map from the values of the index to rows.
    fn tabular(&mut self, object: Object<'g>, depth: usize) -> Option<Value> {
        let declared = self.graph.object(object.node("tabularType"))?;
        let index = self.texts(declared.node("indexNames"))?;
        let data = self.graph.object(object.node("dataMap"))?;
        let mut nodes = data.items().nodes();
        let mut rows = Vec::new();
        while nodes.next().is_some() {
            let row = self.graph.object(nodes.next()?)?;
            self.left = self.left.checked_sub(1)?;
            rows.push(self.entries(row, depth)?);
        }
        let description = self.description(declared.node("rowType"));
        Some(Value::Tabular { description, index, rows })
    }

    /// What an open type says of itself.
    fn description(&self, id: NodeId) -> Option<Arc<str>> {
        let text = self.graph.text(self.graph.object(id)?.node("description"))?;
        Some(text).filter(|text| !text.is_empty()).map(Arc::from)
    }

    /// The strings of a list, within whatever wrappers it comes.
    fn texts(&mut self, id: NodeId) -> Option<Vec<String>> {
        let mut at = id;
        // Unmodifiable random access list around a list around an array, and room to spare.
        for _ in 0..4 {
            let items = match self.graph.view(at) {
                View::Array(array) => array.items(),
                View::Object(object) => {
                    let inner = ["list", "a", "c"].map(|field| object.node(field));
                    if let Some(inner) = inner.into_iter().find(|inner| *inner != NodeId::NULL) {
                        at = inner;
                        continue;
                    }
                    object.items()
                }
                _ => return None,
            };
            let texts = items.nodes().map(|text| self.graph.text(text).map(str::to_owned));
            let texts: Vec<String> = texts.collect::<Option<_>>()?;
            self.left = self.left.checked_sub(texts.len())?;
            return Some(texts);
        }
        None
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
