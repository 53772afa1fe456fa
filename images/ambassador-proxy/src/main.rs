//! The binary; everything is in the library.

use ambassador_proxy::{config, fleet};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let path = std::env::args().nth(1).unwrap();
    let workers = std::env::args().nth(2).map_or(1, |w| w.parse().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    let parsed = config::parse_pools(path.as_ref(), &text).unwrap();
    let (fleet, threads) = fleet::Fleet::bind(
        fleet::FleetConfig { workers, bytes_max: 1 << 30 },
        parsed.pools,
        |_| Box::new(|| {}),
    )
    .unwrap();
    for pool in fleet.pools() {
        for server in &pool.health.servers {
            if let config::Address::Tcp { host, port } = &server.address {
                use std::net::ToSocketAddrs;
                server.set_resolved((host.as_str(), *port).to_socket_addrs().unwrap().next().unwrap());
            }
        }
    }
    for t in fleet::Fleet::start(threads).unwrap() {
        t.join().unwrap().unwrap();
    }
}
