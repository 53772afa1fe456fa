//! Ejected servers are asked before they are taken back, so that no client's request has to try.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tracing::{debug, info};

use crate::config::{Address, PoolConfig, Protocol};
use crate::fleet::{Fleet, ServedPool};
use crate::protocol::resp::push_request;

/// How often servers whose time is over are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// Longest probe where the pool has no timeout.
const PROBE: Duration = Duration::from_secs(2);

/// Runs for as long as the process does; one probe a server at a time, none waits for another.
pub async fn run(fleet: Arc<Fleet>) {
    let under_way: Arc<Mutex<HashSet<usize>>> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        while tasks.try_join_next().is_some() {}
        let now_ms = fleet.now_ms();
        for pool in fleet.pools().into_iter().filter(|pool| pool.health.probes()) {
            for (index, server) in pool.health.servers.iter().enumerate() {
                let due = server.ejected_until_ms().is_some_and(|until| until <= now_ms);
                let id = Arc::as_ptr(server) as usize;
                if !due || !lock(&under_way).insert(id) {
                    continue;
                }
                let (pool, fleet, under_way) =
                    (pool.clone(), Arc::clone(&fleet), Arc::clone(&under_way));
                tasks.spawn(async move {
                    probe(&pool, index, &fleet).await;
                    lock(&under_way).remove(&id);
                });
            }
        }
    }
}

fn lock(set: &Mutex<HashSet<usize>>) -> std::sync::MutexGuard<'_, HashSet<usize>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn probe(pool: &ServedPool, index: usize, fleet: &Fleet) {
    let server = &pool.health.servers[index];
    let limit = pool.conf.timeout.unwrap_or(PROBE);
    let answer = tokio::time::timeout(limit, ask(pool, index)).await;
    match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(()) => {
            pool.health.take_back(index);
            info!(server = %server.label, pool = pool.conf.name, "server taken back");
        }
        Err(error) => {
            server.ask_for_lookup();
            pool.health.probe_failed(index, fleet.now_ms());
            debug!(server = %server.label, pool = pool.conf.name, %error, "server still away");
        }
    }
}

async fn ask(pool: &ServedPool, index: usize) -> io::Result<()> {
    let server = &pool.health.servers[index];
    match &server.address {
        Address::Unix(path) => converse(UnixStream::connect(path).await?, &pool.conf).await,
        Address::Tcp { .. } => {
            let address = server.resolved().ok_or(io::ErrorKind::HostUnreachable)?;
            converse(TcpStream::connect(address).await?, &pool.conf).await
        }
    }
}

/// Asks a question that any healthy server answers.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    conf: &PoolConfig,
) -> io::Result<()> {
    let mut question = Vec::new();
    let good: &[u8] = match conf.protocol {
        Protocol::Memcache => {
            question.extend_from_slice(b"version\r\n");
            b"VERSION "
        }
        Protocol::Redis => {
            let user = conf.redis_user.as_deref().map(str::as_bytes);
            if let Some(password) = conf.redis_auth.as_ref().map(|auth| auth.expose().as_bytes()) {
                let words: Vec<&[u8]> =
                    [Some(&b"AUTH"[..]), user, Some(password)].into_iter().flatten().collect();
                push_request(&mut question, &words);
            }
            push_request(&mut question, &[b"PING"]);
            if conf.redis_auth.is_some() { b"+OK\r\n+PONG\r\n" } else { b"+PONG\r\n" }
        }
    };
    stream.write_all(&question).await?;
    let mut answer = vec![0; good.len()];
    stream.read_exact(&mut answer).await?;
    if answer == good { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
