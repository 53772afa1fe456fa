//! Sessions with real JVMs, and what may happen to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use management::Secret;
use metrics_adapter::jmx::attach::{Selector, attach};
use metrics_adapter::jmx::session::{Session, SessionError, Target, Wanted};
use metrics_adapter::jmx::{ObjectName, Value};
use metrics_adapter::keystore::{NameCheck, Store, TlsOptions};

use crate::support::jvm::{Jdk, Jvm, Launch};
use crate::support::shapes::{self, integer, name, read, read_one, soon};
use crate::support::{free_port, wait_until};

fn target(jvm: &Jvm) -> Target {
    Target::new("127.0.0.1", jvm.port())
}

fn session(jvm: &Jvm) -> Session {
    Session::connect(&target(jvm), soon()).unwrap()
}

fn every_shape(session: &mut Session) {
    shapes::names(session);
    shapes::numbers(session);
    shapes::boxed(session);
    shapes::texts(session);
    shapes::arrays(session);
    shapes::open(session);
    shapes::maps(session);
    shapes::unknown(session);
    shapes::throwing(session);
}

#[test]
fn every_shape_is_read() {
    for jdk in Jdk::all("every_shape_is_read") {
        // The JVM's own agent, and one of the application's.
        for launch in [Launch::new(&jdk).agent(), Launch::new(&jdk).args(&["--port", "0"])] {
            let jvm = launch.start();
            let mut session = session(&jvm);
            every_shape(&mut session);
            let long = read_one(&mut session, "shapes:type=Texts", "Long");
            assert_eq!(long, Some(Value::Text("l".repeat(70_000))));
            session.close();
        }
    }
}

#[test]
fn an_attached_jvm_is_read() {
    for jdk in Jdk::all("an_attached_jvm_is_read") {
        let jvm = Launch::without_flags(&jdk).start();
        let pid = i32::try_from(jvm.pid()).unwrap();
        let attached = attach(&Selector::Pid(pid), soon()).unwrap();
        let target = Target::from_url(&attached.url).unwrap();
        every_shape(&mut Session::connect(&target, soon()).unwrap());
    }
}

#[test]
fn a_value_that_cannot_be_sent_costs_only_itself() {
    for jdk in Jdk::all("a_value_that_cannot_be_sent_costs_only_itself") {
        let jvm = Launch::new(&jdk).agent().args(&["--unserializable"]).start();
        let mut session = session(&jvm);
        for _ in 0..2 {
            let found = read(&mut session, "shapes:type=Unserializable");
            let expected = [("Before".to_owned(), integer(1)), ("Last".to_owned(), integer(2))];
            assert_eq!(found, BTreeMap::from(expected));
        }
        every_shape(&mut session);
    }
}

// === passwords and TLS ===

/// Files of the JDK's formats, made by its own tools.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// A file that only we may read, as the JDK wants it for passwords.
    fn secret(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A key that vouches for itself in a store of its own, and a store that trusts it. Kinds are
    /// `jks`, `p12`, and `old`: PKCS#12 with the ciphers of JDK 8 to 15.
    fn key(&self, jdk: &Jdk, name: &str, kind: &str) -> (String, String) {
        let store = self.path(&format!("{name}.{kind}"));
        let trust = self.path(&format!("{name}-trust.{kind}"));
        let certificate = self.path(&format!("{name}.crt"));
        let old = if kind == "old" { " -J-Dkeystore.pkcs12.legacy=true" } else { "" };
        let keytool = |args: &str| {
            let args = format!("{args}{old}");
            jdk.run("keytool", &args.split(' ').collect::<Vec<&str>>());
        };
        let pass = "-storepass changeit";
        let kind = if kind == "jks" { "JKS" } else { "PKCS12" };
        keytool(&format!(
            "-genkeypair -alias {name} -keyalg RSA -keysize 2048 -dname CN={name} -validity 30 \
             -storetype {kind} -keystore {store} {pass} -keypass changeit"
        ));
        keytool(&format!("-exportcert -alias {name} -keystore {store} {pass} -file {certificate}"));
        keytool(&format!(
            "-importcert -noprompt -alias {name} -file {certificate} -storetype {kind} \
             -keystore {trust} {pass}"
        ));
        (store, trust)
    }
}

