//! Leases kept by somebody else: etcd and Kubernetes. And flags that only one backend takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use management::settings::Source;
use management::{ConfigError, Strings};

use super::values::http_url;
use super::{BackendKind, EtcdConfig, KubernetesConfig, Typed, files};

/// Where Kubernetes puts the credentials of a pod.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Longest prefix of keys; they are in every request.
const PREFIX_BYTES_MAX: usize = 256;
/// Most endpoints of one etcd.
const ENDPOINTS_MAX: usize = 16;
/// Flags that only the group of sidecars takes.
const RAFT_FLAGS: [&str; 21] = [
    "peer-listen",
    "advertise",
    "peers",
    "peers-template",
    "peers-dns",
    "peers-file",
    "expect",
    "max-voters",
    "min-voters",
    "dead-after",
    "witness",
    "peer-secret-file",
    "peer-cert",
    "peer-key",
    "peer-ca",
    "insecure-peers",
    "storage",
    "data-dir",
    "tick",
    "election-ticks",
    "heartbeat-ticks",
];
const ETCD_FLAGS: [&str; 5] = ["etcd-endpoints", "etcd-prefix", "etcd-ca", "etcd-cert", "etcd-key"];
const KUBERNETES_FLAGS: [&str; 3] = ["kubernetes-url", "kubernetes-token-file", "kubernetes-ca"];
/// The Kubernetes leader-elector's, which must not stop a start with another backend.
const COMPATIBLE_FLAGS: [&str; 2] = ["election-namespace", "use-cluster-credentials"];

// === etcd ===

pub(super) fn etcd(typed: &Typed<'_>) -> Result<EtcdConfig, ConfigError> {
    let args = typed.args;
    let mut endpoints = Vec::new();
    for text in &args.etcd_endpoints {
        http_url(typed, "etcd-endpoints", text)?;
        endpoints.push(text.trim_end_matches('/').to_owned());
    }
    if endpoints.is_empty() || endpoints.len() > ENDPOINTS_MAX {
        let message =
            format!("--backend etcd needs 1 to {ENDPOINTS_MAX} URLs, as http://etcd-0:2379");
        return Err(typed.refused("etcd-endpoints", message));
    }
    let mut prefix = args.etcd_prefix.clone();
    if !prefix.ends_with('/') {
        prefix.push('/');
    }
    if prefix.len() > PREFIX_BYTES_MAX {
        let expected = format!("at most {PREFIX_BYTES_MAX} bytes");
        return Err(typed.wrong("etcd-prefix", &prefix, expected));
    }
    if let Some(ca) = &args.etcd_ca {
        files::pem(typed, "etcd-ca", ca)?;
    }
    let identity = match (&args.etcd_cert, &args.etcd_key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            files::pem(typed, "etcd-cert", cert)?;
            files::pem(typed, "etcd-key", key)?;
            Some((cert.clone(), key.clone()))
        }
        (Some(_), None) => return Err(typed.refused("etcd-cert", "needs --etcd-key")),
        (None, Some(_)) => return Err(typed.refused("etcd-key", "needs --etcd-cert")),
    };
    let (ca, token_floor) = (args.etcd_ca.clone(), args.token_floor);
    Ok(EtcdConfig { endpoints, prefix, ca, identity, token_floor })
}

// === Kubernetes ===

pub(super) fn kubernetes(
    typed: &Typed<'_>,
    elections: &[Arc<str>],
    env: &dyn Strings,
) -> Result<KubernetesConfig, ConfigError> {
    let args = typed.args;
    if let Some(name) = elections.iter().find(|name| !is_dns_name(name)) {
        let expected = "a name of a Lease: lower-case letters, digits, - and .";
        return Err(typed.wrong("election", name, expected));
    }
    let account = Path::new(SERVICE_ACCOUNT);
    let url = match &args.kubernetes_url {
        Some(url) => {
            http_url(typed, "kubernetes-url", url)?;
            url.trim_end_matches('/').to_owned()
        }
        None => in_cluster(env).ok_or_else(|| {
            let message = "needs --backend kubernetes outside of a pod: neither \
                           KUBERNETES_SERVICE_HOST nor KUBERNETES_SERVICE_PORT is set";
            typed.refused("kubernetes-url", message)
        })?,
    };
    let namespace = match &args.election_namespace {
        Some(namespace) => namespace.clone(),
        None => std::fs::read_to_string(account.join("namespace"))
            .map_or_else(|_| "default".to_owned(), |text| text.trim().to_owned()),
    };
    if namespace.len() > 63 || namespace.contains('.') || !is_dns_name(&namespace) {
        return Err(typed.wrong("election-namespace", &namespace, "the name of a namespace"));
    }
    let token_file = match &args.kubernetes_token_file {
        Some(path) => {
            readable(typed, "kubernetes-token-file", path)?;
            Some(path.clone())
        }
        None => Some(account.join("token")).filter(|path| path.exists()),
    };
    let ca = match &args.kubernetes_ca {
        Some(path) => {
            files::pem(typed, "kubernetes-ca", path)?;
            Some(path.clone())
        }
        None => Some(account.join("ca.crt")).filter(|path| path.exists()),
    };
    Ok(KubernetesConfig { url, namespace, token_file, ca, token_floor: args.token_floor })
}

/// The API server that a pod is told of.
fn in_cluster(env: &dyn Strings) -> Option<String> {
    let set = |name| env.get(name).filter(|value| !value.is_empty());
    let host = set("KUBERNETES_SERVICE_HOST")?;
    let port: u16 = set("KUBERNETES_SERVICE_PORT")?.parse().ok()?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!("https://{host}:{port}"))
}

fn readable(typed: &Typed<'_>, flag: &str, path: &PathBuf) -> Result<(), ConfigError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(typed.refused(flag, format!("reading {}: {error}", path.display()))),
    }
}

/// Whether Kubernetes takes it as the name of an object.
pub(super) fn is_dns_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let ends = label.bytes().next().zip(label.bytes().next_back());
        label.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
            && ends.is_some_and(|(a, b)| alphanumeric(a) && alphanumeric(b))
    };
    name.len() <= 253 && name.split('.').all(label)
}

// === flags of one backend ===

/// A flag that does nothing with the backend chosen is a mistake, save for those that manifests of
/// the Kubernetes leader-elector carry along.
pub(super) fn refuse_foreign(
    typed: &Typed<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let kind = typed.args.backend;
    let given =
        |flag: &str| typed.effective.get(flag).is_some_and(|value| value.source != Source::Default);
    let groups: [(BackendKind, &str, &[&str]); 3] = [
        (BackendKind::Raft, "raft", &RAFT_FLAGS),
        (BackendKind::Etcd, "etcd", &ETCD_FLAGS),
        (BackendKind::Kubernetes, "kubernetes", &KUBERNETES_FLAGS),
    ];
    for (of, name, flags) in groups {
        if of != kind
            && let Some(flag) = flags.iter().find(|flag| given(flag))
        {
            return Err(typed.refused(flag, format!("is used only with --backend {name}")));
        }
    }
    if kind != BackendKind::Kubernetes {
        for flag in COMPATIBLE_FLAGS.iter().filter(|flag| given(flag)) {
            warnings.push(format!("--{flag} does nothing without --backend kubernetes"));
        }
    }
    Ok(())
}
