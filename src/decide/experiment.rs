//! Experiment: when the rules of an experiment stand in the route, and how it ends.
//!
//! They appear only on a whole new side, and go before anything turns away from it. Weights stay at
//! 100/0 meanwhile.

use crate::decide::attempt::taken;
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{NewRule, RuleAt, Write};
use crate::model::snapshot::{LiveRoute, Snapshot};
use crate::model::spec::{Pause, Step as Rung};
use crate::model::template::Revision;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// What the rules need next: `None` where they are as they are to be.
pub type Needs = Option<Result<Write, Hold>>;

/// The rules of the experiment stand in the route while its step does.
pub fn on(seen: &Snapshot, route: &LiveRoute, rung: &Rung) -> Needs {
    if !rung.pause.experiments() || in_place(route) {
        return None;
    }
    if let Some(hold) = route.experiment.hold.clone() {
        return Some(Err(hold));
    }
    Some(set(seen, route, route.experiment.wanted.clone()))
}

/// No rule of the experiment stands in the route. Its requests go where all others go: on the way
/// back only to a side that can answer.
pub fn off(seen: &Snapshot, route: &LiveRoute, takes: &Revision) -> Needs {
    if is_off(route) {
        return None;
    }
    let ready = side::ready(seen.stable_service.as_ref(), takes);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    if ready == 0 && other > 0 && seen.spec.replicas > 0 {
        return Some(Err(Hold::NoHealthyBackend));
    }
    Some(set(seen, route, Vec::new()))
}

/// Tells whether no rule of the experiment stands in the route.
pub fn is_off(route: &LiveRoute) -> bool {
    #[cfg(feature = "planted")]
    if active(Bug::RuleLeft) {
        return true;
    }
    route.experiment.there.is_empty()
}

/// The write that leaves no rule of the experiment in the route.
pub fn removal(route: &LiveRoute) -> Write {
    rules(route, Vec::new())
}

/// When an experiment ends by itself: `None` where it does not, or where the pause is none.
pub fn ends_at(pause: Pause, paused_at: Timestamp) -> Option<Timestamp> {
    most(pause).map(|most| paused_at + most)
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

/// The write that leaves these rules of the experiment in the route, unless somebody else has it.
fn set(seen: &Snapshot, route: &LiveRoute, into: Vec<NewRule>) -> Result<Write, Hold> {
    taken(seen, route).map_or_else(|| Ok(rules(route, into)), Err)
}

fn rules(route: &LiveRoute, into: Vec<NewRule>) -> Write {
    let (kind, out) = (route.name.kind, route.experiment.there.clone());
    Write::SetRules { kind, target: route.target(), out, into }
}

#[cfg(test)]
mod tests;
