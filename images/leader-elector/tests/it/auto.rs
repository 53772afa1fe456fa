//! Automatic mode beside applications that fall ill.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leader_elector::campaign::{self, CampaignConfig, Probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{Sidecar, Store, wait_until};

async fn campaigning(probes: Vec<Probe>) -> (Store, Sidecar) {
    let store = Store::start();
    let mut sidecar = Sidecar::start(store.single.clone(), "a").await;
    let config = CampaignConfig { probes, interval: Duration::from_millis(5), failures: 2 };
    sidecar.tasks.spawn(campaign::run(Arc::clone(&sidecar.agent), config));
    (store, sidecar)
}

async fn leads(sidecar: &Sidecar, expected: bool) {
    for election in ["jobs", "mail"] {
        let what = format!("leading {election} is {expected}");
        wait_until(&what, async || sidecar.leads(election).await == expected).await;
    }
}

/// Its leases are free for others, and not only forgotten.
async fn resigned(store: &Store) {
    let other = Sidecar::start(store.single.clone(), "b").await;
    for election in ["jobs", "mail"] {
        let granted = other.post(&format!("/v1/elections/{election}/acquire"), "").await;
        assert_eq!(granted.status, 200, "{}", granted.body);
        let lease = granted.json();
        let renewal = format!(r#"{{"session":{},"token":{}}}"#, lease["session"], lease["token"]);
        let path = format!("/v1/elections/{election}/resign");
        assert_eq!(other.post(&path, &renewal).await.status, 200);
    }
}

/// An application that answers every request with 200 or 500.
async fn application(tasks: &mut JoinSet<()>) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let well = Arc::new(AtomicBool::new(false));
    let shown = Arc::clone(&well);
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            // One request a connection; whatever goes wrong is the client's to notice.
            let _ = stream.read(&mut request).await;
            let status = if shown.load(Ordering::Relaxed) { "200 OK" } else { "500 No" };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, well)
}

#[tokio::test]
async fn it_leads_while_the_health_endpoint_answers() {
    let mut tasks = JoinSet::new();
    let (url, well) = application(&mut tasks).await;
    let (store, sidecar) = campaigning(vec![Probe::http(&url).unwrap()]).await;
    assert!(!sidecar.leads("jobs").await, "nobody stands before the application is well");
    well.store(true, Ordering::Relaxed);
    leads(&sidecar, true).await;
    well.store(false, Ordering::Relaxed);
    leads(&sidecar, false).await;
    resigned(&store).await;
    well.store(true, Ordering::Relaxed);
    leads(&sidecar, true).await;
}

#[tokio::test]
async fn it_leads_while_the_port_accepts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (store, sidecar) = campaigning(vec![Probe::Port(port)]).await;
    leads(&sidecar, true).await;
    drop(listener);
    leads(&sidecar, false).await;
    resigned(&store).await;
}

#[tokio::test]
async fn it_leads_while_the_file_exists() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("well");
    let (store, sidecar) = campaigning(vec![Probe::File(file.clone())]).await;
    std::fs::write(&file, "").unwrap();
    leads(&sidecar, true).await;
    std::fs::remove_file(&file).unwrap();
    leads(&sidecar, false).await;
    resigned(&store).await;
}

#[tokio::test]
async fn all_probes_must_pass() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::write(&first, "").unwrap();
    std::fs::write(&second, "").unwrap();
    let probes = vec![Probe::File(first), Probe::File(second.clone())];
    let (_store, sidecar) = campaigning(probes).await;
    leads(&sidecar, true).await;
    std::fs::remove_file(&second).unwrap();
    leads(&sidecar, false).await;
}

#[tokio::test]
async fn without_a_probe_it_leads_and_renews() {
    let store = Store::start();
    let mut config = crate::support::config("a");
    config.ttl = Duration::from_secs(2);
    let mut sidecar = Sidecar::with(store.single.clone(), config, Default::default()).await;
    let config = CampaignConfig { probes: vec![], interval: Duration::from_secs(1), failures: 1 };
    sidecar.tasks.spawn(campaign::run(Arc::clone(&sidecar.agent), config));
    leads(&sidecar, true).await;
    let renewed = || sidecar.agent.counters().renewed.load(Ordering::Relaxed);
    wait_until("it was renewed", async || renewed() > 3).await;
    assert_eq!(sidecar.agent.counters().gained.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_second_sidecar_takes_over_from_one_that_stops() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("well");
    std::fs::write(&file, "").unwrap();
    let (store, first) = campaigning(vec![Probe::File(file.clone())]).await;
    leads(&first, true).await;
    let mut second = Sidecar::start(store.single.clone(), "b").await;
    let probes = vec![Probe::File(file)];
    let config = CampaignConfig { probes, interval: Duration::from_millis(5), failures: 2 };
    second.tasks.spawn(campaign::run(Arc::clone(&second.agent), config));
    first.agent.stop();
    leads(&second, true).await;
    leads(&first, false).await;
    wait_until("nothing is under way", async || first.agent.in_flight() == 0).await;
}
