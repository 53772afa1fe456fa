//! The group of sidecars: who belongs to it, how they prove it, Raft's time.

use std::sync::Arc;
use std::time::Duration;

use management::ConfigError;

use super::values::{host_port, name};
use super::{
    DiscoveryConfig, PEERS_MAX, PeerAuth, PeerConfig, RaftConfig, Storage, TlsFiles, Typed, files,
    shown,
};

/// Shortest tick: below it the scheduler of a busy machine looks like a partition.
const TICK_MIN: Duration = Duration::from_millis(10);
/// Longest tick: an election would take minutes.
const TICK_MAX: Duration = Duration::from_secs(10);

pub(super) fn config(typed: &Typed<'_>, id: &Arc<str>) -> Result<RaftConfig, ConfigError> {
    let args = typed.args;
    check_time(typed)?;
    if args.min_voters > args.max_voters {
        let expected = format!("at most --max-voters ({})", args.max_voters);
        return Err(typed.wrong("min-voters", &args.min_voters.to_string(), expected));
    }
    if let Some(advertise) = &args.advertise {
        address(typed, "advertise", advertise)?;
    }
    let discovery = discovery(typed, id)?;
    let expect = match &discovery {
        DiscoveryConfig::Static(peers) => u16::try_from(peers.len()).ok(),
        _ => args.expect,
    };
    // `discovery` has seen to it that there is one.
    let expect = expect.unwrap_or(1);
    if expect == 1 && !matches!(&discovery, DiscoveryConfig::Static(_)) {
        // Each of those that start would found a group of its own.
        let expected = "from 2; a group of one is --peers with this member alone";
        return Err(typed.wrong("expect", "1", expected));
    }
    let mut config = RaftConfig {
        listen: args.peer_listen,
        advertise: args.advertise.clone(),
        discovery,
        expect,
        auth: PeerAuth::None,
        max_voters: args.max_voters,
        min_voters: args.min_voters,
        dead_after: Some(args.dead_after).filter(|after| !after.is_zero()),
        witness: args.witness,
        data_dir: (args.storage == Storage::Disk).then(|| args.data_dir.clone()),
        tick: args.tick,
        election_ticks: args.election_ticks,
        heartbeat_ticks: args.heartbeat_ticks,
        token_floor: args.token_floor,
    };
    if let Some(after) = config.dead_after
        && after < 2 * config.election_timeout()
    {
        let expected = format!("0s, or at least {}", shown(2 * config.election_timeout()));
        return Err(typed.wrong("dead-after", &shown(after), expected));
    }
    config.auth = auth(typed, config.is_alone())?;
    Ok(config)
}

fn check_time(typed: &Typed<'_>) -> Result<(), ConfigError> {
    let args = typed.args;
    if !(TICK_MIN..=TICK_MAX).contains(&args.tick) {
        let expected = format!("from {} to {}", shown(TICK_MIN), shown(TICK_MAX));
        return Err(typed.wrong("tick", &shown(args.tick), expected));
    }
    if args.heartbeat_ticks >= args.election_ticks {
        let expected = format!("fewer than --election-ticks ({})", args.election_ticks);
        return Err(typed.wrong("heartbeat-ticks", &args.heartbeat_ticks.to_string(), expected));
    }
    Ok(())
}

// === discovery ===

