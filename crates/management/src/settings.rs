//! Configuration in layers: flags, then environment, then a file, then defaults.
//!
//! Every long flag has a variable by rule (`--probe-addr` of `ambassador-proxy` is
//! `AMBASSADOR_PROXY_PROBE_ADDR`), so no image writes one down. clap's own `env` is not used: it
//! reads the process environment while the command is built, so that tests could not inject one,
//! and it knows nothing of a file. Instead what environment and file say is checked value by value
//! against the flag's own parser, and then handed to clap as if it had been typed.
//!
//! An empty variable counts as unset, because compose writes `${X:-}`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command};

use crate::Image;
use crate::healthcheck;

mod effective;
mod error;
mod file;
mod layers;
mod shared;
mod strings;
#[cfg(test)]
mod tests;

pub use effective::{Effective, EffectiveValue, Source};
pub use error::{ConfigError, LoadError, Place};
pub use file::{FileSettings, FileValue, yaml_settings, yaml_settings_file};
pub(crate) use shared::bare_command;
pub use shared::{LogFormat, Shared};
pub use strings::{ProcessEnvironment, Strings};

/// What the process was started for.
#[derive(Debug)]
pub enum Invocation<A> {
    /// `healthcheck`: needs the probe address and nothing else of the configuration.
    Healthcheck(healthcheck::Request),
    /// Anything else, with everything that was configured.
    Program(Box<Loaded<A>>),
}

/// A complete, typed configuration.
#[derive(Debug)]
pub struct Loaded<A> {
    /// The image's own flags.
    pub args: A,
    /// The flags all images share.
    pub shared: Shared,
    /// Every value with its source, for `/mgmt/v1/config`.
    pub effective: Effective,
    /// What to do.
    pub subcommand: Subcommand,
}

/// What to do with the configuration.
#[derive(Debug)]
pub enum Subcommand {
    /// Run the image.
    Run,
    /// Validate the configuration, then exit with 0 or 2; the matches are for what an image adds
    /// to it.
    Check(ArgMatches),
    /// A subcommand the image added to its command: its name and matches.
    Other(String, ArgMatches),
}

/// The command of an image: its own flags, the shared ones, `healthcheck` and `check`.
///
/// The result is plain clap, so an image changes what it must: `.disable_version_flag(true)` to
/// own `-V`, `.mut_arg("config", |a| a.short('c').visible_alias("conf-file"))` for a short form
/// and an alias of a shared flag, `.subcommand(..)` for more. The identifiers of the shared
/// arguments are their long names.
#[must_use]
pub fn command<A: Args>(image: &Image) -> Command {
    let kind = Arg::new("kind")
        .value_parser(clap::value_parser!(healthcheck::Kind))
        .default_value("ready")
        .help("Which probe to ask");
    A::augment_args(Command::new(image.name))
        .version(image.version)
        .about(image.about)
        .args(shared::arguments(image))
        .subcommand(
            Command::new("healthcheck")
                .about("Ask the running process for its health; exit with 0 or 1")
                .arg(kind),
        )
        .subcommand(Command::new("check").about("Validate the configuration; exit with 0 or 2"))
}

/// Reads all layers into a typed configuration.
///
/// `argv` begins with the program's name. `file` is called when a `--config` is in force and hands
/// back the settings found there, each with its line; an image whose file has more to it than
/// settings reads the rest itself.
///
/// # Errors
/// [`LoadError::Usage`] for what clap reports (including `--help`), [`LoadError::Config`] for a
/// wrong value from the environment or the file.
pub fn load<A: Args>(
    image: &Image,
    command: Command,
    argv: impl IntoIterator<Item = OsString>,
    env: &dyn Strings,
    file: impl FnOnce(&Path) -> Result<FileSettings, ConfigError>,
) -> Result<Invocation<A>, LoadError> {
    let argv: Vec<OsString> = argv.into_iter().collect();
    let mut command = describe_variables(command, image);
    command.build();
    let typed = lenient(&command).try_get_matches_from(argv.clone())?;
    let config = config_path(image, &command, &typed, env);
    if let Some(("healthcheck", matches)) = typed.subcommand() {
        let settings = config.and_then(|path| file(&path).ok()).unwrap_or_default();
        return healthcheck_request(image, &command, &typed, matches, env, &settings);
    }
    refuse_typed_secrets(image, &command, &typed)?;
    let settings = match &config {
        Some(path) => file(path)?,
        None => FileSettings::default(),
    };
    let layered = layers::read(image, &command, &typed, env, &settings)?;
    let matches = command.clone().try_get_matches_from(layered.argv(argv))?;
    let args = A::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let effective = Effective::collect(&command, &matches, &layered, config);
    let mut shared = Shared::collect(image, &matches, &effective, env)?;
    shared.warnings = layers::unknown_variables(image, &command, env);
    let subcommand = match matches.subcommand() {
        None => Subcommand::Run,
        Some(("check", matches)) => Subcommand::Check(matches.clone()),
        Some((name, matches)) => Subcommand::Other(name.to_owned(), matches.clone()),
    };
    Ok(Invocation::Program(Box::new(Loaded { args, shared, effective, subcommand })))
}

