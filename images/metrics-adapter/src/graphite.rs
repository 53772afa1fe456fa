//! Graphite plaintext: `path value [timestamp]`, with carbon tags (`path;k=v`). Pure.
