//! Accepted and refused files.
