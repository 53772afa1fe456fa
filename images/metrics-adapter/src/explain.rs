//! `check --explain`: which rule a line or a bean hits, and what comes of it.
