//! Drain: sides that lost their traffic finish their requests, then their pods go.

use crate::decide::act::{Act, sooner};
use crate::decide::way::{self, Way};
use crate::decide::{routes, side};
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::Write;
use crate::model::snapshot::{Acceptance, LiveRoute, ReplicaSet, Snapshot};
#[cfg(feature = "planted")]
use crate::model::spec::DRAIN_DELAY;
use crate::model::status::{Attempt, Draining, Stage, Status};
use crate::model::template::Revision;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Sides that drain at once; more appear only in a storm of releases.
const DRAINING_MAX: usize = 32;

/// Begins to drain a side whose weight is 0 and accepted.
pub fn begin(status: &mut Status, revision: Revision, now: Timestamp) {
    status.draining.retain(|draining| draining.revision != revision);
    status.draining.push(Draining { revision, since: Some(now) });
    let extra = status.draining.len().saturating_sub(DRAINING_MAX);
    status.draining.drain(..extra);
}

/// The next thing to do for sides that drain; else when to look again.
pub fn next(seen: &Snapshot, now: Timestamp) -> Result<Act, Option<Timestamp>> {
    if !way::of(seen).drains() {
        return Err(None);
    }
    let mut wake = None;
    for rs in leftovers(seen) {
        let Some(delay) = delay(seen, &rs.revision) else {
            match marked(seen, rs) {
                Some(act) => return Ok(act),
                None => continue,
            }
        };
        let known = seen.status.draining.iter().find(|d| d.revision == rs.revision);
        match known.map(|draining| draining.since) {
            #[cfg(feature = "planted")]
            Some(Some(since)) if active(Bug::DrainFromIntent) && now < since + DRAIN_DELAY => {
                wake = sooner(wake, Some(since + DRAIN_DELAY));
            }
            Some(Some(_)) if has_traffic(seen, &rs.revision) => {
                return Ok(begin_again(seen, &rs.revision)); // Someone gave it traffic again.
            }
            #[cfg(feature = "planted")]
            Some(Some(_)) if active(Bug::DrainDelaySkipped) => return Ok(end(seen, rs)),
            Some(Some(since)) if since + delay <= now => return Ok(end(seen, rs)),
            #[cfg(feature = "planted")]
            Some(Some(_)) if active(Bug::DrainTimerNotArmed) => {}
            Some(Some(since)) => wake = sooner(wake, Some(since + delay)),
            Some(None) | None if without_traffic(seen, &rs.revision) => {
                let mut status = seen.status.clone();
                begin(&mut status, rs.revision.clone(), now);
                return Ok(Act::Commit(Box::new(status)));
            }
            Some(None) | None => {}
        }
    }
    Err(wake)
}

/// Tells whether a side still finishes requests, or may have traffic.
pub fn pending(seen: &Snapshot, now: Timestamp) -> bool {
    let mut sides = leftovers(seen).map(|rs| &rs.revision);
    next(seen, now) != Err(None) || sides.any(|revision| delay(seen, revision).is_some())
}

/// How long a side stays; none: as long as no other attempt begins, pods are wanted and what
/// keeps it from users is not left.
fn delay(seen: &Snapshot, revision: &Revision) -> Option<Duration> {
    #[cfg(feature = "planted")]
    if active(Bug::DelayIgnored) {
        return Some(DRAIN_DELAY);
    }
    let ladder = &seen.spec.ladder;
    let failed = seen.status.attempt.as_ref().is_some_and(|attempt| {
        attempt.revision == *revision
            && matches!(attempt.stage, Stage::Ended { cause, .. } if cause.failed())
    });
    // A Service that is let go selects them too.
    let leaves = seen.instead.is_some() && !seen.spec.paused;
    match ladder.abort_drain {
        Some(delay) if failed => Some(delay),
        None if failed && seen.spec.replicas > 0 && !leaves => None,
        Some(_) | None => Some(ladder.drain),
    }
}

/// Pods that stay after a failure: their ReplicaSet is marked at once, since nothing else would
/// tell of the failure where the status is lost.
fn marked(seen: &Snapshot, rs: &ReplicaSet) -> Option<Act> {
    let failed = seen.status.quarantine.iter().find(|entry| entry.revision == rs.revision)?;
    (rs.quarantined != Some(failed.attempt)).then(|| resized(seen, rs, rs.desired))
}

/// The number of an attempt that ends before it had pods goes to the stable ReplicaSet: else it
/// would be given a second time where the status is lost.
pub fn noted(seen: &Snapshot) -> Option<Vec<Write>> {
    let number = seen.status.attempt.as_ref()?.number;
    let told = seen.replica_sets.iter().any(|rs| rs.owned && number <= rs.attempt);
    let stable = side::replica_set(seen, &seen.status.stable.as_ref()?.revision);
    let rs = stable.filter(|_| !told)?;
    Some(vec![Write::Resize {
        target: side::target(rs),
        replicas: rs.desired,
        min_ready_secs: rs.min_ready_secs,
        quarantine: None,
        attempt: Some(number),
    }])
}

