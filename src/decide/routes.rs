//! Routes: what all routes of a Rollout say together. It decides nothing.
//!
//! Traffic rises only where all of them can be used. One that does not exist sends none; one that
//! exists and cannot be read may send any.

use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::snapshot::{LiveRoute, Route, Snapshot};
use crate::model::spec::NewRoute;
use crate::model::template::Revision;
use crate::model::weight::Weight;

/// Those that can be read.
pub fn readable(seen: &Snapshot) -> Vec<&LiveRoute> {
    seen.routes.iter().filter_map(|route| route.live.as_ref().ok()).collect()
}

/// Those in which rules of an experiment can be found: such a rule can be taken out of a route that
/// serves for nothing else.
pub fn ruled(seen: &Snapshot) -> Vec<&LiveRoute> {
    let all = seen.routes.iter();
    all.filter_map(|route| route.live.as_ref().ok().or(route.remnant.as_ref())).collect()
}

/// All of them, where each can be read.
///
/// # Errors
/// What keeps the first of the others from being used.
pub fn all(seen: &Snapshot) -> Result<Vec<&LiveRoute>, Hold> {
    if let Some(hold) = &seen.unmatched {
        return Err(hold.clone());
    }
    let lives = seen.routes.iter().map(|route| route.live.as_ref());
    let routes = lives.collect::<Result<Vec<_>, _>>().map_err(Clone::clone)?;
    if routes.is_empty() {
        return Err(Hold::BackendNotFound { what: "the route".to_owned() });
    }
    Ok(routes)
}

/// What keeps one that exists from being read.
pub fn unreadable(seen: &Snapshot) -> Option<Hold> {
    let there = seen.routes.iter().filter(|route| route.there);
    there.filter_map(|route| route.live.clone().err()).next()
}

/// The route that is the Rollout's own and does not exist, and what it is to be made with.
pub fn unmade(seen: &Snapshot) -> Option<(&Route, &NewRoute)> {
    let asked = seen.spec.ladder.create.as_ref()?;
    // Where its kind is not installed there is nothing to be made.
    let missing =
        |route: &&Route| !route.there && matches!(route.live, Err(Hold::BackendNotFound { .. }));
    Some((seen.routes.iter().find(missing)?, asked))
}

/// Tells whether all have this weight written out in every rule.
pub fn in_place(routes: &[&LiveRoute], weight: Weight) -> bool {
    routes.iter().all(|route| side::in_place(route, weight))
}

/// The highest share of traffic that the canary backend has in any of them.
pub fn canary_weight(routes: &[&LiveRoute]) -> Weight {
    routes.iter().map(|route| side::canary_weight(route)).max().unwrap_or(Weight::NONE)
}

/// The highest share of traffic that the stable backend has in any of them.
pub fn stable_weight(routes: &[&LiveRoute]) -> Weight {
    routes.iter().map(|route| side::stable_weight(route)).max().unwrap_or(Weight::FULL)
}

/// Tells whether a revision has traffic; `None` where that is not known.
pub fn carry(seen: &Snapshot, revision: &Revision) -> Option<bool> {
    let routes = readable(seen);
    if routes.iter().any(|route| side::has_traffic(seen, route, revision)) {
        return Some(true);
    }
    let known = !routes.is_empty() && unreadable(seen).is_none();
    known.then_some(false)
}
