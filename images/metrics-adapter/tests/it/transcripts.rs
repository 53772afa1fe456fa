//! Scenes with a JVM: each is played with real ones where there is a JDK, and with recorded bytes
//! everywhere. `tests/transcripts/README.md` says how to record.

use std::sync::Arc;

use management::Secret;
use metrics_adapter::jmx::Value;
use metrics_adapter::jmx::session::{Session, SessionError, Target};
use metrics_adapter::keystore::{NameCheck, Store, TlsOptions};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::support::jvm::{Jdk, Launch};
use crate::support::shapes::{self, integer, read, soon};
use crate::support::transcript::{BothTls, Recorder, Replay, Transcript};

/// Set, real JVMs are recorded.
const RECORD_VARIABLE: &str = "RECORD_TRANSCRIPTS";

/// What is done with a JVM.
struct Scene {
    name: &'static str,
    /// The versions it is recorded with.
    majors: &'static [u32],
    setting: Setting,
    play: fn(&Target),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// The JVM's own agent.
    Agent,
    /// With a bean whose value cannot be sent.
    Unserializable,
    Password,
    /// TLS for objects, not for the registry.
    Tls,
}

const SCENES: [Scene; 7] = [
    Scene {
        name: "plain",
        majors: &[17, 25],
        setting: Setting::Agent,
        play: |target| {
            with_session(target, |session| {
                shapes::names(session);
                shapes::numbers(session);
                shapes::boxed(session);
                shapes::texts(session);
            });
        },
    },
    Scene {
        name: "open-types",
        majors: &[17, 25],
        setting: Setting::Agent,
        play: |target| {
            with_session(target, |session| {
                shapes::arrays(session);
                shapes::open(session);
                shapes::maps(session);
            });
        },
    },
    Scene {
        name: "unknown-class",
        majors: &[17],
        setting: Setting::Agent,
        play: |target| with_session(target, shapes::unknown),
    },
    Scene {
        name: "throwing-getter",
        majors: &[17],
        setting: Setting::Agent,
        play: |target| with_session(target, shapes::throwing),
    },
    Scene {
        name: "unserializable",
        majors: &[17],
        setting: Setting::Unserializable,
        play: |target| {
            with_session(target, |session| {
                // The second time the session knows what not to ask for.
                for _ in 0..2 {
                    let found = read(session, "shapes:type=Unserializable");
                    let found: Vec<(String, Value)> = found.into_iter().collect();
                    assert_eq!(found, [("Before".into(), integer(1)), ("Last".into(), integer(2))]);
                }
            });
        },
    },
    Scene {
        name: "password",
        majors: &[17],
        setting: Setting::Password,
        play: |target| {
            let login = |password: &str| Target {
                credentials: Some(("monitor".into(), Secret::from(password.to_owned()))),
                ..target.clone()
            };
            let error = Session::connect(&login("guess"), soon()).unwrap_err();
            let refused = matches!(&error, SessionError::Remote { class, .. }
                if class == "java.lang.SecurityException");
            assert!(refused, "{error}");
            with_session(&login("secret"), shapes::numbers);
        },
    },
    Scene {
        name: "registry-without-tls",
        majors: &[17],
        setting: Setting::Tls,
        play: |target| with_session(target, shapes::numbers),
    },
];

fn with_session(target: &Target, play: impl FnOnce(&mut Session)) {
    let mut session = Session::connect(target, soon()).unwrap();
    play(&mut session);
    session.close();
}

/// Files for passwords and keys. Real JVMs, replays and the recorder use the same ones.
struct Files {
    dir: TempDir,
    own: TlsOptions,
    trust: TlsOptions,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["jvm".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (key, certificate) = (key.serialize_der(), certificate.der().to_vec());
        let path = dir.path().join("own.p12");
        std::fs::write(&path, p12(&key, &certificate)).unwrap();
        let password = Some(Secret::from("changeit".to_owned()));
        let store = Store { path, password, ..Store::default() };
        let own = TlsOptions { key_store: Some(store.clone()), ..TlsOptions::default() };
        // The own certificate of a key is trusted, too.
        let trust = TlsOptions { trust_store: Some(store), ..TlsOptions::default() };
        Self { dir, own, trust }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn launch<'a>(&self, jdk: &'a Jdk, setting: Setting) -> Launch<'a> {
        let launch = Launch::new(jdk);
        match setting {
            Setting::Agent => launch.agent(),
            Setting::Unserializable => launch.agent().args(&["--unserializable"]),
            Setting::Password => {
                let (password, access) = (self.path("password"), self.path("access"));
                std::fs::write(&password, "monitor secret\n").unwrap();
                std::fs::write(&access, "monitor readonly\n").unwrap();
                let only_ours = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(&password, only_ours).unwrap();
                launch.args(&["--port", "0", "--password", &password, "--access", &access])
            }
            Setting::Tls => launch
                .args(&["--port", "0", "--plain-registry", "--storepass", "changeit"])
                .args(&["--keystore", &self.path("own.p12")]),
        }
    }

    fn target(&self, port: u16, setting: Setting) -> Target {
        let tls = (setting == Setting::Tls).then(|| self.both_tls().client);
        Target { tls, ..Target::new("127.0.0.1", port) }
    }

    fn both_tls(&self) -> BothTls {
        BothTls {
            server: Arc::new(self.own.server().unwrap()),
            client: Arc::new(self.trust.client(NameCheck::Never).unwrap()),
        }
    }
}

fn p12(key: &[u8], certificate: &[u8]) -> Vec<u8> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let certificate = Certificate::from_der(certificate).unwrap();
    let key = PrivateKey::from_der(key).unwrap();
    let chain = PrivateKeyChain::new(b"1".as_slice(), key, [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("jvm", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer("changeit").write().unwrap()
}

fn recording() -> bool {
    std::env::var_os(RECORD_VARIABLE).is_some()
}

#[test]
fn scenes_with_real_jvms() {
    let files = Files::new();
    for jdk in Jdk::all("scenes_with_real_jvms") {
        for scene in &SCENES {
            // Shown if one fails.
            eprintln!("{} with version {}", scene.name, jdk.major);
            let jvm = files.launch(&jdk, scene.setting).start();
            if !recording() || !scene.majors.contains(&jdk.major) {
                (scene.play)(&files.target(jvm.port(), scene.setting));
                continue;
            }
            let tls = (scene.setting == Setting::Tls).then(|| files.both_tls());
            let recorder = Recorder::start(jvm.port(), tls);
            (scene.play)(&files.target(recorder.port(), scene.setting));
            recorder.finish().save(&format!("{}-{}", scene.name, jdk.major));
        }
    }
}

#[test]
fn scenes_with_recorded_bytes() {
    let files = Files::new();
    for scene in &SCENES {
        for major in scene.majors {
            let name = format!("{}-{major}", scene.name);
            // Shown if one fails.
            eprintln!("{name}");
            let tls = (scene.setting == Setting::Tls).then(|| files.both_tls().server);
            let replay = Replay::start(Transcript::load(&name), tls);
            (scene.play)(&files.target(replay.port(), scene.setting));
            replay.finish();
        }
    }
}
