//! Pods: the order of writes where the numbers of pods split the traffic.

use crate::decide::act::{Next, Step};
use crate::decide::order;
use crate::decide::replicas::{self, Bounds, Set};
use crate::decide::side;
use crate::model::hold::Hold;
use crate::model::moves::Write;
use crate::model::snapshot::{ReplicaSet, Service, Snapshot};
use crate::model::status::Stage;
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// A step: the canary has its share of the pods, stable the rest.
pub fn ladder(seen: &Snapshot, canary: &Revision, weight: Weight) -> Step {
    let bounds = bounds(seen);
    let share = weight.share(bounds.replicas);
    let stable = seen.status.stable.as_ref().map(|side| side.revision.clone());
    let mut rest = replicas::stable_target(bounds, weight.rest().share(bounds.replicas), share);
    let service = seen.stable_service.as_ref();
    anew(seen, stable.as_ref().unwrap_or(canary), Some(canary))?;
    if weight == Weight::FULL && service.is_some() {
        // The stable Service must not lose its last endpoint before it selects the new side.
        let enough = bounds.replicas.saturating_sub(bounds.unavailable).max(1);
        let moved = side::selected(service) == Some(canary) && side::ready(service, canary) > 0;
        if !moved {
            if order::available(seen, canary, enough).is_ok() {
                order::select(seen, service, canary)?;
            }
            rest = rest.max(last_pod(bounds));
        }
    } else if let Some(stable) = stable.as_ref().filter(|stable| may_turn(seen, stable)) {
        order::select(seen, service, stable)?;
    }
    sized(seen, stable.as_ref().map(|s| (s, rest)), Some((canary, share)), bounds)?;
    if share > 0 {
        select(seen, seen.canary_service.as_ref(), canary)?;
    }
    order::available(seen, canary, share)?;
    gone(seen, stable.as_ref().filter(|_| rest == 0))
}

/// All pods are stable's: at rest, and on the way back.
pub fn stable(seen: &Snapshot, stable: &Revision) -> Step {
    let bounds = bounds(seen);
    let size = bounds.replicas;
    order::created(seen, stable, size)?;
    anew(seen, stable, None)?;
    if may_turn(seen, stable) {
        order::select(seen, seen.stable_service.as_ref(), stable)?;
    }
    sized(seen, Some((stable, size)), None, bounds)?;
    order::create_service(seen, seen.canary_service.as_ref(), stable)?;
    order::available(seen, stable, size)
}

/// The first revision: its pods, then the Services.
pub fn first(seen: &Snapshot, revision: &Revision) -> Step {
    let bounds = bounds(seen);
    let size = bounds.replicas;
    sized(seen, None, Some((revision, size)), bounds)?;
    order::available(seen, revision, size)?;
    select(seen, seen.stable_service.as_ref(), revision)?;
    select(seen, seen.canary_service.as_ref(), revision)?;
    order::endpoints(seen, seen.stable_service.as_ref(), revision, size)
}

/// While the ladder stands: a step in force keeps its split when the replicas change.
pub fn sizes(seen: &Snapshot) -> Step {
    let status = &seen.status;
    let Some(attempt) = &status.attempt else { return Ok(()) };
    match attempt.stage {
        Stage::Step { paused_at: Some(_), .. } => {
            let bounds = bounds(seen);
            let share = attempt.weight.share(bounds.replicas);
            let rest = attempt.weight.rest().share(bounds.replicas);
            let rest = replicas::stable_target(bounds, rest, share);
            let stable = status.stable.as_ref().map(|side| (&side.revision, rest));
            sized(seen, stable, Some((&attempt.revision, share)), bounds)
        }
        Stage::Step { .. }
        | Stage::First { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => Ok(()),
    }
}

/// A stable Service that is gone is made anew before anything is waited for: it has no endpoint to
/// lose. It selects the side that can serve: the other one only where it has more pods.
fn anew(seen: &Snapshot, stable: &Revision, other: Option<&Revision>) -> Step {
    let available = |of: &Revision| side::replica_set(seen, of).map_or(0, |rs| rs.available);
    let more = other.filter(|other| available(other) > available(stable));
    order::create_service(seen, seen.stable_service.as_ref(), more.unwrap_or(stable))
}

fn select(seen: &Snapshot, service: Option<&Service>, revision: &Revision) -> Step {
    order::create_service(seen, service, revision)?;
    order::select(seen, service, revision)
}

/// The stable Service may turn to this revision: it has a pod, and no fewer than what the Service
/// selects at present. How many of those serve is not known for a moment after they were resized:
/// then all that were asked for count.
fn may_turn(seen: &Snapshot, to: &Revision) -> bool {
    #[cfg(feature = "planted")]
    if active(Bug::ServiceTurnedToNoPods) {
        return true;
    }
    let available = side::replica_set(seen, to).map_or(0, |rs| rs.available);
    let from = side::selected(seen.stable_service.as_ref()).filter(|from| *from != to);
    let from = from.and_then(|from| side::replica_set(seen, from));
    let serving = from.map(|rs| if rs.settled { rs.available } else { rs.desired });
    available >= serving.unwrap_or(1).max(1)
}

/// The pods that a side behind the stable Service keeps: one, unless all may lack.
fn last_pod(bounds: Bounds) -> u32 {
    u32::from(bounds.unavailable < bounds.replicas)
}

fn bounds(seen: &Snapshot) -> Bounds {
    let (replicas, canary) = (seen.spec.replicas, &seen.spec.ladder);
    let (surge, unavailable) = (canary.surge.up(replicas), canary.unavailable.down(replicas));
    // Where both come to nothing no pod could move: as with Deployments, one may lack.
    let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
    Bounds { replicas, surge, unavailable }
}

/// Every ReplicaSet is asked for its number of pods; all that are neither side go to none.
fn sized(
    seen: &Snapshot,
    stable: Option<(&Revision, u32)>,
    canary: Option<(&Revision, u32)>,
    bounds: Bounds,
) -> Step {
    let sides = sides(seen, stable, canary);
    let named = [stable, canary].into_iter().flatten().map(|(revision, _)| revision);
    let mut missing = named.filter(|revision| side::replica_set(seen, revision).is_none());
    let sets: Vec<Set> = sides.iter().map(|(_, set)| *set).collect();
    let next = replicas::next(bounds, &sets);
    let mut writes = Vec::new();
    for ((rs, set), replicas) in sides.iter().zip(next) {
        match rs {
            None => {
                let revision = missing.next();
                if let Some(Err(Next::Write(write))) =
                    revision.map(|revision| order::created(seen, revision, replicas))
                {
                    writes.extend(write);
                }
            }
            Some(rs) => {
                let same = side::asked_for(seen, rs, replicas);
                let other = set.target == 0 && canary.is_none_or(|(r, _)| *r != rs.revision);
                if !same || (!other && rs.quarantined.is_some_and(|attempt| attempt > 0)) {
                    writes.push(resize(seen, rs, replicas, other));
                }
            }
        }
    }
    if !writes.is_empty() {
        return Err(Next::Write(writes));
    }
    let late = sides.iter().find(|(_, set)| set.desired != set.target);
    match late.and_then(|(rs, set)| Some(((*rs)?, set))) {
        None => Ok(()),
        Some(_) => waits_for(&sides, seen),
    }
}

type Sides<'a> = Vec<(Option<&'a ReplicaSet>, Set)>;

