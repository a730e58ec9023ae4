//! Report: what `stairlock simulate` prints of a story, as text and as JSON.

use std::fmt::Write;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::status::Attempt;
use crate::cli::account::{self, Account, Stand};
use crate::cli::exit::Exit;
use crate::cli::facts;
use crate::cli::happens;
use crate::cli::timeline::{self, Line, Topic};
use crate::cli::verdict::{self, Outcome, Verdict, Wanted};
use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Change, Place};
use crate::sim::story::{Event, Story};
use crate::sim::world::prometheus::{Prometheus, Reading};

/// The version of the JSON document.
const FORMAT: u32 = 1;

/// What was played, and what is asked about it.
#[derive(Debug)]
pub struct Played<'a> {
    /// The story.
    pub story: &'a Story,
    /// The Rollout.
    pub rollout: &'a Place,
    /// The steps of its ladder.
    pub steps: u32,
    /// The history.
    pub changes: &'a [Arc<Change>],
    /// When it began.
    pub began: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Writes of controllers.
    pub writes: u32,
    /// Events that had no effect, and why.
    pub idle: &'a [(Timestamp, String)],
    /// Rules of the controller that were broken.
    pub violations: Vec<Broken>,
    /// The release that is asked about; absent: what was tried last.
    pub release: Option<&'a str>,
    /// What it is to end with.
    pub wanted: Option<Wanted>,
}

/// All that is printed of a story.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this document: 1.
    pub format: u32,
    /// The Rollout, as namespace/name.
    pub rollout: String,
    /// What all chance was drawn from.
    pub seed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// How it ended, in a sentence.
    pub message: String,
    /// The code that the command ends with: 0 to 7.
    pub exit_code: u8,
    /// The number of the attempt; absent: none began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// What it delivers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Milliseconds from the begin of the attempt to its end, or to the end of the story.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// The weights that it was to have on its way up.
    pub weights: Vec<i64>,
    /// Most pods at once that were not being stopped.
    pub peak_pods: u32,
    /// Writes of controllers, the Lease not counted.
    pub writes: u32,
    /// Of a hundred requests during the attempt so many failed; absent where the story says of no
    /// version what fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_of_hundred: Option<f64>,
    /// What Prometheus read at the end of each step; empty where no errors are told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Measured>,
    /// Rules of the controller that were broken. It is to be empty: each is a bug.
    pub violations: Vec<Broken>,
    /// What happened, in order.
    pub timeline: Vec<Told>,
}

/// What Prometheus read at the end of a step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The step, from 1; 0: the promotion.
    pub step: i64,
    /// Its weight.
    pub weight: i64,
    /// Of a hundred requests to the new version so many failed; absent: Prometheus did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_of_hundred: Option<f64>,
}

/// A rule of the controller that was broken.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// The rule, such as S1.
    pub rule: String,
    /// Milliseconds since the story began.
    pub millis: u64,
    /// What was seen.
    pub message: String,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Milliseconds since the story began.
    pub millis: u64,
    /// What it is about: story, rollout, hold, traffic, pods or controller.
    pub topic: String,
    /// For a person.
    pub text: String,
}

/// Makes the report of a story, and tells the code that the command ends with.
pub fn report(played: &Played<'_>) -> (Report, Exit) {
    let last = played.changes.iter().rev().find(|change| change.place == *played.rollout);
    let last = last.and_then(|change| change.after.as_deref());
    let verdict = verdict::verdict(last, played.release);
    let exit =
        if played.violations.is_empty() { verdict.exit(played.wanted) } else { Exit::Trouble };
    let account = account::account(played.changes, played.ended, verdict.attempt);
    (make(played, verdict, &account, exit), exit)
}

fn make(played: &Played<'_>, verdict: Verdict, account: &Account, exit: Exit) -> Report {
    let prometheus = prometheus(played);
    let times = verdict.attempt.and_then(|number| account.attempts.get(&number));
    let times = times.map(|(from, to)| (*from, to.unwrap_or(played.ended)));
    let failed = times.filter(|_| tells_errors(played.story)).and_then(|(from, to)| {
        let turns: Vec<Timestamp> = turns(played).collect();
        account.failed(from, to, &turns, |version, at| prometheus.percent(version, at))
    });
    let version = account.version();
    let readings = match (&version, tells_errors(played.story)) {
        (Some(version), true) => readings(account, &prometheus, version),
        (Some(_) | None, _) => Vec::new(),
    };
    Report {
        format: FORMAT,
        rollout: format!("{}/{}", played.rollout.namespace, played.rollout.name),
        seed: played.story.seed,
        outcome: verdict.outcome,
        message: verdict.message,
        exit_code: exit.code(),
        attempt: verdict.attempt,
        version,
        millis: times.map(|(from, to)| to.since(from).millis()),
        weights: weights(&account.stands),
        peak_pods: account.peak_pods,
        writes: played.writes,
        failed_of_hundred: failed.map(rounded),
        readings,
        violations: played.violations.clone(),
        timeline: told(played),
    }
}

