//! Names of servers, looked up in the background.
//!
//! A worker never waits for a name: it connects to the last good address. A look-up that fails
//! leaves that address in force; a connection that fails asks for a new look-up.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use crate::config::{Address, Pools};
use crate::fleet::{Fleet, ServedPool};
use crate::health::Server;

/// Longest wait for one look-up.
const LOOKUP: Duration = Duration::from_secs(5);
/// How often wishes of the workers are looked for.
const WISHES: Duration = Duration::from_millis(100);
/// A name is not looked up again sooner, however often it is wished for.
const PAUSE: Duration = Duration::from_secs(1);

/// Addresses by host and port.
pub type Known = HashMap<(String, u16), SocketAddr>;

/// Looks up every name of `pools` at once, so that none keeps the start waiting for long.
pub async fn look_ahead(pools: &Pools) -> Known {
    let mut tasks = tokio::task::JoinSet::new();
    let mut names = std::collections::HashSet::new();
    for server in pools.0.iter().flat_map(|pool| &pool.servers) {
        if let Address::Tcp { host, port } = &server.address
            && names.insert((host.clone(), *port))
        {
            let name = (host.clone(), *port);
            tasks.spawn(async move { (look_up(&name.0, name.1).await, name) });
        }
    }
    let mut known = Known::new();
    while let Some(found) = tasks.join_next().await {
        match found {
            Ok((Ok(address), name)) => {
                known.insert(name, address);
            }
            Ok((Err(error), (host, _))) => warn!(host, error, "looking up a server failed"),
            Err(_) => {}
        }
    }
    known
}

/// Gives the servers of a pool the addresses that are known.
pub fn apply(pool: &ServedPool, known: &Known) {
    for server in &pool.health.servers {
        if let Address::Tcp { host, port } = &server.address
            && let Some(address) = known.get(&(host.clone(), *port))
        {
            server.set_resolved(*address);
        }
    }
}

async fn look_up(host: &str, port: u16) -> Result<SocketAddr, String> {
    let found = timeout(LOOKUP, tokio::net::lookup_host((host, port)));
    let mut found = found
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

/// Keeps the addresses of all servers up to date for as long as the process runs.
pub async fn run(fleet: Arc<Fleet>, interval: Duration) {
    let mut last: HashMap<(String, u16), Instant> = HashMap::new();
    let mut tick = tokio::time::interval(WISHES);
    loop {
        tick.tick().await;
        let now = Instant::now();
        for server in fleet.pools().iter().flat_map(|pool| &pool.health.servers) {
            let Address::Tcp { host, port } = &server.address else { continue };
            if host.parse::<std::net::IpAddr>().is_ok() {
                continue;
            }
            let wished = server.takes_lookup();
            let last = last.entry((host.clone(), *port)).or_insert(now);
            let age = now.duration_since(*last);
            let missing = server.resolved().is_none();
            if age >= interval || ((wished || missing) && age >= PAUSE) {
                *last = now;
                refresh(server, host, *port).await;
            }
        }
    }
}

async fn refresh(server: &Server, host: &str, port: u16) {
    match look_up(host, port).await {
        Ok(address) if server.set_resolved(address) => {
            info!(server = %server.label, %address, "server has a new address");
        }
        Ok(_) => {}
        Err(error) => debug!(server = %server.label, error, "look-up failed, address kept"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse_pools;
    use crate::health::PoolHealth;

    /// A server whose name was looked up once.
    fn known_server() -> Arc<Server> {
        let text = "p:\n  listen: 127.0.0.1:7600\n  servers:\n   - cache:11211:1\n";
        let file = parse_pools(Path::new("p.yml"), text).expect("a good file");
        let health = PoolHealth::new(&file.pools.0[0], None);
        let server = Arc::clone(&health.servers[0]);
        assert!(server.set_resolved(SocketAddr::from(([127, 0, 0, 9], 11211))));
        server
    }

    #[tokio::test]
    async fn a_failed_lookup_keeps_the_last_good_address() {
        let server = known_server();
        // No resolver takes a name with a space for one, so nothing is asked of the network.
        refresh(&server, "no such host", 11211).await;
        assert_eq!(server.resolved(), Some(SocketAddr::from(([127, 0, 0, 9], 11211))));
    }

    #[tokio::test]
    async fn a_new_address_replaces_the_old_one() {
        let server = known_server();
        refresh(&server, "127.0.0.10", 11211).await;
        assert_eq!(server.resolved(), Some(SocketAddr::from(([127, 0, 0, 10], 11211))));
    }

    #[test]
    fn a_wish_is_taken_once() {
        let server = known_server();
        server.ask_for_lookup();
        assert!(server.takes_lookup());
        assert!(!server.takes_lookup());
    }
}
