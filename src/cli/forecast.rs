//! Forecast: the plan of a release, as text and as JSON, made of what a rehearsal showed.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::api::status::Attempt;
use crate::cli::account::{Account, Stand};
use crate::cli::exit::Exit;
use crate::cli::manifest::Chosen;
use crate::cli::verdict::{Outcome, Verdict};
use crate::model::moment::{Duration, Timestamp};
use crate::model::spec::{Pause, Spec, Strategy};

/// The version of the JSON document.
const FORMAT: u32 = 1;
/// The holds of a pause.
const PAUSES: [&str; 5] =
    ["Paused", "AwaitingPromotion", "Experimenting", "Concluding", "AwaitingConclusion"];
/// The pauses that a person ends: how they are written, and how they are read.
const BY_PERSON: [(&str, &str); 2] =
    [("untilPromoted", "until promoted"), ("untilConcluded", "until concluded")];
/// What held a step for less is told to programs only.
const HELD_LEAST: Duration = Duration::from_secs(1);
/// The code of the warning that pods give another share than was asked for.
const SHARE_DIFFERS: &str = "W104";

/// What a release did in an ideal world.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// How it ended.
    pub verdict: Verdict,
    /// Its numbers.
    pub account: Account,
    /// When the release was offered.
    pub released: Timestamp,
    /// The steps that were promoted at once.
    pub promoted: Vec<i64>,
}

impl Rehearsal {
    /// Tells when the attempt ended.
    pub fn end(&self) -> Option<Timestamp> {
        let number = self.verdict.attempt?;
        self.account.attempts.get(&number)?.1
    }
}

/// What a plan is made of.
#[derive(Debug)]
pub struct Forecast<'a> {
    /// The Rollout.
    pub rollout: &'a Chosen,
    /// The version before.
    pub from: &'a str,
    /// The version that is released.
    pub version: &'a str,
    /// When, if that is told.
    pub at: Option<Timestamp>,
    /// How long each pod takes to become ready.
    pub ready_after: Duration,
    /// The release where nothing goes wrong.
    pub ideal: &'a Rehearsal,
    /// From the release to its latest end, where there is one.
    pub latest: Option<Duration>,
}

/// A plan. Times are milliseconds from the release on.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The version of this document: 1.
    pub format: u32,
    /// The Rollout, as namespace/name.
    pub rollout: String,
    /// The version before; empty where it is not known.
    pub from: String,
    /// The version that is released.
    pub version: String,
    /// When it is released, RFC 3339, if that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How long each pod takes to become ready.
    pub ready_after: String,
    /// Whether it carries all traffic in the end, once it is promoted where a step waits for that.
    pub completes: bool,
    /// How it ends, in a sentence.
    pub message: String,
    /// The code that the command ends with: 0 or 1.
    pub exit_code: u8,
    /// The steps, then the promotion, or the way back where it fails.
    pub steps: Vec<Planned>,
    /// The end where nothing goes wrong and every pause is promoted at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earliest_end: Option<Moment>,
    /// The end where every pod is as slow as the progress deadline allows; absent where a person
    /// has to act, who may take any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_end: Option<Moment>,
    /// Most pods at once that were not being stopped.
    pub peak_pods: u32,
    /// How many of them are beyond the replicas.
    pub surge: u32,
    /// What is not as it was asked for.
    pub warnings: Vec<Warning>,
}

/// A time of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// Milliseconds from the release on.
    pub millis: u64,
    /// RFC 3339, where the time of the release was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// Where the attempt stands: Step, Promoting, or RollingBack where it fails.
    pub stage: String,
    /// The step, from 1; 0 off the ladder.
    pub step: i64,
    /// The weight that was asked for, in percent.
    pub asked: i64,
    /// The share that the new version gets, in percent.
    pub weight: f64,
    /// When it begins.
    pub begins: Moment,
    /// When weight and pods are in force, where the step has a pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<Moment>,
    /// Ready pods of the new version at its end.
    pub new_pods: u32,
    /// Ready pods of other versions at its end.
    pub old_pods: u32,
    /// The pause: a duration, `untilPromoted` or `untilConcluded`; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<String>,
    /// What held it, in order.
    pub held_by: Vec<HeldBy>,
}

