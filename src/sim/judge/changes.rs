//! Changes: how a Rollout goes over to another strategy, or to other objects that split its
//! traffic (S2, S11).

use crate::sim::judge::facts::pods::Service;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::route::Route;
use crate::sim::judge::facts::status::{Routing, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::Case;

/// Looks at a write of a controller to a Rollout.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Some((was, is)) = case.own() else { return };
    let (Some(old), Some(new)) = (&was.status.attempt, &is.status.attempt) else { return };
    let (Some(from), Some(to)) = (&old.routing, &new.routing) else { return };
    let after = to.names();
    let joins = from.rest() == to.rest() && from.names().iter().all(|name| after.contains(name));
    if new.number != old.number || joins {
        return;
    }
    let rests = match old.stage() {
        Stage::First | Stage::Baking | Stage::Completed | Stage::Ended => true,
        Stage::Step | Stage::Promoting | Stage::RollingBack | Stage::Unknown => false,
    };
    found.unless(rests, "S11", || {
        format!("{}: attempt {} goes on by other objects", is.name, old.number)
    });
    found.unless(is.named.alike(to), "S11", || format!("{}: {to:?} is not named", is.name));
    let remembers = ["httproutes", "replicasets", "services"];
    if !remembers.iter().all(|resource| case.remembers(resource)) {
        return;
    }
    drained(case, was, from, found);
    let_go(case, was, (from, to), found);
}

/// S2: no other side has pods while the route that led to it, or the Service, is there.
fn drained(case: &Case<'_>, was: &Rollout, from: &Routing, found: &mut Found) {
    let carrier = if from.names().is_empty() { !was.spec.switch } else { gone(case, from) };
    let Some(stable) = was.status.stable.as_ref().filter(|_| !carrier) else { return };
    for (name, states) in case.sets_of(&was.uid) {
        let mut known = states.iter().flatten();
        let other = known.clone().any(|set| set.revision != stable.revision);
        let kept = known.any(|set| was.stays(&set.revision).is_none());
        // One that the writer has not been told of cannot drain.
        let there = states.iter().all(|set| set.is_some_and(|set| set.desired > 0));
        found.unless(!other || kept || !there, "S2", || {
            format!("{}: {name} has pods and what led to it is left", was.name)
        });
    }
}

/// Whether no route was there, or named the canary, in some state that was known.
fn gone(case: &Case<'_>, from: &Routing) -> bool {
    case.routes_of(from).iter().all(|name| !leads(&case.route_states(name), from))
}

/// Whether a route was there and named the canary in all states that were known.
pub fn leads(states: &[Option<&Route>], from: &Routing) -> bool {
    let leads = |route: &Route| route.leads_to(&from.canary_service);
    !states.is_empty() && states.iter().all(|route| route.is_some_and(leads))
}

/// S2: a Service that is not named any more does not stay on pods that are about to go.
fn let_go(case: &Case<'_>, was: &Rollout, (from, to): (&Routing, &Routing), found: &mut Found) {
    let kept = [&to.stable_service, &to.canary_service];
    let sets = case.sets_of(&was.uid);
    let ours = |revision: &String| {
        sets.iter().any(|(_, states)| states.iter().flatten().any(|s| s.revision == *revision))
    };
    let narrow = |service: &Service| !service.applied && service.selects.as_ref().is_some_and(ours);
    let left = [&from.stable_service, &from.canary_service].into_iter();
    for name in left.filter(|service| !kept.contains(service) && !service.is_empty()) {
        let shared = case.rollouts().filter(|seen| seen.now.uid != was.uid).any(|seen| {
            let named = &seen.now.named;
            [&named.stable_service, &named.canary_service].contains(&name)
        });
        let states = case.service_states(name);
        let stays = !states.is_empty() && states.iter().all(|s| s.is_some_and(narrow));
        found.unless(!stays || shared, "S2", || {
            format!("{}: {name} is left on one revision", was.name)
        });
    }
}

#[cfg(test)]
mod tests;
