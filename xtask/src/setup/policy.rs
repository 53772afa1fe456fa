//! Keeps services that packages bring from being started while they are installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};

/// Where Debian's scripts ask whether a service may be started (invoke-rc.d(8)).
const FILE: &str = "/usr/sbin/policy-rc.d";

/// In force for as long as the value lives.
pub(super) struct Policy;

// === impl Policy ===

impl Policy {
    /// Denies some services their start; root only. Nothing where the machine has a policy of its
    /// own, which then decides.
    pub(super) fn deny(services: &[&str]) -> Result<Option<Self>> {
        let path = Path::new(FILE);
        if path.exists() {
            return Ok(None);
        }
        std::fs::write(path, script(services)).with_context(|| format!("write {FILE}"))?;
        // From here on it is removed whatever happens.
        let policy = Self;
        std::fs::set_permissions(path, Permissions::from_mode(0o755))
            .with_context(|| format!("make {FILE} executable"))?;
        Ok(Some(policy))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(FILE) {
            println!("setup: {FILE} is left behind and keeps services from starting: {error}");
        }
    }
}

/// The service is among the arguments, with or without `.service`; 101 denies, 0 allows.
fn script(services: &[&str]) -> String {
    let patterns: Vec<String> = services.iter().map(|it| format!("*{it}*")).collect();
    format!("#!/bin/sh\ncase \"$*\" in {}) exit 101 ;; esac\nexit 0\n", patterns.join("|"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::script;

    #[test]
    fn only_what_was_named_is_denied() {
        for (arguments, code) in [
            (["prometheus", "start"], 101),
            (["collectd.service", "restart"], 101),
            (["docker.service", "start"], 0),
        ] {
            let script = script(&["prometheus", "collectd"]);
            let mut shell = Command::new("sh");
            let status = shell.args(["-c", &script, "policy-rc.d"]).args(arguments).status();
            let status = status.expect("sh starts");
            assert_eq!(status.code(), Some(code), "{arguments:?}");
        }
    }
}
