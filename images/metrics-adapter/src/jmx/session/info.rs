//! Names and `MBeanInfo`s of a graph.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::java::{Graph, NodeId, Slot, View};

use super::budget::{Budget, Spent};
use super::{SessionError, text};
use crate::jmx::{AttributeInfo, ObjectName};

/// The names in a set. Those that are no names are left out.
pub(super) fn names(graph: &Graph, root: NodeId) -> Result<Vec<ObjectName>, SessionError> {
    let Some(set) = graph.object(root) else { return Ok(Vec::new()) };
    let mut budget = Budget::reply();
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for id in set.items().nodes().filter(|id| seen.insert(*id)) {
        let name = graph.object(id).and_then(|name| name.items().nodes().next());
        let Some(name) = name.and_then(|name| graph.text(name)) else { continue };
        budget.value(name.len()).map_err(|Spent| too_much("names"))?;
        names.extend(ObjectName::parse(name).ok().filter(|name| !name.is_pattern()));
    }
    Ok(names)
}

/// The attributes in an `MBeanInfo`.
pub(super) fn attributes(graph: &Graph, root: NodeId) -> Result<Vec<AttributeInfo>, SessionError> {
    let Some(info) = graph.object(root) else { return Ok(Vec::new()) };
    let View::Array(attributes) = graph.view(info.node("attributes")) else {
        return Ok(Vec::new());
    };
    let mut budget = Budget::reply();
    let mut seen = HashSet::new();
    let mut infos = Vec::new();
    for id in attributes.items().nodes().filter(|id| seen.insert(*id)) {
        let Some(attribute) = graph.object(id) else { continue };
        let ids = ["name", "attributeType", "description"].map(|field| attribute.node(field));
        let length = ids.iter().map(|id| graph.text(*id).map_or(0, str::len)).sum();
        budget.value(length).map_err(|Spent| too_much("attributes"))?;
        let [name, declared, description] = ids.map(|id| text(graph, id));
        let readable = attribute.field("isRead") == Some(Slot::Boolean(true));
        infos.push(AttributeInfo { name, declared, description, readable });
    }
    Ok(infos)
}

fn too_much(what: &str) -> SessionError {
    SessionError::Protocol(format!("{what} with more text than allowed"))
}
