//! Restart: the pods that stood when the command restart was taken are replaced, by evictions.
//!
//! It never takes a pod while too many others are missed, nor one of a side that goes.

use crate::decide::act::{Act, Waits, sooner};
use crate::decide::notice;
use crate::decide::status::unhealthy;
use crate::decide::way;
use crate::model::hold::Hold;
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::Write;
use crate::model::snapshot::{Pod, ReplicaSet, Snapshot};
use crate::model::status::{Restart, Stage, Status};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// How long events alone are believed while a restart waits: one that got lost is noticed then.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// Begins a restart; one that is under way begins anew.
///
/// The API server tells when a pod was made in whole seconds, so that the last pod that stands now
/// may seem to be of the next moment: all of this second count as standing.
pub fn begin(seen: &Snapshot, now: Timestamp) -> Status {
    let mut status = seen.status.clone();
    let second = 1000;
    let since = Timestamp::from_millis((now.millis() / second + 1) * second);
    let number = number(seen) + 1;
    status.restart = Some(Restart { since, number });
    notice::restarting(seen, &mut status, since, now);
    status
}

/// Which restart is under way of those that followed each other without an end; 0: none.
pub fn number(seen: &Snapshot) -> u32 {
    seen.status.restart.map_or(0, |restart| restart.number)
}

/// Goes on with a restart where nothing else moves.
pub fn beside(seen: &Snapshot, act: Act, now: Timestamp) -> Act {
    let (Act::Wait(waits), Some(restart)) = (&act, seen.status.restart) else { return act };
    match next(seen, restart, now) {
        Next::Done => {
            let mut status = seen.status.clone();
            status.restart = None;
            notice::restarted(seen, &mut status, restart.since, now);
            Act::Commit(Box::new(status))
        }
        Next::Evict(pod) => match refused(seen, pod) {
            Some(hold) => act.with(Hold::Restarting).with(hold),
            None if climbs(seen, waits) => act.with(Hold::Restarting),
            None => {
                let (pod, uid) = (pod.name.clone(), pod.uid.clone());
                Act::Apply(vec![Write::Evict { pod, uid }])
            }
        },
        Next::Wait(hold, at) => {
            let waits = waits.clone().and_wake(Some(at));
            Act::Wait(waits).with(Hold::Restarting).with(hold.unwrap_or(Hold::Restarting))
        }
    }
}

/// How many pods a side is asked for while pods are replaced, where it needs so many: one more
/// where the only one is to go, so that its users are not left without any. Where the number of
/// pods splits the traffic the other pods take it over.
pub fn spared(seen: &Snapshot, rs: &ReplicaSet, replicas: u32) -> u32 {
    let (Some(restart), Some(Ok(pods))) = (seen.status.restart, &seen.pods) else {
        return replicas;
    };
    let stands = |pod: &Pod| pod.owner == rs.uid && !pod.ending && pod.created_at < restart.since;
    let alone = replicas == 1 && way::of(seen).drains() && serves(seen, rs);
    replicas + u32::from(alone && pods.iter().any(stands))
}

/// What a restart needs next.
enum Next<'a> {
    /// Nothing: every pod is replaced.
    Done,
    /// That this pod goes.
    Evict(&'a Pod),
    /// Something to change, and to look again at this time; why, beyond that it goes on.
    Wait(Option<Hold>, Timestamp),
}

fn next(seen: &Snapshot, restart: Restart, now: Timestamp) -> Next<'_> {
    let later = now + LOOK_AFTER;
    let pods = match &seen.pods {
        Some(Ok(pods)) => pods,
        Some(Err(why)) => {
            let what = format!("Pods of {}/{}", seen.rollout.namespace, seen.rollout.name);
            return Next::Wait(Some(Hold::Refused { what, why: why.clone() }), later);
        }
        None => return Next::Wait(None, if now < restart.since { restart.since } else { later }),
    };
    let sides: Vec<Side> = seen
        .replica_sets
        .iter()
        .filter(|rs| serves(seen, rs))
        .map(|rs| Side::of(rs, pods, restart.since, now))
        .collect();
    let mut old: Vec<(bool, &Pod)> = sides.iter().flat_map(|side| side.old.clone()).collect();
    let missed = sides.iter().fold(0_u32, |sum, side| sum.saturating_add(side.missed));
    #[cfg(feature = "planted")]
    let missed = if active(Bug::EvictsAllAtOnce) { 0 } else { missed };
    #[cfg(feature = "planted")]
    if old.is_empty() && active(Bug::RestartEndsEarly) {
        return Next::Done;
    }
    if old.is_empty() && missed == 0 {
        return Next::Done;
    }
    if now < restart.since {
        return Next::Wait(None, restart.since);
    }
    let settled = sides.iter().all(|side| side.settled);
    // One that is not available costs nothing; then the oldest, so that whoever decides again
    // decides on the same.
    old.sort_by_key(|(available, pod)| (*available, pod.created_at, pod.name.as_str()));
    match old.first() {
        Some((_, pod)) if settled && missed < budget(seen) => Next::Evict(pod),
        Some(_) | None => {
            let ripe = sides.iter().fold(None, |sum, side| sooner(sum, side.ripe));
            Next::Wait(None, ripe.map_or(later, |ripe| ripe.min(later)))
        }
    }
}

