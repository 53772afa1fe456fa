//! Bytes to graph. Objects within objects wait in [`Frame`]s on the heap; only what stands inside a
//! class descriptor is read by recursion, and that has a small bound.

use std::io::Read;

use super::class::{BLOCK_DATA, EXTERNALIZABLE, SERIALIZABLE, WRITE_METHOD};
use super::graph::{Class, Content, Graph, Handle, Link, NONE, Node, NodeId, Slot, Span};
use super::{HEADER, Input, JavaError, Limits, Problem, tag, text};

/// Number of the first handle.
const FIRST_HANDLE: i32 = 0x7e_0000;

/// Deepest nesting of class descriptors: classes above, and objects in annotations.
const NESTED_MAX: u32 = 48;

/// Reads one message.
#[derive(Debug)]
pub struct Reader<'a, R> {
    pub(super) input: &'a mut Input<R>,
    pub(super) graph: &'a mut Graph,
    limits: &'a Limits,
    /// Descriptors under way.
    pub(super) nested: u32,
}

/// A node that is not complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    node: u32,
    /// The class whose part is being read; of an array, its class.
    class: u32,
    stage: Stage,
    /// The last item of the node.
    tail: u32,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The field that comes next.
    Fields(u32),
    /// What the class wrote itself, up to an end mark.
    Custom,
    /// Elements to come.
    Elements(u32),
}

// === impl Reader ===

impl<'a, R: Read> Reader<'a, R> {
    /// A reader of the message that begins now; the graph is cleared.
    pub fn new(input: &'a mut Input<R>, graph: &'a mut Graph, limits: &'a Limits) -> Self {
        graph.clear();
        input.bound(limits.bytes);
        Self { input, graph, limits, nested: 0 }
    }

    /// The input, for bytes that are not serialized.
    pub fn input(&mut self) -> &mut Input<R> {
        self.input
    }

    /// What has been read.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// What begins a stream.
    ///
    /// # Errors
    /// [`JavaError`].
    pub fn header(&mut self) -> Result<(), JavaError> {
        match self.input.array::<4>()? {
            HEADER => Ok(()),
            [found, ..] => {
                self.fail(Problem::Unexpected { found, expected: "a stream of version 5" })
            }
        }
    }

    /// A block that begins with so many bytes; what is left of it is skipped.
    ///
    /// # Errors
    /// [`JavaError`], also when the block is shorter.
    pub fn block<const N: usize>(&mut self) -> Result<[u8; N], JavaError> {
        let found = self.input.u8()?;
        if found != tag::BLOCKDATA {
            return self.fail(Problem::Unexpected { found, expected: "a block" });
        }
        let Some(rest) = usize::from(self.input.u8()?).checked_sub(N) else {
            return self.fail(Problem::Structure("a block is too short"));
        };
        let bytes = self.input.array()?;
        self.input.skip(rest as u64)?;
        Ok(bytes)
    }

    /// One object with all that it leads to.
    ///
    /// # Errors
    /// [`JavaError`].
    pub fn object(&mut self) -> Result<NodeId, JavaError> {
        let base = self.graph.frames.len();
        while base == 0 && self.nested == 0 && self.input.peek()? == tag::RESET {
            self.input.u8()?;
            self.graph.handles.clear();
        }
        let id = self.begin()?;
        while self.graph.frames.len() > base {
            self.step()?;
        }
        Ok(id)
    }

