//! The configuration in force, each value with its source.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::layers::Layered;
use super::{Place, settable};
use crate::secret::{Secret, redact_text, redact_value, secret_name};

/// Which layer a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Typed on the command line.
    Flag,
    /// An environment variable.
    Env,
    /// The configuration file.
    File,
    /// Nobody said anything.
    Default,
    /// Set while running, through the admin interface.
    Api,
}

/// One value in force.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// The value; redacted when it is shown.
    pub value: Value,
    /// Which layer it came from.
    pub source: Source,
    /// Line of the file, from 1.
    pub line: Option<u64>,
    /// Never shown, only whether it is set.
    pub secret: bool,
    /// Can change while the process runs.
    pub dynamic: bool,
}

/// What `/mgmt/v1/config` shows. An image may add values beyond flags (its pools, its rules) and
/// replace the whole after a reload.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    /// The configuration file in force.
    pub file: Option<PathBuf>,
    values: BTreeMap<String, EffectiveValue>,
    places: BTreeMap<String, Place>,
}

// === impl Source ===

impl Source {
    /// As shown in `/mgmt/v1/config`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Env => "env",
            Self::File => "file",
            Self::Default => "default",
            Self::Api => "api",
        }
    }
}

// === impl Effective ===

impl Effective {
    /// Sets or replaces a value.
    pub fn insert(&mut self, name: impl Into<String>, value: EffectiveValue) {
        self.values.insert(name.into(), value);
    }

    /// A value by name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&EffectiveValue> {
        self.values.get(name)
    }

    /// Marks values that can change while the process runs. Unknown names are ignored.
    #[must_use]
    pub fn dynamic(mut self, names: &[&str]) -> Self {
        for name in names {
            if let Some(value) = self.values.get_mut(*name) {
                value.dynamic = true;
            }
        }
        self
    }

    /// Where a flag's value was written, for a message about values that do not fit together.
    #[must_use]
    pub fn place(&self, name: &str) -> Place {
        self.places.get(name).cloned().unwrap_or(Place::Flag(name.to_owned()))
    }

    /// The whole, redacted by type, then by name and shape.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let values: Map<String, Value> =
            self.values.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
        let file = self.file.as_ref().map(|path| path.display().to_string());
        json!({"file": file, "values": values})
    }

    pub(super) fn collect(
        command: &Command,
        matches: &ArgMatches,
        layered: &Layered,
        file: Option<PathBuf>,
    ) -> Self {
        let mut effective = Self { file, ..Self::default() };
        for arg in settable(command) {
            let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else {
                continue;
            };
            let place = layered.places.get(id);
            let line = match place {
                Some(Place::File(_, line)) => *line,
                _ => None,
            };
            let typed = matches.value_source(id) == Some(ValueSource::CommandLine);
            let source = match place {
                Some(Place::Variable(_)) => Source::Env,
                Some(Place::File(..)) => Source::File,
                _ if typed => Source::Flag,
                _ => Source::Default,
            };
            if let Some(place) = place {
                effective.places.insert(long.to_owned(), place.clone());
            }
            let secret = secret_type(arg) || secret_name(long);
            let value = current(arg, matches);
            let dynamic = long == "log";
            effective.insert(long, EffectiveValue { value, source, line, secret, dynamic });
        }
        effective
    }
}

/// Whether a flag's type says that its value is a secret.
pub(super) fn secret_type(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<Secret>()
}

fn current(arg: &Arg, matches: &ArgMatches) -> Value {
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => json!(matches.get_flag(id)),
        ArgAction::Count => json!(matches.get_count(id)),
        action => {
            let raw: Vec<String> = matches
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|value| value.to_string_lossy().into_owned())
                .collect();
            match (action, raw.as_slice()) {
                (ArgAction::Append, _) => json!(raw),
                (_, []) => Value::Null,
                (_, [value]) => json!(value),
                _ => json!(raw),
            }
        }
    }
}

fn shown(name: &str, value: &EffectiveValue) -> Value {
    let mut entry = Map::new();
    if value.secret || secret_name(name) {
        entry.insert("set".to_owned(), json!(!value.value.is_null()));
        entry.insert("secret".to_owned(), json!(true));
    } else {
        entry.insert("value".to_owned(), redact_value(value.value.clone()));
    }
    entry.insert("source".to_owned(), json!(value.source.as_str()));
    if let Some(line) = value.line {
        entry.insert("line".to_owned(), json!(line));
    }
    entry.insert("dynamic".to_owned(), json!(value.dynamic));
    Value::Object(entry)
}

impl EffectiveValue {
    /// A value an image adds itself, not secret.
    #[must_use]
    pub fn new(value: Value, source: Source) -> Self {
        Self { value, source, line: None, secret: false, dynamic: false }
    }

    /// The value as it may be shown in a log line.
    #[must_use]
    pub fn to_text(&self) -> String {
        match (&self.value, self.secret) {
            (_, true) => crate::secret::REDACTED.to_owned(),
            (Value::String(text), false) => redact_text(text),
            (value, false) => redact_value(value.clone()).to_string(),
        }
    }
}
