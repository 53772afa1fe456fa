//! What all backends share: names, the application's interface, automatic mode, loss.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use management::{ConfigError, Strings};
use rustix::process::Signal;

use super::{
    ApiConfig, CampaignConfig, ELECTIONS_NAMED_MAX, LostAction, LostConfig, Mode, NAME_BYTES_MAX,
    OnLost, ProbeConfig, Typed, files, shown,
};

/// Shortest pause between two looks at the application; below it the looks are its load.
const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// What names are made of, so that they fit into paths, keys and lists.
const NAME_EXPECTED: &str =
    "up to 253 letters, digits and . _ - : with a letter or digit at both ends";

/// Signals that an application may be sent.
const SIGNALS: [(&str, Signal); 7] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("HUP", Signal::HUP),
    ("QUIT", Signal::QUIT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

/// The name of this candidate: typed, of the pod, of the host.
pub(super) fn id(typed: &Typed<'_>, env: &dyn Strings) -> Result<Arc<str>, ConfigError> {
    if let Some(id) = &typed.args.id {
        return name(typed, "id", id);
    }
    let variable = |name| env.get(name).filter(|value| !value.is_empty());
    let kernel = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let found = variable("POD_NAME").or_else(|| variable("HOSTNAME")).unwrap_or_else(kernel);
    name(typed, "id", &found)
}

pub(super) fn elections(typed: &Typed<'_>) -> Result<Vec<Arc<str>>, ConfigError> {
    let mut elections: Vec<Arc<str>> = Vec::new();
    for found in &typed.args.election {
        let election = name(typed, "election", found)?;
        if elections.contains(&election) {
            return Err(typed.wrong("election", found, "each election once"));
        }
        elections.push(election);
    }
    if elections.len() > ELECTIONS_NAMED_MAX {
        let expected = format!("at most {ELECTIONS_NAMED_MAX} elections");
        return Err(typed.wrong("election", &elections.len().to_string(), expected));
    }
    Ok(elections)
}

/// A name of a candidate, a member or an election.
pub(super) fn name(typed: &Typed<'_>, flag: &str, text: &str) -> Result<Arc<str>, ConfigError> {
    if is_name(text) { Ok(text.into()) } else { Err(typed.wrong(flag, text, NAME_EXPECTED)) }
}

pub(super) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let ends = text.bytes().next().zip(text.bytes().next_back());
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(inner)
        && ends.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
}

/// `host:port` in two; brackets around an IPv6 address are taken off.
pub(super) fn host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => {
            let bare = rest.strip_suffix(']')?;
            bare.parse::<Ipv6Addr>().ok()?;
            bare
        }
        None => host,
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let fine = host.starts_with('[') || (!bare.is_empty() && bare.bytes().all(named));
    fine.then_some((bare, port))
}

// === the application's interface ===

/// `4040`, `:4040`, `0.0.0.0:4040` and `host:port`, the latter three as the Kubernetes
/// leader-elector took them; a port alone is on loopback.
pub(super) fn api(typed: &Typed<'_>) -> Result<ApiConfig, ConfigError> {
    let text = typed.args.http.trim();
    let wrong = || typed.wrong("http", text, "a port, :port or host:port");
    let (listen, loopback) = if let Ok(port) = text.parse::<u16>() {
        (format!("{}:{port}", Ipv4Addr::LOCALHOST), true)
    } else if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|_| wrong())?;
        (format!("{}:{port}", Ipv4Addr::UNSPECIFIED), false)
    } else {
        let (host, port) = host_port(text).ok_or_else(wrong)?;
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => (format!("[{address}]:{port}"), address.is_loopback()),
            Ok(address) => (format!("{address}:{port}"), address.is_loopback()),
            // The name may stand for ::1 as well, where nobody would ask.
            Err(_) if host == "localhost" => (format!("{}:{port}", Ipv4Addr::LOCALHOST), true),
            Err(_) => (format!("{host}:{port}"), false),
        }
    };
    let token = match &typed.args.http_token_file {
        Some(path) => Some(files::secret(typed, "http-token-file", path)?),
        None if loopback => None,
        None => {
            let message = format!(
                "{listen} is reached from beyond this machine, so it needs --http-token-file; \
                 containers of one pod reach localhost:4040"
            );
            return Err(typed.refused("http", message));
        }
    };
    Ok(ApiConfig { listen, token })
}