/// How many pods may be missed at a time.
fn budget(seen: &Snapshot) -> u32 {
    seen.spec.ladder.unavailable.down(seen.spec.replicas).max(1)
}

/// Tells whether the pods of a ReplicaSet are to stay: those of a side that goes, or that failed,
/// are left to go.
fn serves(seen: &Snapshot, rs: &ReplicaSet) -> bool {
    let status = &seen.status;
    let drains = status.draining.iter().any(|draining| draining.revision == rs.revision);
    let failed = status.quarantine.iter().any(|failed| failed.revision == rs.revision);
    let stable = status.stable.as_ref().is_some_and(|side| side.revision == rs.revision);
    let climbing = status.attempt.as_ref().is_some_and(|attempt| {
        let up = match attempt.stage {
            Stage::First { .. }
            | Stage::Step { .. }
            | Stage::Promoting { .. }
            | Stage::Baking { .. } => true,
            Stage::RollingBack { .. } | Stage::Completed { .. } | Stage::Ended { .. } => false,
        };
        up && attempt.revision == rs.revision
    });
    rs.owned && rs.desired > 0 && !drains && (stable || (climbing && !failed))
}

/// One ReplicaSet, as a restart looks at it.
struct Side<'a> {
    /// Pods that are to be replaced, each with whether it is available.
    old: Vec<(bool, &'a Pod)>,
    /// Replacements that are not there or not available yet, and those that a ReplicaSet misses.
    missed: u32,
    /// Whether what the ReplicaSet says agrees with its pods.
    settled: bool,
    /// When the next pod that is ready is available.
    ripe: Option<Timestamp>,
}

impl<'a> Side<'a> {
    fn of(rs: &ReplicaSet, pods: &'a [Pod], since: Timestamp, now: Timestamp) -> Self {
        let length = Duration::from_secs(u64::from(rs.min_ready_secs));
        let ripe = |pod: &Pod| pod.ready_since.map(|since| since + length);
        let available = |pod: &Pod| ripe(pod).is_some_and(|at| at <= now);
        let live: Vec<&Pod> =
            pods.iter().filter(|pod| pod.owner == rs.uid && !pod.ending).collect();
        let (old, young): (Vec<&Pod>, Vec<&Pod>) =
            live.iter().partition(|pod| pod.created_at < since);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let weak = count(young.iter().filter(|pod| !available(pod)).count());
        let frail = count(old.iter().filter(|pod| !available(pod)).count());
        let missed = weak.saturating_add(rs.desired.saturating_sub(count(live.len())));
        let known = rs.available.saturating_add(missed).saturating_add(frail);
        Self {
            missed,
            settled: rs.settled && rs.desired <= known && count(live.len()) <= rs.desired,
            ripe: live.iter().filter_map(|pod| ripe(pod)).filter(|at| now < *at).min(),
            old: old.into_iter().map(|pod| (available(pod), pod)).collect(),
        }
    }
}

/// The API server's refusal of this eviction, as long as it is not to be tried again.
fn refused(seen: &Snapshot, pod: &Pod) -> Option<Hold> {
    let named = format!("Pod {}/{}", seen.rollout.namespace, pod.name);
    let (what, why) = seen.refused.as_ref().filter(|(what, _)| *what == named)?;
    Some(Hold::Refused { what: what.clone(), why: why.clone() })
}

/// Tells whether an attempt in progress waits for its pods, or is shown to: a restart would keep it
/// waiting, one pod after the other, until it has taken too long.
fn climbs(seen: &Snapshot, waits: &Waits) -> bool {
    let open = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.stage.open());
    let waiting = waits.holds.iter().any(|(hold, _)| unhealthy(hold.code()));
    let shown = seen.status.waiting.first().is_some_and(|shown| unhealthy(&shown.kind));
    open && (waiting || shown)
}

#[cfg(test)]
mod tests;
