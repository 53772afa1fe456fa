//! Built images, started with compose and broken. Needs a Docker engine; `cargo xtask test` builds
//! the images and runs this.
//!
//! Every test starts a copy of its recipe of its own, all at the same time: that two copies do not
//! get in each other's way is so tested with the rest.

mod leader_election;
mod metrics;
mod sharded_cache;

use anyhow::Result;
use e2e::docker::{docker, inspect};

/// Holds a container against what every recipe promises: the image's own user and nothing more.
fn has_least_privileges(container: &str) -> Result<()> {
    let image = inspect(container, "{{.Image}}")?;
    let user = docker(&["image", "inspect", "--format", "{{.Config.User}}", &image])?;
    assert_eq!(user, "65532:65532", "the image's own user");
    for (template, expected) in [
        ("{{.State.Health.Status}}", "healthy"),
        ("{{.Config.User}}", "65532:65532"),
        ("{{.HostConfig.ReadonlyRootfs}}", "true"),
        ("{{.HostConfig.CapDrop}}", "[ALL]"),
        ("{{.HostConfig.SecurityOpt}}", "[no-new-privileges:true]"),
    ] {
        assert_eq!(inspect(container, template)?, expected, "{template}");
    }
    Ok(())
}
