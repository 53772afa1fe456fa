//! What works, but hardly as intended.
