//! Weights: how the weights of all routes of a Rollout move.
//!
//! They rise on all together, once each can be written and is accepted. They fall on each that can
//! be written, whatever state the others are in.

use crate::decide::act::{Next, Step};
use crate::decide::attempt::{barred, taken};
use crate::decide::{routes, side};
use crate::model::hold::Hold;
use crate::model::moves::{WeightEdit, Write};
use crate::model::snapshot::{Acceptance, LiveRoute, Snapshot};
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

fn waits(hold: Hold) -> Step {
    Err(Next::Hold(hold))
}

/// Enough of stable is there for everything, or at least more than of the canary.
fn carries_all(seen: &Snapshot, routes: &[&LiveRoute], stable: &Revision) -> Step {
    #[cfg(feature = "planted")]
    if active(Bug::RollbackToDeadStable) {
        return Ok(());
    }
    let needed = seen.spec.replicas.max(1);
    let ready = side::ready(seen.stable_service.as_ref(), stable);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    let none = routes::canary_weight(routes) == Weight::NONE;
    let fine = ready >= needed || ready > other || none;
    if fine || seen.spec.replicas == 0 { Ok(()) } else { waits(Hold::NoHealthyBackend) }
}

/// The canary has no more than this weight: traffic goes back to stable, as much at a time as its
/// ready pods can carry where not all of them are there.
pub fn given_back(
    seen: &Snapshot,
    routes: &[&LiveRoute],
    stable: &Revision,
    weight: Weight,
) -> Step {
    let size = seen.spec.replicas;
    if !seen.spec.ladder.dynamic_stable || size == 0 {
        carries_all(seen, routes, stable)?;
        return weighed(seen, routes, weight);
    }
    let ready = side::ready(seen.stable_service.as_ref(), stable);
    let other = side::ready_of_any(seen.canary_service.as_ref());
    let carried = u64::from(ready.min(size)) * 100 / u64::from(size);
    let carried = u32::try_from(carried).ok().and_then(Weight::new).unwrap_or(Weight::NONE);
    let left = carried.rest();
    let sick = other < left.share(size) && ready > other;
    let present = routes::canary_weight(routes);
    if left <= weight || sick || present == Weight::NONE {
        return weighed(seen, routes, weight);
    }
    if ready == 0 {
        return waits(Hold::NoHealthyBackend);
    }
    let over = |route: &&LiveRoute| side::canary_weight(route) > left;
    let (settled, others): (Vec<&LiveRoute>, _) =
        routes.iter().copied().filter(over).partition(|route| accepted_one(route).is_ok());
    weighed(seen, &settled, left)?;
    accepted(&others)?;
    let needed = weight.rest().share(size);
    let replica_set = stable.replica_set(&seen.rollout.name);
    waits(Hold::PodsNotReady { replica_set, available: ready, needed })
}

/// Traffic that is to fall falls before anything else happens.
pub fn lowered(seen: &Snapshot, routes: &[&LiveRoute], weight: Weight) -> Step {
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    match stable.filter(|_| weight < routes::canary_weight(routes)) {
        None => Ok(()),
        Some(stable) => {
            given_back(seen, routes, stable, weight)?;
            accepted(routes)
        }
    }
}

/// The routes have this weight for the canary, in every rule that holds both Services.
pub fn weighed(seen: &Snapshot, routes: &[&LiveRoute], weight: Weight) -> Step {
    #[cfg(feature = "planted")]
    let routes =
        if active(Bug::FirstRouteOnly) { routes.get(..1).unwrap_or(routes) } else { routes };
    let wrong = || routes.iter().copied().filter(|route| !side::in_place(route, weight));
    if wrong().next().is_none() {
        return Ok(());
    }
    // One that has the weight already counts too: it could not be taken back from there.
    let held = barred(seen).or_else(|| routes.iter().find_map(|route| taken(seen, route)));
    // One route alone may have been refused for what this weight mends.
    let unsure = if routes.len() > 1 { accepted(routes) } else { Ok(()) };
    let together = held.is_none() && unsure.is_ok();
    let may =
        |route: &&LiveRoute| together || (!rises(route, weight) && taken(seen, route).is_none());
    #[cfg(feature = "planted")]
    let may = |route: &&LiveRoute| match () {
        () if active(Bug::RoutesRiseApart) => taken(seen, route).is_none(),
        () if active(Bug::OneRouteHoldsAll) => together,
        () => may(route),
    };
    let writes: Vec<Write> = wrong().filter(may).map(|r| set_weights(seen, r, weight)).collect();
    if !writes.is_empty() {
        return Err(Next::Write(writes));
    }
    held.map_or(unsure, waits)
}

/// Tells whether a weight gives the canary more in any rule.
fn rises(route: &LiveRoute, weight: Weight) -> bool {
    route.rules.iter().any(|rule| rule.canary.1 < side::canary_share(rule.sum, weight))
}

/// The write that gives the canary this weight, in every rule that holds both Services.
pub fn set_weights(seen: &Snapshot, route: &LiveRoute, weight: Weight) -> Write {
    let [stable, canary] =
        [&seen.stable_service, &seen.canary_service].map(|service| side::name(service.as_ref()));
    let mut edits = Vec::new();
    for rule in &route.rules {
        let share = side::canary_share(rule.sum, weight);
        let edit = |backend, service: &String, weight| WeightEdit {
            rule: rule.index,
            backend,
            service: service.clone(),
            weight,
        };
        edits.push(edit(rule.stable.0, &stable, rule.sum.saturating_sub(share)));
        edits.push(edit(rule.canary.0, &canary, share));
    }
    Write::SetWeights { kind: route.name.kind, target: route.target(), edits }
}

/// The gateways accept the present routes.
pub fn accepted(routes: &[&LiveRoute]) -> Step {
    routes.iter().try_for_each(|route| accepted_one(route))
}

fn accepted_one(route: &LiveRoute) -> Step {
    let name = route.name.clone();
    match &route.acceptance {
        Acceptance::Accepted => Ok(()),
        #[cfg(feature = "planted")]
        Acceptance::Pending if active(Bug::SilenceAccepts) => Ok(()),
        Acceptance::Pending => waits(Hold::RouteNotAccepted { route: name }),
        Acceptance::Refused(why) => waits(Hold::RouteRefused { route: name, why: why.clone() }),
    }
}

#[cfg(test)]
mod tests;