// === automatic mode ===

pub(super) fn campaign(
    typed: &Typed<'_>,
    warnings: &mut Vec<String>,
) -> Result<Option<CampaignConfig>, ConfigError> {
    let args = typed.args;
    let given = [
        ("app-health-url", args.app_health_url.is_some()),
        ("app-port", args.app_port.is_some()),
        ("app-health-file", args.app_health_file.is_some()),
    ];
    let probe = given.iter().find(|(_, given)| *given).map(|(flag, _)| *flag);
    if args.mode == Mode::Managed {
        return match probe {
            Some(flag) => Err(typed.refused(flag, "is looked at only with --mode auto")),
            None => Ok(None),
        };
    }
    if args.witness {
        let message = "a witness has no application, so it cannot be in --mode auto";
        return Err(typed.refused("witness", message));
    }
    if args.app_health_interval < HEALTH_INTERVAL_MIN {
        let found = shown(args.app_health_interval);
        let expected = format!("at least {}", shown(HEALTH_INTERVAL_MIN));
        return Err(typed.wrong("app-health-interval", &found, expected));
    }
    let mut probes = Vec::new();
    if let Some(url) = &args.app_health_url {
        http_url(typed, "app-health-url", url)?;
        probes.push(ProbeConfig::Http(url.clone()));
    }
    match args.app_port {
        Some(0) => return Err(typed.wrong("app-port", "0", "a port from 1 on")),
        Some(port) => probes.push(ProbeConfig::Tcp(port)),
        None => {}
    }
    probes.extend(args.app_health_file.clone().map(ProbeConfig::File));
    if probes.is_empty() {
        warnings.push(
            "automatic mode without --app-health-url, --app-port or --app-health-file: a dead \
             application keeps its leadership"
                .to_owned(),
        );
    }
    let (interval, failures) = (args.app_health_interval, args.app_health_failures);
    Ok(Some(CampaignConfig { probes, interval, failures }))
}

/// Checks a URL of HTTP; user information in it would end up in logs.
pub(super) fn http_url(typed: &Typed<'_>, flag: &str, text: &str) -> Result<(), ConfigError> {
    let parsed = reqwest::Url::parse(text).ok();
    let fine = parsed.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
    });
    let expected = "a URL such as http://host:port/path, without user or password";
    if fine { Ok(()) } else { Err(typed.wrong(flag, text, expected)) }
}

// === loss ===

pub(super) fn on_lost(
    typed: &Typed<'_>,
    warnings: &mut Vec<String>,
) -> Result<LostConfig, ConfigError> {
    let args = typed.args;
    let action = match &args.on_lost {
        OnLost::None => LostAction::None,
        OnLost::Liveness => LostAction::Liveness,
        OnLost::Webhook(url) => {
            http_url(typed, "on-lost", url)?;
            LostAction::Webhook(url.clone())
        }
        OnLost::Signal(name) => signal(typed, name)?,
    };
    if args.signal_process.is_some() && !matches!(action, LostAction::Signal { .. }) {
        return Err(typed.refused("signal-process", "is used only with --on-lost signal:NAME"));
    }
    // The deadline is nine tenths of the time to live after a renewal.
    let deadline = args.ttl.mul_f64(0.9);
    if args.stop_margin >= deadline {
        let expected = format!("less than {}, nine tenths of --ttl", shown(deadline));
        return Err(typed.wrong("stop-margin", &shown(args.stop_margin), expected));
    }
    if action == LostAction::None && !args.stop_margin.is_zero() {
        warnings.push("--stop-margin does nothing without --on-lost".to_owned());
    }
    Ok(LostConfig { action, margin: args.stop_margin })
}

fn signal(typed: &Typed<'_>, name: &str) -> Result<LostAction, ConfigError> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let Some((_, signal)) = SIGNALS.iter().find(|(known, _)| *known == bare) else {
        let known: Vec<&str> = SIGNALS.iter().map(|(known, _)| *known).collect();
        let expected = format!("a signal of {}", known.join(", "));
        return Err(typed.wrong("on-lost", name, expected));
    };
    match &typed.args.signal_process {
        Some(process) if !process.is_empty() => {
            Ok(LostAction::Signal { signal: *signal, process: process.clone() })
        }
        _ => Err(typed.refused("on-lost", "signal:NAME needs --signal-process")),
    }
}