/// The long flags that the environment and a file may set.
pub(crate) fn settable(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let own = matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        arg.get_long().is_some() && !own
    })
}

/// Adds `[env: NAME]` to the help of every flag.
fn describe_variables(command: Command, image: &Image) -> Command {
    let names: BTreeMap<String, String> = settable(&command)
        .filter_map(|arg| Some((arg.get_id().to_string(), image.variable(arg.get_long()?))))
        .collect();
    command.mut_args(|arg| {
        let Some(name) = names.get(arg.get_id().as_str()) else {
            return arg;
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        arg.help(format!("{help} [env: {name}]"))
    })
}

/// The same command without requirements: what is missing may come from another layer.
fn lenient(command: &Command) -> Command {
    command.clone().mut_args(|arg| arg.required(false))
}

fn typed_value(matches: &ArgMatches, id: &str) -> Option<String> {
    let typed = matches.value_source(id)? == ValueSource::CommandLine;
    let raw = matches.get_raw(id)?.next_back()?;
    typed.then(|| raw.to_string_lossy().into_owned())
}

fn default_value(command: &Command, id: &str) -> Option<String> {
    let arg = command.get_arguments().find(|arg| arg.get_id() == id)?;
    Some(arg.get_default_values().first()?.to_string_lossy().into_owned())
}

/// The configuration file in force: typed, from its variable, or the image's default.
fn config_path(
    image: &Image,
    command: &Command,
    typed: &ArgMatches,
    env: &dyn Strings,
) -> Option<PathBuf> {
    typed_value(typed, "config")
        .or_else(|| env.get(&image.variable("config")).filter(|value| !value.is_empty()))
        .or_else(|| default_value(command, "config"))
        .map(PathBuf::from)
}

/// Flags are visible to every process of the machine, so a secret may not be typed.
fn refuse_typed_secrets(
    image: &Image,
    command: &Command,
    typed: &ArgMatches,
) -> Result<(), ConfigError> {
    for arg in settable(command).filter(|arg| effective::secret_type(arg)) {
        let long = arg.get_long().unwrap_or_default();
        if typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine) {
            let name = image.variable(long);
            let message = format!("a secret is not typed, use {name} or the configuration file");
            return Err(ConfigError::message(Place::Flag(long.to_owned()), message));
        }
    }
    Ok(())
}

/// Works with what is at hand: a health check must not need the image's own configuration, which
/// the engine that runs it may not have given.
fn healthcheck_request<A>(
    image: &Image,
    command: &Command,
    typed: &ArgMatches,
    matches: &ArgMatches,
    env: &dyn Strings,
    settings: &FileSettings,
) -> Result<Invocation<A>, LoadError> {
    let kind = matches.get_one::<healthcheck::Kind>("kind").copied();
    let name = image.variable("probe-addr");
    let found = typed_value(typed, "probe-addr")
        .map(|value| (Place::Flag("probe-addr".to_owned()), value))
        .or_else(|| {
            let value = env.get(&name).filter(|value| !value.is_empty())?;
            Some((Place::Variable(name), value))
        })
        .or_else(|| settings.value_of("probe-addr"))
        .or_else(|| {
            let value = default_value(command, "probe-addr")?;
            Some((Place::Flag("probe-addr".to_owned()), value))
        });
    let (place, value) = found.unwrap_or((Place::Start, String::new()));
    let addr = value
        .parse()
        .map_err(|_| ConfigError::new(place, None, &value, "an address and a port"))?;
    Ok(Invocation::Healthcheck(healthcheck::Request { addr, kind: kind.unwrap_or_default() }))
}
