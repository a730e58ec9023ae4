//! Plan: tells how a release would climb where nothing goes wrong: when each step begins, what
//! holds it, how many pods it takes. It needs no cluster and changes nothing.

use std::path::PathBuf;

use clap::Args;

use crate::cli::account;
use crate::cli::author::{self, Arrival};
use crate::cli::exit::Exit;
use crate::cli::facts;
use crate::cli::forecast::{self, Forecast, Rehearsal};
use crate::cli::manifest::Chosen;
use crate::cli::output::{self, Format};
use crate::cli::verdict::{self, Outcome};
use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::Place;
use crate::sim::play::{self, Trouble};
use crate::sim::story::{Event, Fate, Span, Story};
use crate::sim::yaml::Faults;

/// What is to be planned.
#[derive(Args, Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// A file of manifests, one of them a Rollout; `-` is standard input. May be given again
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    filename: Vec<PathBuf>,
    /// The version that is released
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// When, such as 2026-11-27T16:30:00Z or 2026-11-27T17:30:00+01:00; without it times are told
    /// from the release on
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// How long each pod takes to become ready
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = Duration::parse)]
    ready_after: Duration,
    /// The form of the output
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    output: Format,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error(transparent)]
    Files(#[from] Faults),
    /// The release cannot come.
    #[error("--version")]
    Release(#[from] author::Error),
    /// The simulation fails.
    #[error("the plan cannot be played")]
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

/// Reads a time. Names of days and of time zones would need a calendar and a database.
fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| {
        "expected a date and time with an offset, such as 2026-11-27T16:30:00Z or \
         2026-11-27T17:30:00+01:00; names of days and of time zones are not understood"
            .to_owned()
    })
}

/// Plays the release in an ideal world, prints the plan and tells how it ends. What was left out of
/// the files is told by `note`. It must not be called within a runtime.
///
/// # Errors
/// [`Error`] if nothing could be played or printed.
pub fn plan(flags: &Plan, note: impl Fn(&str)) -> Result<Exit, Error> {
    let authored = author::read(&flags.filename, None)?;
    authored.manifests.skipped.iter().for_each(|skipped| note(skipped));
    let rollout = &authored.manifests.rollout;
    let arrival = author::arrival(rollout, &flags.version, flags.ready_after)?;
    let stage = Stage { story: &authored.story, rollout, arrival: &arrival, flags };
    let ideal = stage.rehearse(flags.ready_after)?;
    let latest = stage.slowest(&ideal)?;
    let (plan, exit) = forecast::forecast(&Forecast {
        rollout,
        from: &arrival.from,
        version: &flags.version,
        at: flags.at,
        ready_after: flags.ready_after,
        ideal: &ideal,
        latest,
    });
    output::print(flags.output, &plan.text(), &plan)?;
    Ok(exit)
}

/// What is the same for each rehearsal.
struct Stage<'a> {
    story: &'a Story,
    rollout: &'a Chosen,
    arrival: &'a Arrival,
    flags: &'a Plan,
}

impl Stage<'_> {
    /// Plays the release with pods of the new version that take so long, and promotes as soon as a
    /// step waits for it.
    fn rehearse(&self, ready: Duration) -> Result<Rehearsal, Trouble> {
        let mut story = self.story.clone();
        let pods = |version: &str, after| Event::Pods {
            at: Span(Duration::ZERO),
            version: version.to_owned(),
            fate: Fate::Ready { after: Span(after) },
        };
        story.events.push(pods(&self.arrival.from, self.flags.ready_after));
        story.events.push(pods(&self.flags.version, ready));
        story.events.extend(self.arrival.events.iter().cloned());
        let mut promoted = Vec::new();
        loop {
            let (rehearsal, waits) = self.play(&story, &promoted)?;
            // Each step waits for a person once.
            let steps = usize::try_from(self.rollout.spec.ladder.last()).unwrap_or(usize::MAX);
            match waits.filter(|_| promoted.len() < steps) {
                None => return Ok(rehearsal),
                Some((step, at)) => {
                    promoted.push(step);
                    let set = [("promote".to_owned(), "true".to_owned())].into();
                    story.events.push(Event::Annotate { at: Span(at), set });
                }
            }
        }
    }

    /// Plays a story; tells the step that waits to be promoted at its end, and since when.
    fn play(
        &self,
        story: &Story,
        promoted: &[i64],
    ) -> Result<(Rehearsal, Option<(i64, Duration)>), Trouble> {
        let outcome = play::play(story)?;
        let place = Place::new("rollouts", &*self.rollout.namespace, &*self.rollout.name);
        let own = || outcome.changes.iter().rev().filter(|change| change.place == place);
        let last = own().next().and_then(|change| change.after.as_deref());
        let verdict = verdict::verdict(last, Some(&self.flags.version));
        let account = account::account(&outcome.changes, outcome.ended, verdict.attempt);
        let waits = waits(last).map(|step| {
            let seen = own().take_while(|change| waits(change.after.as_deref()) == Some(step));
            let since = seen.last().map_or(outcome.ended, |change| change.at);
            let since = since.since(outcome.began).millis().saturating_add(1);
            (step, Duration::from_millis(since))
        });
        let released = outcome.began + self.arrival.at.0;
        let promoted = promoted.to_vec();
        Ok((Rehearsal { verdict, account, released, promoted }, waits))
    }

    /// Tells the end where every pod of the new version is as slow as the deadline allows, to a
    /// second; `None` where it does not complete, or where a person has to act, who may take any
    /// time. Without a route a step takes several batches of pods within its deadline, so that the
    /// slowest pods are looked for.
    fn slowest(&self, ideal: &Rehearsal) -> Result<Option<Duration>, Trouble> {
        if ideal.verdict.outcome != Outcome::Completed || !ideal.promoted.is_empty() {
            return Ok(None);
        }
        let mut latest = ideal.end().map(|end| end.since(ideal.released));
        let mut good = self.flags.ready_after.millis() / 1000;
        let mut bad = self.rollout.spec.deadline.millis().div_ceil(1000) + 1;
        while good + 1 < bad {
            let middle = good.midpoint(bad);
            let slow = self.rehearse(Duration::from_secs(middle))?;
            if slow.verdict.outcome == Outcome::Completed {
                good = middle;
                latest = slow.end().map(|end| end.since(slow.released));
            } else {
                bad = middle;
            }
        }
        Ok(latest)
    }
}

/// Tells the step that waits for a person.
fn waits(rollout: Option<&serde_json::Value>) -> Option<i64> {
    let status = facts::status(rollout);
    let person = ["AwaitingPromotion", "AwaitingConclusion"];
    let held = status.waiting_for.iter().any(|hold| person.contains(&hold.kind.as_str()));
    status.attempt.as_ref().filter(|_| held).map(|attempt| attempt.step)
}
