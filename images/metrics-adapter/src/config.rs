//! What was asked for: flags as typed become a `Config` that cannot be wrong.
