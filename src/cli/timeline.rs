//! Timeline: what people care about in a story, a line for each thing, in the order of time.
//!
//! What controllers and the cluster did is read from the history; what was to happen from the
//! story. It never judges.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::api::status::{Attempt, RolloutStatus, Waiting};
use crate::cli::facts;
use crate::model::moment::{Duration, Timestamp};
use crate::sim::history::{Change, Writer};
use crate::sim::resource::Resource;
use crate::validate::strategy::ladder;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, from the beginning.
    pub at: Duration,
    /// What it is about.
    pub topic: Topic,
    /// For a person.
    pub text: String,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// What the story has happen.
    Story,
    /// Where the Rollout stands.
    Rollout,
    /// Why nothing moves.
    Hold,
    /// Who gets which share of traffic.
    Traffic,
    /// What bound Flux objects hold, and what Flux makes of it.
    Target,
    /// How many pods there are.
    Pods,
    /// Which controller acts.
    Controller,
}

impl Topic {
    /// Tells the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Story => "story",
            Self::Rollout => "rollout",
            Self::Hold => "hold",
            Self::Traffic => "traffic",
            Self::Target => "target",
            Self::Pods => "pods",
            Self::Controller => "controller",
        }
    }
}

/// Tells a history that began at a time, of a Rollout whose ladder has so many steps.
pub fn lines(changes: &[Arc<Change>], began: Timestamp, steps: u32) -> Vec<Line> {
    let mut teller = Teller { steps, ..Teller::default() };
    for change in changes {
        let at = change.at.since(began);
        let told = teller.tell(change, began);
        teller.lines.extend(told.into_iter().map(|(topic, text)| Line { at, topic, text }));
    }
    teller.lines
}

/// The steps of a strategy that took the place of another.
fn changed_ladder(before: &Value, after: &Value) -> Option<u32> {
    let strategy = |rollout: &Value| rollout.pointer("/spec/strategy").cloned();
    let named = strategy(after).filter(|named| strategy(before).as_ref() != Some(named))?;
    let name = facts::text(after, "/metadata/name");
    Some(ladder(&serde_json::from_value(named).ok()?, name).ok()?.last())
}

/// What is known from what was told before.
#[derive(Default)]
struct Teller {
    lines: Vec<Line>,
    steps: u32,
    /// What revisions deliver.
    versions: BTreeMap<String, String>,
    /// ReplicaSets by name, with all pods ready that they want.
    whole: BTreeMap<String, bool>,
    /// Who wrote last.
    writer: Option<Arc<str>>,
}

type Told = Vec<(Topic, String)>;

impl Teller {
    fn tell(&mut self, change: &Change, began: Timestamp) -> Told {
        let mut told = match change.place.resource {
            "rollouts" => self.rollout(change, began),
            "httproutes" | "grpcroutes" => route(change),
            "services" => self.service(change),
            "kustomizations" | "ocirepositories" => target(change),
            "replicasets" => self.replica_set(change),
            "leases" => lease(change),
            _ => Vec::new(),
        };
        if let Writer::Controller { identity, .. } = &change.writer {
            let before = self.writer.replace(Arc::clone(identity));
            if before.is_some_and(|before| before != *identity) {
                told.insert(0, (Topic::Controller, format!("{identity} goes on")));
            }
        }
        told
    }

    fn rollout(&mut self, change: &Change, began: Timestamp) -> Told {
        let (before, after) = facts::sides(change);
        let name = &change.place.name;
        let Some(after) = after else {
            return vec![(Topic::Rollout, format!("Rollout {name} is gone"))];
        };
        let (was, is) = (facts::status(before), facts::status(Some(after)));
        self.learn(&is);
        if let Some(steps) = before.and_then(|before| changed_ladder(before, after)) {
            self.steps = steps;
        }
        let mut told = Vec::new();
        if let (Some(before), Writer::Controller { .. }) = (before, &change.writer) {
            let old = facts::images(before);
            let new = facts::images(after).into_iter();
            let new = new.filter(|(container, image)| old.get(container) != Some(image));
            told.extend(new.map(|(container, image)| {
                (Topic::Rollout, format!("{image} is written into container {container}"))
            }));
        }
        told.extend(self.stage(&was, &is).map(|text| (Topic::Rollout, text)));
        for hold in &is.waiting_for {
            let same = |old: &Waiting| (&old.kind, &old.name) == (&hold.kind, &hold.name);
            if !was.waiting_for.iter().any(same) {
                told.push((Topic::Hold, held(hold, began)));
            }
        }
        told
    }

