//! Weights: what a controller may do to the weights of a route (S1, S4, S7, S9).
//!
//! It takes the word of EndpointSlices for what is ready, as the controller has to.

use std::collections::BTreeMap;

use crate::sim::judge::facts::rollout::{Rollout, Step};
use crate::sim::judge::facts::route::{Pair, part, percent};
use crate::sim::judge::facts::status::{Routing, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Seen};

/// What controllers gave the canaries so far.
#[derive(Debug, Default)]
pub struct Weights {
    /// By the uid of the Rollout.
    highest: BTreeMap<String, Highest>,
}

/// The highest shares that a controller gave to one canary.
#[derive(Debug)]
struct Highest {
    /// Its number and when it began: a status that was lost begins anew.
    attempt: (i64, String),
    ladder: Vec<Step>,
    /// In percent, by the route, the index of the rule and the Service of the canary.
    shares: BTreeMap<(String, usize, String), u32>,
}

/// The pair of one Rollout in one rule, before and after a write.
struct Turn<'a, 'b> {
    case: &'b Case<'a>,
    seen: &'b Seen<'a>,
    routing: &'b Routing,
    rule: usize,
    was: Pair,
    is: Pair,
}

impl Weights {
    /// Looks at a write of a controller to a route.
    pub fn see(&mut self, case: &Case<'_>, found: &mut Found) {
        let Fresh::Route(Some(after)) = case.fresh else { return };
        let place = (case.namespace().to_owned(), case.route());
        let Some(before) = case.scene.route(&place).filter(|_| case.controller().is_some()) else {
            return;
        };
        // Where two Rollouts claim one pair, it is enough that one of them may write so.
        let mut verdicts: BTreeMap<(usize, String), Vec<Found>> = BTreeMap::new();
        for seen in case.rollouts() {
            let routings = seen.routings();
            for routing in routings.iter().filter(|r| case.splits(r)) {
                let (stable, canary) = (&routing.stable_service, &routing.canary_service);
                // Two Services that changed places are one pair.
                let turned =
                    |r: &Routing| r.stable_service == *canary && r.canary_service == *stable;
                let pair = if routings.iter().any(turned) { stable.min(canary) } else { stable };
                let old = before.pairs(stable, canary);
                for (rule, is) in after.pairs(stable, canary) {
                    let Some(was) = old.get(&rule).copied().filter(|was| *was != is) else {
                        continue;
                    };
                    let mut told = Found::default();
                    let turn = Turn { case, seen: &seen, routing, rule, was, is };
                    turn.adds_up(&mut told);
                    turn.is_planned(&mut told);
                    turn.rises_with_all(&mut told);
                    turn.canary_rises(&mut told);
                    turn.stable_rises(&mut told);
                    self.canary_falls(&turn, &mut told);
                    verdicts.entry((rule, pair.clone())).or_default().push(told);
                }
            }
        }
        for told in verdicts.into_values() {
            let best = told.into_iter().min_by_key(|told| told.0.len());
            found.0.extend(best.unwrap_or_default().0);
        }
    }