    /// Begins whatever comes. Strings and the like are complete at once, others push a frame.
    fn begin(&mut self) -> Result<NodeId, JavaError> {
        match self.input.u8()? {
            tag::NULL => Ok(NodeId::NULL),
            tag::REFERENCE => {
                let handle = self.input.i32()?;
                match self.handle(handle) {
                    Some(Handle::Node(node)) => Ok(NodeId(node)),
                    Some(Handle::Class(class)) => self.new_node(Node::Class(class)),
                    None => self.fail(Problem::Reference(handle as u32, "anything")),
                }
            }
            tag::OBJECT => self.begin_object(),
            tag::STRING => {
                let span = self.short_text()?;
                self.handled(Node::Text(span))
            }
            tag::LONGSTRING => {
                let span = self.long_text()?;
                self.handled(Node::Text(span))
            }
            tag::ARRAY => self.begin_array(),
            tag::ENUM => {
                let class = self.class_of_something()?;
                let id = self.handled(Node::Enum { class, name: Span::default() })?;
                let name = self.string()?;
                self.graph.nodes[id.0 as usize] = Node::Enum { class, name };
                Ok(id)
            }
            tag::CLASS => {
                let class = self.class_of_something()?;
                self.handled(Node::Class(class))
            }
            tag::CLASSDESC => {
                let class = self.plain_class()?;
                self.new_node(Node::Class(class))
            }
            tag::PROXYCLASSDESC => {
                let class = self.proxy_class()?;
                self.new_node(Node::Class(class))
            }
            tag::EXCEPTION => self.aborted(),
            found => self.fail(Problem::Unexpected { found, expected: "an object" }),
        }
    }

    fn begin_object(&mut self) -> Result<NodeId, JavaError> {
        let class = self.class_of_something()?;
        let Class { inherited, field_count, flags, .. } = self.graph.classes[class as usize];
        let slots = self.graph.slots.len();
        self.take_elements((inherited + field_count) as usize)?;
        self.graph
            .slots
            .resize(slots + (inherited + field_count) as usize, Slot::Node(NodeId::NULL));
        let id = self.handled(Node::Object { class, slots: slots as u32, first: NONE })?;
        // An externalizable class writes for those above it too.
        let top = if flags & EXTERNALIZABLE != 0 { class } else { self.part(class, 0) };
        self.push(Frame { node: id.0, class: top, stage: Stage::Fields(0), tail: NONE })?;
        Ok(id)
    }

    fn begin_array(&mut self) -> Result<NodeId, JavaError> {
        let class = self.class_of_something()?;
        let node = Node::Array { class, first: NONE, bytes: Span::default() };
        let id = self.handled(node)?;
        let count = self.input.i32()?;
        if usize::try_from(count).is_ok_and(|count| count <= self.limits.elements) {
            let count = count as u32;
            let size = match self.graph.class_name(class).as_bytes() {
                [b'[', b'B'] => {
                    let bytes = self.bytes(count)?;
                    self.graph.nodes[id.0 as usize] = Node::Array { class, first: NONE, bytes };
                    return Ok(id);
                }
                [b'[', b'Z'] => 1,
                [b'[', b'C' | b'S'] => 2,
                [b'[', b'I' | b'F'] => 4,
                [b'[', b'J' | b'D'] => 8,
                [b'[', b'L' | b'[', ..] => {
                    let stage = Stage::Elements(count);
                    self.push(Frame { node: id.0, class, stage, tail: NONE })?;
                    return Ok(id);
                }
                _ => return self.fail(Problem::Structure("an array of no array class")),
            };
            self.input.skip(u64::from(count) * size)?;
            Ok(id)
        } else {
            self.fail(Problem::Limit("elements of an array"))
        }
    }

    /// Goes on with the innermost node until it meets one within it, or its end.
    fn step(&mut self) -> Result<(), JavaError> {
        let top = self.graph.frames.len() - 1;
        let mut frame = self.graph.frames[top];
        match frame.stage {
            Stage::Fields(next) => {
                let class = self.graph.classes[frame.class as usize];
                if class.flags & SERIALIZABLE != 0 && next < class.field_count {
                    return self.fields(top, frame, &class, next);
                }
                let custom = if class.flags & SERIALIZABLE != 0 {
                    class.flags & WRITE_METHOD != 0
                } else if class.flags & EXTERNALIZABLE != 0 {
                    if class.flags & BLOCK_DATA == 0 {
                        return self.fail(Problem::Structure("a class writes without blocks"));
                    }
                    true
                } else {
                    false
                };
                if custom {
                    frame.stage = Stage::Custom;
                    self.graph.frames[top] = frame;
                } else {
                    self.next_part(top, frame, class.level);
                }
                Ok(())
            }
            Stage::Custom => {
                if self.input.peek()? == tag::ENDBLOCKDATA {
                    self.input.u8()?;
                    let level = self.graph.classes[frame.class as usize].level;
                    self.next_part(top, frame, level);
                    return Ok(());
                }
                let content = self.content()?;
                self.link(top, content)
            }
            Stage::Elements(0) => {
                self.graph.frames.pop();
                Ok(())
            }
            Stage::Elements(count) => {
                self.graph.frames[top].stage = Stage::Elements(count - 1);
                let id = self.begin()?;
                self.link(top, Content::Node(id))
            }
        }
    }