    fn learn(&mut self, status: &RolloutStatus) {
        let sides = [&status.stable, &status.canary].into_iter().flatten();
        let sides = sides.map(|side| (&side.revision, facts::called(&side.release)));
        let attempt = status.attempt.iter();
        let attempt = attempt.map(|one| (&one.revision, facts::called(&one.release)));
        for (revision, version) in sides.chain(attempt).filter(|(_, version)| !version.is_empty()) {
            self.versions.insert(revision.clone(), version.to_owned());
        }
    }

    /// What a revision is called: its version, where no other one delivers the same.
    fn called(&self, revision: &str) -> String {
        let Some(version) = self.versions.get(revision) else { return revision.to_owned() };
        let same = self.versions.values().filter(|other| *other == version).count();
        if same == 1 { version.clone() } else { format!("{version} ({revision})") }
    }

    /// Tells where the attempt stands, where that is another place than before.
    fn stage(&self, was: &RolloutStatus, is: &RolloutStatus) -> Option<String> {
        let place = |status: &RolloutStatus| {
            let attempt = status.attempt.as_ref()?;
            Some((attempt.number, attempt.stage.clone(), attempt.step, attempt.weight))
        };
        let mut parts = Vec::new();
        if let Some(attempt) = is.attempt.as_ref().filter(|_| place(was) != place(is)) {
            let number = attempt.number;
            let known = was.attempt.as_ref().is_some_and(|old| old.number == number);
            if !known {
                let what = match attempt.trigger.as_str() {
                    Attempt::BY_RELEASE => "release",
                    _ => "template with",
                };
                parts.push(format!("attempt {number}: {what} {}", self.called(&attempt.revision)));
            }
            parts.push(self.stands(attempt));
        }
        let phase = is.phase.as_ref().filter(|_| was.phase != is.phase);
        parts.extend(phase.map(|phase| format!("phase {phase}")));
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn stands(&self, attempt: &Attempt) -> String {
        let (number, cause) = (attempt.number, attempt.cause.as_deref().unwrap_or_default());
        match attempt.stage.as_str() {
            Attempt::FIRST => "the first revision comes up".to_owned(),
            Attempt::STEP => {
                let Attempt { step, weight, .. } = attempt;
                let steps = i64::from(self.steps).max(*step);
                format!("step {step} of {steps}, weight {weight}")
            }
            Attempt::PROMOTING => "all traffic is on it, it becomes stable".to_owned(),
            Attempt::ROLLING_BACK => format!("goes back to stable: {cause}"),
            Attempt::COMPLETED => format!("attempt {number} is completed"),
            Attempt::ENDED => format!("attempt {number} ended: {cause}"),
            other => other.to_owned(),
        }
    }

    fn service(&self, change: &Change) -> Told {
        let Writer::Controller { .. } = change.writer else { return Vec::new() };
        let (before, after) = facts::sides(change);
        let Some(after) = after else { return Vec::new() };
        let name = &change.place.name;
        let (old, new) = (before.map_or("", facts::selected), facts::selected(after));
        let selects = match new {
            "" => "selects all pods".to_owned(),
            revision => format!("selects {}", self.called(revision)),
        };
        let text = match before {
            None => format!("Service {name} is made and {selects}"),
            Some(_) if old != new => format!("Service {name} {selects}"),
            Some(_) => return Vec::new(),
        };
        vec![(Topic::Traffic, text)]
    }

    fn replica_set(&mut self, change: &Change) -> Told {
        let (before, after) = facts::sides(change);
        let Some(after) = after else { return Vec::new() };
        let called = self.called(facts::revision(after));
        let wanted = |set: &Value| facts::number(set, "/spec/replicas");
        let (old, new) = (before.map_or(0, wanted), wanted(after));
        let ready = facts::number(after, "/status/readyReplicas");
        let mut told = Vec::new();
        if old != new {
            told.push((Topic::Pods, format!("{called}: {old} → {new} pods")));
        }
        let whole = ready == new;
        let known = self.whole.insert(change.place.name.clone(), whole);
        let lost = known == Some(true) && !whole && old == new;
        let ready_before = before.map_or(0, |set| facts::number(set, "/status/readyReplicas"));
        let gained = known == Some(false) && whole && ready_before < ready;
        if lost || gained {
            told.push((Topic::Pods, format!("{called}: {ready} of {new} pods are ready")));
        }
        told
    }
}

/// Tells a hold, and when or by whom it ends.
fn held(hold: &Waiting, began: Timestamp) -> String {
    let until = hold.until.as_deref().and_then(Timestamp::parse);
    let end = match until {
        Some(until) => format!(" until {}", facts::offset(until.since(began))),
        None if hold.automatic => String::new(),
        None => " (a person ends it)".to_owned(),
    };
    format!("{}{end}: {}", hold.kind, hold.message)
}

fn route(change: &Change) -> Told {
    let (before, after) = facts::sides(change);
    let Some(after) = after else { return Vec::new() };
    let ours = matches!(change.writer, Writer::Controller { .. });
    let new = facts::weights(after);
    let made = match before {
        Some(before) if facts::weights(before) != new => "",
        None if ours => " is made",
        Some(_) | None => return Vec::new(),
    };
    let rule = |weights: &BTreeMap<String, u32>| {
        let shares = weights.iter().map(|(name, weight)| format!("{name} {weight}"));
        shares.collect::<Vec<_>>().join(", ")
    };
    let rules: Vec<String> = new.iter().map(rule).collect();
    let by = match &change.writer {
        Writer::Controller { .. } => String::new(),
        Writer::Other(name) => format!(" (by {name})"),
    };
    let name = &change.place.name;
    let kind = Resource::named(change.place.resource).map_or("", |resource| resource.kind);
    vec![(Topic::Traffic, format!("{kind} {name}{made}: {}{by}", rules.join("; ")))]
}

/// A bound field that is written, and what Flux says of it then.
fn target(change: &Change) -> Told {
    let (Some(before), Some(after)) = facts::sides(change) else { return Vec::new() };
    let kind = Resource::named(change.place.resource).map_or("", |resource| resource.kind);
    let object = format!("{kind} {}", change.place.name);
    let mut told = Vec::new();
    if let Writer::Controller { .. } = &change.writer {
        let (old, new) = (facts::deliverable(before), facts::deliverable(after));
        for (field, value) in new.iter().filter(|(field, value)| old.get(*field) != Some(*value)) {
            told.push((Topic::Target, format!("{object}: {field} is {value}")));
        }
    }
    let (was, is) = (facts::ready(before), facts::ready(after));
    if facts::binds(after) && was != is {
        let said = if is.1.is_empty() { String::new() } else { format!(": {}", is.1) };
        let word = if is.0 == "True" { "Ready" } else { "not Ready" };
        told.push((Topic::Target, format!("{object} is {word}{said}")));
    }
    told
}

fn lease(change: &Change) -> Told {
    let holder = |lease: Option<&Value>| {
        lease.map(|lease| facts::text(lease, "/spec/holderIdentity").to_owned()).unwrap_or_default()
    };
    let (before, after) = facts::sides(change);
    let (old, new) = (holder(before), holder(after));
    if new.is_empty() || old == new {
        return Vec::new();
    }
    vec![(Topic::Controller, format!("{new} leads"))]
}

#[cfg(test)]
mod tests;
