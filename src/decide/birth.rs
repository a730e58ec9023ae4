//! Birth: the route that a Rollout makes for itself, and the fields of it that the spec tells.
//!
//! It is born with all traffic on the stable Service. It never replaces one that stands there.

use crate::decide::act::{Act, Next, Step};
use crate::decide::attempt::duplicate;
use crate::decide::{routes, side};
use crate::model::moves::Write;
use crate::model::snapshot::Snapshot;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Tells whether the route is to be made: it is the Rollout's own and does not exist.
pub fn due(seen: &Snapshot) -> bool {
    routes::unmade(seen).is_some()
}

/// The route exists.
pub fn route(seen: &Snapshot) -> Step {
    let Some((route, asked)) = routes::unmade(seen) else { return Ok(()) };
    #[cfg(feature = "planted")]
    if active(Bug::RouteNotMadeAgain) && seen.status.stable.is_some() {
        return Ok(());
    }
    if let Some(hold) = duplicate(seen) {
        return Err(Next::Hold(hold));
    }
    let services = [&seen.stable_service, &seen.canary_service];
    Err(Next::Write(vec![Write::CreateRoute {
        kind: route.name.kind,
        asked: asked.clone(),
        services: services.map(|service| side::name(service.as_ref())),
        port: seen.spec.ladder.port,
    }]))
}

/// While nothing else is to be done: the fields of the route are as the spec asks. They keep
/// nothing from going back, so they come last.
pub fn fields(seen: &Snapshot) -> Option<Act> {
    if seen.spec.paused || seen.duplicate.is_some() {
        return None;
    }
    let stray = routes::readable(seen).into_iter().filter(|route| !route.strays.is_empty());
    let writes: Vec<Write> = stray
        .map(|route| Write::SetRoute {
            kind: route.name.kind,
            target: route.target(),
            edits: route.strays.clone(),
        })
        .collect();
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

#[cfg(test)]
mod tests;
