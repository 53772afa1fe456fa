//! `bench`: an image beside the tool it replaces, in one run, on the same work.
//!
//! In reading order: `machine` (what it runs on, and who gets which core), `child` (programs that
//! never outlive the run), `usage` (CPU and memory from /proc), `histogram`, `series` and `random`
//! (figures), `report` (tables and bars), and one module per image. Timings are reported, never
//! asserted: only wrong answers make a run fail. A complete run takes about ten minutes.

mod ambassador_proxy;
mod child;
mod histogram;
pub(crate) mod leader_elector;
mod machine;
mod metrics_adapter;
mod random;
mod report;
mod series;
mod usage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::wait;
use report::Report;

/// Images that have a benchmark.
const MEASURED: [&str; 3] = ["ambassador-proxy", "leader-elector", "metrics-adapter"];

/// Between two looks at a condition: what is waited for is often measured.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// A shorter soak is a try.
const SOAK_WHOLE: Duration = Duration::from_secs(600);

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Image to measure; every image that has a benchmark when none is named.
    image: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// How to measure.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// Binary to measure; by default that in `dist`, else that in `target/release`.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// A short run that shows that everything works; its figures are not to be quoted.
    #[arg(long)]
    quick: bool,
    /// Only this group or workload; may be repeated. A wrong name lists the right ones.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Instead: full load for this long (such as 10m) while servers are killed and revived.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    soak: Option<Duration>,
    /// Seed of the soak; a new one is drawn and printed when none is given.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Document to write [default: docs/benchmarks.md, and only after a complete run].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Measures what was asked for and writes the document.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.image.as_deref() {
        None => {
            ambassador_proxy::run(&args.options)?;
            leader_elector::run(&args.options)?;
            metrics_adapter::run(&args.options)
        }
        Some("ambassador-proxy") => ambassador_proxy::run(&args.options),
        Some("leader-elector") => leader_elector::run(&args.options),
        Some("metrics-adapter") => metrics_adapter::run(&args.options),
        Some(other) => bail!("no benchmark for {other} yet; there are: {}", MEASURED.join(", ")),
    }
}

impl Options {
    /// Whether a group, or a workload in it, was asked for.
    fn wants(&self, group: &str, workload: &str) -> bool {
        let named = |name: &String| name == group || name == workload;
        self.only.is_empty() || self.only.iter().any(named)
    }

    /// Refuses a name in `only` that selects nothing; `what` completes "no … x".
    fn check_names(&self, what: &str, known: &[&str]) -> Result<()> {
        match self.only.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => bail!("no {what} {name}; there are: {}", known.join(", ")),
            None => Ok(()),
        }
    }

    /// The command that measures the same again.
    fn command(&self, image: &str) -> String {
        let how = match (self.soak, self.quick) {
            (Some(duration), _) => format!(" --soak {}s", duration.as_secs()),
            (None, true) => " --quick".to_owned(),
            (None, false) => String::new(),
        };
        let only: String = self.only.iter().map(|name| format!(" --only {name}")).collect();
        format!("Command: `cargo xtask bench {image}{how}{only}`")
    }

    /// Prints the results, and writes them between the markers of that name if they are complete.
    fn publish(&self, report: &Report, marker: &str) -> Result<()> {
        println!("\n{}", report.markdown());
        match self.document() {
            Some(path) => {
                report.write(marker, &path)?;
                println!("written to {}", path.display());
            }
            None => println!("not written: only a complete run replaces docs/benchmarks.md"),
        }
        Ok(())
    }

    /// The binary to measure.
    fn binary(&self, image: &str) -> Result<PathBuf> {
        let built = ["dist", "target/release"].map(|folder| root().join(folder).join(image));
        let chosen = match &self.binary {
            Some(given) => given.clone(),
            None => built
                .into_iter()
                .find(|path| path.is_file())
                .with_context(|| format!("no binary; run: cargo xtask dist {image}"))?,
        };
        chosen.canonicalize().with_context(|| format!("find the binary {}", chosen.display()))
    }

    /// Where the results go, if anywhere: a part of them must not replace the whole.
    fn document(&self) -> Option<PathBuf> {
        let long = self.soak.is_none_or(|duration| duration >= SOAK_WHOLE);
        let complete = !self.quick && self.only.is_empty() && long;
        let default = || complete.then(|| root().join("docs/benchmarks.md"));
        self.output.clone().or_else(default)
    }
}

/// Looks until `condition` yields a value, and returns it.
fn until<T>(
    what: &str,
    limit: Duration,
    condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    wait::until_every(LOOK_EVERY, what, limit, condition)
}

/// The line of a report that names the binary, below the root where it is there.
fn binary_line(binary: &Path) -> String {
    let shown = binary.strip_prefix(root()).ok().or(binary.file_name().map(Path::new));
    format!("Binary: `{}`", shown.unwrap_or(binary).display())
}

/// The root folder of the workspace.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// A whole number with its unit: `90s`, `10m`, `24h`.
fn duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a number and s, m or h, such as 10m, found {text:?}");
    let seconds = match text.char_indices().next_back() {
        Some((_, 's')) => 1,
        Some((_, 'm')) => 60,
        Some((_, 'h')) => 3600,
        _ => return Err(expected()),
    };
    let number = &text[..text.len() - 1];
    match number.parse::<u32>() {
        Ok(number) if number > 0 => Ok(Duration::from_secs(u64::from(number) * seconds)),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests;
