//! Connections between members.
