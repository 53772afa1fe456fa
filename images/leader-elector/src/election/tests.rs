//! Cases of the table.
