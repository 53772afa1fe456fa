//! JSON over HTTP: every number of a document is a sample named by its path, through a mapping.
