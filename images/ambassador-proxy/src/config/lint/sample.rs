//! Sample keys, placed by the code that places requests.

use crate::config::PoolConfig;
use crate::placement::Placement;

/// Keys placed for each form.
pub(super) const SAMPLE_KEYS: u32 = 20_000;

/// How sample keys of one form fall on the servers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Load {
    /// Form of the keys, such as `user:N`.
    pub(super) form: &'static str,
    /// Keys on the busiest server, relative to its share by weight.
    pub(super) ratio: f64,
    /// Servers that got no key.
    pub(super) idle: usize,
    /// Share of keys N and N+1 that are on one server.
    pub(super) sticky: f64,
}

/// Places sample keys of two common forms: numbered names, and bare numbers.
pub(super) fn sample(pool: &PoolConfig) -> [Load; 2] {
    let placement = pool.placement();
    [
        load(pool, &placement, "user:N", |id| format!("user:{id}")),
        load(pool, &placement, "N", |id| id.to_string()),
    ]
}

fn load(
    pool: &PoolConfig,
    placement: &Placement,
    form: &'static str,
    key: impl Fn(u32) -> String,
) -> Load {
    let mut counts = vec![0_u32; pool.servers.len()];
    let (mut same, mut last) = (0_u32, None);
    for id in 0..SAMPLE_KEYS {
        // Only placements that depend on the key are sampled, so the number is not used.
        let owner = placement.locate(key(id).as_bytes(), || 0);
        if let Some(owner) = owner {
            counts[owner as usize] += 1;
        }
        same += u32::from(owner == last);
        last = owner;
    }
    let total: f64 = pool.servers.iter().map(|server| f64::from(server.weight)).sum();
    let fair = |weight: u32| f64::from(SAMPLE_KEYS) * f64::from(weight) / total;
    // A server whose fair share is a handful of keys says nothing by a few more.
    let ratios = pool.servers.iter().zip(&counts).filter(|(server, _)| fair(server.weight) > 50.0);
    let ratio = ratios.map(|(server, count)| f64::from(*count) / fair(server.weight));
    Load {
        form,
        ratio: ratio.fold(0.0, f64::max),
        idle: counts.iter().filter(|count| **count == 0).count(),
        sticky: f64::from(same) / f64::from(SAMPLE_KEYS - 1),
    }
}
