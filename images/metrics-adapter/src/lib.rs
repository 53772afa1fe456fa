//! An adapter for metrics: whatever an application speaks, the outside world sees one Prometheus
//! page.
//!
//! Two kinds of input meet in [`exposition`]. What is *pushed* (statsd, Graphite) is read by one
//! thread ([`ingest`]), understood by [`mod@line`] and [`mapping`], and kept in a [`registry`]. What is
//! *pulled* (JMX, Jolokia, JSON) is asked for when a scrape comes in ([`pull`]) and turned into
//! families by [`rules`] or [`mapping`]; nothing of it is kept but the last good answer.
//!
//! Reading order: [`config`] (what was asked for), [`labels`] and [`exposition`] (what comes out),
//! [`mod@line`], [`mapping`], [`registry`], [`ingest`] and [`graphite`] (pushed), [`java`] (Java object
//! serialization), [`rmi`] (JRMP calls), [`jmx`] (beans), [`rules`] (beans to metrics), [`jolokia`],
//! [`json`] and [`pull`] (pulled), [`web`] (the page), [`explain`] (`check --explain`).
//! [`app`] wires them.

pub mod app;
pub mod config;

pub mod exposition;
pub mod labels;

pub mod graphite;
pub mod ingest;
pub mod line;
pub mod mapping;
pub mod registry;

pub mod java;
pub mod jmx;
pub mod keystore;
pub mod rmi;
pub mod rules;

pub mod jolokia;
pub mod json;
pub mod pull;

pub mod explain;
pub mod web;

pub mod metrics;

mod docs;

use management::Image;

/// The constants of this image.
pub const IMAGE: Image = Image {
    name: "metrics-adapter",
    version: env!("CARGO_PKG_VERSION"),
    pattern: "adapter",
    about: "statsd and JMX in, one Prometheus page out",
    probe_port: 9631,
    admin_port: 9632,
};
