//! The command line as typed. Every flag has a variable by rule (`LEADER_ELECTOR_<FLAG>`) and a key
//! of the same name in the YAML file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use management::duration;

/// What can be asked for.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Name of an election; the first is the default election. Repeatable
    #[arg(long, value_name = "NAME", default_value = "default", value_delimiter = ',')]
    pub election: Vec<String>,

    /// Name of this candidate and member; default: POD_NAME, then the host name
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,

    /// Where leases live: raft, etcd, kubernetes or single
    #[arg(long, value_name = "BACKEND", default_value = "raft")]
    pub backend: BackendKind,

    /// managed: the application acquires and renews; auto: the sidecar does while the probe passes
    #[arg(long, value_name = "MODE", default_value = "managed")]
    pub mode: Mode,

    /// Time to live of leases that name none
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    pub ttl: Duration,

    /// Higher goes first among those who wait
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_hyphen_values = true)]
    pub priority: i64,

    /// Where the application asks
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4040")]
    pub http: String,

    /// Bearer token that the API demands; needed to listen beyond loopback
    #[arg(long, value_name = "FILE")]
    pub http_token_file: Option<PathBuf>,

    /// Kubernetes leader-elector's flag: the namespace of the election
    #[arg(long, value_name = "NAMESPACE")]
    pub election_namespace: Option<String>,

    /// Kubernetes leader-elector's flag; the service account is used where there is one
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub use_cluster_credentials: Option<bool>,

    /// Application's health over HTTP: leads only while this answers 2xx (auto mode)
    #[arg(long, value_name = "URL")]
    pub app_health_url: Option<String>,

    /// Application's health over TCP: leads only while this port accepts (auto mode)
    #[arg(long, value_name = "PORT")]
    pub app_port: Option<u16>,

    /// Application's health by a file: leads only while it exists (auto mode)
    #[arg(long, value_name = "FILE")]
    pub app_health_file: Option<PathBuf>,

    /// Pause between two looks at the application
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration::parse)]
    pub app_health_interval: Duration,

    /// Failures in a row before the application counts as unhealthy
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub app_health_failures: u32,

    /// What to do when leadership is lost: none, webhook:URL, signal:NAME or liveness
    #[arg(long, value_name = "ACTION", default_value = "none")]
    pub on_lost: OnLost,

    /// Name of the process that signal: goes to; it must share the process namespace
    #[arg(long, value_name = "NAME")]
    pub signal_process: Option<String>,

    /// How long before the deadline the action on loss starts
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    pub stop_margin: Duration,

    /// Where other sidecars connect
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:4041")]
    pub peer_listen: SocketAddr,

    /// host:port under which others reach this one, told to those who cannot discover it
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// All members as NAME=HOST:PORT, this one included
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub peers: Vec<String>,

    /// Members by number, as 'app-{i}.app.svc:4041'; needs --expect
    #[arg(long, value_name = "TEMPLATE")]
    pub peers_template: Option<String>,

    /// Members by a name with an address for each, as 'app-headless:4041'; needs --expect
    #[arg(long, value_name = "HOST:PORT")]
    pub peers_dns: Option<String>,

    /// Members from a watched file, a NAME=HOST:PORT a line
    #[arg(long, value_name = "FILE")]
    pub peers_file: Option<PathBuf>,

    /// How many members found the group; it starts when exactly so many answer, all of them empty
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=99))]
    pub expect: Option<u16>,

    /// Most voters; further members replicate and forward
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub max_voters: u16,

    /// Members that stay however long they are silent
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub min_voters: u16,

    /// Silence after which a member beyond --min-voters is removed; 0s: never
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    pub dead_after: Duration,

    /// Votes and stores, but has no application and never leads
    #[arg(long)]
    pub witness: bool,

    /// Secret of the group: members prove that they know it
    #[arg(long, value_name = "FILE")]
    pub peer_secret_file: Option<PathBuf>,

    /// Certificate of this member (PEM), for mutual TLS between members
    #[arg(long, value_name = "FILE")]
    pub peer_cert: Option<PathBuf>,

    /// Key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub peer_key: Option<PathBuf>,

    /// Authority that members' certificates come from (PEM)
    #[arg(long, value_name = "FILE")]
    pub peer_ca: Option<PathBuf>,

    /// Let anybody who reaches the peer port take part
    #[arg(long)]
    pub insecure_peers: bool,

    /// disk or memory
    #[arg(long, value_name = "STORAGE", default_value = "disk")]
    pub storage: Storage,

    /// Folder of the group's state
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/leader-elector")]
    pub data_dir: PathBuf,

    /// Unit of Raft's time
    #[arg(long, value_name = "DURATION", default_value = "25ms", value_parser = duration::parse)]
    pub tick: Duration,

    /// Ticks without a heartbeat before a member stands for election
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(4..=1000))]
    pub election_ticks: u16,

    /// Ticks between heartbeats
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub heartbeat_ticks: u16,

    /// No token is smaller, for a move from another backend
    #[arg(long, value_name = "TOKEN", default_value_t = 0)]
    pub token_floor: u64,

    /// etcd's client URLs (backend etcd)
    #[arg(long, value_name = "URLS", value_delimiter = ',')]
    pub etcd_endpoints: Vec<String>,

    /// Prefix of keys in etcd
    #[arg(long, value_name = "PREFIX", default_value = "/leader-elector/")]
    pub etcd_prefix: String,

    /// Authority of etcd's certificates (PEM)
    #[arg(long, value_name = "FILE")]
    pub etcd_ca: Option<PathBuf>,

    /// Certificate towards etcd (PEM)
    #[arg(long, value_name = "FILE")]
    pub etcd_cert: Option<PathBuf>,

    /// Key of the certificate towards etcd (PEM)
    #[arg(long, value_name = "FILE")]
    pub etcd_key: Option<PathBuf>,

    /// The API server (backend kubernetes); default: that of the pod
    #[arg(long, value_name = "URL")]
    pub kubernetes_url: Option<String>,

    /// Bearer token towards the API server; default: that of the service account
    #[arg(long, value_name = "FILE")]
    pub kubernetes_token_file: Option<PathBuf>,

    /// Authority of the API server's certificate; default: that of the service account
    #[arg(long, value_name = "FILE")]
    pub kubernetes_ca: Option<PathBuf>,
}

/// Where leases live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendKind {
    /// Among the sidecars.
    Raft,
    /// In an etcd.
    Etcd,
    /// In Lease objects of Kubernetes.
    Kubernetes,
    /// In this process alone, for development.
    Single,
}

/// Who acquires and renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The application.
    Managed,
    /// The sidecar, while the application is well.
    Auto,
}

/// Where the group's state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Storage {
    /// In the data folder.
    Disk,
    /// Nowhere: a restarted member is a new one.
    Memory,
}

/// What happens when leadership is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnLost {
    /// Nothing.
    None,
    /// A POST to this URL.
    Webhook(String),
    /// A signal to the application.
    Signal(String),
    /// Failing liveness, so that the orchestrator restarts the pod's container.
    Liveness,
}

// === impl OnLost ===

impl std::str::FromStr for OnLost {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "liveness" => Ok(Self::Liveness),
            Some(("webhook", url)) if url.starts_with("http") => Ok(Self::Webhook(url.to_owned())),
            Some(("signal", name)) if !name.is_empty() => Ok(Self::Signal(name.to_owned())),
            _ => Err("expected none, webhook:URL, signal:NAME or liveness"),
        }
    }
}