fn store(path: &str) -> Store {
    let password = Some(Secret::from("changeit".to_owned()));
    Store { path: path.into(), password, ..Store::default() }
}

fn login(user: &str, password: &str) -> Option<(String, Secret)> {
    Some((user.to_owned(), Secret::from(password.to_owned())))
}

#[test]
fn passwords_are_asked_for() {
    for jdk in Jdk::all("passwords_are_asked_for") {
        let files = Files::new();
        let password = files.secret("password", "monitor secret\n");
        let access = files.secret("access", "monitor readonly\n");
        let jvm = Launch::new(&jdk)
            .flags(&[
                "-Dcom.sun.management.jmxremote.port=0",
                "-Dcom.sun.management.jmxremote.ssl=false",
                &format!("-Dcom.sun.management.jmxremote.password.file={password}"),
                &format!("-Dcom.sun.management.jmxremote.access.file={access}"),
            ])
            .start();
        let with = |credentials| Target { credentials, ..target(&jvm) };
        let mut session = Session::connect(&with(login("monitor", "secret")), soon()).unwrap();
        shapes::numbers(&mut session);
        for wrong in [login("monitor", "guess"), login("nobody", "secret"), None] {
            let error = Session::connect(&with(wrong), soon()).unwrap_err();
            let refused = matches!(&error, SessionError::Remote { class, .. }
                if class == "java.lang.SecurityException");
            assert!(refused, "{error}");
            assert!(!error.to_string().contains("guess"), "{error}");
        }
    }
}

/// TLS of the JVM's own agent, with key stores of both kinds.
#[test]
fn tls_with_and_without_the_registry() {
    for jdk in Jdk::all("tls_with_and_without_the_registry") {
        for (registry, kind) in [(true, "jks"), (false, "p12")] {
            let files = Files::new();
            let (key_store, trust_store) = files.key(&jdk, "jvm", kind);
            let jvm = Launch::new(&jdk)
                .flags(&[
                    "-Dcom.sun.management.jmxremote.port=0",
                    "-Dcom.sun.management.jmxremote.authenticate=false",
                    "-Dcom.sun.management.jmxremote.ssl=true",
                    &format!("-Dcom.sun.management.jmxremote.registry.ssl={registry}"),
                    &format!("-Djavax.net.ssl.keyStore={key_store}"),
                    "-Djavax.net.ssl.keyStorePassword=changeit",
                ])
                .start();
            let with = |options: &TlsOptions| Target {
                tls: Some(Arc::new(options.client(NameCheck::Never).unwrap())),
                registry_tls: registry,
                ..target(&jvm)
            };
            let trust = TlsOptions { trust_store: Some(store(&trust_store)), ..Default::default() };
            for protocol in ["TLSv1.2", "TLSv1.3"] {
                let options = TlsOptions { protocols: vec![protocol.into()], ..trust.clone() };
                let mut session = Session::connect(&with(&options), soon()).unwrap();
                every_shape(&mut session);
            }
            let (_, stranger) = files.key(&jdk, "stranger", kind);
            let options = TlsOptions { trust_store: Some(store(&stranger)), ..Default::default() };
            let error = Session::connect(&with(&options), soon()).unwrap_err();
            assert!(matches!(error, SessionError::Io { .. }), "{error}");
            let without = Target { tls: None, ..with(&trust) };
            let error = Session::connect(&without, soon()).unwrap_err();
            assert!(error.to_string().contains("wants TLS"), "{error}");
        }
    }
}

