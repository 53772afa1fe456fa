//! What is accepted, what is refused, and in which words.

use std::ffi::OsString;
use std::fs;

use management::{Invocation, LoadError, load};

use super::*;

const ENV: &[(&str, &str)] = &[("POD_NAME", "app-0"), ("HOSTNAME", "host")];

fn read(flags: &str, env: &[(&str, &str)]) -> Result<Config, LoadError> {
    let argv = std::iter::once("leader-elector").chain(flags.split_whitespace());
    let env: &dyn Strings = &env;
    let file = management::settings::yaml_settings_file;
    match load::<Args>(&IMAGE, command(), argv.map(OsString::from), env, file)? {
        Invocation::Program(loaded) => Ok(Config::new(&loaded.args, &loaded.effective, env)?),
        Invocation::Healthcheck(_) => panic!("these flags ask for a health check"),
    }
}

fn config(flags: &str) -> Config {
    read(flags, ENV).unwrap_or_else(|error| panic!("{flags}: {error}"))
}

fn error(flags: &str) -> String {
    match read(flags, ENV) {
        Ok(config) => panic!("{flags} gave {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn raft(flags: &str) -> RaftConfig {
    match config(flags).backend {
        BackendConfig::Raft(raft) => *raft,
        other => panic!("{flags} gave {other:?}"),
    }
}

const ALONE: &str = "--id a --peers a=localhost:4041";
const THREE: &str = "--id a --peers a=a:1,b=b:2,c=[::1]:3";

#[test]
fn alone_needs_no_secret() {
    let raft = raft(ALONE);
    assert!(raft.is_alone());
    assert_eq!(raft.expect, 1);
    assert!(matches!(raft.auth, PeerAuth::None));
    assert_eq!(raft.election_timeout(), Duration::from_millis(400));
}

#[test]
fn others_must_prove_themselves() {
    assert!(error(THREE).starts_with("--peer-secret-file: members prove themselves by"));
    let raft = raft(&format!("{THREE} --insecure-peers"));
    assert_eq!(raft.expect, 3);
    assert!(matches!(raft.auth, PeerAuth::None));
}

#[test]
fn a_secret_is_trimmed_and_long_enough() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, "  0123456789abcdef\n").unwrap();
    let flags = format!("{THREE} --peer-secret-file {}", file.display());
    let PeerAuth::Secret(secret) = raft(&flags).auth else { panic!("no secret") };
    assert_eq!(secret.expose(), "0123456789abcdef");
    fs::write(&file, " short \n").unwrap();
    assert!(error(&flags).contains("holds a secret of 5 bytes, expected at least 16"));
    fs::remove_file(&file).unwrap();
    assert!(error(&flags).starts_with("--peer-secret-file: reading "));
}

