//! Names and `MBeanInfo`s of a graph.

use crate::java::{Graph, NodeId, Slot, View};

use super::text;
use crate::jmx::{AttributeInfo, ObjectName};

/// The names in a set.
pub(super) fn names(graph: &Graph, root: NodeId) -> Vec<ObjectName> {
    let Some(set) = graph.object(root) else { return Vec::new() };
    set.items()
        .nodes()
        .filter_map(|id| {
            let name = graph.object(id)?.items().nodes().next()?;
            ObjectName::parse(graph.text(name)?).ok().filter(|name| !name.is_pattern())
        })
        .collect()
}

/// The attributes in an `MBeanInfo`.
pub(super) fn attributes(graph: &Graph, root: NodeId) -> Vec<AttributeInfo> {
    let Some(info) = graph.object(root) else { return Vec::new() };
    let View::Array(attributes) = graph.view(info.node("attributes")) else { return Vec::new() };
    attributes
        .items()
        .nodes()
        .filter_map(|id| {
            let attribute = graph.object(id)?;
            Some(AttributeInfo {
                name: text(graph, attribute.node("name")),
                declared: text(graph, attribute.node("attributeType")),
                description: text(graph, attribute.node("description")),
                readable: attribute.field("isRead") == Some(Slot::Boolean(true)),
            })
        })
        .collect()
}
