//! Leases in this process alone, against the suite of all backends.

use std::sync::Arc;

use leader_elector::backend::Backend;
use leader_elector::backend::single::Single;
use tokio::task::JoinSet;

use crate::conformance::{Features, Place, conformance};

struct Alone {
    backend: Arc<Single>,
    _running: JoinSet<()>,
}

impl Place for Alone {
    async fn start() -> Self {
        let backend = Single::new("a".into(), 1 << 20);
        let mut running = JoinSet::new();
        running.spawn(Arc::clone(&backend).run());
        Self { backend, _running: running }
    }

    fn sidecars(&self) -> [Arc<dyn Backend>; 2] {
        [Arc::<Single>::clone(&self.backend), Arc::<Single>::clone(&self.backend)]
    }

    fn features(&self) -> Features {
        Features { queue: true, outage: false }
    }

    async fn waiting(&self, _election: &str) -> Option<usize> {
        None
    }

    async fn cut(&mut self, _off: bool) {}
}

conformance!(Alone);
