//! Leases in Lease objects, at a server that speaks them.

use std::sync::Arc;

use leader_elector::backend::kubernetes::Kubernetes;
use leader_elector::backend::{Backend, Consistency, Failure};
use leader_elector::config::KubernetesConfig;
use serde_json::json;

use crate::conformance::{
    Features, LONG, Place, SHORT, asks, conformance, renew, resign, run, take, until, waits,
};
use crate::support::apiserver::ApiServer;

struct Cluster {
    server: ApiServer,
    sidecars: [Arc<Kubernetes>; 2],
}

impl Cluster {
    fn config(server: &ApiServer) -> KubernetesConfig {
        KubernetesConfig {
            url: server.url(),
            namespace: "ns".to_owned(),
            token_file: None,
            ca: None,
            token_floor: 0,
        }
    }

    fn sidecar(server: &ApiServer, name: &str) -> Arc<Kubernetes> {
        let config = Self::config(server);
        Arc::new(Kubernetes::start(&config, name.into(), "default".into()).unwrap())
    }
}

impl Place for Cluster {
    async fn start() -> Self {
        let server = ApiServer::start().await;
        let sidecars = [Self::sidecar(&server, "a"), Self::sidecar(&server, "b")];
        Self { server, sidecars }
    }

    fn sidecars(&self) -> [Arc<dyn Backend>; 2] {
        let [a, b] = &self.sidecars;
        [Arc::<Kubernetes>::clone(a), Arc::<Kubernetes>::clone(b)]
    }

    fn features(&self) -> Features {
        Features { queue: false, outage: true }
    }

    async fn waiting(&self, _election: &str) -> Option<usize> {
        None
    }

    async fn cut(&mut self, off: bool) {
        self.server.fault(|faults| faults.silent = off);
    }
}

conformance!(Cluster);

// === what is so with Kubernetes alone ===

#[test]
fn others_read_the_lease_as_they_know_it() {
    run::<Cluster>(async |place| {
        let [a, b] = place.sidecars();
        let first = take(&a, asks("e", "pod-a", 1)).await.unwrap();
        let lease = place.server.lease("e").unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "pod-a");
        assert_eq!(lease["spec"]["leaseDurationSeconds"], LONG.as_secs());
        assert_eq!(lease["spec"]["leaseTransitions"], 0);
        let token = lease["metadata"]["annotations"]["leader-elector/token"].as_str();
        assert_eq!(token, Some(&*first.lease.token.to_string()));
        renew(&a, "e", &first).await.unwrap();
        assert_ne!(
            place.server.lease("e").unwrap()["spec"]["renewTime"],
            lease["spec"]["renewTime"]
        );
        resign(&a, "e", &first).await.unwrap();
        assert_eq!(place.server.lease("e").unwrap()["spec"]["holderIdentity"], "");
        take(&b, asks("e", "pod-b", 2)).await.unwrap();
        assert_eq!(place.server.lease("e").unwrap()["spec"]["leaseTransitions"], 1);
    });
}

#[test]
fn another_program_is_respected() {
    run::<Cluster>(async |place| {
        let [a, _] = place.sidecars();
        let theirs = json!({
            "metadata": { "name": "e", "labels": { "theirs": "yes" } },
            "spec": { "holderIdentity": "client-go", "leaseDurationSeconds": 1,
                "renewTime": "1999-01-01T00:00:00.000000Z", "leaseTransitions": 3 },
        });
        place.server.store(|store| store.create(theirs)).unwrap();
        // Its clock is decades behind, which says nothing.
        let Err(Failure::Held { leader, .. }) = take(&a, asks("e", "a", 1)).await else { panic!() };
        assert_eq!((&*leader.holder, leader.token), ("client-go", 0));
        let grant = waits(&a, asks("e", "a", 1)).end().await.unwrap();
        assert!(grant.lease.token > 0);
        let lease = place.server.lease("e").unwrap();
        assert_eq!(lease["metadata"]["labels"]["theirs"], "yes");
        assert_eq!(lease["spec"]["leaseTransitions"], 4);
    });
}

