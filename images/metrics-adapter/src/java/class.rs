//! Class descriptors.

use std::io::Read;

use super::graph::{Class, Field, Handle, NONE, Span};
use super::reader::Reader;
use super::{JavaError, Problem, tag};

/// `writeObject` of the class added data of its own.
pub(super) const WRITE_METHOD: u8 = 0x01;
/// Fields by their types.
pub(super) const SERIALIZABLE: u8 = 0x02;
/// The class writes all of itself.
pub(super) const EXTERNALIZABLE: u8 = 0x04;
/// What it writes is in blocks, so that its end can be found.
pub(super) const BLOCK_DATA: u8 = 0x08;

/// Most classes above a class. Within one descriptor nesting bounds them, but a reference may put a
/// class below any other; each object costs their square.
const ABOVE_MAX: u32 = 48;

/// Most interfaces of a proxy, as in a class file.
const INTERFACES_MAX: i32 = 65_535;

impl<R: Read> Reader<'_, R> {
    /// A descriptor or a reference to one; [`NONE`] for null.
    pub(super) fn class(&mut self) -> Result<u32, JavaError> {
        match self.input.u8()? {
            tag::NULL => Ok(NONE),
            tag::REFERENCE => {
                let handle = self.input.i32()?;
                match self.handle(handle) {
                    Some(Handle::Class(class)) if self.graph.classes[class as usize].complete => {
                        Ok(class)
                    }
                    _ => self.fail(Problem::Reference(handle as u32, "a class")),
                }
            }
            tag::CLASSDESC => self.plain_class(),
            tag::PROXYCLASSDESC => self.proxy_class(),
            found => self.fail(Problem::Unexpected { found, expected: "a class" }),
        }
    }

    /// A class that must not be null.
    pub(super) fn class_of_something(&mut self) -> Result<u32, JavaError> {
        match self.class()? {
            NONE => self.fail(Problem::Structure("an object without a class")),
            class => Ok(class),
        }
    }

    pub(super) fn plain_class(&mut self) -> Result<u32, JavaError> {
        self.nest()?;
        let name = self.short_text()?;
        self.input.i64()?;
        let index = self.new_class(name)?;
        let flags = self.input.u8()?;
        let count = self.input.u16()?;
        if flags & (SERIALIZABLE | EXTERNALIZABLE) == SERIALIZABLE | EXTERNALIZABLE {
            return self.fail(Problem::Structure("a class that is written in two ways"));
        }
        self.take_elements(usize::from(count))?;
        let fields = self.graph.fields.len() as u32;
        for _ in 0..count {
            let code = self.input.u8()?;
            let name = self.short_text()?;
            match code {
                b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' => {}
                b'L' | b'[' => {
                    self.string()?;
                }
                found => {
                    return self
                        .fail(Problem::Unexpected { found, expected: "the type of a field" });
                }
            }
            self.graph.fields.push(Field { code, name });
        }
        let class = &mut self.graph.classes[index as usize];
        (class.flags, class.fields, class.field_count) = (flags, fields, u32::from(count));
        self.finish_class(index)
    }

    pub(super) fn proxy_class(&mut self) -> Result<u32, JavaError> {
        self.nest()?;
        let from = self.graph.text.len() as u32;
        self.graph.text.push_str("$Proxy");
        let name = Span { from, to: self.graph.text.len() as u32 };
        let index = self.new_class(name)?;
        self.graph.classes[index as usize].flags = SERIALIZABLE;
        let count = self.input.i32()?;
        if !(0..=INTERFACES_MAX).contains(&count) {
            return self.fail(Problem::Limit("interfaces"));
        }
        for _ in 0..count {
            self.short_text()?;
        }
        self.finish_class(index)
    }

    /// Its annotation and the class above.
    fn finish_class(&mut self, index: u32) -> Result<u32, JavaError> {
        self.annotation()?;
        let parent = self.class()?;
        let above = self.graph.classes.get(parent as usize).copied();
        let class = &mut self.graph.classes[index as usize];
        class.parent = parent;
        class.complete = true;
        if let Some(above) = above {
            class.inherited = above.inherited + above.field_count;
            class.level = above.level + 1;
            if class.level > ABOVE_MAX {
                return self.fail(Problem::Limit("classes above a class"));
            }
        }
        self.nested -= 1;
        Ok(index)
    }

    fn new_class(&mut self, name: Span) -> Result<u32, JavaError> {
        let index = self.graph.classes.len() as u32;
        self.take_object()?;
        self.graph.handles.push(Handle::Class(index));
        self.graph.classes.push(Class {
            name,
            flags: 0,
            fields: 0,
            field_count: 0,
            parent: NONE,
            inherited: 0,
            level: 0,
            complete: false,
        });
        Ok(index)
    }
}
