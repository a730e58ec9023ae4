//! Deletions: a Rollout that goes puts back first what it changed of others (L4).

use crate::sim::judge::facts::pods::Service;
use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::route::Route;
use crate::sim::judge::facts::status::Routing;
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh};

/// Looks at a write of a controller to a Rollout.
pub fn see(case: &Case<'_>, found: &mut Found) {
    let Fresh::Rollout(is) = case.fresh else { return };
    let name = (case.namespace().to_owned(), case.name().to_owned());
    let Some(was) = case.scene.rollout(&name).filter(|_| case.controller().is_some()) else {
        return;
    };
    let lets_go = was.finalizer && is.as_ref().is_none_or(|is| !is.finalizer);
    if !was.deleting || !lets_go || !was.usable() || was.spec.replicas == 0 {
        return;
    }
    route(case, was, found);
    for service in [&was.spec.stable_service, &was.spec.canary_service].into_iter().flatten() {
        let states = case.service_states(service);
        let stays = |service: &Service| {
            let theirs = service.owner.as_ref() != Some(&was.uid) && !service.applied;
            theirs && service.selects.is_some()
        };
        let left = !states.is_empty() && states.iter().all(|state| state.is_some_and(stays));
        found.unless(!left || !case.remembers("services"), "L4", || {
            format!("{} goes and {service} still selects one revision", was.name)
        });
    }
}

fn route(case: &Case<'_>, was: &Rollout, found: &mut Found) {
    let Some(routing) = was.spec.routing() else { return };
    for name in case.routes_of(&routing) {
        one_route(case, was, (&routing, &name), found);
    }
}

fn one_route(
    case: &Case<'_>,
    was: &Rollout,
    (routing, name): (&Routing, &String),
    found: &mut Found,
) {
    let states = case.route_states(name);
    let split = |route: &Route| {
        let pairs = route.pairs(&routing.stable_service, &routing.canary_service);
        !route.applied && pairs.values().any(|pair| pair.canary > 0)
    };
    let left = !states.is_empty() && states.iter().all(|state| state.is_some_and(split));
    let (used, known) = (was.routing(), case.remembers("httproutes"));
    let ruled = |route: &Route| {
        !route.applied && used.as_ref().is_some_and(|used| route.experiments(used) > 0)
    };
    let traced = !states.is_empty() && states.iter().all(|state| state.is_some_and(ruled));
    found.unless(!traced || !known, "S6", || {
        format!("{} goes and {name} has rules of its experiment", was.name)
    });
    let there = case.service_states(&routing.stable_service).iter().all(Option::is_some);
    let ready = there && case.least_ready_of_any(&routing.stable_service) > 0;
    found.unless(!left || !ready || !case.remembers("httproutes"), "L4", || {
        format!("{} goes and {name} still splits the traffic", was.name)
    });
}

#[cfg(test)]
mod tests;