#[test]
fn a_deleted_lease_does_not_take_tokens_back() {
    run::<Cluster>(async |place| {
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
        place.server.store(|store| store.delete("e"));
        watch.wait_for(|view| view.lease.is_none()).await.unwrap();
        assert!(matches!(renew(&a, "e", &first).await, Err(Failure::Lost(None))));
        // The base is the second of its birth, so the next is higher from the next second on.
        until("tokens are higher", async || {
            let second = take(&b, asks("e", "b", 2)).await.unwrap();
            let higher = second.lease.token > first.lease.token;
            if !higher {
                place.server.store(|store| store.delete("e"));
            }
            higher
        })
        .await;
    });
}

#[test]
fn what_a_watch_cannot_go_on_from_is_looked_at_anew() {
    run::<Cluster>(async |place| {
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
        place.server.store(|store| store.compact());
        resign(&a, "e", &first).await.unwrap();
        watch.wait_for(|view| view.lease.is_none()).await.unwrap();
        take(&a, asks("e", "c", 3)).await.unwrap();
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
    });
}

#[test]
fn get_create_and_update_are_enough() {
    run::<Cluster>(async |place| {
        place.server.fault(|faults| faults.no_watch = true);
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        let mut acquire = asks("e", "a", 1);
        acquire.ttl = SHORT;
        take(&a, acquire).await.unwrap();
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
        let second = waits(&b, asks("e", "b", 2)).end().await.unwrap();
        watch.wait_for(|view| view.lease.as_ref() == Some(&second.lease)).await.unwrap();
        assert!(b.list().await.unwrap().iter().any(|(name, _)| &**name == "e"));
        assert_eq!(b.ready(), Ok(()));
    });
}

#[test]
fn a_missing_role_is_named() {
    run::<Cluster>(async |place| {
        place.server.fault(|faults| faults.forbidden = true);
        let [a, _] = place.sidecars();
        let refused = take(&a, asks("e", "a", 1)).await.unwrap_err();
        let Failure::NoQuorum(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("403") && reason.contains("is forbidden"), "{reason}");
        assert_eq!(a.ready(), Err(reason));
    });
}

#[test]
fn an_answer_that_was_lost_is_found_again() {
    run::<Cluster>(async |place| {
        let [a, b] = place.sidecars();
        place.server.fault(|faults| faults.lost_answers = 1);
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        place.server.fault(|faults| faults.lost_answers = 1);
        let renewed = renew(&a, "e", &first).await.unwrap();
        assert_eq!(renewed.lease, first.lease);
        place.server.fault(|faults| faults.lost_answers = 1);
        resign(&a, "e", &first).await.unwrap();
        let view = b.read(&"e".into(), Consistency::Linearizable).await.unwrap();
        assert_eq!(view.lease, None);
    });
}

#[test]
fn an_error_of_the_server_is_no_answer() {
    run::<Cluster>(async |place| {
        let [a, _] = place.sidecars();
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        place.server.fault(|faults| faults.errors = 1000);
        let failure = renew(&a, "e", &first).await.unwrap_err();
        assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
        place.server.fault(|faults| faults.errors = 0);
        assert_eq!(renew(&a, "e", &first).await.unwrap().lease, first.lease);
    });
}

#[test]
fn the_token_is_read_from_its_file_and_sent() {
    run::<Cluster>(async |place| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "secret\n").unwrap();
        let mut config = Cluster::config(&place.server);
        config.token_file = Some(file.clone());
        let start = || Kubernetes::start(&config, "c".into(), "default".into()).unwrap();
        let sidecar: Arc<dyn Backend> = Arc::new(start());
        take(&sidecar, asks("e", "c", 1)).await.unwrap();
        let asked = place.server.asked();
        let writes = asked.iter().find(|asked| {
            asked.method == "POST" && asked.authorization.as_deref() == Some("Bearer secret")
        });
        assert!(writes.unwrap().target.ends_with("/leases"));
        std::fs::remove_file(&file).unwrap();
        let other: Arc<dyn Backend> = Arc::new(start());
        let refused = take(&other, asks("e", "d", 2)).await;
        assert!(matches!(refused, Err(Failure::NoQuorum(_))), "{refused:?}");
    });
}

#[test]
fn names_are_those_of_objects() {
    run::<Cluster>(async |place| {
        let [a, _] = place.sidecars();
        for name in ["A", "a_b", "a/b", "", "-a", "a..b"] {
            let refused = take(&a, asks(name, "a", 1)).await;
            assert!(matches!(refused, Err(Failure::Invalid(_))), "{name}: {refused:?}");
        }
    });
}
