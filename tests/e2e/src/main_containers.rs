//! The third-party images beside ours, and which name of each this machine can use.

use crate::docker::has_image;

/// Debian release of the stand-ins.
pub const SUITE: &str = "bookworm";

/// An image somebody else makes, named in the recipes by a variable with a public default.
pub struct MainContainer {
    /// Variable of the recipes.
    pub variable: &'static str,
    /// What the recipes use when the variable is not set.
    pub public: &'static str,
    /// Last part of the stand-in's name.
    pub name: &'static str,
    /// Debian packages that make the stand-in.
    pub packages: &'static [&'static str],
}

/// All that the recipes name.
pub const ALL: [MainContainer; 5] = [
    MainContainer {
        variable: "JDK_IMAGE",
        public: "eclipse-temurin:17-jdk",
        name: "jdk",
        packages: &["openjdk-17-jdk-headless"],
    },
    MainContainer {
        variable: "MEMCACHED_IMAGE",
        public: "memcached:1.6",
        name: "memcached",
        packages: &["memcached"],
    },
    MainContainer {
        variable: "PROMETHEUS_IMAGE",
        public: "prom/prometheus:v2.53.4",
        name: "prometheus",
        packages: &["prometheus"],
    },
    MainContainer {
        variable: "PYTHON_IMAGE",
        public: "python:3.12-slim",
        name: "python",
        packages: &["python3-minimal", "libpython3-stdlib"],
    },
    MainContainer {
        variable: "REDIS_IMAGE",
        public: "redis:7.2",
        name: "redis",
        packages: &["redis-server"],
    },
];

/// Variables to set for a recipe: the stand-ins that exist where the public image does not.
///
/// A variable that the caller's environment already has is left alone.
#[must_use]
pub fn variables() -> Vec<(&'static str, String)> {
    ALL.iter()
        .filter(|it| std::env::var_os(it.variable).is_none())
        .filter(|it| !has_image(it.public) && has_image(&it.stand_in()))
        .map(|it| (it.variable, it.stand_in()))
        .collect()
}

/// Tag of all stand-ins: they share one root file system, so a package more is a new one for all.
#[must_use]
pub fn edition() -> String {
    let packages = ALL.iter().flat_map(|it| it.packages);
    // FNV-1a, so that the tag is the same from one compiler to the next.
    let hash = packages
        .flat_map(|it| it.bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{SUITE}-{hash:08x}")
}

// === impl MainContainer ===

impl MainContainer {
    /// Name of the locally built image that takes the public one's place.
    #[must_use]
    pub fn stand_in(&self) -> String {
        format!("stand-in/{}:{}", self.name, edition())
    }
}