#[test]
fn clients_show_certificates() {
    let Some(jdk) = Jdk::any("clients_show_certificates") else { return };
    let files = Files::new();
    let (server, trust_server) = files.key(&jdk, "server", "old");
    let (client, trust_client) = files.key(&jdk, "client", "jks");
    let jvm = Launch::new(&jdk)
        .args(&["--port", "0", "--storepass", "changeit"])
        .args(&["--keystore", &server, "--truststore", &trust_client])
        .start();
    let with = |options: &TlsOptions| Target {
        tls: Some(Arc::new(options.client(NameCheck::Never).unwrap())),
        registry_tls: true,
        ..target(&jvm)
    };
    let mut options =
        TlsOptions { trust_store: Some(store(&trust_server)), ..TlsOptions::default() };
    assert!(Session::connect(&with(&options), soon()).is_err());
    options.key_store = Some(store(&client));
    shapes::numbers(&mut Session::connect(&with(&options), soon()).unwrap());
}

// === what may happen ===

#[test]
fn the_advertised_host_need_not_exist() {
    for jdk in Jdk::all("the_advertised_host_need_not_exist") {
        let hostname = "-Djava.rmi.server.hostname=pod-7.invalid";
        let jvm = Launch::new(&jdk).agent().flags(&[hostname]).start();
        shapes::numbers(&mut session(&jvm));
        let advertised = Target { advertised_host: true, ..target(&jvm) };
        let error = Session::connect(&advertised, soon()).unwrap_err();
        assert!(error.to_string().contains("pod-7.invalid"), "{error}");
    }
}

const GENERATED: usize = 2_000;
const ATTRIBUTES: [&str; 8] = ["Active", "Count", "Errors", "Idle", "Level", "Load", "Max", "Mean"];

fn generated() -> Vec<ObjectName> {
    (0..GENERATED).map(|i| name(&format!("load:type=Generated,name=bean-{i:05}"))).collect()
}

/// Reads all generated beans; `midway` is called once, in the middle of the pipeline. Each must be
/// answered once, with its own numbers.
fn read_generated(session: &mut Session, midway: &mut dyn FnMut()) -> Result<(), SessionError> {
    let names = generated();
    let attributes = ATTRIBUTES.map(str::to_owned);
    let wanted: Vec<Wanted<'_>> =
        names.iter().map(|name| Wanted { name, attributes: &attributes }).collect();
    let mut answered = vec![0; GENERATED];
    let mut seen = 0;
    session.values(&wanted, soon(), &mut |index, answer| {
        let answer: BTreeMap<String, Value> = answer.unwrap().into_iter().collect();
        assert_eq!(answer.len(), ATTRIBUTES.len());
        let count = i64::try_from(index).unwrap() * 1_000_003;
        assert_eq!(answer["Count"], integer(count), "{index}");
        answered[index] += 1;
        seen += 1;
        // Four streams share the beans, and the first answers come from the first quarter.
        if seen == GENERATED / 8 {
            midway();
        }
    })?;
    assert!(answered.iter().all(|it| *it == 1), "each is answered once");
    Ok(())
}

#[test]
fn two_thousand_beans_are_read() {
    for jdk in Jdk::all("two_thousand_beans_are_read") {
        let jvm = Launch::new(&jdk).agent().args(&["--beans", "2000"]).start();
        let mut session = session(&jvm);
        let found = session.names(Some(&name("load:*")), soon()).unwrap();
        assert_eq!(found.len(), GENERATED);
        let infos = session.infos(&generated(), soon()).unwrap();
        assert!(infos.iter().all(|info| info.as_ref().unwrap().len() == ATTRIBUTES.len()));
        for _ in 0..3 {
            read_generated(&mut session, &mut || {}).unwrap();
        }
    }
}

#[test]
fn a_server_is_restarted_in_the_middle_of_a_pipeline() {
    let test = "a_server_is_restarted_in_the_middle_of_a_pipeline";
    let Some(jdk) = Jdk::any(test) else { return };
    let mut jvm = Launch::new(&jdk).args(&["--port", "0", "--beans", "2000"]).start();
    let mut session = session(&jvm);
    read_generated(&mut session, &mut || jvm.command("restart-server")).unwrap();
    read_generated(&mut session, &mut || jvm.command("cut")).unwrap();
    read_generated(&mut session, &mut || {}).unwrap();
}