    /// Reads fields of one class until one of them is an object that is not complete at once.
    fn fields(
        &mut self,
        top: usize,
        frame: Frame,
        class: &Class,
        from: u32,
    ) -> Result<(), JavaError> {
        let Node::Object { slots, .. } = self.graph.nodes[frame.node as usize] else {
            return self.fail(Problem::Structure("fields of no object"));
        };
        for next in from..class.field_count {
            let slot = match self.graph.fields[(class.fields + next) as usize].code {
                b'B' => Slot::Byte(self.input.u8()? as i8),
                b'C' => Slot::Char(self.input.u16()?),
                b'D' => Slot::Double(f64::from_bits(self.input.i64()? as u64)),
                b'F' => Slot::Float(f32::from_bits(self.input.i32()? as u32)),
                b'I' => Slot::Int(self.input.i32()?),
                b'J' => Slot::Long(self.input.i64()?),
                b'S' => Slot::Short(self.input.u16()? as i16),
                b'Z' => Slot::Boolean(self.input.u8()? != 0),
                _ => {
                    self.graph.frames[top].stage = Stage::Fields(next + 1);
                    Slot::Node(self.begin()?)
                }
            };
            self.graph.slots[(slots + class.inherited + next) as usize] = slot;
            if self.graph.frames.len() > top + 1 {
                return Ok(());
            }
        }
        self.graph.frames[top].stage = Stage::Fields(class.field_count);
        Ok(())
    }

    /// On to the class below, or out.
    fn next_part(&mut self, top: usize, mut frame: Frame, level: u32) {
        let Node::Object { class, .. } = self.graph.nodes[frame.node as usize] else {
            return;
        };
        if self.graph.classes[class as usize].level == level {
            self.graph.frames.truncate(top);
            return;
        }
        frame.class = self.part(class, level + 1);
        frame.stage = Stage::Fields(0);
        self.graph.frames[top] = frame;
    }

    /// The class above (or the class itself) that has so many classes above it.
    fn part(&self, class: u32, level: u32) -> u32 {
        let mut found = class;
        while self.graph.classes[found as usize].level > level {
            found = self.graph.classes[found as usize].parent;
        }
        found
    }

    /// A block or the beginning of an object.
    fn content(&mut self) -> Result<Content, JavaError> {
        let count = match self.input.peek()? {
            tag::BLOCKDATA => u32::from(self.input.u16()? & 0xff),
            tag::BLOCKDATALONG => {
                self.input.u8()?;
                match u32::try_from(self.input.i32()?) {
                    Ok(count) => count,
                    Err(_) => return self.fail(Problem::Structure("a block of negative length")),
                }
            }
            _ => return self.begin().map(Content::Node),
        };
        self.bytes(count).map(Content::Bytes)
    }

    /// What annotates a class, up to its end mark; nobody needs it.
    pub(super) fn annotation(&mut self) -> Result<(), JavaError> {
        loop {
            match self.input.peek()? {
                tag::ENDBLOCKDATA => return self.input.u8().map(|_| ()),
                tag::BLOCKDATA | tag::BLOCKDATALONG => {
                    self.take_elements(1)?;
                    self.content()?;
                }
                _ => {
                    self.take_elements(1)?;
                    self.nest()?;
                    self.object()?;
                    self.nested -= 1;
                }
            }
        }
    }

