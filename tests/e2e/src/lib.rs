//! End-to-end tests on built images.