/// The sides that have or are to have pods: stable, then the canary, then all others.
fn sides<'a>(
    seen: &'a Snapshot,
    stable: Option<(&Revision, u32)>,
    canary: Option<(&Revision, u32)>,
) -> Sides<'a> {
    let mut sides = Vec::new();
    for (revision, target) in [stable, canary].into_iter().flatten() {
        let rs = side::replica_set(seen, revision);
        sides.push((rs, set(rs, target)));
    }
    let named = |rs: &ReplicaSet| {
        [stable, canary].into_iter().flatten().any(|(revision, _)| *revision == rs.revision)
    };
    let others = seen.replica_sets.iter().filter(|rs| rs.owned && !named(rs) && rs.desired > 0);
    // A side behind the stable Service keeps a pod until the Service turns.
    let last = |rs: &ReplicaSet| match side::selected(seen.stable_service.as_ref()) {
        Some(selected) if *selected == rs.revision => last_pod(bounds(seen)),
        Some(_) | None => 0,
    };
    sides.extend(others.map(|rs| (Some(rs), set(Some(rs), last(rs)))));
    sides
}

fn set(rs: Option<&ReplicaSet>, target: u32) -> Set {
    Set {
        desired: rs.map_or(0, |rs| rs.desired),
        replicas: rs.map_or(0, |rs| rs.replicas),
        available: rs.map_or(0, |rs| rs.available),
        settled: rs.is_none_or(|rs| rs.settled),
        target,
    }
}

fn resize(seen: &Snapshot, rs: &ReplicaSet, replicas: u32, other: bool) -> Write {
    let failed = seen.status.quarantine.iter().find(|entry| entry.revision == rs.revision);
    let quarantine = match (other, failed, rs.quarantined) {
        (true, Some(entry), None | Some(0)) => Some(entry.attempt),
        (false, _, Some(attempt)) if attempt > 0 => Some(0),
        (_, _, _) => None,
    };
    let min_ready_secs = seen.spec.min_ready_secs;
    let attempt = side::reused_by(seen, rs);
    Write::Resize { target: side::target(rs), replicas, min_ready_secs, quarantine, attempt }
}

/// The first side whose pods are not there yet.
fn waits_for(sides: &Sides<'_>, seen: &Snapshot) -> Step {
    let late = sides.iter().find(|(_, set)| set.available < set.desired);
    let late = late.or_else(|| sides.iter().find(|(_, set)| set.desired != set.target));
    match late.and_then(|(rs, set)| Some(((*rs)?, set))) {
        None => Ok(()),
        Some((rs, set)) => {
            let needed = set.desired.max(set.target).max(1);
            let available = rs.available;
            let replica_set = rs.revision.replica_set(&seen.rollout.name);
            Err(Next::Hold(Hold::PodsNotReady { replica_set, available, needed }))
        }
    }
}

/// The pods of a side that lost everything are gone: only then is its traffic.
fn gone(seen: &Snapshot, revision: Option<&Revision>) -> Step {
    let left = revision.and_then(|revision| side::replica_set(seen, revision));
    match left.filter(|rs| rs.replicas > 0 || !rs.settled) {
        None => Ok(()),
        Some(_) => Err(Next::Hold(Hold::Draining)),
    }
}

#[cfg(test)]
mod tests;
