//! Strings, runs of bytes, handles, and what is counted.

use std::io::Read;

use super::super::graph::{Graph, Handle, Node, Span};
use super::super::{JavaError, Problem, tag, text};
use super::{FIRST_HANDLE, NESTED_MAX, Reader};

impl<R: Read> Reader<'_, R> {
    /// A string or a reference to one, where nothing else may stand.
    pub(in crate::java) fn string(&mut self) -> Result<Span, JavaError> {
        let span = match self.input.u8()? {
            tag::STRING => self.short_text()?,
            tag::LONGSTRING => self.long_text()?,
            tag::REFERENCE => {
                let handle = self.input.i32()?;
                if let Some(Handle::Node(node)) = self.handle(handle)
                    && let Node::Text(span) = self.graph.nodes[node as usize]
                {
                    return Ok(span);
                }
                return self.fail(Problem::Reference(handle as u32, "a string"));
            }
            found => return self.fail(Problem::Unexpected { found, expected: "a string" }),
        };
        self.handled(Node::Text(span))?;
        Ok(span)
    }

    pub(in crate::java) fn short_text(&mut self) -> Result<Span, JavaError> {
        let count = self.input.u16()?;
        let from = self.graph.text.len() as u32;
        let bytes = self.input.short(count)?;
        if !text::decode(bytes, &mut self.graph.text) {
            return self.fail(Problem::Structure("a text is not modified UTF-8"));
        }
        Ok(Span { from, to: self.graph.text.len() as u32 })
    }

    pub(super) fn long_text(&mut self) -> Result<Span, JavaError> {
        let count = self.input.i64()?;
        let Some(count) =
            u64::try_from(count).ok().filter(|count| *count <= self.limits.string_bytes as u64)
        else {
            return self.fail(Problem::Limit("bytes of a string"));
        };
        let mut bytes = Vec::new();
        self.input.append(count, &mut bytes)?;
        let from = self.graph.text.len() as u32;
        if !text::decode(&bytes, &mut self.graph.text) {
            return self.fail(Problem::Structure("a text is not modified UTF-8"));
        }
        Ok(Span { from, to: self.graph.text.len() as u32 })
    }

    pub(super) fn bytes(&mut self, count: u32) -> Result<Span, JavaError> {
        let from = self.graph.bytes.len() as u32;
        self.input.append(u64::from(count), &mut self.graph.bytes)?;
        Ok(Span { from, to: self.graph.bytes.len() as u32 })
    }

    /// Counts towards the limit of objects: what is in the arena, as a reset empties the handles.
    pub(in crate::java) fn take_object(&mut self) -> Result<(), JavaError> {
        if self.graph.nodes.len() + self.graph.classes.len() >= self.limits.handles {
            return self.fail(Problem::Limit("objects"));
        }
        Ok(())
    }

    pub(in crate::java) fn handle(&self, number: i32) -> Option<Handle> {
        let index = usize::try_from(number.checked_sub(FIRST_HANDLE)?).ok()?;
        self.graph.handles.get(index).copied()
    }

    /// Counts towards the limit of elements; slots, links and fields of classes are what is
    /// counted.
    pub(in crate::java) fn take_elements(&mut self, count: usize) -> Result<(), JavaError> {
        let Graph { slots, links, fields, .. } = &*self.graph;
        if slots.len() + links.len() + fields.len() + count > self.limits.elements {
            return self.fail(Problem::Limit("elements"));
        }
        Ok(())
    }

    pub(in crate::java) fn nest(&mut self) -> Result<(), JavaError> {
        self.nested += 1;
        if self.nested > NESTED_MAX {
            return self.fail(Problem::Limit("classes within classes"));
        }
        Ok(())
    }

    pub(in crate::java) fn fail<T>(&self, problem: Problem) -> Result<T, JavaError> {
        Err(self.input.error(problem))
    }
}