/// A side that drained has traffic again: its time begins anew once it has none.
fn begin_again(seen: &Snapshot, revision: &Revision) -> Act {
    let mut status = seen.status.clone();
    for draining in status.draining.iter_mut().filter(|d| d.revision == *revision) {
        draining.since = None;
    }
    Act::Commit(Box::new(status))
}

/// ReplicaSets with pods that are no side.
fn leftovers(seen: &Snapshot) -> impl Iterator<Item = &ReplicaSet> {
    let status = &seen.status;
    let climbing = status.attempt.as_ref().filter(|attempt| climbs(seen, status, attempt));
    let sides = [
        climbing.map(|attempt| attempt.revision.clone()),
        status.stable.as_ref().map(|side| side.revision.clone()),
    ];
    seen.replica_sets.iter().filter(move |rs| {
        #[cfg(feature = "planted")]
        if active(Bug::SupersededLeft) && !failed(seen, rs) {
            return false;
        }
        rs.owned && rs.desired > 0 && !sides.iter().flatten().any(|side| *side == rs.revision)
    })
}

/// Tells whether the revision of an attempt is a side, which does not drain. A step may want no
/// pods of one that lost its traffic a moment ago, as where the status was lost: they drain.
pub fn climbs(seen: &Snapshot, status: &Status, attempt: &Attempt) -> bool {
    let idle = match attempt.stage {
        Stage::Step { number, .. } => {
            let rung = seen.spec.ladder.stands(number);
            let pods = rung.map(|rung| side::pods(seen, &attempt.revision, &rung));
            pods == Some(0) && seen.spec.replicas > 0
        }
        Stage::First { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => false,
    };
    !idle && (attempt.stage.open() || status.stable.is_none())
}

#[cfg(feature = "planted")]
fn failed(seen: &Snapshot, rs: &ReplicaSet) -> bool {
    seen.status.quarantine.iter().any(|entry| entry.revision == rs.revision)
}

/// Tells whether no backend with a weight leads to a revision, and all gateways know.
fn without_traffic(seen: &Snapshot, revision: &Revision) -> bool {
    let known = match way::of(seen) {
        Way::Route => {
            let accepted = |r: &&LiveRoute| r.acceptance == Acceptance::Accepted;
            routes::readable(seen).iter().all(accepted)
        }
        Way::Switch => side::ready(seen.stable_service.as_ref(), revision) == 0,
        Way::Pods => false,
    };
    #[cfg(feature = "planted")]
    let known = known || active(Bug::DrainBeforeAcceptance);
    known && !has_traffic(seen, revision)
}

/// Tells whether a revision has traffic, as far as the routes can be read.
fn has_traffic(seen: &Snapshot, revision: &Revision) -> bool {
    way::carries(seen, revision).unwrap_or(true)
}

fn end(seen: &Snapshot, rs: &ReplicaSet) -> Act {
    resized(seen, rs, 0)
}

fn resized(seen: &Snapshot, rs: &ReplicaSet, replicas: u32) -> Act {
    let failed = seen.status.quarantine.iter().find(|entry| entry.revision == rs.revision);
    Act::Apply(vec![Write::Resize {
        target: side::target(rs),
        replicas,
        min_ready_secs: seen.spec.min_ready_secs,
        quarantine: failed.map(|entry| entry.attempt),
        attempt: None,
    }])
}

/// Deletes the oldest ReplicaSets without pods beyond `spec.revisionHistoryLimit`, one turn all.
pub fn trim(seen: &Snapshot) -> Option<Act> {
    let status = &seen.status;
    let attempt = status.attempt.as_ref();
    if attempt.is_none_or(|attempt| matches!(attempt.stage, Stage::RollingBack { .. })) {
        return None;
    }
    #[cfg(feature = "planted")]
    if active(Bug::RevisionsNotTrimmed) {
        return None;
    }
    let present = side::present(seen);
    let kept = |rs: &ReplicaSet| {
        rs.revision == present
            || attempt.is_some_and(|attempt| attempt.revision == rs.revision)
            || attempt.is_some_and(|attempt| {
                attempt.previous.as_ref().is_some_and(|side| side.revision == rs.revision)
            })
            || status.stable.as_ref().is_some_and(|side| side.revision == rs.revision)
    };
    let empty = |rs: &&ReplicaSet| rs.owned && rs.desired == 0 && rs.replicas == 0 && rs.settled;
    let mut old: Vec<_> = seen.replica_sets.iter().filter(empty).filter(|rs| !kept(rs)).collect();
    old.sort_by_key(|rs| (rs.attempt, rs.created_at));
    let extra = old.len().saturating_sub(seen.spec.revisions_max);
    let writes: Vec<_> =
        old.into_iter().take(extra).map(|rs| Write::DeleteReplicaSet(side::target(rs))).collect();
    (!writes.is_empty()).then_some(Act::Apply(writes))
}

#[cfg(test)]
mod tests;
