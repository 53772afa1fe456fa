//! Leases in a real etcd.

use std::sync::Arc;

use leader_elector::backend::Backend;
use leader_elector::backend::etcd::Etcd;
use leader_elector::config::EtcdConfig;

use crate::conformance::{Place, conformance};
use crate::support::etcd::Server;

struct Store {
    server: Server,
    sidecars: [Arc<Etcd>; 2],
}

impl Store {
    fn sidecar(server: &Server, name: &str) -> Arc<Etcd> {
        let config = EtcdConfig {
            endpoints: vec![server.url()],
            prefix: "/leader-elector/".to_owned(),
            ca: None,
            identity: None,
            token_floor: 0,
        };
        Arc::new(Etcd::start(&config, name.into()).unwrap())
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
