//! What happens when leadership is lost.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leader_elector::agent::Action;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{Fault, Faulty, Sidecar, Store, WAIT_MAX, config, wait_until};

/// A sidecar that leads and is cut off.
async fn cut_off(action: Action, margin: Duration) -> (Store, Sidecar) {
    let store = Store::start();
    let faulty = Faulty::new(store.single.clone());
    let mut config = config("a");
    config.on_lost = action;
    config.stop_margin = margin;
    let sidecar = Sidecar::with(faulty.clone(), config, Default::default()).await;
    sidecar.lead("jobs", r#"{"ttl_ms":2000}"#).await;
    faulty.set(Fault::NoQuorum);
    (store, sidecar)
}

/// Takes one POST and answers it.
async fn posted(listener: &TcpListener) -> Value {
    let take = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut length, mut first) = (0, String::new());
        stream.read_line(&mut first).await.unwrap();
        assert_eq!(first, "POST /lost HTTP/1.1\r\n");
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    timeout(WAIT_MAX, take).await.unwrap()
}

async fn webhook() -> (TcpListener, Action) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lost", listener.local_addr().unwrap());
    (listener, Action::webhook(&url).unwrap())
}

#[tokio::test]
async fn a_webhook_is_told_of_the_loss() {
    let (listener, action) = webhook().await;
    let (_store, sidecar) = cut_off(action, Duration::ZERO).await;
    let notice = posted(&listener).await;
    assert_eq!(notice["event"], "lost");
    assert_eq!(notice["election"], "jobs");
    assert_eq!(notice["holder"], "a");
    assert!(notice["token"].is_u64());
    assert_eq!(notice["valid_for_ms"], 0);
    assert!(!sidecar.leads("jobs").await);
}

#[tokio::test]
async fn with_a_margin_it_is_told_before_and_after() {
    let (listener, action) = webhook().await;
    let (_store, _sidecar) = cut_off(action, Duration::from_millis(1600)).await;
    let before = posted(&listener).await;
    let after = posted(&listener).await;
    assert_eq!(
        (before["event"].as_str(), after["event"].as_str()),
        (Some("stopping"), Some("lost"))
    );
    assert!(before["valid_for_ms"].as_u64().unwrap() <= 1600);
}

#[tokio::test]
async fn a_resignation_is_no_loss() {
    let (listener, action) = webhook().await;
    let store = Store::start();
    let mut config = config("a");
    config.on_lost = action;
    let sidecar = Sidecar::with(store.single.clone(), config, Default::default()).await;
    let (_, renewal) = sidecar.lead("mail", "").await;
    assert_eq!(sidecar.post("/v1/elections/mail/resign", &renewal).await.status, 200);
    // A lease that is taken away comes after it, and is the first to be told.
    let (lease, renewal) = sidecar.lead("jobs", "").await;
    let session = u64::from_str_radix(lease["session"].as_str().unwrap(), 16).unwrap();
    let session = leader_elector::backend::Session(session);
    let (single, election) = (store.single.clone(), "jobs".into());
    let token = lease["token"].as_u64().unwrap();
    leader_elector::backend::Backend::resign(&*single, &election, session, token, None)
        .await
        .unwrap();
    assert_eq!(sidecar.post("/v1/elections/jobs/renew", &renewal).await.status, 409);
    assert_eq!(posted(&listener).await["election"], "jobs");
}

/// A process of a name that nothing else has.
struct Process {
    child: Child,
    name: String,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{name}-{}", std::process::id());
        let program = folder.path().join(&name);
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut command = Command::new(program);
        let child = command.arg("600").stdin(Stdio::null()).spawn().unwrap();
        Self { child, name, _folder: folder }
    }

    async fn signal(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the process has ended", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().signal()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_signal_ends_the_application() {
    let mut process = Process::start("le-term");
    let action = Action::signal("TERM", Some(process.name.clone())).unwrap();
    let (_store, _sidecar) = cut_off(action, Duration::ZERO).await;
    assert_eq!(process.signal().await, Some(rustix::process::Signal::TERM.as_raw()));
}

#[tokio::test]
async fn who_does_not_stop_within_the_margin_is_killed_at_the_deadline() {
    let mut process = Process::start("le-kill");
    // This one is ignored by default, as an application might ignore TERM.
    let action = Action::Signal {
        signal: rustix::process::Signal::CHILD,
        process: Some(process.name.clone()),
    };
    let (_store, _sidecar) = cut_off(action, Duration::from_millis(300)).await;
    assert_eq!(process.signal().await, Some(rustix::process::Signal::KILL.as_raw()));
}

#[tokio::test]
async fn liveness_fails_until_the_application_is_new() {
    let (_store, sidecar) = cut_off(Action::Liveness, Duration::ZERO).await;
    assert!(sidecar.agent.liveness().is_ok());
    wait_until("liveness fails", async || sidecar.agent.liveness().is_err()).await;
    let sick = sidecar.get("/healthz").await;
    assert_eq!((sick.status, sick.error().as_str()), (503, "not_live"));
    // A restarted application asks for leadership, whether it gets it or not.
    assert_eq!(sidecar.post("/becomeLeader", "").await.status, 503);
    assert_eq!(sidecar.get("/healthz").await.status, 200);
}
