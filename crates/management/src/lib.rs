//! The management interface every image is built on.
