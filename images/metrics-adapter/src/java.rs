//! Java object serialization: a reader of any graph within limits, and a writer of the few classes
//! that JMX calls carry. Pure: bytes come from any [`std::io::Read`].
//!
//! Source: Java Object Serialization Specification, chapter 6.
