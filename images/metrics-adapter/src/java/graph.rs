//! What was read: nodes in an arena, which name each other by index and so may form loops.

use super::reader::Frame;

/// No node, item or class.
pub(super) const NONE: u32 = u32::MAX;

/// A node of a graph, or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub(super) u32);

/// One message. Cleared and used again, it keeps its memory.
#[derive(Debug, Default)]
pub struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) classes: Vec<Class>,
    pub(super) fields: Vec<Field>,
    pub(super) slots: Vec<Slot>,
    pub(super) links: Vec<Link>,
    pub(super) text: String,
    pub(super) bytes: Vec<u8>,
    /// Of the reader; here so that their memory is kept too.
    pub(super) handles: Vec<Handle>,
    pub(super) frames: Vec<Frame>,
}

/// A node as it is looked at.
#[derive(Clone, Copy, Debug)]
pub enum View<'g> {
    /// `null`.
    Null,
    /// A string.
    Text(&'g str),
    /// An object.
    Object(Object<'g>),
    /// An array.
    Array(Array<'g>),
    /// A constant of an enum.
    Enum {
        /// Its class; for a constant with a body, that of the enum all the same.
        class: &'g str,
        /// Its name.
        name: &'g str,
    },
    /// A class.
    Class(&'g str),
}

/// An object of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Object<'g> {
    graph: &'g Graph,
    class: u32,
    slots: u32,
    first: u32,
}

/// An array of a graph. Elements of primitive types other than `byte` are not kept.
#[derive(Clone, Copy, Debug)]
pub struct Array<'g> {
    graph: &'g Graph,
    class: u32,
    first: u32,
    bytes: Span,
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Slot {
    /// `boolean`.
    Boolean(bool),
    /// `byte`.
    Byte(i8),
    /// `char`.
    Char(u16),
    /// `short`.
    Short(i16),
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `float`.
    Float(f32),
    /// `double`.
    Double(f64),
    /// An object or array.
    Node(NodeId),
}

/// An element of an array, or a piece of what a class wrote itself.
#[derive(Clone, Copy, Debug)]
pub enum Item<'g> {
    /// A block of bytes; where a block ends means nothing.
    Bytes(&'g [u8]),
    /// An object.
    Node(NodeId),
}

/// The items of an object or array, in order.
#[derive(Clone, Debug)]
pub struct Items<'g> {
    graph: &'g Graph,
    next: u32,
}

/// A range of [`Graph::text`] or [`Graph::bytes`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Text(Span),
    Object { class: u32, slots: u32, first: u32 },
    Array { class: u32, first: u32, bytes: Span },
    Enum { class: u32, name: Span },
    Class(u32),
}

/// A class descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    pub(super) name: Span,
    pub(super) flags: u8,
    pub(super) fields: u32,
    pub(super) field_count: u32,
    pub(super) parent: u32,
    /// Fields of all classes above: where its own begin.
    pub(super) inherited: u32,
    /// Classes above.
    pub(super) level: u32,
    /// It has been read to its end. A reference to it before could make it its own parent.
    pub(super) complete: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) code: u8,
    pub(super) name: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Bytes(Span),
    Node(NodeId),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) content: Content,
    pub(super) next: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Handle {
    Node(u32),
    Class(u32),
}

// === impl NodeId ===

impl NodeId {
    /// `null`.
    pub const NULL: Self = Self(NONE);
}

// === impl Graph ===

impl Graph {
    /// Forgets everything but keeps memory, up to what a usual message needs.
    pub fn clear(&mut self) {
        /// More than this is given back.
        const KEPT: usize = 1 << 20;
        if self.capacity_bytes() > KEPT {
            *self = Self::default();
            return;
        }
        self.nodes.clear();
        self.classes.clear();
        self.fields.clear();
        self.slots.clear();
        self.links.clear();
        self.text.clear();
        self.bytes.clear();
        self.handles.clear();
        self.frames.clear();
    }

    /// Memory that is held.
    pub(super) fn capacity_bytes(&self) -> usize {
        fn of<T>(vec: &Vec<T>) -> usize {
            vec.capacity() * size_of::<T>()
        }
        self.text.capacity()
            + self.bytes.capacity()
            + of(&self.nodes)
            + of(&self.classes)
            + of(&self.fields)
            + of(&self.slots)
            + of(&self.links)
            + of(&self.handles)
            + of(&self.frames)
    }

