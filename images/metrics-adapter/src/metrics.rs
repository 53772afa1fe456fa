//! The metrics of the adapter itself.
