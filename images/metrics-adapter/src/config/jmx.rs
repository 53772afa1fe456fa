//! The command line of `jmx_exporter`, and what a rules file says about connections.

use management::{ConfigError, Strings};

use super::args::{Args, JmxArgs};
use super::Config;

pub(super) fn load(args: &Args, jmx: &JmxArgs, env: &dyn Strings) -> Result<Config, ConfigError> {
    let _ = (args, env);
    Err(ConfigError::message(management::Place::File(jmx.file.clone(), None), "not yet"))
}
