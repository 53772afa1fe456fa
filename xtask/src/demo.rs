//! `demo`: recipes are started, used, broken and mended before your eyes.
//!
//! A module per recipe; what they tell is read from the running containers.

mod leader_election;
mod metrics;
mod sharded_cache;

use anyhow::{Result, bail, ensure};
use e2e::{compose, docker};

use crate::{images, setup, stand_ins};

/// Tells the story of a recipe.
type Story = fn(&Args) -> Result<()>;

/// All stories, in the order of the tour.
const STORIES: [(&str, Story); 3] = [
    ("sharded-cache", sharded_cache::run),
    ("leader-election", leader_election::run),
    ("metrics", metrics::run),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file of compose/ without its ending; all of them, one after the other, when none is named.
    recipe: Option<String>,
    /// Leave the containers up and say where they listen.
    #[arg(long)]
    keep: bool,
    /// See `dist`; the default builds fast.
    #[arg(long, default_value = "release")]
    profile: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let asked = |name: &str| args.recipe.as_deref().is_none_or(|it| it == name);
    let stories: Vec<_> = STORIES.iter().filter(|(name, _)| asked(name)).collect();
    if stories.is_empty() {
        let names = STORIES.map(|(name, _)| name).join(", ");
        bail!("no demo of {}; there are: {names}", args.recipe.as_deref().unwrap_or_default());
    }
    stories.iter().try_for_each(|(_, story)| story(args))
}

/// Sees to it that a recipe with one of our images can be started.
fn prepare(image: &str, args: &Args) -> Result<()> {
    setup::for_containers()?;
    ensure!(
        docker::engine_answers(),
        "no Docker engine answers: start it, as root or in its group"
    );
    ensure!(compose::program().is_some(), "neither `docker compose` nor `docker-compose` works");
    stand_ins::provide()?;
    images::build(&[image.to_owned()], &args.profile)
}

fn step(text: &str) {
    println!("\n=== {text}");
}

fn hint(command: &str) {
    println!("Try yourself:  {command}");
}
