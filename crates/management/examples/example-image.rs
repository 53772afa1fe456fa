//! The smallest image: it does nothing, and is managed like all others.
//!
//! It shows how an image's `main`, arguments and run fit together, and the tests of this crate
//! drive it as a process.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use management::{Builder, Critical, Drain, Image, Loaded, Secret, Subcommand};

const IMAGE: Image = Image {
    name: "example-image",
    version: env!("CARGO_PKG_VERSION"),
    pattern: "example",
    about: "Does nothing, and is managed like all others",
    probe_port: 9601,
    admin_port: 9602,
};

#[derive(clap::Args, Debug)]
struct Args {
    /// Requests that never end, to see a drain abandoned
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    stuck: u64,
    /// End the worker at once, to see the process end with it
    #[arg(long)]
    fail: bool,
    /// A password nobody needs
    #[arg(long, value_name = "SECRET")]
    auth: Option<Secret>,
}

/// What the worker and the drain share.
struct Work {
    in_flight: AtomicU64,
    stop: AtomicBool,
}

impl Drain for Work {
    fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn stop_accepting(&self) {}

    fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn undrain(&self) {}
}

struct SharedWork(Arc<Work>);

impl Drain for SharedWork {
    fn in_flight(&self) -> u64 {
        self.0.in_flight()
    }

    fn stop_accepting(&self) {
        self.0.stop_accepting();
    }

    fn close(&self) {
        self.0.close();
    }

    fn undrain(&self) {
        self.0.undrain();
    }
}

fn main() -> ExitCode {
    let command = management::command::<Args>(&IMAGE);
    management::enter(&IMAGE, command, management::settings::yaml_settings_file, run)
}

fn run(loaded: Loaded<Args>) -> anyhow::Result<ExitCode> {
    let Loaded { args, shared, effective, subcommand } = loaded;
    if matches!(subcommand, Subcommand::Check(_)) {
        return Ok(ExitCode::SUCCESS);
    }
    let second = Duration::from_secs(1);
    let management = Builder::new(IMAGE, &shared)?
        .effective(effective)
        .check("nothing", Critical::No, second, second, || async { Ok(()) })
        .bind()?;
    let handle = management.spawn()?;
    let work =
        Arc::new(Work { in_flight: AtomicU64::new(args.stuck), stop: AtomicBool::new(args.fail) });
    let (beat, worker) = (handle.heartbeat("worker"), Arc::clone(&work));
    handle.spawn_thread("worker", move || {
        while !worker.stop.load(Ordering::Relaxed) {
            beat.beat();
            std::thread::park_timeout(Duration::from_millis(100));
        }
    })?;
    handle.set_ready(true);
    Ok(handle.run(SharedWork(work)).into())
}
