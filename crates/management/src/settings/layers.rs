//! What environment and file say, checked against each flag's own parser.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::error::ContextKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::effective::secret_type;
use super::{ConfigError, FileSettings, Place, Strings, settable};
use crate::Image;

/// Values that were not typed, by argument id.
#[derive(Debug, Default)]
pub(crate) struct Layered {
    pub(crate) places: BTreeMap<String, Place>,
    typed: Vec<OsString>,
}

impl Layered {
    /// The command line with everything that other layers said put before what was typed.
    pub(crate) fn argv(&self, argv: Vec<OsString>) -> Vec<OsString> {
        let mut argv = argv.into_iter();
        let program = argv.next();
        program.into_iter().chain(self.typed.iter().cloned()).chain(argv).collect()
    }
}

/// Reads environment and file for every flag that was not typed.
///
/// # Errors
/// A value its flag does not take, or a name in the file that is no flag.
pub(crate) fn read(
    image: &Image,
    command: &Command,
    typed: &ArgMatches,
    env: &dyn Strings,
    file: &FileSettings,
) -> Result<Layered, ConfigError> {
    refuse_unknown(command, file)?;
    let mut layered = Layered::default();
    for arg in settable(command) {
        let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else {
            continue;
        };
        if typed.value_source(id) == Some(ValueSource::CommandLine) {
            continue;
        }
        let name = image.variable(long);
        let variable = env.get(&name).filter(|value| !value.is_empty() && !injected(&name, value));
        let (place, key, values) = match (variable, file.values.get(long)) {
            (Some(value), _) => {
                let values = match arg.get_action() {
                    ArgAction::Append => {
                        let comma = arg.get_value_delimiter().unwrap_or(',');
                        value.split(comma).map(|item| item.trim().to_owned()).collect()
                    }
                    _ => vec![value],
                };
                (Place::Variable(name), None, values)
            }
            (None, Some(value)) => (file.place(value.line), Some(long), value.values.clone()),
            (None, None) => continue,
        };
        let words = words(arg, &values)
            .and_then(|words| accepted(arg, &words).map(|()| words))
            .map_err(|(found, expected)| {
                let found = if secret_type(arg) { "a secret" } else { found.as_str() };
                ConfigError::new(place.clone(), key, found, expected)
            })?;
        layered.places.insert(id.to_owned(), place);
        layered.typed.extend(words);
    }
    Ok(layered)
}

/// Variables with the image's prefix that no flag answers to, as sentences for the log.
pub(crate) fn unknown_variables(
    image: &Image,
    command: &Command,
    env: &dyn Strings,
) -> Vec<String> {
    let known: Vec<String> =
        settable(command).filter_map(|arg| Some(image.variable(arg.get_long()?))).collect();
    let mut names = env.names();
    names.sort();
    names
        .into_iter()
        .filter(|name| name.starts_with(&image.prefix()))
        .filter_map(|name| {
            let value = env.get(&name).unwrap_or_default();
            let strange = !known.contains(&name) && !injected(&name, &value);
            strange.then(|| {
                let near = nearest(&name, known.iter().map(String::as_str));
                format!("{name} is no variable of {}{near}", image.name)
            })
        })
        .collect()
}

/// Kubernetes puts `<SERVICE>_PORT=tcp://…` and its kin into every container of a namespace, and a
/// service may well be named like the image.
fn injected(name: &str, value: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().any(|start| value.starts_with(start));
    let service = name.contains("_SERVICE_HOST") || name.contains("_SERVICE_PORT");
    let port =
        name.contains("_PORT_") && ["_PROTO", "_PORT", "_ADDR"].iter().any(|e| name.ends_with(e));
    (address && name.contains("_PORT")) || service || port
}

fn refuse_unknown(command: &Command, file: &FileSettings) -> Result<(), ConfigError> {
    for (name, value) in &file.values {
        let place = || file.place(value.line);
        if name == "config" {
            let expected = "a setting: one file does not name another";
            return Err(ConfigError::new(place(), None, "config", expected));
        }
        if !settable(command).any(|arg| arg.get_long() == Some(name)) {
            let near = nearest(name, settable(command).filter_map(Arg::get_long));
            let expected = format!("the name of a flag{near}");
            return Err(ConfigError::new(place(), None, name, expected));
        }
    }
    Ok(())
}

/// `, did you mean X?` when a known name is at most two edits away.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| format!(", did you mean {candidate}?"))
        .unwrap_or_default()
}

/// Edits between two names, by the table of Wagner and Fischer, one row at a time.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let substitute = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

type Refusal = (String, String);

/// The words that say `values` on a command line.
fn words(arg: &Arg, values: &[String]) -> Result<Vec<OsString>, Refusal> {
    let long = arg.get_long().unwrap_or_default();
    let flag = || OsString::from(format!("--{long}"));
    let single = || match values {
        [value] => Ok(value.as_str()),
        _ => Err((format!("a list of {}", values.len()), "one value".to_owned())),
    };
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => {
            let on = truth(single()?)?;
            let wanted = matches!(arg.get_action(), ArgAction::SetTrue);
            Ok(if on == wanted { vec![flag()] } else { Vec::new() })
        }
        ArgAction::Count => {
            let value = single()?;
            let count: u8 = value
                .parse()
                .map_err(|_| (value.to_owned(), "a number from 0 to 255".to_owned()))?;
            Ok((0..count).map(|_| flag()).collect())
        }
        ArgAction::Append => {
            Ok(values.iter().map(|value| OsString::from(format!("--{long}={value}"))).collect())
        }
        _ => {
            let value = match arg.get_value_delimiter() {
                Some(delimiter) => values.join(&delimiter.to_string()),
                None => single()?.to_owned(),
            };
            Ok(vec![OsString::from(format!("--{long}={value}"))])
        }
    }
}

fn truth(value: &str) -> Result<bool, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err((value.to_owned(), "true or false".to_owned())),
    }
}

/// Asks the flag's own parser, alone, so that the answer is about this value and no other.
fn accepted(arg: &Arg, words: &[OsString]) -> Result<(), Refusal> {
    let mut alone = Arg::new("value").action(arg.get_action().clone());
    if let Some(long) = arg.get_long() {
        alone = alone.long(long.to_owned());
    }
    if arg.get_action().takes_values() {
        alone = alone.value_parser(arg.get_value_parser().clone());
    }
    if let Some(delimiter) = arg.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    let command = Command::new("value").no_binary_name(true).disable_help_flag(true).arg(alone);
    let Err(error) = command.try_get_matches_from(words) else {
        return Ok(());
    };
    let context = |kind| error.get(kind).map(ToString::to_string);
    let found = context(ContextKind::InvalidValue).unwrap_or_default();
    if let Some(values) = context(ContextKind::ValidValue).filter(|values| !values.is_empty()) {
        return Err((found, format!("one of {values}")));
    }
    let reason = std::error::Error::source(&error)
        .map_or_else(|| "another value".to_owned(), ToString::to_string);
    let expected = match reason.strip_prefix("expected ") {
        Some(expected) => expected.to_owned(),
        None => {
            let name = arg.get_value_names().and_then(|names| names.first());
            format!("{} ({reason})", name.map_or("another value", |name| name.as_str()))
        }
    };
    Err((found, expected))
}