#[test]
fn certificate_key_and_authority_go_together() {
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("pem");
    fs::write(&pem, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let pem = pem.display();
    let all = format!("{THREE} --peer-cert {pem} --peer-key {pem} --peer-ca {pem}");
    assert!(matches!(raft(&all).auth, PeerAuth::Tls(_)));
    let two = format!("{THREE} --peer-cert {pem} --peer-key {pem}");
    assert_eq!(error(&two), "--peer-cert: --peer-cert, --peer-key and --peer-ca go together");
    let both = format!("{all} --insecure-peers");
    assert_eq!(error(&both), "--insecure-peers: does not go with --peer-cert");
    fs::write(dir.path().join("pem"), "nothing").unwrap();
    assert!(error(&all).ends_with("holds nothing in PEM"));
}

#[test]
fn members_are_found_in_one_way() {
    assert!(error("--id a").starts_with("--peers: the members are unknown"));
    let two = format!("{ALONE} --peers-dns app:4041 --expect 3");
    assert_eq!(error(&two), "--peers-dns: does not go with --peers");
    let without = "--peers-template app-{i}.app:4041 --insecure-peers";
    assert!(error(without).contains("needs --expect"));
    let template = raft(&format!("{without} --expect 3"));
    assert_eq!(template.discovery, DiscoveryConfig::Template("app-{i}.app:4041".to_owned()));
    assert_eq!(template.expect, 3);
    assert!(error("--peers-template app:4041 --expect 3").contains("with one {i}"));
    assert!(error("--peers-dns app --expect 3").contains("found `app`, expected host:port"));
    let dns = raft("--peers-dns app:4041 --expect 2 --insecure-peers").discovery;
    assert_eq!(dns, DiscoveryConfig::Dns { host: "app".to_owned(), port: 4041 });
}

#[test]
fn a_list_of_peers_fits_this_member() {
    let other = "--id z --peers a=a:1 --insecure-peers";
    assert!(error(other).contains("this member, z, is not among them"));
    assert!(error(&format!("{ALONE} --expect 3")).contains("found `3`, expected 1"));
    assert!(error("--id a --peers a=a:1,a=b:2").contains("each name and each address once"));
    assert!(error("--id a --peers a=a:0").contains("found `a:0`"));
    assert!(error("--id a --peers a").contains("expected NAME=HOST:PORT"));
    assert!(error("--id a --peers a=::1:4").contains("in brackets"));
}

#[test]
fn times_fit_each_other() {
    let message = error(&format!("{ALONE} --ttl 999ms"));
    assert!(message.starts_with("--ttl: found `999ms`, expected from 1s"), "{message}");
    let slow = format!("{ALONE} --tick 1s --election-ticks 10 --ttl 19s");
    assert!(error(&slow).contains("expected from 20s"));
    assert_eq!(config(&slow.replace("19s", "20s")).ttl_min, Duration::from_secs(20));
    assert!(
        error(&format!("{ALONE} --heartbeat-ticks 16")).contains("fewer than --election-ticks")
    );
    assert!(error(&format!("{ALONE} --stop-margin 4500ms")).contains("less than 4s500ms"));
    assert!(error(&format!("{ALONE} --tick 1ms")).contains("from 10ms"));
    assert!(error(&format!("{ALONE} --min-voters 4 --max-voters 3")).contains("at most"));
    assert!(error(&format!("{ALONE} --dead-after 500ms")).contains("at least 800ms"));
}

#[test]
fn http_is_taken_as_others_write_it() {
    let listen = |flags: &str| config(&format!("{ALONE} {flags}")).api.listen;
    assert_eq!(listen(""), "127.0.0.1:4040");
    assert_eq!(listen("--http 4040"), "127.0.0.1:4040");
    assert_eq!(listen("--http=localhost:1"), "127.0.0.1:1");
    assert_eq!(listen("--http=[::1]:4040"), "[::1]:4040");
    for beyond in [":4040", "0.0.0.0:4040", "host:4040", "[::]:4040"] {
        let message = error(&format!("{ALONE} --http {beyond}"));
        assert!(message.contains("so it needs --http-token-file"), "{message}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("token"), "0123456789abcdef").unwrap();
    let token = format!("--http-token-file {}", dir.path().join("token").display());
    assert_eq!(listen(&format!("--http :4040 {token}")), "0.0.0.0:4040");
    assert_eq!(listen(&format!("--http host:4040 {token}")), "host:4040");
    for wrong in ["x", "host:", "::1:4040", "[::1:4040", "1.2.3.4:99999"] {
        assert!(error(&format!("{ALONE} --http {wrong}")).contains("expected a port"), "{wrong}");
    }
}

#[test]
fn the_kubernetes_leader_electors_flags_are_taken() {
    let theirs = "--election=example --id=me --ttl=10s --http=localhost:4040 \
                  --election-namespace=prod --use-cluster-credentials=true";
    let ours = config(&format!("{theirs} --peers me=me:1"));
    assert_eq!(&*ours.elections[0], "example");
    assert_eq!(ours.warnings.len(), 2, "{:?}", ours.warnings);
    let cluster = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let ours = read(&format!("{theirs} --backend kubernetes"), &cluster).unwrap();
    assert_eq!(ours.warnings, Vec::<String>::new());
    let BackendConfig::Kubernetes(backend) = ours.backend else { panic!("another backend") };
    assert_eq!((&*backend.url, &*backend.namespace), ("https://10.0.0.1:443", "prod"));
}

#[test]
fn names_come_from_the_pod_or_the_host() {
    let single = "--backend single";
    let id = |env: &[(&str, &str)]| read(single, env).unwrap().id;
    assert_eq!(&*id(ENV), "app-0");
    assert_eq!(&*id(&[("POD_NAME", ""), ("HOSTNAME", "host")]), "host");
    let kernel = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_eq!(*id(&[]), *kernel);
    assert!(error("--backend single --id a/b").contains("letters, digits"));
    assert!(error("--backend single --election a,a").contains("each election once"));
}

#[test]
fn a_value_is_named_by_where_it_was_written() {
    let env = [("LEADER_ELECTOR_TTL", "10ms"), ("LEADER_ELECTOR_BACKEND", "single")];
    let message = read("--id a", &env).unwrap_err().to_string();
    assert!(message.starts_with("LEADER_ELECTOR_TTL: found `10ms`"), "{message}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yml");
    fs::write(&file, "backend: single\nttl: 10ms\n").unwrap();
    let message = error(&format!("--config {}", file.display()));
    assert!(message.contains("config.yml:2: found `10ms`"), "{message}");
}

#[test]
fn automatic_mode_looks_at_the_application() {
    let auto = format!("{ALONE} --mode auto");
    let bare = config(&auto);
    assert!(bare.warnings[0].contains("a dead application keeps its leadership"));
    let flags = "--app-health-url http://localhost:80/ok --app-port 80 --app-health-file /ok";
    let campaign = config(&format!("{auto} {flags}")).campaign.unwrap();
    assert_eq!(campaign.probes.len(), 3);
    assert_eq!(
        error(&format!("{ALONE} --app-port 80")),
        "--app-port: is looked at only with --mode auto"
    );
    assert!(error(&format!("{auto} --app-health-url ftp://x")).contains("expected a URL"));
    assert!(error(&format!("{auto} --witness")).contains("a witness has no application"));
}

#[test]
fn loss_is_acted_on() {
    let lost = |flags: &str| config(&format!("{ALONE} {flags}")).on_lost;
    let signal = lost("--on-lost signal:SIGUSR1 --signal-process app --stop-margin 1s");
    let expected = LostAction::Signal { signal: Signal::USR1, process: "app".to_owned() };
    assert_eq!(signal, LostConfig { action: expected, margin: Duration::from_secs(1) });
    assert!(error(&format!("{ALONE} --on-lost signal:TERM")).contains("needs --signal-process"));
    let unknown = error(&format!("{ALONE} --on-lost signal:FOO --signal-process app"));
    assert!(unknown.contains("found `FOO`, expected a signal of TERM, INT"), "{unknown}");
    assert!(error(&format!("{ALONE} --on-lost webhook:http://u:p@h/")).contains("expected a URL"));
    assert_eq!(config(&format!("{ALONE} --stop-margin 1s")).warnings.len(), 1);
}

#[test]
fn other_stores_want_their_own_flags() {
    assert!(error("--backend etcd").contains("needs 1 to 16 URLs"));
    let etcd = config("--backend etcd --etcd-endpoints http://a:1/,http://b:2 --etcd-prefix /x");
    let BackendConfig::Etcd(etcd) = etcd.backend else { panic!("another backend") };
    assert_eq!(etcd.endpoints, ["http://a:1", "http://b:2"]);
    assert_eq!(etcd.prefix, "/x/");
    let half = "--backend etcd --etcd-endpoints http://a:1 --etcd-cert Cargo.toml";
    assert!(read(half, ENV).is_err());
    let foreign = error("--backend single --peers a=a:1");
    assert_eq!(foreign, "--peers: is used only with --backend raft");
    let outside = error("--backend kubernetes");
    assert!(outside.contains("outside of a pod"), "{outside}");
    let name = "--backend kubernetes --kubernetes-url http://localhost:1 --election A_b";
    assert!(error(name).contains("a name of a Lease"));
    assert!(error("--backend single --token-floor 9007199254740992").contains("below 2^53"));
}