fn discovery(typed: &Typed<'_>, id: &Arc<str>) -> Result<DiscoveryConfig, ConfigError> {
    let args = typed.args;
    let given: Vec<&str> = [
        ("peers", !args.peers.is_empty()),
        ("peers-template", args.peers_template.is_some()),
        ("peers-dns", args.peers_dns.is_some()),
        ("peers-file", args.peers_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(flag, given)| given.then_some(flag))
    .collect();
    match given[..] {
        [_] => {}
        [] => {
            let message = "the members are unknown: give one of --peers, --peers-template, \
                           --peers-dns and --peers-file (or another --backend)";
            return Err(typed.refused("peers", message));
        }
        [first, second, ..] => {
            return Err(typed.refused(second, format!("does not go with --{first}")));
        }
    }
    let needs_expect = |flag: &str| match args.expect {
        Some(_) => Ok(()),
        None => Err(typed.refused(flag, "needs --expect, the number of members at the start")),
    };
    if let Some(template) = &args.peers_template {
        needs_expect("peers-template")?;
        if template.matches("{i}").count() != 1 {
            let expected = "host:port with one {i} for the number of the member";
            return Err(typed.wrong("peers-template", template, expected));
        }
        address(typed, "peers-template", &template.replace("{i}", "0"))?;
        return Ok(DiscoveryConfig::Template(template.clone()));
    }
    if let Some(dns) = &args.peers_dns {
        needs_expect("peers-dns")?;
        let (host, port) = address(typed, "peers-dns", dns)?;
        return Ok(DiscoveryConfig::Dns { host, port });
    }
    if let Some(file) = &args.peers_file {
        needs_expect("peers-file")?;
        return Ok(DiscoveryConfig::File(file.clone()));
    }
    listed(typed, id).map(DiscoveryConfig::Static)
}

/// The members of `--peers`.
fn listed(typed: &Typed<'_>, id: &Arc<str>) -> Result<Vec<PeerConfig>, ConfigError> {
    let mut peers: Vec<PeerConfig> = Vec::new();
    for text in &typed.args.peers {
        let Some((given, at)) = text.trim().split_once('=') else {
            return Err(typed.wrong("peers", text, "NAME=HOST:PORT"));
        };
        let name = name(typed, "peers", given)?;
        address(typed, "peers", at)?;
        if peers.iter().any(|peer| peer.name == name || peer.address == at) {
            return Err(typed.wrong("peers", text, "each name and each address once"));
        }
        peers.push(PeerConfig { name, address: at.to_owned() });
    }
    if peers.len() > PEERS_MAX {
        let expected = format!("at most {PEERS_MAX} members");
        return Err(typed.wrong("peers", &peers.len().to_string(), expected));
    }
    if !peers.iter().any(|peer| peer.name == *id) {
        let message = format!("this member, {id}, is not among them; name it with --id");
        return Err(typed.refused("peers", message));
    }
    match typed.args.expect {
        Some(expect) if usize::from(expect) != peers.len() => {
            let expected = format!("{}, the number of --peers, or nothing", peers.len());
            Err(typed.wrong("expect", &expect.to_string(), expected))
        }
        _ => Ok(peers),
    }
}

/// Checks a `host:port` that others connect to.
fn address(typed: &Typed<'_>, flag: &str, text: &str) -> Result<(String, u16), ConfigError> {
    match host_port(text) {
        Some((host, port)) if port > 0 => Ok((host.to_owned(), port)),
        _ => Err(typed.wrong(flag, text, "host:port, an IPv6 address in brackets")),
    }
}

// === authentication ===

fn auth(typed: &Typed<'_>, alone: bool) -> Result<PeerAuth, ConfigError> {
    let args = typed.args;
    let tls =
        [("peer-cert", &args.peer_cert), ("peer-key", &args.peer_key), ("peer-ca", &args.peer_ca)];
    let some_tls = tls.iter().find(|(_, file)| file.is_some()).map(|(flag, _)| *flag);
    let given: Vec<&str> = [
        args.peer_secret_file.is_some().then_some("peer-secret-file"),
        some_tls,
        args.insecure_peers.then_some("insecure-peers"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [first, second, ..] = given[..] {
        return Err(typed.refused(second, format!("does not go with --{first}")));
    }
    if let Some(path) = &args.peer_secret_file {
        return files::secret(typed, "peer-secret-file", path).map(PeerAuth::Secret);
    }
    if let Some(given) = some_tls {
        let (Some(cert), Some(key), Some(ca)) = (&args.peer_cert, &args.peer_key, &args.peer_ca)
        else {
            let message = "--peer-cert, --peer-key and --peer-ca go together";
            return Err(typed.refused(given, message));
        };
        for (flag, path) in [("peer-cert", cert), ("peer-key", key), ("peer-ca", ca)] {
            files::pem(typed, flag, path)?;
        }
        let (cert, key, ca) = (cert.clone(), key.clone(), ca.clone());
        return Ok(PeerAuth::Tls(TlsFiles { cert, key, ca }));
    }
    if alone || args.insecure_peers {
        return Ok(PeerAuth::None);
    }
    let message = "members prove themselves by --peer-secret-file, or by --peer-cert, --peer-key \
                   and --peer-ca; without either anybody who reaches the peer port takes part, \
                   which is to be asked for with --insecure-peers";
    Err(typed.refused("peer-secret-file", message))
}
