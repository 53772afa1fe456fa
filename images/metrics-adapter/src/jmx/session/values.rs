//! Values of many beans: all attributes of a bean in one call, one by one where that fails.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::java::{Graph, NodeId, push_null, push_object_name, push_string, push_strings};

use super::pipeline::Calls;
use super::{Answer, Session, SessionError, Value, Wanted, convert, methods, text};

/// The bean is gone: asking for its attributes one by one is of no use.
const GONE: &str = "javax.management.InstanceNotFoundException";

impl Session {
    pub(super) fn read_values(
        &mut self,
        wanted: &[Wanted<'_>],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let memory = &self.memory;
        let mut singly: Vec<usize> = Vec::new();
        let mut at_once: Vec<(usize, Cow<'_, [String]>)> = Vec::with_capacity(wanted.len());
        for (index, bean) in wanted.iter().enumerate() {
            if !memory.knows(bean.name) {
                at_once.push((index, Cow::Borrowed(bean.attributes)));
            } else if memory.singly(bean.name) {
                singly.push(index);
            } else {
                let allowed = |attribute: &&String| memory.allows(bean.name, attribute);
                let left = bean.attributes.iter().filter(allowed).cloned().collect();
                at_once.push((index, Cow::Owned(left)));
            }
        }
        self.beans(wanted, &at_once, &mut singly, deadline, each)?;
        if !singly.is_empty() {
            self.attributes(wanted, &singly, deadline, each)?;
        }
        Ok(())
    }

    /// Reads beans with one call each; `singly` gets those that this failed for.
    fn beans(
        &mut self,
        wanted: &[Wanted<'_>],
        at_once: &[(usize, Cow<'_, [String]>)],
        singly: &mut Vec<usize>,
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let mut send = |place: usize, out: &mut Vec<u8>| {
            let (index, attributes) = &at_once[place];
            push_object_name(wanted[*index].name.as_str(), out);
            push_strings(attributes, out);
            push_null(out);
        };
        let mut done = 0;
        // Beans whose bulk call threw, for more than being gone.
        let mut threw: Vec<usize> = Vec::new();
        while done < at_once.len() {
            let from = done;
            let calls = Calls {
                method: methods::GET_ATTRIBUTES,
                range: from..at_once.len(),
                size: &|place| size(&wanted[at_once[place].0]),
                send: &mut send,
            };
            let outcome = self.pipeline(calls, deadline, &mut |place, graph, result| {
                done = place + 1;
                let index = at_once[place].0;
                match result {
                    Ok(root) => each(index, Ok(list(graph, root))),
                    Err(thrown) => {
                        let (class, message) = graph.throwable(thrown);
                        if class == GONE {
                            each(index, Err(SessionError::Remote { class, message }));
                        } else {
                            threw.push(index);
                        }
                    }
                }
            });
            let progress = done > from;
            let at = done;
            self.go_on(outcome, progress, deadline, |_| {
                singly.push(at_once[at].0);
                done += 1;
            })?;
        }
        for index in threw {
            self.memory.ask_singly(wanted[index].name);
            singly.push(index);
        }
        Ok(())
    }

    /// Reads beans with one call per attribute.
    fn attributes(
        &mut self,
        wanted: &[Wanted<'_>],
        singly: &[usize],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let mut pairs: Vec<(usize, &str)> = Vec::new();
        let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
        for index in singly {
            let bean = &wanted[*index];
            answers.insert(*index, Ok(Vec::new()));
            pairs.extend(
                bean.attributes
                    .iter()
                    .filter(|attribute| self.memory.allows(bean.name, attribute))
                    .map(|attribute| (*index, attribute.as_str())),
            );
        }
        let mut send = |place: usize, out: &mut Vec<u8>| {
            let (index, attribute): (usize, &str) = pairs[place];
            push_object_name(wanted[index].name.as_str(), out);
            push_string(attribute, out);
            push_null(out);
        };
        let mut done = 0;
        while done < pairs.len() {
            let from = done;
            let calls = Calls {
                method: methods::GET_ATTRIBUTE,
                range: from..pairs.len(),
                size: &|place| wanted[pairs[place].0].name.as_str().len() + pairs[place].1.len(),
                send: &mut send,
            };
            let outcome = self.pipeline(calls, deadline, &mut |place, graph, result| {
                done = place + 1;
                let (index, attribute) = pairs[place];
                let Some(answer) = answers.get_mut(&index) else { return };
                match (result, &mut *answer) {
                    (Ok(root), Ok(values)) => {
                        values.push((attribute.to_owned(), convert::value_of(graph, root)));
                    }
                    (Err(thrown), Ok(_)) => {
                        let (class, message) = graph.throwable(thrown);
                        if class == GONE {
                            *answer = Err(SessionError::Remote { class, message });
                        }
                    }
                    (_, Err(_)) => {}
                }
            });
            let progress = done > from;
            let at = done;
            let aborted = matches!(outcome, Err(super::pipeline::Stopped::Aborted(_)));
            if aborted {
                let (index, attribute) = pairs[at];
                self.memory.refuse(wanted[index].name, attribute);
            }
            self.go_on(outcome, progress, deadline, |_| done += 1)?;
        }
        for (index, answer) in answers {
            each(index, answer);
        }
        Ok(())
    }
}

/// Bytes of the names in a call, about.
fn size(bean: &Wanted<'_>) -> usize {
    let attributes: usize = bean.attributes.iter().map(|name| name.len() + 3).sum();
    bean.name.as_str().len() + attributes
}

/// An `AttributeList`.
fn list(graph: &Graph, root: NodeId) -> Vec<(String, Value)> {
    let Some(list) = graph.object(root) else { return Vec::new() };
    list.items()
        .nodes()
        .filter_map(|id| {
            let attribute = graph.object(id)?;
            let name = text(graph, attribute.node("name"));
            Some((name, convert::value_of(graph, attribute.node("value"))))
        })
        .collect()
}