#[test]
fn a_jvm_is_killed_and_comes_back_in_the_middle_of_a_pipeline() {
    let test = "a_jvm_is_killed_and_comes_back_in_the_middle_of_a_pipeline";
    let Some(jdk) = Jdk::any(test) else { return };
    let port = free_port().to_string();
    let start = || Launch::new(&jdk).args(&["--port", &port, "--beans", "2000"]).start();
    let mut jvm = start();
    let mut session = session(&jvm);
    let restart = &mut || {
        jvm.kill();
        jvm = start();
    };
    read_generated(&mut session, restart).unwrap();
    read_generated(&mut session, &mut || {}).unwrap();
}

#[test]
fn a_jvm_that_is_killed_for_good_is_an_error() {
    let Some(jdk) = Jdk::any("a_jvm_that_is_killed_for_good_is_an_error") else { return };
    let mut jvm = Launch::new(&jdk).args(&["--port", "0", "--beans", "2000"]).start();
    let target = target(&jvm);
    let mut session = session(&jvm);
    let error = read_generated(&mut session, &mut || jvm.kill()).unwrap_err();
    assert!(matches!(error, SessionError::Io { .. }), "{error}");
    assert!(session.ping(soon()).is_err());
    assert!(Session::connect(&target, soon()).is_err());
}

/// The kernel of a stopped process still takes connections and bytes.
#[test]
fn a_server_that_stops_answering_is_left_at_the_deadline() {
    let test = "a_server_that_stops_answering_is_left_at_the_deadline";
    let Some(jdk) = Jdk::any(test) else { return };
    let jvm = Launch::new(&jdk).args(&["--port", "0", "--beans", "2000"]).start();
    let mut session = session(&jvm);
    jvm.freeze(true);
    let deadline = || Instant::now() + Duration::from_millis(200);
    let error = session.names(None, deadline()).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    let error = Session::connect(&target(&jvm), deadline()).unwrap_err();
    assert!(matches!(error, SessionError::Deadline), "{error}");
    jvm.freeze(false);
    // What was asked before may still be answered on the old connection: it is not used again.
    assert!(session.is_broken());
    session.reconnect(soon()).unwrap();
    read_generated(&mut session, &mut || {}).unwrap();
}

#[test]
fn a_connection_that_the_server_closed_is_made_anew() {
    let Some(jdk) = Jdk::any("a_connection_that_the_server_closed_is_made_anew") else { return };
    let jvm = Launch::new(&jdk).args(&["--port", "0", "--idle-ms", "300"]).start();
    let mut idle = session(&jvm);
    let mut other = session(&jvm);
    // Asking keeps the one alive and lets the other be.
    wait_until("the idle connection is closed", || {
        read_one(&mut other, "shapes:type=Live", "Connections") == Some(integer(1))
    });
    let error = idle.ping(soon()).unwrap_err();
    assert!(error.is_connection(), "{error}");
    idle.reconnect(soon()).unwrap();
    shapes::numbers(&mut idle);
}

#[test]
fn the_server_forgets_a_session_that_says_goodbye() {
    let Some(jdk) = Jdk::any("the_server_forgets_a_session_that_says_goodbye") else { return };
    let jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
    let mut watcher = session(&jvm);
    let mut connections = || read_one(&mut watcher, "shapes:type=Live", "Connections");
    assert_eq!(connections(), Some(integer(1)));
    let one = session(&jvm);
    let two = session(&jvm);
    assert_eq!(connections(), Some(integer(3)));
    one.close();
    assert_eq!(connections(), Some(integer(2)));
    drop(two);
    wait_until("the dropped one is gone, too", || connections() == Some(integer(1)));
}

/// The server holds what it exports for us although nobody takes part in garbage collection.
#[test]
fn a_session_outlives_garbage_collections() {
    let Some(jdk) = Jdk::any("a_session_outlives_garbage_collections") else { return };
    let mut jvm = Launch::new(&jdk).args(&["--port", "0"]).start();
    let mut session = session(&jvm);
    for _ in 0..3 {
        jvm.command("gc");
        shapes::numbers(&mut session);
    }
}
