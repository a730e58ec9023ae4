//! Simulate: plays a rollout in a simulated cluster and tells how it goes. It needs no cluster and
//! changes nothing.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::cli::author;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Format};
use crate::cli::report::{self, Broken, Played};
use crate::cli::verdict::Wanted;
use crate::model::moment::Duration;
use crate::sim::history::Place;
use crate::sim::play::{self, Trouble};
use crate::sim::story::Story;
use crate::sim::yaml::Faults;

/// What is to be simulated.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
#[command(group = ArgGroup::new("happening").args(["scenario", "release"]).multiple(true)
    .required(true))]
pub struct Simulate {
    /// A file of manifests, one of them a Rollout; `-` is standard input. May be given again
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE",
        required_unless_present = "scenario"
    )]
    filename: Vec<PathBuf>,
    /// A file that says what happens; docs/simulate.md describes it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// A version that is released once the first revision is up; its end decides the exit code
    #[arg(long, value_name = "VERSION")]
    release: Option<String>,
    /// What all chance is drawn from, in place of the scenario's
    #[arg(long)]
    seed: Option<u64>,
    /// What the rollout is to end with; the exit code is 0 if it does
    #[arg(long = "assert", value_name = "OUTCOME", value_enum)]
    wanted: Option<Wanted>,
    /// The form of the output
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    output: Format,
}

/// Why nothing was simulated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error(transparent)]
    Files(#[from] Faults),
    /// The release cannot come.
    #[error("--release")]
    Release(#[from] author::Error),
    /// The story cannot be played.
    #[error("the scenario cannot be played")]
    Story(#[from] Trouble),
    /// Nothing can be printed.
    #[error("standard output cannot be written")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Tells the code that the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Files(_) | Self::Release(_) => Exit::Usage,
            Self::Story(Trouble::Object { .. }) => Exit::Usage,
            Self::Story(Trouble::Runtime(_)) | Self::Output(_) => Exit::Trouble,
        }
    }
}

/// Plays it, prints what happened and tells how it ended. What was left out of the files is told
/// by `note`. It must not be called within a runtime.
///
/// # Errors
/// [`Error`] if nothing could be played or printed.
pub fn simulate(flags: &Simulate, note: impl Fn(&str)) -> Result<Exit, Error> {
    let authored = author::read(&flags.filename, flags.scenario.as_ref())?;
    authored.manifests.skipped.iter().for_each(|skipped| note(skipped));
    let (mut story, rollout) = (authored.story, authored.manifests.rollout);
    if let Some(version) = &flags.release {
        story.events.extend(author::arrival(&rollout, version, Duration::ZERO)?.events);
    }
    story.seed = flags.seed.unwrap_or(story.seed);
    let place = Place::new("rollouts", rollout.namespace, rollout.name);
    let ladder = rollout.spec.ladder.last();
    let (report, exit) = play(&story, &place, ladder, flags)?;
    output::print(flags.output, &report.text(&story), &report)?;
    Ok(exit)
}

fn play(
    story: &Story,
    rollout: &Place,
    steps: u32,
    flags: &Simulate,
) -> Result<(report::Report, Exit), Trouble> {
    let outcome = play::play(story)?;
    let broken = outcome.violations.iter().map(|violation| Broken {
        rule: violation.invariant.to_owned(),
        millis: violation.at.since(outcome.began).millis(),
        message: violation.message.clone(),
    });
    let played = Played {
        story,
        rollout,
        steps,
        changes: &outcome.changes,
        began: outcome.began,
        ended: outcome.ended,
        writes: outcome.writes,
        idle: &outcome.idle,
        violations: broken.collect(),
        release: flags.release.as_deref(),
        wanted: flags.wanted,
    };
    Ok(report::report(&played))
}