    /// Within an attempt the share of the canary does not fall.
    fn canary_falls(&mut self, turn: &Turn<'_, '_>, found: &mut Found) {
        let Turn { case, seen, routing, rule, is, .. } = turn;
        let share = percent(is.canary, is.sum());
        let Some(attempt) = seen.now.open() else { return };
        let this = (attempt.number, attempt.started_at.clone());
        let place = (case.route(), *rule, routing.canary_service.clone());
        let known = self.highest.get(&seen.now.uid).filter(|known| known.attempt == this);
        let highest = known.and_then(|known| known.shares.get(&place)).copied().unwrap_or(0);
        let ladder = known.map_or(&seen.now.spec.steps, |known| &known.ladder);
        if share < highest {
            let selects = |service: &str, revision: &str| {
                let states = case.service_states(service);
                states
                    .iter()
                    .map(|s| s.and_then(|s| s.selects.as_deref()) == Some(revision))
                    .collect()
            };
            let excused = seen.stages().any(|state| {
                let Some(open) = state.open().filter(|open| open.number == attempt.number) else {
                    return true;
                };
                let canary: Vec<bool> = selects(&routing.canary_service, &open.revision);
                let stable: Vec<bool> = selects(&routing.stable_service, &open.revision);
                let (elsewhere, moved) = (canary.contains(&false), stable.contains(&true));
                let back = match open.stage() {
                    Stage::Step | Stage::First => elsewhere,
                    Stage::Promoting => elsewhere || moved,
                    Stage::Baking
                    | Stage::RollingBack
                    | Stage::Completed
                    | Stage::Ended
                    | Stage::Unknown => true,
                };
                back || state.deleting || state.spec.steps != *ladder
            });
            found.unless(excused, "S9", || {
                format!(
                    "attempt {} of {}: the canary had {highest} % in rule {rule} of {} and \
                    gets {share} %",
                    attempt.number,
                    seen.now.name,
                    case.name()
                )
            });
        }
        let fresh = || Highest {
            attempt: this.clone(),
            ladder: seen.now.spec.steps.clone(),
            shares: BTreeMap::new(),
        };
        let known = self.highest.entry(seen.now.uid.clone()).or_insert_with(fresh);
        if known.attempt != this || known.ladder != seen.now.spec.steps {
            *known = fresh();
        }
        // What falls to its step with stable's pods stops on the way, and has not risen so far.
        let most = if seen.now.spec.dynamic_stable {
            seen.now.spec.step(attempt.step).weight
        } else {
            100
        };
        known.shares.insert(place, share.min(most));
    }
}

impl Turn<'_, '_> {
    /// S7: both weights are written out and add up.
    fn adds_up(&self, found: &mut Found) {
        let wanted = if self.is.shared { self.was.sum() } else { 100 };
        let fine = self.is.explicit && self.is.sum() == wanted && wanted > 0;
        found.unless(fine, "S7", || {
            let Pair { stable, canary, explicit, .. } = self.is;
            let how = if explicit { "written out" } else { "not both written out" };
            format!(
                "rule {} of {}: {stable} + {canary}, {how}, have to add up to {wanted}",
                self.rule,
                self.case.name()
            )
        });
    }

    /// S9 and S1: a canary rises only on a route that its attempt recorded, and only while every
    /// other one of them is there, accepted, and no GitOps tool's.
    fn rises_with_all(&self, found: &mut Found) {
        let Turn { case, seen, is, was, .. } = self;
        if is.canary <= was.canary || !case.remembers("httproutes") || !case.remembers("rollouts") {
            return;
        }
        let open = || seen.stages().filter(|state| state.open().is_some());
        let used: Vec<Vec<String>> =
            open().filter_map(|state| state.routing()).map(|used| used.names()).collect();
        let recorded: Vec<&Vec<String>> =
            used.iter().filter(|names| names.contains(&case.route())).collect();
        found.unless(!recorded.is_empty() || open().next().is_none(), "S9", || {
            format!("{} gives the canary more and is in no status", case.route())
        });
        let selects = seen.states().any(Rollout::selects);
        let accepted = |name: &String| {
            let states = case.route_states(name);
            let gone = states.is_empty() || states.iter().any(Option::is_none);
            *name == case.route()
                || (selects && gone)
                || states.into_iter().flatten().any(|r| r.accepted_since.is_some() && !r.applied)
        };
        let fine = recorded.iter().any(|names| names.iter().all(accepted));
        found.unless(fine || recorded.is_empty(), "S1", || {
            format!("{} gives the canary more while another route is not usable", case.route())
        });
    }

