//! The two that read statsd: ours, and collectd with its statsd plugin as Debian packages it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, page, socket};
use crate::bench::child::{Child, Port};
use crate::bench::until;

/// From a start to the first answer, or to a bound socket.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// What `statsd.read-buffer` is set to.
pub(super) const BUFFER: usize = 4 << 20;
/// How often collectd writes down what it has counted.
const COLLECTD_INTERVAL_S: u32 = 1;

/// `metrics-adapter`, with ports of its own.
pub(super) struct Adapter {
    child: Child,
    /// Where `/metrics` of the application is.
    pub(super) page: Port,
    /// Where it reads statsd.
    pub(super) statsd: u16,
    _probe: Port,
    _admin: Port,
}

/// collectd, with a configuration and a folder of its own.
pub(super) struct Collectd {
    child: Child,
    /// Where it reads statsd.
    pub(super) statsd: u16,
    /// Where it writes down what it counted.
    data: PathBuf,
}

// === impl Adapter ===

impl Adapter {
    /// In place of `statsd_exporter`; `own` are flags of ours, `flags` are the exporter's.
    pub(super) fn statsd(bench: &Bench, own: &str, flags: &str) -> Result<Self> {
        let statsd = socket::free_port()?;
        let mode = |page: u16| {
            format!(
                "{own} statsd_exporter --web.listen-address=127.0.0.1:{page} \
                 --statsd.listen-udp=127.0.0.1:{statsd} --statsd.listen-tcp= {flags}"
            )
        };
        Self::start(bench, statsd, mode)
    }

    /// In place of `jmx_exporter`, with a rules file.
    pub(super) fn jmx(bench: &Bench, rules: &str) -> Result<Self> {
        Self::start(bench, 0, |page| format!("jmx_exporter 127.0.0.1:{page} {rules}"))
    }

    /// Starts it without waiting for anything.
    pub(super) fn start(bench: &Bench, statsd: u16, mode: impl Fn(u16) -> String) -> Result<Self> {
        let [page, probe, admin] = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let text = format!(
            "--probe-addr 127.0.0.1:{} --admin-addr 127.0.0.1:{} {}",
            probe.number(),
            admin.number(),
            mode(page.number())
        );
        let arguments: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let tested = &bench.layout.tested;
        let child =
            Child::start("metrics-adapter", &bench.ours, &arguments, tested, bench.folder())?;
        Ok(Self { child, page, statsd, _probe: probe, _admin: admin })
    }

    /// Waits until it accepts connections to its page.
    pub(super) fn await_ready(&mut self) -> Result<()> {
        self.child.await_listening(self.page.number())
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The page as text.
    pub(super) fn text(&self) -> Result<String> {
        page::text(self.page.number()).with_context(|| self.child.last_words())
    }
}

// === impl Collectd ===

impl Collectd {
    /// Starts it and waits until it is bound. `counts`: it writes down what it has counted.
    pub(super) fn start(bench: &Bench, counts: bool) -> Result<Self> {
        let statsd = socket::free_port()?;
        let folder = tempfile::tempdir_in(bench.folder())?.keep();
        let file = folder.join("collectd.conf");
        let data = folder.join("data");
        let home = folder.display();
        let configuration = format!(
            "Hostname \"bench\"\nFQDNLookup false\nInterval {COLLECTD_INTERVAL_S}\n\
             BaseDir \"{home}\"\nPIDFile \"{home}/pid\"\n\
             PluginDir \"/usr/lib/collectd\"\nTypesDB \"/usr/share/collectd/types.db\"\n\
             LoadPlugin statsd\n<Plugin statsd>\n  Host \"127.0.0.1\"\n  Port \"{statsd}\"\n\
             TimerPercentile 50.0\n  TimerPercentile 90.0\n  TimerPercentile 99.0\n</Plugin>\n"
        );
        // A relative path, as it refuses folders whose name begins with a dot.
        let csv =
            "LoadPlugin csv\n<Plugin csv>\n  DataDir \"data\"\n  StoreRates false\n</Plugin>\n";
        let configuration = configuration + if counts { csv } else { "" };
        std::fs::write(&file, configuration).context("write the configuration of collectd")?;
        let arguments = ["-f".to_owned(), "-C".to_owned(), file.display().to_string()];
        let tested = &bench.layout.tested;
        let mut child = Child::start("collectd", &bench.collectd, &arguments, tested, &folder)?;
        until("collectd to be bound", READY_WITHIN, || {
            child.ensure_running()?;
            Ok(socket::is_bound(statsd)?.then_some(()))
        })?;
        Ok(Self { child, statsd, data })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The sum of all counters, as it last wrote them down.
    pub(super) fn counted(&self) -> Result<f64> {
        let folder = self.data.join("bench/statsd");
        let Ok(files) = std::fs::read_dir(&folder) else {
            return Ok(0.0);
        };
        let mut sum = 0.0;
        for file in files {
            let file = file?;
            if !file.file_name().to_string_lossy().starts_with("derive-") {
                continue;
            }
            // `epoch,value` lines below a title; the last may be in the making.
            let text = std::fs::read_to_string(file.path())?;
            let value = text.lines().next_back().and_then(|line| line.split_once(','));
            sum += value.and_then(|(_, value)| value.parse::<f64>().ok()).unwrap_or(0.0);
        }
        Ok(sum)
    }
}

/// What the packaged binary says of its version, which it says in its help alone.
pub(super) fn collectd_version() -> String {
    let output = Command::new("collectd").arg("-h").output();
    let said = output.map(|it| [it.stdout, it.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find(|line| line.starts_with("collectd "));
    let name = line.and_then(|line| line.split(',').next());
    name.unwrap_or("collectd, version unknown").to_owned()
}
