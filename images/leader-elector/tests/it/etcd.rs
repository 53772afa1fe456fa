//! Leases in a real etcd.

use std::sync::Arc;

use leader_elector::backend::etcd::Etcd;
use leader_elector::backend::{Backend, Consistency, Failure};
use leader_elector::config::EtcdConfig;
use serde_json::json;

use crate::conformance::{
    LONG, PATIENT, Place, asks, conformance, renew, resign, run, take, until, waits,
};
use crate::support::etcd::{Server, base64};
use crate::support::free_port;

struct Store {
    server: Server,
    sidecars: [Arc<Etcd>; 2],
}

impl Store {
    fn config(server: &Server) -> EtcdConfig {
        EtcdConfig {
            endpoints: vec![server.url()],
            prefix: "/leader-elector/".to_owned(),
            ca: None,
            identity: None,
            token_floor: 0,
        }
    }

    fn sidecar(server: &Server, name: &str) -> Arc<Etcd> {
        Arc::new(Etcd::start(&Self::config(server), name.into()).unwrap())
    }
}

impl Place for Store {
    async fn start() -> Self {
        let server = Server::start().await;
        let sidecars = [Self::sidecar(&server, "a"), Self::sidecar(&server, "b")];
        Self { server, sidecars }
    }

    fn sidecars(&self) -> [Arc<dyn Backend>; 2] {
        let [a, b] = &self.sidecars;
        [Arc::<Etcd>::clone(a), Arc::<Etcd>::clone(b)]
    }

    async fn waiting(&self, election: &str) -> Option<usize> {
        Some(self.server.count(&format!("/leader-elector/{election}/queue/")).await)
    }

    async fn cut(&mut self, off: bool) {
        self.server.freeze(off);
    }
}

conformance!(Store);

// === what is so with etcd alone ===

#[test]
fn leases_survive_a_restart_of_etcd() {
    run::<Store>(async |place| {
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        place.server.kill();
        let failure = renew(&a, "e", &first).await.unwrap_err();
        let honest = matches!(failure, Failure::NoQuorum(_) | Failure::Unknown(_));
        assert!(honest, "it went down a connection that was open: {failure:?}");
        let failure = renew(&a, "e", &first).await.unwrap_err();
        assert!(matches!(failure, Failure::NoQuorum(_)), "nobody was reached: {failure:?}");
        place.server.revive().await;
        until("it is renewed", async || renew(&a, "e", &first).await.is_ok()).await;
        resign(&a, "e", &first).await.unwrap();
        watch.wait_for(|view| view.lease.is_none() && view.version > 0).await.unwrap();
        let second = take(&b, asks("e", "b", 2)).await.unwrap();
        watch.wait_for(|view| view.lease.as_ref() == Some(&second.lease)).await.unwrap();
    });
}

#[test]
fn an_endpoint_that_does_not_answer_is_passed_over() {
    run::<Store>(async |place| {
        let mut config = Store::config(&place.server);
        config.endpoints.insert(0, format!("http://127.0.0.1:{}", free_port()));
        let sidecar: Arc<dyn Backend> = Arc::new(Etcd::start(&config, "c".into()).unwrap());
        let grant = take(&sidecar, asks("e", "c", 1)).await.unwrap();
        renew(&sidecar, "e", &grant).await.unwrap();
        until("it is ready", async || sidecar.ready().is_ok()).await;
        let mut watch = sidecar.watch(&"e".into()).await.unwrap();
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
    });
}

#[test]
fn what_was_compacted_is_listed_anew() {
    run::<Store>(async |place| {
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        place.server.freeze(true);
        until("they are cut off", async || b.ready().is_err()).await;
        place.server.freeze(false);
        let mut session = 0;
        until("changes are made", async || {
            session += 1;
            let taken = take(&a, asks("e", "a", session)).await;
            if let Ok(grant) = &taken {
                let revision = grant.lease.token.to_string();
                let request = json!({ "revision": revision, "physical": true });
                place.server.ask("/v3/kv/compaction", &request).await.unwrap();
            }
            taken.is_ok()
        })
        .await;
        watch.wait_for(|view| view.lease.is_some()).await.unwrap();
    });
}

#[test]
fn keys_of_others_are_left_alone() {
    run::<Store>(async |place| {
        let [a, b] = place.sidecars();
        let mut watch = b.watch(&"e".into()).await.unwrap();
        for key in ["/leader-elector/x", "/leader-elector/e/else", "/leader-elector/e/queue/x"] {
            let request = json!({ "key": base64(key.as_bytes()), "value": base64(b"{") });
            place.server.ask("/v3/kv/put", &request).await.unwrap();
        }
        let broken = json!({ "key": base64(b"/leader-elector/f/leader"), "value": base64(b"?") });
        place.server.ask("/v3/kv/put", &broken).await.unwrap();
        let view = a.read(&"f".into(), Consistency::Linearizable).await.unwrap();
        assert_eq!(view.lease, None, "not understood, so nobody is said to lead");
        let e = a.read(&"e".into(), Consistency::Linearizable).await.unwrap();
        assert_eq!(e.lease, None);
        drop(watch.borrow_and_update());
    });
}

#[test]
fn tokens_begin_above_the_floor() {
    run::<Store>(async |place| {
        let mut config = Store::config(&place.server);
        config.token_floor = 5_000_000;
        let sidecar: Arc<dyn Backend> = Arc::new(Etcd::start(&config, "c".into()).unwrap());
        let grant = take(&sidecar, asks("e", "c", 1)).await.unwrap();
        assert!(grant.lease.token > 5_000_000);
        assert_eq!(sidecar.token_highest(&"e".into()).await, Ok(grant.lease.token));
    });
}

#[test]
fn who_waits_survives_a_restart_of_etcd() {
    run::<Store>(async |place| {
        let [a, b] = place.sidecars();
        let first = take(&a, asks("e", "a", 1)).await.unwrap();
        let waiting = waits(&b, asks("e", "b", 2));
        until("it waits", async || place.waiting("e").await == Some(1)).await;
        place.server.kill();
        place.server.revive().await;
        until("it is resigned", async || {
            !matches!(resign(&a, "e", &first).await, Err(Failure::NoQuorum(_)))
        })
        .await;
        let second = waiting.end().await.unwrap();
        assert!(second.lease.token > first.lease.token);
    });
}

#[test]
fn names_that_are_no_keys_are_refused() {
    run::<Store>(async |place| {
        let [a, _] = place.sidecars();
        for name in ["a/b", "", "a b"] {
            let refused = a.acquire(asks(name, "a", 1), PATIENT).await;
            assert!(matches!(refused, Err(Failure::Invalid(_))), "{name}: {refused:?}");
        }
    });
}

#[test]
fn a_lease_that_is_there_already_is_long_enough() {
    run::<Store>(async |place| {
        let [a, _] = place.sidecars();
        let there = json!({ "ID": "7", "TTL": "1" });
        place.server.ask("/v3/lease/grant", &there).await.unwrap();
        take(&a, asks("e", "a", 7)).await.unwrap();
        let asked = json!({ "ID": "7" });
        let lease = place.server.ask("/v3/lease/timetolive", &asked).await.unwrap();
        assert_eq!(lease["grantedTTL"], LONG.as_secs().to_string());
    });
}