fn weights(stands: &[Stand]) -> Vec<i64> {
    let climbed = stands.iter().filter(|stand| climbs(stand));
    let mut weights: Vec<i64> = climbed.map(|stand| stand.weight).collect();
    weights.dedup();
    weights
}

/// On the way back there is no step, and a first revision has no ladder.
fn climbs(stand: &Stand) -> bool {
    [Attempt::STEP, Attempt::PROMOTING].contains(&stand.stage.as_str())
}

fn tells_errors(story: &Story) -> bool {
    story.events.iter().any(|event| matches!(event, Event::Errors { .. }))
}

/// What Prometheus answers in a story.
fn prometheus(played: &Played<'_>) -> Prometheus {
    let mut prometheus = Prometheus::default();
    let mut events: Vec<&Event> = played.story.events.iter().collect();
    events.sort_by_key(|event| event.at());
    for event in events {
        let at = event.at().map_or(played.began, |at| played.began + at.0);
        if let Event::Errors { version, percent, .. } = event {
            prometheus.errors(version, at, *percent);
        } else if let Event::Prometheus { up, .. } = event {
            prometheus.answers(at, *up);
        }
    }
    prometheus
}

fn turns(played: &Played<'_>) -> impl Iterator<Item = Timestamp> {
    let events = played.story.events.iter();
    let errors = events.filter(|event| matches!(event, Event::Errors { .. }));
    errors.filter_map(Event::at).map(|at| played.began + at.0)
}

fn readings(account: &Account, prometheus: &Prometheus, version: &str) -> Vec<Measured> {
    let reading = |stand: &Stand| Measured {
        step: stand.step,
        weight: stand.weight,
        failed_of_hundred: match prometheus.reading(version, stand.to) {
            Reading::Value(percent) => Some(rounded(percent)),
            Reading::NoReading => None,
        },
    };
    account.stands.iter().filter(|stand| climbs(stand)).map(reading).collect()
}

fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// The story and the history, woven by time: what the story has happen comes first.
fn told(played: &Played<'_>) -> Vec<Told> {
    let story = played.story.events.iter().filter_map(|event| {
        let at = event.at()?.0;
        Some(Line { at, topic: Topic::Story, text: happens::line(event) })
    });
    let mut lines: Vec<Line> = story.collect();
    lines.extend(played.idle.iter().map(|(at, why)| {
        let text = format!("that had no effect: {why}");
        Line { at: at.since(played.began), topic: Topic::Story, text }
    }));
    lines.extend(timeline::lines(played.changes, played.began, played.steps));
    lines.sort_by_key(|line| line.at);
    let told = |Line { at, topic, text }| Told {
        millis: at.millis(),
        topic: topic.as_str().to_owned(),
        text,
    };
    lines.into_iter().map(told).collect()
}

impl Report {
    /// Prints it for a person. `faults` are what the story has happen at certain writes.
    pub fn text(&self, story: &Story) -> String {
        let mut out = String::new();
        for event in story.events.iter().filter(|event| event.at().is_none()) {
            row(&mut out, "at a write", Topic::Story.as_str(), &happens::line(event));
        }
        for line in &self.timeline {
            let at = facts::offset(Duration::from_millis(line.millis));
            row(&mut out, &at, &line.topic, &line.text);
        }
        out.push('\n');
        self.summary(&mut out);
        out
    }

    fn summary(&self, out: &mut String) {
        let mut fact = |name: &str, text: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:<11} {text}");
        };
        fact("outcome", format!("{} (exit {})", self.outcome.as_str(), self.exit_code));
        fact("because", self.message.clone());
        if let Some(millis) = self.millis {
            let length = facts::offset(Duration::from_millis(millis));
            fact("duration", length.trim_start_matches("t+").to_owned());
        }
        let weights: Vec<String> = self.weights.iter().map(i64::to_string).collect();
        if !weights.is_empty() {
            fact("weights", weights.join(", "));
        }
        fact("peak pods", self.peak_pods.to_string());
        fact("writes", self.writes.to_string());
        if let Some(failed) = self.failed_of_hundred {
            fact("errors", format!("{failed} of 100 requests failed during the attempt"));
        }
        for reading in &self.readings {
            let Measured { step, weight, failed_of_hundred } = reading;
            let step = if *step == 0 { "promotion".to_owned() } else { format!("step {step}") };
            let failed =
                failed_of_hundred.map_or("no reading".to_owned(), |f| format!("{f} of 100"));
            fact("reading", format!("{step} (weight {weight}): {failed}"));
        }
        for Broken { rule, millis, message } in &self.violations {
            let at = facts::offset(Duration::from_millis(*millis));
            fact("BROKEN", format!("{rule} at {at}: {message}"));
        }
    }
}

fn row(out: &mut String, at: &str, topic: &str, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{at:<12} {topic:<10} {text}");
}

#[cfg(test)]
mod tests;
