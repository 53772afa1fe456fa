//! Looking at the application: does its health endpoint answer, its port accept, its file exist?

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;

/// A look that takes longer has failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A way to look at the application.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A GET must answer 2xx.
    Http {
        /// What to get.
        url: String,
        /// By what.
        client: reqwest::Client,
    },
    /// The port must accept on loopback.
    Port(u16),
    /// The file must exist.
    File(PathBuf),
}

// === impl Probe ===

impl Probe {
    /// A probe over HTTP.
    ///
    /// # Errors
    /// No client can be had for this URL.
    pub fn http(url: &str) -> Result<Self, reqwest::Error> {
        Ok(Self::Http { url: url.to_owned(), client: http_client(url, PROBE_TIMEOUT)? })
    }

    async fn passes(&self) -> Result<(), String> {
        match self {
            Self::Http { url, client } => {
                let answer = client.get(url).send().await;
                let passed = answer.and_then(reqwest::Response::error_for_status);
                match passed.map(|answer| answer.status()) {
                    Ok(status) if status.is_success() => Ok(()),
                    Ok(status) => Err(format!("{url} answers {status}")),
                    Err(error) => Err(format!("asking {url}: {error}")),
                }
            }
            Self::Port(port) => connects(*port).await,
            Self::File(path) => {
                // One look at a local file is cheaper than a thread that must not block.
                let exists = path.exists();
                if exists { Ok(()) } else { Err(format!("{} does not exist", path.display())) }
            }
        }
    }
}

/// Whether all pass; the first reason why not.
pub(super) async fn all(probes: &[Probe]) -> Result<(), String> {
    for probe in probes {
        let look = tokio::time::timeout(PROBE_TIMEOUT, probe.passes());
        look.await
            .unwrap_or_else(|_| Err("looking at the application takes too long".to_owned()))?;
    }
    Ok(())
}

async fn connects(port: u16) -> Result<(), String> {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let second = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await;
            second.map(drop).map_err(|_| format!("connecting to port {port}: {error}"))
        }
    }
}

/// A client for one URL. Authorities are read only where the URL needs them: an image from scratch
/// may have none.
pub(crate) fn http_client(url: &str, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    // Somebody may have chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1);
    match url.starts_with("https:") {
        true => builder.build(),
        false => builder.tls_certs_only([]).build(),
    }
}