    /// S9: the weight is that of the step; none off the ladder; all of it in a promotion.
    fn is_planned(&self, found: &mut Found) {
        let sum = self.is.sum();
        let planned = self.seen.stages().any(|state| {
            let full = self.is.canary == sum;
            let step = |number| part(sum, state.spec.step(number).weight) == self.is.canary;
            // What falls with stable's pods may stop on the way.
            let falls = state.spec.dynamic_stable && self.is.canary < self.was.canary;
            self.is.canary == 0
                || falls
                || state.open().is_none_or(|attempt| match attempt.stage() {
                    Stage::Step => step(attempt.step),
                    Stage::Promoting => full,
                    // What rises there is judged as such.
                    Stage::First
                    | Stage::Baking
                    | Stage::RollingBack
                    | Stage::Completed
                    | Stage::Ended
                    | Stage::Unknown => true,
                })
        });
        found.unless(planned || !self.remembers(), "S9", || {
            format!(
                "{}: the canary of {} gets {} of {sum}, no step says so",
                self.case.name(),
                self.seen.now.name,
                self.is.canary
            )
        });
    }

    /// S1: the canary gets more only on ready endpoints of the revision that climbs.
    fn canary_rises(&self, found: &mut Found) {
        let replicas = self.seen.replicas();
        if self.is.canary <= self.was.canary || replicas == 0 || !self.remembers() {
            return;
        }
        let climbs = |state: &Rollout| {
            let open = state.open().filter(|open| open.stage() != Stage::RollingBack);
            open.map(|open| open.revision.clone())
        };
        let climbing: Vec<String> = self.seen.stages().filter_map(climbs).collect();
        if climbing.is_empty() {
            let back = self.seen.stages().any(|state| state.open().is_some());
            let invariant = if back { "S4" } else { "S9" };
            found.push(
                invariant,
                format!(
                    "{}: the canary of {} gets weight and nothing climbs",
                    self.case.name(),
                    self.seen.now.name
                ),
            );
            return;
        }
        let service = &self.routing.canary_service;
        let ready = |r: &String| self.case.most_ready(service, &self.seen.now.name, r);
        let ready = climbing.iter().map(ready).max().unwrap_or(0);
        let needed = part(replicas, percent(self.is.canary, self.is.sum())).max(1);
        found.unless(ready >= needed, "S1", || {
            format!(
                "{}: the canary rises from {} to {} on {ready} ready endpoints, {needed} are \
                needed",
                self.case.name(),
                self.was.canary,
                self.is.canary
            )
        });
    }

    /// S1 and S4: stable gets more only on ready endpoints; on the way back at least on more than
    /// the canary has.
    fn stable_rises(&self, found: &mut Found) {
        let (case, seen) = (self.case, self.seen);
        let (replicas, service) = (seen.replicas(), &self.routing.stable_service);
        let rises = self.is.stable > self.was.stable && self.was.canary > 0;
        if !rises || replicas == 0 || !self.remembers() {
            return;
        }
        let selected = case.service_states(service).into_iter();
        let ready = selected.map(|state| match state.and_then(|s| s.selects.as_deref()) {
            Some(revision) => case.most_ready(service, &seen.now.name, revision),
            None => case.most_ready_of_any(service),
        });
        let ready = ready.max().unwrap_or(0);
        let needed = part(replicas, percent(self.is.stable, self.is.sum())).max(1);
        let stage = |state: &Rollout| state.open().map(|open| open.stage());
        let strict = seen.stages().all(|state| {
            !state.deleting && matches!(stage(state), Some(Stage::First | Stage::Promoting))
        });
        let deleting = seen.stages().any(|state| state.deleting);
        let other = case.least_ready_of_any(&self.routing.canary_service);
        let more = (!strict && ready > other) || (deleting && ready > 0);
        let back = seen.stages().all(|state| stage(state) == Some(Stage::RollingBack));
        found.unless(ready >= needed || more, if back { "S4" } else { "S1" }, || {
            format!(
                "{}: stable rises from {} to {} on {ready} ready endpoints, {needed} are \
                needed; the canary has {other}",
                case.name(),
                self.was.stable,
                self.is.stable
            )
        });
    }

    fn remembers(&self) -> bool {
        ["endpointslices", "services", "rollouts"].iter().all(|r| self.case.remembers(r))
    }
}

#[cfg(test)]
mod tests;
