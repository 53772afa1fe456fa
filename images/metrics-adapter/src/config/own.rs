//! Our own superset file: flags as keys, and sections.

use std::collections::BTreeMap;
use std::path::Path;

use management::settings::{FileSettings, FileValue};
use management::{ConfigError, Place, Strings};

use super::pushed::{self, Seen};
use super::web::{self, AllowedTarget, WebConfig};
use super::yaml::{self, Node, Section, Tree};
use super::{Args, Config, Mode, is_listen};

/// Keys of the file that are no flags.
const SECTIONS: [&str; 5] = ["inputs", "limits", "modules", "targets", "web"];
/// Flags that may stand under `limits`.
const LIMITS: [&str; 11] = [
    "series-max",
    "family-series-max",
    "series-bytes-max",
    "label-bytes-max",
    "overflow",
    "connections-max",
    "stale-max",
    "body-bytes-max",
    "pulled-series-max",
    "target-sessions-max",
    "target-scrapes-max",
];
/// Most inputs.
pub const INPUTS_MAX: usize = 100;
/// Most modules and targets of `/probe`.
const TARGETS_MAX: usize = 10_000;

/// The flags of a file, for `management`.
///
/// # Errors
/// The file cannot be read, or is no such file.
pub fn read_settings(path: &Path) -> Result<FileSettings, ConfigError> {
    let root = yaml::parse(path, &yaml::read(path)?)?;
    let section = Section::new(path, "", &root)?;
    Ok(FileSettings { path: path.to_owned(), values: settings(path, &section)? })
}

fn settings(
    path: &Path,
    section: &Section<'_>,
) -> Result<BTreeMap<String, FileValue>, ConfigError> {
    let mut values = BTreeMap::new();
    for (name, node) in section.entries() {
        match (name.as_str(), &node.value) {
            ("limits", Tree::Map(limits)) => {
                for (name, node) in limits {
                    let place = Place::File(path.to_owned(), Some(node.line));
                    if !LIMITS.contains(&name.as_str()) {
                        let expected = format!("one of {}", LIMITS.join(", "));
                        return Err(ConfigError::new(place, Some("limits"), name, expected));
                    }
                    insert(&mut values, section, name, node)?;
                }
            }
            (name, _) if SECTIONS.contains(&name) => {}
            _ => insert(&mut values, section, name, node)?,
        }
    }
    Ok(values)
}

fn insert(
    values: &mut BTreeMap<String, FileValue>,
    section: &Section<'_>,
    name: &str,
    node: &Node,
) -> Result<(), ConfigError> {
    let text = |node: &Node| match &node.value {
        Tree::Scalar(text) => Ok(text.clone()),
        _ => Err(section.wrong(name, node, "a value or a list of values")),
    };
    let texts = match &node.value {
        Tree::Null => return Ok(()),
        Tree::List(items) => items.iter().map(text).collect::<Result<_, _>>()?,
        _ => vec![text(node)?],
    };
    values.insert(name.to_owned(), FileValue { values: texts, line: Some(node.line) });
    Ok(())
}

pub(super) fn load(
    args: &Args,
    file: Option<&Path>,
    env: &dyn Strings,
) -> Result<Config, ConfigError> {
    if !is_listen(&args.listen) {
        let place = Place::Flag("listen".to_owned());
        return Err(ConfigError::new(place, None, &args.listen, "[HOST]:PORT"));
    }
    let web = WebConfig {
        listen: args.listen.clone(),
        metrics_path: args.metrics_path.clone(),
        lifecycle: args.lifecycle,
        connections_max: super::size(args.connections_max),
        ..WebConfig::default()
    };
    let mut config = Config::new(Mode::Own, web, args.pull_limits());
    let root = match file {
        Some(path) => yaml::parse(path, &yaml::read(path)?)?,
        None => Node { line: 1, value: Tree::Map(Vec::new()) },
    };
    let path = file.unwrap_or(Path::new(""));
    let mut section = Section::new(path, "", &root)?;
    let flags = settings(path, &section)?.into_iter();
    config.flags = flags.map(|(name, value)| (name, value.values)).collect();
    inputs(&mut config, args, &mut section, env)?;
    if let Some(node) = section.node("web") {
        let mut inner = Section::new(path, "web", node)?;
        config.web.users = web::users(&mut inner, env)?;
        config.web.tls = web::tls(&mut inner, env)?;
        inner.finish()?;
    }
    config.modules = web::modules(&mut section, args, env)?;
    config.targets = targets(&mut section)?;
    if !config.modules.is_empty() && config.targets.is_empty() {
        config.warnings.push("modules without targets: every /probe is refused".to_owned());
    }
    Ok(config)
}

fn inputs(
    config: &mut Config,
    args: &Args,
    section: &mut Section<'_>,
    env: &dyn Strings,
) -> Result<(), ConfigError> {
    let items = section.items("inputs")?;
    if let Some(node) = items.get(INPUTS_MAX) {
        return Err(section.wrong("inputs", node, format!("at most {INPUTS_MAX} inputs")));
    }
    let mut plan = pushed::plan(args);
    let mut seen = Seen::default();
    let mut pushes = false;
    for (index, node) in items.iter().enumerate() {
        let mut input = Section::new(section.file(), format!("inputs[{index}]"), node)?;
        let expected = "statsd, graphite, jmx, attach, jolokia or json";
        match input.required("type", node, expected)? {
            "statsd" => pushed::statsd(&mut plan, &mut input, node, &mut seen)?,
            "graphite" => pushed::graphite(&mut plan, &mut input, node, &mut seen)?,
            kind => {
                let pulled = super::inputs::pulled(kind, index, &mut input, node, args, env)?;
                if config.pulled.iter().any(|known| known.name == pulled.name) {
                    return Err(input.refused(node, "another input has this name"));
                }
                config.pulled.push(pulled);
                input.finish()?;
                continue;
            }
        }
        pushes = true;
        input.finish()?;
    }
    if items.is_empty() && section.node("modules").is_none() {
        // What a sidecar is for when nobody says anything.
        plan.udp.push(":9125".to_owned());
        plan.tcp.push(":9125".to_owned());
        pushes = true;
    }
    if config.pulled.len() > 1 {
        for pulled in &mut config.pulled {
            if pulled.labels.is_empty() {
                pulled.labels.push(("input".to_owned(), pulled.name.clone()));
            }
        }
    }
    config.ingest = pushes.then_some(plan);
    Ok(())
}

fn targets(section: &mut Section<'_>) -> Result<Vec<AllowedTarget>, ConfigError> {
    let expected = "host:port, *.suffix:port or network/bits:port";
    let items = section.items("targets")?;
    if let Some(node) = items.get(TARGETS_MAX) {
        return Err(section.wrong("targets", node, format!("at most {TARGETS_MAX} targets")));
    }
    items
        .iter()
        .map(|item| match &item.value {
            Tree::Scalar(text) => {
                AllowedTarget::parse(text).ok_or_else(|| section.wrong("targets", item, expected))
            }
            _ => Err(section.wrong("targets", item, expected)),
        })
        .collect()
}