/// What held a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldBy {
    /// The code of the hold, as in docs/spec/rollout.md.
    pub hold: String,
    /// How long, in milliseconds.
    pub millis: u64,
}

/// What is not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// A stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
}

/// Makes the plan, and tells the code that the command ends with.
pub fn forecast(of: &Forecast<'_>) -> (Plan, Exit) {
    let Forecast { rollout, ideal, .. } = of;
    let completes = ideal.verdict.outcome == Outcome::Completed;
    let exit = if completes { Exit::Reached } else { Exit::Trouble };
    let steps: Vec<Planned> = ideal.account.stands.iter().map(|stand| of.planned(stand)).collect();
    let end = ideal.end().filter(|_| completes).map(|end| end.since(ideal.released));
    let plan = Plan {
        format: FORMAT,
        rollout: format!("{}/{}", rollout.namespace, rollout.name),
        from: of.from.to_owned(),
        version: of.version.to_owned(),
        at: of.at.map(|at| at.to_string()),
        ready_after: of.ready_after.to_string(),
        completes,
        message: ideal.verdict.message.clone(),
        exit_code: exit.code(),
        warnings: steps.iter().filter_map(|step| of.warning(step)).collect(),
        steps,
        earliest_end: end.map(|end| of.moment(end)),
        latest_end: of.latest.map(|end| of.moment(end)),
        peak_pods: ideal.account.peak_pods,
        surge: ideal.account.peak_pods.saturating_sub(rollout.spec.replicas),
    };
    (plan, exit)
}

impl Forecast<'_> {
    fn moment(&self, length: Duration) -> Moment {
        let time = self.at.map(|at| (at + length).to_string());
        Moment { millis: length.millis(), time }
    }

    fn since(&self, at: Timestamp) -> Moment {
        self.moment(at.since(self.ideal.released))
    }

    fn planned(&self, stand: &Stand) -> Planned {
        let Stand { step, weight, from, in_force, pods: (new_pods, old_pods), holds, .. } = stand;
        let spec = &self.rollout.spec;
        Planned {
            stage: stand.stage.clone(),
            step: *step,
            asked: *weight,
            weight: self.share(stand),
            begins: self.since(*from),
            in_force: in_force.map(|at| self.since(at)),
            new_pods: *new_pods,
            old_pods: *old_pods,
            pause: pause(spec, stand),
            held_by: holds.iter().map(held).collect(),
        }
    }

    /// The share that the new version gets: of a route, the weight; else the share of its pods.
    fn share(&self, stand: &Stand) -> f64 {
        let (new, old) = stand.pods;
        let all = f64::from(new) + f64::from(old);
        let ladder = &self.rollout.spec.ladder;
        let by_pods = !ladder.routed() && ladder.strategy != Strategy::BlueGreen;
        if !by_pods || all == 0.0 {
            return stand_weight(stand.weight);
        }
        (f64::from(new) / all * 1000.0).round() / 10.0
    }

    fn warning(&self, step: &Planned) -> Option<Warning> {
        let Planned { step: number, asked, weight, new_pods, old_pods, .. } = step;
        if *number == 0 || (weight - stand_weight(*asked)).abs() < 1.0 {
            return None;
        }
        let all = new_pods + old_pods;
        let message = format!(
            "step {number}: weight {asked} was asked, {new_pods} of {all} pods without a \
             trafficRouting give {weight}"
        );
        Some(Warning { code: SHARE_DIFFERS.to_owned(), message })
    }
}

fn held((hold, length): &(String, Duration)) -> HeldBy {
    HeldBy { hold: hold.clone(), millis: length.millis() }
}

/// Weights are within 0 to 100.
fn stand_weight(weight: i64) -> f64 {
    f64::from(i32::try_from(weight).unwrap_or_default())
}

