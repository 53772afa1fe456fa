//! The project's automation: `cargo xtask <command>`. There are no other scripts.
//!
//! One module per command. What the end-to-end ring needs as well (compose, Docker, the recipes) is
//! in the crate `e2e`, and used from there.

#![expect(clippy::print_stdout, reason = "a command-line tool tells what it does on stdout")]

mod bench;
mod ci;
mod demo;
mod dist;
mod docs;
mod images;
mod process;
mod setup;
mod stand_ins;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, show and test the images")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the other commands need; instant when nothing is missing.
    Setup,
    /// Build static binaries into dist/.
    Dist(dist::Args),
    /// Build the Docker images.
    Images(images::Args),
    /// Start a recipe, break it and watch it recover.
    Demo(demo::Args),
    /// Unit, image and end-to-end tests.
    Test(test::Args),
    /// Everything that must hold before a merge.
    Ci,
    /// Measure an image beside its peer and write docs/benchmarks.md.
    Bench(bench::Args),
    /// Rewrite the generated tables of the images' READMEs.
    Docs(docs::Args),
    /// Part of `bench leader-elector`: leads by a connection until it is killed.
    #[command(hide = true)]
    LeadByConnection(bench::leader_elector::LeadByConnection),
}

fn main() -> ExitCode {
    let done = |()| true;
    let result = match Args::parse().command {
        Task::Setup => setup::run().map(done),
        Task::Dist(args) => dist::run(&args).map(done),
        Task::Images(args) => images::run(&args).map(done),
        Task::Demo(args) => demo::run(&args).map(done),
        // These two tell themselves what failed, in a last line that others may read.
        Task::Test(args) => test::run(&args),
        Task::Ci => ci::run(),
        Task::Bench(args) => bench::run(&args).map(done),
        Task::Docs(args) => docs::run(&args).map(done),
        Task::LeadByConnection(args) => args.run().map(done),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
