//! The recipe `metrics`: its applications, what the adapters make of them, what Prometheus has.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::compose::Compose;
use crate::docker::{docker, inspect};
use crate::http::{self, Response};
use crate::wait;

/// From something said by an application to its being in Prometheus, and from a fault to a page that
/// is whole again; on a busy machine.
pub const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// One of the two applications and its sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In a JVM, read by JMX.
    Shop,
    /// Speaks statsd.
    Mailer,
}

/// The running recipe.
pub struct Metrics {
    /// The containers; dropping it removes them.
    pub compose: Compose,
}

/// One series of Prometheus, as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels with the name, as JSON has them.
    pub labels: Value,
    /// Its latest value.
    pub value: f64,
}

/// What the mailer has sent.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Sent {
    /// Mails, each told by one line.
    pub sent: u64,
    /// Lines in all.
    pub lines: u64,
    /// What they were sent in.
    pub datagrams: u64,
    /// Lines of bursts.
    pub burst: u64,
    /// Lines of floods.
    pub flood: u64,
}

/// Memory of a container, as its control group has it.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now, in bytes.
    pub bytes: u64,
    /// The limit, in bytes.
    pub bytes_max: u64,
}

// === impl Side ===

impl Side {
    /// Service of the application, and name of the job in Prometheus.
    #[must_use]
    pub fn app(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Mailer => "mailer",
        }
    }

    /// Service of the sidecar.
    #[must_use]
    pub fn adapter(self) -> &'static str {
        match self {
            Self::Shop => "metrics-adapter-0",
            Self::Mailer => "metrics-adapter-1",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Starts the recipe and waits until it is healthy and Prometheus has scraped all.
    ///
    /// # Errors
    /// Those of [`Compose::start`], or a target that cannot be scraped.
    pub fn start() -> Result<Self> {
        let metrics = Self { compose: Compose::start("metrics")? };
        if let Err(error) = metrics.settle() {
            let log = metrics.compose.logs();
            return Err(error.context(format!("the recipe does not work; its log:\n{log}")));
        }
        Ok(metrics)
    }

    /// Waits until all containers are healthy and Prometheus has both applications.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn settle(&self) -> Result<()> {
        self.compose.wait_healthy()?;
        self.await_number("all targets", "sum(up)", |up| up >= 4.0)?;
        self.await_number("the beans of the shop", "jmx_scrape_error", |error| error == 0.0)?;
        self.await_number("mails", "sum(mailer_sent_total)", |sent| sent > 0.0)?;
        Ok(())
    }

    /// Address of an application on the host; another one after each start.
    ///
    /// # Errors
    /// It does not run.
    pub fn app(&self, side: Side) -> Result<SocketAddr> {
        self.compose.address(side.app(), 8000)
    }

    /// Address of the page with the application's metrics.
    ///
    /// # Errors
    /// The application does not run.
    pub fn page_address(&self, side: Side) -> Result<SocketAddr> {
        self.compose.address(side.app(), 9102)
    }

    /// Address of the sidecar's probes and its own metrics.
    ///
    /// # Errors
    /// The application does not run.
    pub fn probe(&self, side: Side) -> Result<SocketAddr> {
        self.compose.address(side.app(), 9631)
    }

    /// Address of Prometheus.
    ///
    /// # Errors
    /// It does not run.
    pub fn prometheus(&self) -> Result<SocketAddr> {
        self.compose.address("prometheus", 9090)
    }

    /// The page with the application's metrics, as text.
    ///
    /// # Errors
    /// No page.
    pub fn page(&self, side: Side) -> Result<String> {
        body(http::get(self.page_address(side)?, "/metrics")?)
    }

    /// The value of a series of a page, by the exact text of its name and labels.
    ///
    /// # Errors
    /// No page.
    pub fn on_page(&self, side: Side, series: &str) -> Result<Option<f64>> {
        Ok(value_of(&self.page(side)?, series))
    }

    /// The sidecar's own metrics, as text.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn own_metrics(&self, side: Side) -> Result<String> {
        body(http::get(self.probe(side)?, "/metrics")?)
    }

    /// What a query of PromQL gives now.
    ///
    /// # Errors
    /// Prometheus does not answer, or does not understand.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>> {
        let path = format!("/api/v1/query?query={}", encoded(query));
        let text = body(http::get(self.prometheus()?, &path)?)?;
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("read {text}"))?;
        let series = answer["data"]["result"].as_array().context("no result in the answer")?;
        series.iter().map(|it| sample(it).with_context(|| format!("read {it}"))).collect()
    }

    /// The value of a query that gives one series; nothing when it gives none.
    ///
    /// # Errors
    /// Those of [`Metrics::query`].
    pub fn number(&self, query: &str) -> Result<Option<f64>> {
        Ok(self.query(query)?.first().map(|sample| sample.value))
    }

    /// Waits until a query gives a number as wanted, and returns it.
    ///
    /// # Errors
    /// It does not; the message says what it gave last.
    pub fn await_number(
        &self,
        what: &str,
        query: &str,
        wanted: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let mut last = None;
        wait::until(what, SEEN_WITHIN, || {
            // Prometheus may be about to start.
            last = self.number(query).unwrap_or_default();
            Ok(last.filter(|&number| wanted(number)))
        })
        .with_context(|| format!("{query} is {last:?}"))
    }

    /// What the mailer has sent.
    ///
    /// # Errors
    /// It does not answer.
    pub fn sent(&self) -> Result<Sent> {
        json(http::get(self.app(Side::Mailer)?, "/")?)
    }

    /// Datagrams that the mailer sent and its adapter neither read nor reported as dropped by the
    /// kernel: those from before it was bound, and none else.
    ///
    /// # Errors
    /// One of the two does not answer.
    pub fn unaccounted(&self) -> Result<i64> {
        // Once: mails go out ten times a second, and between two of them all must be asked.
        let (app, page) = (self.app(Side::Mailer)?, self.page_address(Side::Mailer)?);
        let sent = || json::<Sent>(http::get(app, "/")?);
        let mut last = None;
        wait::until("two looks between two mails that agree", SEEN_WITHIN, || {
            let before = sent()?.datagrams;
            let page = body(http::get(page, "/metrics")?)?;
            let count = |name: &str| value_of(&page, name).with_context(|| format!("no {name}"));
            let read = count("statsd_exporter_udp_packets_total")?;
            let dropped = count("statsd_exporter_udp_packet_drops_total")?;
            let missing = before as i64 - (read + dropped) as i64;
            if sent()?.datagrams != before {
                return Ok(None);
            }
            Ok((last.replace(missing) == Some(missing)).then_some(missing))
        })
    }

    /// Has the mailer send many lines of one counter.
    ///
    /// # Errors
    /// It does not answer.
    pub fn burst(&self, lines: u64) -> Result<Sent> {
        self.mailer(&format!("/burst?count={lines}"))
    }

    /// Has the mailer send many lines with names and tags that never were before.
    ///
    /// # Errors
    /// It does not answer.
    pub fn flood(&self, lines: u64) -> Result<Sent> {
        self.mailer(&format!("/flood?count={lines}"))
    }

    /// Has the shop place orders in each region.
    ///
    /// # Errors
    /// It does not answer.
    pub fn order(&self, orders: u64) -> Result<()> {
        let path = format!("/orders?count={orders}");
        body(http::request(self.app(Side::Shop)?, "POST", &path, "")?).map(drop)
    }

    /// Ends the JVM as by SIGKILL; another is started in its place.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn crash_jvm(&self) -> Result<()> {
        let address = self.app(Side::Shop)?;
        // No answer comes from the dead.
        let _ = http::request(address, "POST", "/crash", "");
        Ok(())
    }

    /// `docker <verb> <container of service>`: kill, start, pause, unpause, stop.
    ///
    /// # Errors
    /// The engine refuses.
    pub fn tell(&self, verb: &str, service: &str) -> Result<()> {
        docker(&[verb, &self.compose.container(service)?]).map(drop)
    }

    /// Memory of a container, and whether it has met its limit and was killed for it.
    ///
    /// # Errors
    /// It does not run, or was killed.
    pub fn memory(&self, service: &str) -> Result<Memory> {
        let id = self.compose.container(service)?;
        let killed = inspect(&id, "{{.State.OOMKilled}}")?;
        ensure!(killed == "false", "{service} was killed for want of memory");
        let limit = inspect(&id, "{{.HostConfig.Memory}}")?;
        let used = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", &id])?;
        let used = used.split(" / ").next().unwrap_or_default();
        let bytes = size(used).with_context(|| format!("{service} uses {used:?}"))?;
        Ok(Memory { bytes, bytes_max: limit.parse().context("read the limit")? })
    }

    fn mailer(&self, path: &str) -> Result<Sent> {
        json(http::request(self.app(Side::Mailer)?, "POST", path, "")?)
    }
}

/// The value of a series on a page of the text format.
#[must_use]
pub fn value_of(page: &str, series: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(value)
}

fn sample(series: &Value) -> Option<Sample> {
    let value = series["value"][1].as_str()?.parse().ok()?;
    Some(Sample { labels: series["metric"].clone(), value })
}

/// A query as part of a URL.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).into(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// `12.3MiB` in bytes.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|it: char| it.is_ascii_alphabetic())?;
    let unit = match &text[digits..] {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let number: f64 = text[..digits].parse().ok()?;
    Some((number * unit) as u64)
}

fn body(response: Response) -> Result<String> {
    ensure!(response.status == 200, "answered {}: {}", response.status, response.body);
    Ok(response.body)
}

fn json<T: for<'a> Deserialize<'a>>(response: Response) -> Result<T> {
    let text = body(response)?;
    serde_json::from_str(&text).with_context(|| format!("read {text:?}"))
}

#[cfg(test)]
mod tests;