fn pause(spec: &Spec, stand: &Stand) -> Option<String> {
    let step = u32::try_from(stand.step).ok().filter(|_| stand.stage == Attempt::STEP)?;
    match spec.ladder.step(step)?.pause {
        Pause::None => None,
        Pause::For(length) | Pause::UntilConcluded(Some(length)) => Some(length.to_string()),
        Pause::UntilPromoted => Some("untilPromoted".to_owned()),
        Pause::UntilConcluded(None) => Some("untilConcluded".to_owned()),
    }
}

impl Plan {
    /// Prints it for a person. Times are rounded to a second.
    pub fn text(&self) -> String {
        let Self { rollout, from, version, ready_after, .. } = self;
        let from = if from.is_empty() { String::new() } else { format!("{from} → ") };
        let at = self.at.as_ref().map(|at| format!(", released at {at}")).unwrap_or_default();
        let mut out = format!("{rollout}: {from}{version}{at}, pods ready after {ready_after}\n\n");
        for step in &self.steps {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}", self.row(step).trim_end());
        }
        out.push('\n');
        self.summary(&mut out);
        out
    }

    fn row(&self, step: &Planned) -> String {
        let Planned { asked, weight, new_pods, old_pods, pause, .. } = step;
        let last = self.steps.iter().map(|step| step.step).max().unwrap_or_default();
        let called = match step.stage.as_str() {
            Attempt::STEP => format!("step {}/{last}", step.step),
            Attempt::PROMOTING => "promotion".to_owned(),
            Attempt::ROLLING_BACK => "way back".to_owned(),
            other => other.to_owned(),
        };
        let differs = (weight - stand_weight(*asked)).abs() >= 1.0;
        let asked = if differs {
            format!("weight {weight} (asked {asked})")
        } else {
            format!("weight {asked}")
        };
        let pods = format!("pods {new_pods} new, {old_pods} old");
        let pause = match pause.as_deref() {
            None => String::new(),
            Some(length) => by_person(length).map_or(format!("pause {length}"), str::to_owned),
        };
        let held = step.held_by.iter().filter(|held| HELD_LEAST.millis() <= held.millis);
        // The pause has a column of its own.
        let held = held.filter(|held| !PAUSES.contains(&held.hold.as_str()));
        let held: Vec<String> = held
            .map(|held| format!("{} {}", held.hold, length(Duration::from_millis(held.millis))))
            .collect();
        let held = match held.as_slice() {
            [] => String::new(),
            all => format!("held by {}", all.join(", ")),
        };
        let begins = said(&step.begins);
        format!("{begins:<12} {called:<10} {asked:<22} {pods:<20} {pause:<16} {held}")
    }

    fn summary(&self, out: &mut String) {
        let mut fact = |name: &str, text: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name:<13} {text}");
        };
        let mut pauses = self.steps.iter().filter_map(|step| step.pause.as_deref());
        let waits = pauses.any(|pause| by_person(pause).is_some());
        if !self.completes {
            fact("no end", &self.message);
        }
        if let Some(end) = &self.earliest_end {
            let promoted = if waits { ", if promoted at once" } else { "" };
            fact("earliest end", &format!("{}{promoted}", when(end)));
        }
        match &self.latest_end {
            Some(end) => fact("latest end", &when(end)),
            None if self.completes && waits => fact("latest end", "when a person promotes"),
            None => {}
        }
        let surge = match self.surge {
            0 => String::new(),
            surge => format!(" ({surge} beyond the replicas)"),
        };
        fact("peak pods", &format!("{}{surge}", self.peak_pods));
        for Warning { code, message } in &self.warnings {
            fact("warning", &format!("{code}: {message}"));
        }
    }
}

/// How a pause is read that a person ends.
fn by_person(pause: &str) -> Option<&'static str> {
    BY_PERSON.iter().find(|(written, _)| *written == pause).map(|(_, read)| *read)
}

fn said(moment: &Moment) -> String {
    format!("t+{}", length(Duration::from_millis(moment.millis)))
}

/// Prints a length of time, rounded to a second.
fn length(length: Duration) -> String {
    Duration::from_secs(length.millis().saturating_add(500) / 1000).to_string()
}

fn when(moment: &Moment) -> String {
    match &moment.time {
        None => said(moment),
        Some(time) => format!("{} ({time})", said(moment)),
    }
}

#[cfg(test)]
mod tests;
