//! Judge: whether a history of a cluster keeps the invariants of a rollout controller, change by
//! change.
//!
//! It knows the world from the changes alone and never asks a cluster; what it keeps does not grow
//! with the length of the history. A decision is made on what a cache shows: it is judged by any
//! state of the foreign objects that its writer could have been looking at.

pub mod bindings;

mod attempts;
mod bounds;
mod changes;
mod commands;
mod deletions;
mod deliveries;
mod drain;
mod experiments;
mod facts;
mod fields;
mod force;
mod found;
mod gates;
mod images;
mod leaders;
mod liveness;
mod notices;
mod past;
mod pauses;
mod read;
mod restarts;
mod scene;
mod selects;
mod sizes;
mod weights;

use std::sync::Arc;

use crate::model::moment::Timestamp;
use crate::sim::history::{Change, Place};
use crate::sim::judge::bindings::Reach;
use crate::sim::judge::commands::Commands;
use crate::sim::judge::deliveries::Deliveries;
use crate::sim::judge::drain::Drains;
use crate::sim::judge::found::Found;
use crate::sim::judge::gates::Gates;
use crate::sim::judge::images::Images;
use crate::sim::judge::leaders::Leaders;
use crate::sim::judge::liveness::Liveness;
use crate::sim::judge::notices::Notices;
use crate::sim::judge::pauses::Pauses;
use crate::sim::judge::restarts::Restarts;
use crate::sim::judge::scene::{Case, Scene};
use crate::sim::judge::weights::Weights;

/// Violations that are kept; who breaks more of them is known by the first.
const VIOLATIONS_MAX: usize = 100;

/// Every invariant: its name, and what it demands or why nothing of it is judged yet.
pub const INVARIANTS: &[(&str, &str)] = &[
    ("S1", "traffic rises only on as many ready endpoints as the weight needs, at least one"),
    ("S2", "pods behind a backend with a weight stay, and are not selected away"),
    ("S3", "without a route pods stay within surge and unavailable; with one stable is whole"),
    ("S4", "the way back leads only to endpoints that are ready, more than the canary has"),
    ("S5", "of objects of others only the fields that are ours are written"),
    (
        "S6",
        "the rules of an experiment are copies of rules with both Services, once each, only while \
        it runs",
    ),
    ("S7", "both weights of a rule are written out and add up to 100, or to what they did before"),
    (
        "S8",
        "an attempt has one number, one history entry and writes an image once; what failed \
        stays away",
    ),
    ("S9", "within an attempt neither step nor weight falls, and no step is left out"),
    ("S10", "a command is taken once, acts once, and only at the attempt and step it is for"),
    ("S11", "stages and phases follow their table"),
    ("S12", "not yet: no metric is read"),
    (
        "S13",
        "a step or attempt is over only by what pods, gateways and Flux say of the present \
         generation",
    ),
    ("S14", "a version falls only on the way back from a failure, and lies in its range"),
    (
        "S15",
        "of two Rollouts with one route or Service the older one writes it; a bound field gets a \
        release of the Rollout that it is bound to",
    ),
    ("S16", "a controller writes only while it holds the lease, and never after the next holder"),
    ("S17", "each transition is told by one Event, and none is told before it is stored"),
    ("S18", "the digest that is delivered is the one that the source showed"),
    ("S19", "pauses and drains last as long as they are to by the true clock"),
    ("S20", "nothing is written outside of the watched namespaces, nor taken from other ones"),
    ("S21", "a status stays small, with one condition of each type"),
    ("S22", "while spec.paused is true nothing begins, climbs or is delivered, but what goes back"),
    (
        "S23",
        "a restart evicts only pods that stood before it, of sides that serve, while few others \
        are missed, and ends when none of them is left",
    ),
    ("S24", "no release starts by itself through a gate that is closed for it"),
    ("L1", "once all is calm everything comes into its place, and nothing is written then"),
    ("L2", "an attempt ends or says what it waits for, and fails by its deadline"),
    ("L3", "a command is taken within a minute"),
    ("L4", "a deletion takes no longer than 10 s and a drain"),
    ("L5", "judged by L3 and L9: what a watch lost is noticed in time"),
    ("L6", "not here: requests that fail leave no change"),
    ("L7", "not here: requests that fail leave no change"),
    ("L8", "not here: a turn leaves no change; src/runtime/health.rs tests it"),
    ("L9", "a newer release takes the place of the one that climbs within 5 s"),
    ("L10", "no controller writes on and on"),
    ("L11", "a restart goes on while pods are well and no budget is in its way"),
];

