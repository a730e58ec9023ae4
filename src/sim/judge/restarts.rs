//! Restarts: pods are evicted by a restart alone, few at a time, and it ends when all are replaced
//! (S23) and does end (L11). It keeps of pods only those that are there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::status::Stage;
use crate::sim::judge::found::Found;
use crate::sim::judge::past::{DECISION_AGE, Past};
use crate::sim::judge::scene::{Case, Name, Scene};
use crate::sim::world::fields;

/// After the calm, and after the last change of a pod, a restart has to have gone on within this
/// time: an event that got lost is noticed, and a call that failed is made again.
const STILL_MAX: Duration = Duration::from_secs(100);

/// Holds of an attempt that a restart stands back for, and the one of an eviction.
const HELD: [&str; 5] =
    ["PodsNotReady", "EndpointsNotReady", "RouteNotAccepted", "RouteRefused", "Refused"];

/// The pods that are there.
#[derive(Debug, Default)]
pub struct Restarts {
    pods: BTreeMap<Name, Pod>,
    /// Pods that others took away a moment ago: when, and their ReplicaSets.
    lost: Vec<(Timestamp, Name)>,
    moved: Option<Timestamp>,
    calm: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Pod {
    set: String,
    created: Timestamp,
    ending: bool,
    ready: bool,
    /// Whether it ever was ready.
    ripened: bool,
    /// When it last became ready or ceased to be.
    turned: Timestamp,
}

impl Pod {
    fn read(object: &Value, before: Option<&Self>, at: Timestamp) -> Self {
        let owners = fields::items(object, &["metadata", "ownerReferences"]);
        let set = owners.first().map_or("", |owner| fields::text(owner, &["name"]));
        let created = fields::text(object, &["metadata", "creationTimestamp"]);
        let ready = fields::ready(object);
        let turned = before.filter(|before| before.ready == ready).map(|before| before.turned);
        Self {
            set: set.to_owned(),
            created: Timestamp::parse(created).unwrap_or(at),
            ending: fields::deleting(object),
            ready,
            ripened: ready || before.is_some_and(|before| before.ripened),
            turned: turned.unwrap_or(at),
        }
    }

    /// Whether it is ready, or was so a moment ago, as whoever evicts may have seen it.
    fn well(&self, at: Timestamp) -> bool {
        self.ready || (self.ripened && at < self.turned + DECISION_AGE)
    }

    /// Whether whoever evicts cannot have seen it otherwise than ready.
    fn surely_well(&self, at: Timestamp) -> bool {
        self.ready && self.turned + DECISION_AGE <= at
    }
}

impl Restarts {
    /// Notes that faults and foreign edits ended.
    pub fn calm(&mut self, at: Timestamp) {
        self.calm = Some(at);
    }

    /// Looks at a change.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let (change, at) = (case.change, case.change.at);
        match change.place.resource {
            "pods" => self.see_pod(case, found),
            "replicasets" => self.moved = Some(at),
            "rollouts" => {
                if let Some((was, is)) = case.own() {
                    self.ends(case, (was, is), found);
                }
            }
            _ => {}
        }
    }

    fn see_pod(&mut self, case: &Case<'_>, found: &mut Found) {
        let (change, at) = (case.change, case.change.at);
        self.moved = Some(at);
        let name = (case.namespace().to_owned(), case.name().to_owned());
        let before = self.pods.remove(&name);
        let after = change.after.as_deref().map(|object| Pod::read(object, before.as_ref(), at));
        let goes = after.as_ref().is_none_or(|pod| pod.ending);
        if let Some(pod) = before.filter(|pod| goes && !pod.ending) {
            self.lost.retain(|(lost, _)| at < *lost + DECISION_AGE);
            if case.controller().is_some() {
                self.evicted(case, &pod, found);
            } else {
                self.lost.push((at, (name.0.clone(), pod.set)));
            }
        }
        if let Some(pod) = after {
            self.pods.insert(name, pod);
        }
    }

    /// A pod is evicted by a controller.
    fn evicted(&self, case: &Case<'_>, pod: &Pod, found: &mut Found) {
        let set = case.scene.sets.get(&(case.namespace().to_owned(), pod.set.clone()));
        let set = set.and_then(Past::now);
        let seen = set.and_then(|set| case.rollouts().find(|seen| seen.now.name == set.rollout));
        let (Some(set), Some(seen)) = (set, seen) else {
            found.push("S23", format!("{} is evicted and of no Rollout", case.name()));
            return;
        };
        let asks = |state: &&Rollout| {
            since(state).is_some_and(|since| pod.created < since) && serves(state, &set.revision)
        };
        let Some(state) = seen.stages().find(asks) else {
            found.push("S23", format!("no restart asks that {} be evicted", case.name()));
            return;
        };
        let since = since(state).unwrap_or(case.change.at);
        let missed = self.missed(case, (state, since), pod);
        let budget = seen.states().map(|state| state.spec.unavailable).max().unwrap_or(0).max(1);
        found.unless(missed < budget, "S23", || {
            format!("{} is evicted while {missed} others are missed", case.name())
        });
    }