    /// Looks at a node.
    #[must_use]
    pub fn view(&self, id: NodeId) -> View<'_> {
        match self.nodes.get(id.0 as usize).copied() {
            None => View::Null,
            Some(Node::Text(span)) => View::Text(self.str(span)),
            Some(Node::Object { class, slots, first }) => {
                View::Object(Object { graph: self, class, slots, first })
            }
            Some(Node::Array { class, first, bytes }) => {
                View::Array(Array { graph: self, class, first, bytes })
            }
            Some(Node::Enum { class, name }) => {
                View::Enum { class: self.class_name(class), name: self.str(name) }
            }
            Some(Node::Class(class)) => View::Class(self.class_name(class)),
        }
    }

    /// A string; `None` if it is something else or null.
    #[must_use]
    pub fn text(&self, id: NodeId) -> Option<&str> {
        match self.view(id) {
            View::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An object; `None` if it is something else or null.
    #[must_use]
    pub fn object(&self, id: NodeId) -> Option<Object<'_>> {
        match self.view(id) {
            View::Object(object) => Some(object),
            _ => None,
        }
    }

    /// All objects, in the order in which they began.
    pub fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        (0..self.nodes.len()).filter_map(|index| self.object(NodeId(index as u32)))
    }

    /// Class and message of a `Throwable`, with those of up to three causes.
    #[must_use]
    pub fn throwable(&self, id: NodeId) -> (String, String) {
        let Some(mut object) = self.object(id) else {
            return ("java.lang.Throwable".to_owned(), "not an object".to_owned());
        };
        let class = object.class_name().to_owned();
        let mut message = self.text(object.node("detailMessage")).unwrap_or_default().to_owned();
        for _ in 0..3 {
            // `RemoteException` has its cause in `detail`, most exceptions of JMX in `exception`.
            let cause = ["detail", "exception", "cause"]
                .into_iter()
                .filter_map(|field| self.object(object.node(field)))
                .find(|cause| cause.slots != object.slots);
            let Some(cause) = cause else { break };
            let detail = self.text(cause.node("detailMessage")).unwrap_or_default();
            message.push_str(&format!(" (cause: {}: {detail})", cause.class_name()));
            object = cause;
        }
        // Enough to see what it is; a message may be megabytes.
        if let Some((at, _)) = message.char_indices().nth(1000) {
            message.truncate(at);
        }
        (class, message)
    }

    pub(super) fn str(&self, span: Span) -> &str {
        &self.text[span.from as usize..span.to as usize]
    }

    pub(super) fn class_name(&self, class: u32) -> &str {
        self.str(self.classes[class as usize].name)
    }
}

// === impl Object ===

impl<'g> Object<'g> {
    /// Its class, such as `java.lang.Integer`.
    #[must_use]
    pub fn class_name(&self) -> &'g str {
        self.graph.class_name(self.class)
    }

    /// Whether its class or one above has this name.
    #[must_use]
    pub fn extends(&self, name: &str) -> bool {
        self.chain().any(|class| self.graph.str(class.name) == name)
    }

    /// A field by its name; that of the lowest class where several have it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Slot> {
        self.chain().find_map(|class| {
            let fields = &self.graph.fields[class.fields as usize..][..class.field_count as usize];
            let at = fields.iter().position(|field| self.graph.str(field.name) == name)?;
            Some(self.graph.slots[(self.slots + class.inherited) as usize + at])
        })
    }

    /// A field that is an object; null if it is missing or something else.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeId {
        match self.field(name) {
            Some(Slot::Node(id)) => id,
            _ => NodeId::NULL,
        }
    }

    /// What its classes wrote themselves, from the highest class down.
    #[must_use]
    pub fn items(&self) -> Items<'g> {
        Items { graph: self.graph, next: self.first }
    }

    /// Its fields, those of classes above among them: how long one is looked for.
    #[must_use]
    pub fn width(&self) -> usize {
        let class = self.graph.classes.get(self.class as usize);
        class.map_or(0, |class| (class.inherited + class.field_count) as usize)
    }

    /// Its class and those above.
    fn chain(&self) -> impl Iterator<Item = Class> + use<'g> {
        let graph = self.graph;
        let class = |index: u32| graph.classes.get(index as usize).copied();
        std::iter::successors(class(self.class), move |below| class(below.parent))
    }
}

// === impl Array ===

impl<'g> Array<'g> {
    /// Its class, such as `[Ljava.lang.String;`.
    #[must_use]
    pub fn class_name(&self) -> &'g str {
        self.graph.class_name(self.class)
    }

    /// Elements that are objects.
    #[must_use]
    pub fn items(&self) -> Items<'g> {
        Items { graph: self.graph, next: self.first }
    }

    /// Elements of a `byte[]`.
    #[must_use]
    pub fn bytes(&self) -> &'g [u8] {
        &self.graph.bytes[self.bytes.from as usize..self.bytes.to as usize]
    }
}

// === impl Items ===

impl<'g> Iterator for Items<'g> {
    type Item = Item<'g>;

    fn next(&mut self) -> Option<Item<'g>> {
        let link = self.graph.links.get(self.next as usize)?;
        self.next = link.next;
        Some(match link.content {
            Content::Node(id) => Item::Node(id),
            Content::Bytes(span) => {
                Item::Bytes(&self.graph.bytes[span.from as usize..span.to as usize])
            }
        })
    }
}

impl<'g> Items<'g> {
    /// Only the objects.
    pub fn nodes(self) -> impl Iterator<Item = NodeId> + use<'g> {
        self.filter_map(|item| match item {
            Item::Node(id) => Some(id),
            Item::Bytes(_) => None,
        })
    }
}
