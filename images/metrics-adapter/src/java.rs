//! Java object serialization: a reader of any graph within limits, and a writer of the few classes
//! that JMX calls carry. Pure: bytes come from any [`std::io::Read`].
//!
//! A stream describes its own classes, so an unknown class is read like a known one: its fields by
//! their types, what its `writeObject` added as blocks and objects. Nothing is instantiated and no
//! class means anything here; whoever knows a class looks at the [`Graph`].
//!
//! Everything in a stream may be made up. Memory grows with the bytes that have come, never with
//! what a length announces; [`Limits`] bound both. Nesting takes no stack. Only streams of protocol
//! version 2 are read, as every JVM since 1.2 writes them.
//!
//! Source: Java Object Serialization Specification, chapter 6.

mod class;
mod graph;
mod input;
mod reader;
mod text;
mod writer;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use graph::{Array, Graph, Item, Items, NodeId, Object, Slot, View};
pub use input::Input;
pub use reader::Reader;
pub use writer::{push_header, push_null, push_object_name, push_string, push_strings};

/// What begins every stream: magic and version.
pub const HEADER: [u8; 4] = [0xac, 0xed, 0x00, 0x05];

/// Bytes that say what follows (chapter 6.4.2).
mod tag {
    pub(super) const NULL: u8 = 0x70;
    pub(super) const REFERENCE: u8 = 0x71;
    pub(super) const CLASSDESC: u8 = 0x72;
    pub(super) const OBJECT: u8 = 0x73;
    pub(super) const STRING: u8 = 0x74;
    pub(super) const ARRAY: u8 = 0x75;
    pub(super) const CLASS: u8 = 0x76;
    pub(super) const BLOCKDATA: u8 = 0x77;
    pub(super) const ENDBLOCKDATA: u8 = 0x78;
    pub(super) const RESET: u8 = 0x79;
    pub(super) const BLOCKDATALONG: u8 = 0x7a;
    pub(super) const EXCEPTION: u8 = 0x7b;
    pub(super) const LONGSTRING: u8 = 0x7c;
    pub(super) const PROXYCLASSDESC: u8 = 0x7d;
    pub(super) const ENUM: u8 = 0x7e;
}

/// Bounds of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes; what is in the input's buffer already may exceed it.
    pub bytes: u64,
    /// Objects within objects.
    pub depth: usize,
    /// Objects, strings, arrays and classes.
    pub handles: usize,
    /// Fields of classes and of objects, elements of arrays and pieces of custom data, together;
    /// also the longest array.
    pub elements: usize,
    /// Bytes of one string.
    pub string_bytes: usize,
}

/// Why a stream cannot be read, and where. What follows in the stream is lost, but for
/// [`Problem::Aborted`].
#[derive(Debug, thiserror::Error)]
#[error("byte {offset} of the stream: {problem}")]
pub struct JavaError {
    /// Bytes read from the source before.
    pub offset: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The source failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The source ended.
    #[error("it ends too early")]
    End,
    /// Something else was expected.
    #[error("found {found:#04x}, expected {expected}")]
    Unexpected {
        /// The byte that was found.
        found: u8,
        /// What should have been there.
        expected: &'static str,
    },
    /// A reference to nothing, or to something of another kind.
    #[error("reference {0:#x} does not lead to {1}")]
    Reference(u32, &'static str),
    /// Longer, deeper or more than allowed.
    #[error("more {0} than allowed")]
    Limit(&'static str),
    /// It contradicts itself.
    #[error("{0}")]
    Structure(&'static str),
    /// The writer failed half-way and wrote its exception instead of the rest. The stream is whole
    /// behind it.
    #[error("the sender gave up: {class}: {message}")]
    Aborted {
        /// Class of the exception.
        class: String,
        /// Its message.
        message: String,
    },
}

// === impl Limits ===

impl Default for Limits {
    /// Room for the names of 200,000 beans.
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            depth: 2_000,
            handles: 500_000,
            elements: 1_000_000,
            string_bytes: 4 << 20,
        }
    }
}

/// Reads one object with its header from bytes.
///
/// # Errors
/// [`JavaError`].
pub fn read_object(bytes: &[u8], limits: &Limits) -> Result<(Graph, NodeId), JavaError> {
    let mut input = Input::new(bytes);
    let mut graph = Graph::default();
    let mut reader = Reader::new(&mut input, &mut graph, limits);
    reader.header()?;
    let root = reader.object()?;
    Ok((graph, root))
}