    /// The pods that are missed beside one that is evicted: those that are not there, and those
    /// that are not ready. Of the old ones that are not ready none is missed for another of them.
    fn missed(&self, case: &Case<'_>, (state, since): (&Rollout, Timestamp), evicted: &Pod) -> u32 {
        let (at, space) = (case.change.at, case.namespace());
        let mut missed = 0_u32;
        for (name, set) in case.scene.sets_now(space, &state.uid) {
            if !serves(state, &set.revision) {
                continue;
            }
            let states = case.set_states(name);
            let desired = states.iter().flatten().map(|set| set.desired).min().unwrap_or(0);
            let own = (space.to_owned(), name.to_owned());
            let lost = self.lost.iter().filter(|(_, set)| *set == own).count();
            let live: Vec<&Pod> = self.of_set(space, name).collect();
            let there = live.len() + lost + usize::from(evicted.set == name);
            let there = u32::try_from(there).unwrap_or(u32::MAX);
            let weak = live
                .iter()
                .filter(|pod| !pod.well(at) && (since <= pod.created || evicted.surely_well(at)));
            let weak = u32::try_from(weak.count()).unwrap_or(u32::MAX);
            missed = missed.saturating_add(desired.saturating_sub(there)).saturating_add(weak);
        }
        missed
    }

    fn of_set<'a>(&'a self, space: &'a str, set: &'a str) -> impl Iterator<Item = &'a Pod> {
        let here = self.pods.iter().filter(move |((other, _), _)| other == space);
        here.map(|(_, pod)| pod).filter(move |pod| pod.set == set && !pod.ending)
    }

    /// A restart ends: no old pod is left, and every replacement is there.
    fn ends(&self, case: &Case<'_>, (was, is): (&Rollout, &Rollout), found: &mut Found) {
        let Some(since) = since(was).filter(|_| is.status.restart.is_none()) else { return };
        let (at, space) = (case.change.at, case.namespace());
        for (name, set) in case.scene.sets_now(space, &was.uid) {
            if !serves(was, &set.revision) || set.desired == 0 {
                continue;
            }
            let old = self.of_set(space, name).any(|pod| pod.created < since);
            let weak = self.of_set(space, name).any(|pod| since <= pod.created && !pod.well(at));
            found.unless(!old, "S23", || format!("{}: a restart ends with old pods", is.name));
            found.unless(!weak, "S23", || {
                format!("{}: a restart ends before its replacements are there", is.name)
            });
        }
    }

    /// Judges what should have happened by the end of the story.
    pub fn end(&self, scene: &Scene, at: Timestamp, found: &mut Found) {
        let Some(calm) = self.calm else { return };
        for ((space, _), past) in &scene.rollouts {
            let Some(rollout) = past.now().filter(|rollout| rollout.usable()) else { continue };
            let Some(since) = since(rollout).filter(|_| !rollout.deleting) else { continue };
            let held = rollout.status.waiting_for.iter();
            let held = held.into_iter().any(|waiting| HELD.contains(&waiting.kind.as_str()));
            let sets = scene.sets_now(space, &rollout.uid);
            let well = sets.filter(|(_, set)| serves(rollout, &set.revision)).all(|(name, set)| {
                let live = self.of_set(space, name).filter(|pod| pod.well(at)).count();
                u32::try_from(live).is_ok_and(|live| live == set.desired)
            });
            let still = calm.max(self.moved.unwrap_or(calm)).max(since) + STILL_MAX < at;
            found.unless(held || !well || !still, "L11", || {
                format!("{}: a restart stands still", rollout.name)
            });
        }
    }
}

fn since(rollout: &Rollout) -> Option<Timestamp> {
    Timestamp::parse(&rollout.status.restart.as_ref()?.since)
}

/// Whether the pods of a revision are to stay: it is stable, or climbs.
fn serves(rollout: &Rollout, revision: &str) -> bool {
    let status = &rollout.status;
    let drains = status.draining.iter().any(|drain| drain.revision == revision);
    let failed = status.quarantine.iter().any(|failed| failed.revision == revision);
    let stable = status.stable.as_ref().is_some_and(|side| side.revision == revision);
    let climbs = status.attempt.as_ref().is_some_and(|attempt| match attempt.stage() {
        Stage::First | Stage::Step | Stage::Promoting | Stage::Baking => {
            attempt.revision == revision
        }
        Stage::RollingBack | Stage::Completed | Stage::Ended | Stage::Unknown => false,
    });
    !drains && (stable || (climbs && !failed))
}

#[cfg(test)]
mod tests;
