//! Experiment: when the rules of an experiment stand in the route, and how it ends.
//!
//! They appear only on a whole new side, and go before anything turns away from it. Weights stay at
//! 100/0 meanwhile.

use crate::decide::act::sooner;
use crate::decide::attempt::taken;
use crate::decide::ending;
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{NewRule, RuleAt, Write};
use crate::model::snapshot::{LiveRoute, Snapshot};
use crate::model::spec::{Pause, Step as Rung};
use crate::model::status::{Cause, Status};
use crate::model::template::Revision;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What the rules need next: `None` where they are as they are to be.
pub type Needs = Option<Result<Vec<Write>, Hold>>;

/// The rules of the experiment stand in every route while its step does, or in none of them yet.
pub fn on(seen: &Snapshot, routes: &[&LiveRoute], rung: &Rung) -> Needs {
    let mut wrong: Vec<&LiveRoute> = routes.to_vec();
    wrong.retain(|route| !in_place(route));
    if !rung.pause.experiments() || wrong.is_empty() {
        return None;
    }
    let held = |route: &&LiveRoute| route.experiment.hold.clone().or_else(|| taken(seen, route));
    if let Some(hold) = wrong.iter().find_map(held) {
        return Some(Err(hold));
    }
    Some(Ok(wrong.iter().map(|route| rules(route, route.experiment.wanted.clone())).collect()))
}

/// No rule of the experiment stands in a route. Its requests go where all others go: on the way
/// back only to a side that can answer. A route that cannot be written keeps no other.
pub fn off(seen: &Snapshot, routes: &[&LiveRoute], takes: &Revision) -> Needs {
    if is_off(routes) {
        return None;
    }
    let ready = side::ready(seen.stable_service.as_ref(), takes);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    if ready == 0 && other > 0 && seen.spec.replicas > 0 {
        return Some(Err(Hold::NoHealthyBackend));
    }
    let on: Vec<&LiveRoute> = routes.iter().copied().filter(|route| !is_off(&[route])).collect();
    let free = on.iter().filter(|route| taken(seen, route).is_none());
    let writes: Vec<Write> = free.map(|route| removal(route)).collect();
    if writes.is_empty() {
        on.iter().find_map(|route| taken(seen, route)).map(Err)
    } else {
        Some(Ok(writes))
    }
}

/// Tells whether no rule of the experiment stands in any route.
pub fn is_off(routes: &[&LiveRoute]) -> bool {
    #[cfg(feature = "planted")]
    if active(Bug::RuleLeft) {
        return true;
    }
    routes.iter().all(|route| route.experiment.there.is_empty())
}

/// The write that leaves no rule of the experiment in the route.
pub fn removal(route: &LiveRoute) -> Write {
    rules(route, Vec::new())
}

/// When an experiment ends by itself: `None` where it does not, or where the pause is none.
pub fn ends_at(seen: &Snapshot, pause: Pause, paused_at: Timestamp) -> Option<Timestamp> {
    let asked = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.concludes);
    let data = (asked && pause.experiments()).then(|| decided_at(seen, paused_at));
    sooner(most(pause).map(|most| paused_at + most), data)
}

/// From when on the data may decide.
pub fn decided_at(seen: &Snapshot, paused_at: Timestamp) -> Timestamp {
    let least = seen.spec.ladder.analysis.and_then(|analysis| analysis.least);
    paused_at + least.unwrap_or(Duration::ZERO)
}

/// Ends the experiment as its data say: none are measured, and without any stable stays.
pub fn decide(status: &mut Status, now: Timestamp) {
    if let Some(attempt) = &mut status.attempt {
        attempt.concludes = true;
    }
    ending::roll_back(status, Cause::Concluded, now);
}

fn most(pause: Pause) -> Option<Duration> {
    match pause {
        Pause::UntilConcluded(most) => most,
        Pause::None | Pause::For(_) | Pause::UntilPromoted => None,
    }
}

fn in_place(route: &LiveRoute) -> bool {
    let (there, wanted) = (&route.experiment.there, &route.experiment.wanted);
    let same = |(old, new): (&RuleAt, &NewRule)| old.index == new.index && old.rule == new.rule;
    there.len() == wanted.len() && there.iter().zip(wanted).all(same)
}

fn rules(route: &LiveRoute, into: Vec<NewRule>) -> Write {
    let (kind, out) = (route.name.kind, route.experiment.there.clone());
    Write::SetRules { kind, target: route.target(), out, into }
}

#[cfg(test)]
mod tests;
