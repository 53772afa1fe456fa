//! JRMP, the wire protocol of Java RMI: handshake, calls, returns, registry lookup.
//!
//! Source: Java RMI specification, chapter 10.