/// An invariant that a change breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which: `S1`.
    pub invariant: &'static str,
    /// The revision of the change; the last one where it is about the end.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// What is wrong.
    pub message: String,
}

/// What no object tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A controller ended without a word.
    Crashed {
        /// Its identity.
        identity: Arc<str>,
        /// When.
        at: Timestamp,
    },
    /// A write of a controller was not carried out, whatever its answer was.
    Failed {
        /// The object.
        place: Place,
        /// When.
        at: Timestamp,
    },
    /// Faults and foreign edits ended here.
    Calm {
        /// When.
        at: Timestamp,
    },
    /// A tag was pushed to a registry that Rollouts follow themselves.
    Pushed {
        /// The repository.
        image: String,
        /// The tag.
        tag: String,
        /// When.
        at: Timestamp,
    },
    /// In which namespaces the controllers were told to work; without it in all.
    Reach(Reach),
}

/// Judges a history, change by change.
#[derive(Debug, Default)]
pub struct Judge {
    scene: Scene,
    reach: Reach,
    weights: Weights,
    drains: Drains,
    images: Images,
    deliveries: Deliveries,
    gates: Gates,
    commands: Commands,
    pauses: Pauses,
    notices: Notices,
    leaders: Leaders,
    restarts: Restarts,
    liveness: Liveness,
    revision: u64,
    violations: Vec<Violation>,
}

impl Judge {
    /// Begins with an empty cluster.
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges the next change. All changes are to be told, in their order, by whomever they are.
    pub fn see(&mut self, change: &Change) {
        self.revision = change.revision;
        let fresh = self.scene.read(change);
        let case = Case::new(&self.scene, change, &fresh);
        let mut found = Found::default();
        fields::see(&case, &mut found);
        experiments::see(&case, &mut found);
        bindings::see(&case, &self.reach, &mut found);
        self.weights.see(&case, &mut found);
        selects::see(&case, &mut found);
        sizes::see(&case, &mut found);
        self.drains.see(&case, &mut found);
        attempts::see(&case, &mut found);
        changes::see(&case, &mut found);
        deletions::see(&case, &mut found);
        force::see(&case, &mut found);
        self.images.see(&case, &mut found);
        self.deliveries.see(&case, &mut found);
        self.gates.see(&case, &mut found);
        self.commands.see(&case, &mut found);
        self.pauses.see(&case, &mut found);
        pauses::traffic_stands(&case, &mut found);
        self.notices.see(&case, &mut found);
        self.leaders.see(&case, &mut found);
        self.restarts.see(&case, &mut found);
        bounds::see(&case, &mut found);
        self.liveness.see(&case, &mut found);
        self.scene.keep(change, fresh);
        let name = (change.place.namespace.clone(), change.place.name.clone());
        self.drains.note(&self.scene, (change.place.resource, &name), change.at);
        self.liveness.note(&self.scene, change.place.resource, &name, change.at);
        self.tell(found, change.at);
    }

    /// Hears what no object tells, in its order among the changes.
    pub fn note(&mut self, note: Note) {
        match note {
            Note::Crashed { .. } => self.notices.forget_tries(),
            Note::Failed { place, .. } if place.resource == "events" => self.notices.failed(),
            Note::Failed { .. } => {}
            Note::Calm { at } => {
                self.liveness.calm(at);
                self.restarts.calm(at);
            }
            Note::Pushed { image, tag, at } => {
                self.scene.pushed.entry(image).or_default().insert(tag);
                self.liveness.pushed(&self.scene, at);
            }
            Note::Reach(reach) => self.reach = reach,
        }
    }

    /// Judges what should have happened by the end of the story.
    pub fn end(&mut self, at: Timestamp) {
        let mut found = Found::default();
        self.liveness.end(&self.scene, at, &mut found);
        self.restarts.end(&self.scene, at, &mut found);
        self.deliveries.end(&self.scene, &mut found);
        self.tell(found, at);
    }

    /// What was broken, in order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn tell(&mut self, found: Found, at: Timestamp) {
        let room = VIOLATIONS_MAX.saturating_sub(self.violations.len());
        let revision = self.revision;
        let told = found.0.into_iter().take(room);
        self.violations.extend(told.map(|(invariant, message)| Violation {
            invariant,
            revision,
            at,
            message,
        }));
    }
}

#[cfg(test)]
mod tale;
#[cfg(test)]
mod tests;
