//! Change: the spec names another strategy, or other objects that split the traffic, than the
//! Rollout uses. An attempt on its way goes back by what it began with, the old side drains, what
//! is not named any more is let go; only then a turn works with what the spec names.
//!
//! It never moves traffic itself.

use crate::decide::act::{Act, Next, Step};
use crate::decide::attempt;
use crate::decide::drain;
use crate::decide::ending;
use crate::decide::experiment;
use crate::decide::order;
use crate::decide::routes;
use crate::decide::side;
use crate::decide::way::{self, Way};
use crate::model::moment::Timestamp;
use crate::model::moves::Write;
use crate::model::snapshot::{Acceptance, LiveRoute, Service, Snapshot};
use crate::model::spec::Routing;
use crate::model::status::{Cause, Stage};
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// The next thing to do so that the Rollout comes to what its spec names.
pub fn next(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let named = seen.instead.as_ref().filter(|_| !seen.spec.paused)?;
    let attempt = seen.status.attempt.as_ref()?;
    let goes = || followed(seen, named).unwrap_or_else(|| left(seen, named));
    match attempt.stage {
        Stage::Step { .. } => {
            let mut status = seen.status.clone();
            ending::roll_back(&mut status, Cause::StrategyChanged, now);
            Some(Act::Commit(Box::new(status)))
        }
        Stage::First { .. } => Some(goes()),
        Stage::Baking { .. } | Stage::Completed { .. } | Stage::Ended { .. }
            if settled(seen, now) =>
        {
            Some(goes())
        }
        // All traffic is on its way to one side: first it arrives.
        Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => named_by_routes(seen, named),
    }
}

/// A route that names the new Services already is refused until they are there. They select stable.
fn named_by_routes(seen: &Snapshot, named: &Routing) -> Option<Act> {
    let refused = |route: &&LiveRoute| matches!(route.acceptance, Acceptance::Refused(_));
    let stable = seen.status.stable.as_ref().map(|side| &side.revision)?;
    if !routes::readable(seen).iter().any(refused) {
        return None;
    }
    let missing = seen.coming.iter().filter(|service| service.live.is_none());
    let made = |service| attempt::made(seen, service, stable, named.port).ok();
    let writes: Vec<Write> = missing.filter_map(made).collect();
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

/// The Rollout's own route leads to the Services that the spec names, once stable answers behind
/// them. Where no revision proved itself yet nobody is answered either: it is not waited for.
fn followed(seen: &Snapshot, named: &Routing) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref().map(|attempt| &attempt.revision)?;
    let stable = seen.status.stable.as_ref().map(|side| &side.revision);
    let route = routes::readable(seen).into_iter().next()?;
    match led(seen, named, (route, stable.unwrap_or(attempt))) {
        Ok(()) => None,
        Err(Next::Write(writes)) => Some(Act::Apply(writes)),
        Err(Next::Hold(hold)) => stable.map(|_| Act::hold(hold)),
    }
}

fn led(seen: &Snapshot, named: &Routing, (route, revision): (&LiveRoute, &Revision)) -> Step {
    let Some(edit) = seen.renamed.clone() else { return Ok(()) };
    let proven = seen.status.stable.is_some();
    let used = [&seen.stable_service, &seen.canary_service].into_iter().flatten();
    let services: Vec<&Service> = used.chain(&seen.coming).collect();
    let find = |name: &Option<String>| {
        services.iter().copied().find(|service| Some(&service.name) == name.as_ref())
    };
    let wanted = [find(&named.stable), find(&named.canary)];
    for service in wanted.into_iter().flatten() {
        order::provided(seen, (service, named.port), revision)?;
        if proven {
            order::select(seen, Some(service), revision)?;
        }
    }
    let [first, _] = wanted;
    if proven {
        order::endpoints(seen, first, revision, seen.spec.replicas)?;
    }
    let (kind, target) = (route.name.kind, route.target());
    Err(Next::Write(vec![Write::SetRoute { kind, target, edits: vec![edit] }]))
}

/// Tells whether all traffic is on one side, and no other side still finishes requests.
fn settled(seen: &Snapshot, now: Timestamp) -> bool {
    #[cfg(feature = "planted")]
    if active(Bug::StrategyLeftAtOnce) {
        return true;
    }
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else { return true };
    match way::of(seen) {
        Way::Route if side::gone(seen) => true,
        Way::Route => {
            // Where one cannot be read it is enough that no other side has pods.
            let all = routes::readable(seen);
            let whole = routes::in_place(&all, Weight::NONE) && experiment::is_off(&all);
            whole && !drain::pending(seen, now)
        }
        Way::Switch => {
            let selected = side::selected(seen.stable_service.as_ref());
            selected.is_none_or(|selected| selected == stable) && !drain::pending(seen, now)
        }
        Way::Pods => true,
    }
}

/// Services that are not named any more select all pods of the Rollout; then it is noted that what
/// the spec names is used.
fn left(seen: &Snapshot, named: &Routing) -> Act {
    let names = [&named.stable, &named.canary];
    let services = [&seen.stable_service, &seen.canary_service].into_iter().flatten();
    let services = services.chain(&seen.former);
    let (kept, gone): (Vec<&Service>, Vec<&Service>) =
        services.partition(|s| names.iter().any(|name| name.as_ref() == Some(&s.name)));
    let writes: Vec<Write> = gone.iter().filter_map(|service| released(seen, service)).collect();
    #[cfg(feature = "planted")]
    let writes = if active(Bug::ServiceLeftNarrowed) { Vec::new() } else { writes };
    // A route that names the new port is answered at once then, beside the old one.
    let ports = kept.iter().filter_map(|service| attempt::ported(seen, service, named.port)?.ok());
    let writes: Vec<Write> = writes.into_iter().chain(ports).collect();
    if !writes.is_empty() {
        return Act::Apply(writes);
    }
    let mut status = seen.status.clone();
    if let Some(attempt) = &mut status.attempt {
        attempt.routing = Some(named.clone());
    }
    Act::Commit(Box::new(status))
}

/// A Service that selects one revision of the Rollout selects all of them again, unless somebody
/// else has it.
pub fn released(seen: &Snapshot, service: &Service) -> Option<Write> {
    let live = service.live.as_ref().filter(|live| live.owner.is_none())?;
    let selected = live.selects.as_ref().filter(|_| seen.duplicate.is_none())?;
    let known = seen.replica_sets.iter().any(|rs| rs.owned && rs.revision == *selected);
    let target = side::service_target(service, live);
    known.then(|| Write::Select { target, from: Some(selected.clone()), to: None })
}

#[cfg(test)]
mod tests;