    /// A string or a reference to one, where nothing else may stand.
    pub(super) fn string(&mut self) -> Result<Span, JavaError> {
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

    /// The exception that the sender met, in place of whatever was to come.
    fn aborted(&mut self) -> Result<NodeId, JavaError> {
        self.nest()?;
        self.graph.handles.clear();
        let id = self.object()?;
        let (class, message) = self.graph.throwable(id);
        self.fail(Problem::Aborted { class, message })
    }

    pub(super) fn short_text(&mut self) -> Result<Span, JavaError> {
        let count = self.input.u16()?;
        let from = self.graph.text.len() as u32;
        let bytes = self.input.short(count)?;
        if !text::decode(bytes, &mut self.graph.text) {
            return self.fail(Problem::Structure("a text is not modified UTF-8"));
        }
        Ok(Span { from, to: self.graph.text.len() as u32 })
    }

    fn long_text(&mut self) -> Result<Span, JavaError> {
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

    fn bytes(&mut self, count: u32) -> Result<Span, JavaError> {
        let from = self.graph.bytes.len() as u32;
        self.input.append(u64::from(count), &mut self.graph.bytes)?;
        Ok(Span { from, to: self.graph.bytes.len() as u32 })
    }

    /// Appends an item to the node of a frame.
    fn link(&mut self, top: usize, content: Content) -> Result<(), JavaError> {
        self.take_elements(1)?;
        let index = self.graph.links.len() as u32;
        self.graph.links.push(Link { content, next: NONE });
        let Frame { node, tail, .. } = self.graph.frames[top];
        self.graph.frames[top].tail = index;
        if let Some(last) = self.graph.links.get_mut(tail as usize) {
            last.next = index;
        } else if let Node::Object { first, .. } | Node::Array { first, .. } =
            &mut self.graph.nodes[node as usize]
        {
            *first = index;
        }
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), JavaError> {
        if self.graph.frames.len() >= self.limits.depth {
            return self.fail(Problem::Limit("objects within objects"));
        }
        self.graph.frames.push(frame);
        Ok(())
    }

    fn new_node(&mut self, node: Node) -> Result<NodeId, JavaError> {
        self.take_object()?;
        let id = NodeId(self.graph.nodes.len() as u32);
        self.graph.nodes.push(node);
        Ok(id)
    }

    /// A node that can be referred to.
    fn handled(&mut self, node: Node) -> Result<NodeId, JavaError> {
        let id = self.new_node(node)?;
        self.graph.handles.push(Handle::Node(id.0));
        Ok(id)
    }

    /// Counts towards the limit of objects: what is in the arena, as a reset empties the handles.
    pub(super) fn take_object(&mut self) -> Result<(), JavaError> {
        if self.graph.nodes.len() + self.graph.classes.len() >= self.limits.handles {
            return self.fail(Problem::Limit("objects"));
        }
        Ok(())
    }

    pub(super) fn handle(&self, number: i32) -> Option<Handle> {
        let index = usize::try_from(number.checked_sub(FIRST_HANDLE)?).ok()?;
        self.graph.handles.get(index).copied()
    }

    /// Counts towards the limit of elements; slots, links and fields of classes are what is counted.
    pub(super) fn take_elements(&mut self, count: usize) -> Result<(), JavaError> {
        let Graph { slots, links, fields, .. } = &*self.graph;
        if slots.len() + links.len() + fields.len() + count > self.limits.elements {
            return self.fail(Problem::Limit("elements"));
        }
        Ok(())
    }

    pub(super) fn nest(&mut self) -> Result<(), JavaError> {
        self.nested += 1;
        if self.nested > NESTED_MAX {
            return self.fail(Problem::Limit("classes within classes"));
        }
        Ok(())
    }

    pub(super) fn fail<T>(&self, problem: Problem) -> Result<T, JavaError> {
        Err(self.input.error(problem))
    }
}
