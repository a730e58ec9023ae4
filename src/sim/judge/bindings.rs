//! Bindings: whose objects a controller writes for a Rollout (S15), and in which namespaces (S20).

use std::collections::BTreeSet;

use crate::sim::judge::facts::rollout::Rollout;
use crate::sim::judge::facts::status::{Attempt, Stage};
use crate::sim::judge::found::Found;
use crate::sim::judge::scene::{Case, Fresh, Seen};

/// Which namespaces the controllers were told to work in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Namespaces; `None`: all.
    pub namespaces: Option<BTreeSet<String>>,
    /// Whether sources in other namespaces are allowed.
    pub foreign_sources: bool,
}

/// Looks at a write of a controller.
pub fn see(case: &Case<'_>, reach: &Reach, found: &mut Found) {
    if case.controller().is_none() || case.change.place.resource == "leases" {
        return;
    }
    let outside = reach.namespaces.as_ref().is_some_and(|all| !all.contains(case.namespace()));
    found.unless(!outside, "S20", || {
        format!(
            "{} {}/{} is outside of the watched namespaces",
            case.change.place.resource,
            case.namespace(),
            case.name()
        )
    });
    foreign_source(case, reach, found);
    match case.fresh {
        Fresh::Route(Some(_)) => route(case, found),
        Fresh::Service(Some(service)) => {
            let place = (case.namespace().to_owned(), case.name().to_owned());
            let before = case.scene.service(&place).and_then(|before| before.selects.as_ref());
            if let Some(revision) = service.selects.as_ref().filter(|to| before != Some(*to)) {
                selects(case, revision, found);
            }
        }
        Fresh::Route(None)
        | Fresh::Service(None)
        | Fresh::Rollout(_)
        | Fresh::Set(_)
        | Fresh::Slice(_)
        | Fresh::Offer(_)
        | Fresh::Lease(_)
        | Fresh::Other => {}
    }
}

/// S20: no release comes from a source in another namespace, unless that is allowed.
fn foreign_source(case: &Case<'_>, reach: &Reach, found: &mut Found) {
    let Some((was, is)) = case.own() else { return };
    let old = was.status.attempt.as_ref().map(|attempt| attempt.number);
    let new = |attempt: &&Attempt| Some(attempt.number) != old && attempt.trigger == "Release";
    let begins = is.open().filter(new).is_some_and(|attempt| attempt.stage() != Stage::RollingBack);
    let source = is.spec.source.as_ref();
    let foreign = source.is_some_and(|source| source.name.0 != case.namespace());
    found.unless(!begins || !foreign || reach.foreign_sources, "S20", || {
        format!("{} takes a release of {source:?}", is.name)
    });
}

/// S15: of two Rollouts with one route or Service the older one writes it.
fn route(case: &Case<'_>, found: &mut Found) {
    let named = |rollout: &Rollout| rollout.routing().is_some_and(|routing| case.splits(&routing));
    let users: Vec<Seen<'_>> = case.rollouts().filter(|seen| seen.states().any(named)).collect();
    let place = (case.namespace().to_owned(), case.route());
    let (Fresh::Route(Some(after)), Some(before)) = (case.fresh, case.scene.route(&place)) else {
        return;
    };
    let moved = |seen: &Seen<'_>| {
        seen.routings().iter().any(|routing| {
            let (stable, canary) = (&routing.stable_service, &routing.canary_service);
            before.pairs(stable, canary) != after.pairs(stable, canary)
        })
    };
    let writers: Vec<&Seen<'_>> = users.iter().filter(|seen| moved(seen)).collect();
    let fine = writers.is_empty() || writers.iter().any(|writer| may(writer, &users, named));
    found.unless(fine, "S15", || format!("{} belongs to an older Rollout", case.name()));
}

fn selects(case: &Case<'_>, revision: &str, found: &mut Found) {
    let named = |rollout: &Rollout| {
        [&rollout.spec.stable_service, &rollout.spec.canary_service]
            .into_iter()
            .any(|service| service.as_deref() == Some(case.name()))
    };
    let users: Vec<Seen<'_>> = case.rollouts().filter(|seen| seen.states().any(named)).collect();
    let has = |seen: &&Seen<'_>| {
        let status = |rollout: &Rollout| {
            let sides = [
                rollout.status.stable.as_ref().map(|side| side.revision.as_str()),
                rollout.status.attempt.as_ref().map(|attempt| attempt.revision.as_str()),
            ];
            sides.contains(&Some(revision))
        };
        seen.states().any(status)
    };
    let writers: Vec<&Seen<'_>> = users.iter().filter(has).collect();
    let fine = writers.is_empty() || writers.iter().any(|writer| may(writer, &users, named));
    found.unless(fine, "S15", || format!("{} belongs to an older Rollout", case.name()));
}

/// Whether a Rollout may write to an object: no older user holds it, or it leaves it.
fn may(writer: &Seen<'_>, users: &[Seen<'_>], named: impl Fn(&Rollout) -> bool + Copy) -> bool {
    leaves(writer) || !users.iter().any(|other| holds(other, writer, named))
}

/// Whether a Rollout goes back to stable by what it had: it may leave that.
fn leaves(seen: &Seen<'_>) -> bool {
    seen.stages().any(|state| {
        let open = state.open().filter(|open| open.routing.is_some());
        open.is_some_and(|open| open.stage() == Stage::RollingBack)
    })
}

/// Whether a Rollout is older than another and names the object in every state of the window; one
/// that is gone holds nothing.
fn holds(other: &Seen<'_>, than: &Seen<'_>, named: impl Fn(&Rollout) -> bool) -> bool {
    let age = |rollout: &Rollout| (rollout.created.clone(), rollout.uid.clone());
    let older = age(other.now) < age(than.now) && !other.gone;
    older && other.states().all(|state| named(state) && !state.deleting)
}

#[cfg(test)]
mod tests;
