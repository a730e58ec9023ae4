//! Bake: whether a release that has all traffic became healthy, and stayed so.
//!
//! It never takes what was healthy before the delivery, nor what another release brought about.

use crate::decide::act::{Act, Waits};
use crate::decide::{binding, drain, ending, notice, side, way};
use crate::model::health::{Check, Health};
use crate::model::hold::Hold;
use crate::model::moment::{Duration, Timestamp};
use crate::model::snapshot::Snapshot;
use crate::model::spec::OnFailure;
use crate::model::status::{Attempt, Bake, BakeResult, Cause, FailedCheck, Stage, Status};
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// HealthChecks that are kept of a failure.
const FAILED_MAX: usize = 16;
/// How soon it is seen whether a HealthCheck was looked at: that alone changes no object.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How far the clock of who writes a HealthCheck may be ahead: clocks that are kept differ by less.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Tells whether anything is asked of a release beyond its traffic.
pub fn needed(seen: &Snapshot) -> bool {
    let spec = &seen.spec;
    let asked = spec.bake_time.is_some() || spec.deploy_timeout.is_some();
    asked || seen.checks.is_some() || binding::others(seen)
}

/// All traffic is on the attempt's revision: it becomes stable, and bakes if anything is asked.
pub fn enter(seen: &Snapshot, status: &mut Status, now: Timestamp) {
    let old = status.stable.clone();
    let Some(attempt) = &mut status.attempt else { return };
    attempt.highest = Weight::FULL;
    status.stable = Some(side::shown(seen, &attempt.revision, &attempt.release));
    if needed(seen) {
        attempt.weight = Weight::FULL;
        attempt.stage = Stage::Baking { entered_at: now, since: None };
        // Behind one that was not proven stands the last that was.
        let proven = attempt.previous.take().filter(|side| side.revision != attempt.revision);
        attempt.previous = proven.or_else(|| old.clone());
        status.canary = None;
    } else {
        succeed(seen, status, None, now);
    }
    let revision = old.map(|side| side.revision);
    if let Some(revision) = revision.filter(|_| way::of(seen).drains()) {
        drain::begin(status, revision, now);
    }
}

/// The attempt ended well.
fn succeed(seen: &Snapshot, status: &mut Status, bake: Option<Bake>, now: Timestamp) {
    if let Some(attempt) = &mut status.attempt {
        if !seen.spec.workload {
            status.stable = Some(side::shown(seen, &attempt.revision, &attempt.release));
        }
        (attempt.previous, attempt.bake) = (None, bake);
    }
    ending::close(seen, status, None, now);
    notice::completed(seen, status, now);
}

/// A person takes the release for a success: its bake is over, or its failure was none.
pub fn mark(seen: &Snapshot, status: &mut Status, now: Timestamp) -> Option<()> {
    let attempt = status.attempt.as_mut()?;
    let bake = Bake {
        result: BakeResult::Succeeded,
        started_at: attempt.stage.bakes_since(),
        ended_at: now,
        message: "a person marked it as successful".to_owned(),
        failed: Vec::new(),
    };
    if let Stage::Baking { .. } = attempt.stage {
        succeed(seen, status, Some(bake), now);
        return Some(());
    }
    if !attempt.kept {
        return None;
    }
    (attempt.kept, attempt.previous) = (false, None);
    (attempt.stage, attempt.bake) = (Stage::Completed { at: now }, Some(bake.clone()));
    let (number, revision) = (attempt.number, attempt.revision.clone());
    status.stable = Some(side::shown(seen, &revision, &attempt.release.clone()));
    if let Some(entry) = status.history.iter_mut().find(|entry| entry.number == number) {
        (entry.cause, entry.bake) = (None, Some(bake));
    }
    notice::completed(seen, status, now);
    Some(())
}

/// What the bake of an attempt comes to next.
pub fn next(seen: &Snapshot, attempt: &Attempt, now: Timestamp) -> Act {
    let Stage::Baking { entered_at, since } = attempt.stage else {
        return Act::Wait(Waits::default());
    };
    if let Some((cause, message)) = broken(seen, attempt) {
        return failed(seen, (cause, message), now);
    }
    let length = seen.spec.bake_time.unwrap_or(Duration::ZERO);
    let ahead = seen.checks.iter().flatten().find_map(|check| ahead(check, now));
    match (since, waits(seen, attempt, now)) {
        (None, Some(hold)) => {
            let end = seen.spec.deploy_timeout.map(|most| entered_at + most);
            match end {
                Some(end) if end <= now && unlooked(seen) => {
                    Act::Wait(Waits::of(hold).and_wake(Some(now + LOOK_EVERY)))
                }
                Some(end) if end <= now => {
                    let message = format!("not healthy in time: {}", hold.message());
                    failed(seen, (Cause::DeployTimeout, message), now)
                }
                Some(_) | None => Act::Wait(Waits::of(hold).and_wake(end).and_wake(ahead)),
            }
        }
        (None, None) if length > Duration::ZERO => {
            let mut status = seen.status.clone();
            if let Some(attempt) = &mut status.attempt {
                attempt.stage = Stage::Baking { entered_at, since: Some(now) };
            }
            Act::Commit(Box::new(status))
        }
        #[cfg(feature = "planted")]
        (Some(_), _) if active(Bug::BakeCutShort) => baked(seen, Some(now), now),
        (Some(since), _) if now < stays(seen, since, now) + length => {
            Act::Wait(Waits::until(Hold::Baking, stays(seen, since, now) + length))
        }
        (Some(_), Some(hold)) => Act::Wait(Waits::of(hold).and_wake(ahead)),
        (since, None) => baked(seen, since, now),
    }
}

/// Tells whether what a HealthCheck says may be from before this process leads: what it is about
/// may have become healthy while nobody looked.
fn unlooked(seen: &Snapshot) -> bool {
    seen.checks.iter().flatten().any(|check| check.reached && !check.looked)
}

/// What is delivered only after an absence: its time counts from then on, and only once, whatever
/// becomes of the write.
pub fn begins_late(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    let attempt = seen.status.attempt.as_ref()?;
    let Stage::Baking { entered_at, since: None } = attempt.stage else { return None };
    if seen.spec.deploy_timeout.is_none() || seen.watched_since <= entered_at {
        return None;
    }
    let stage = Stage::Baking { entered_at: now, since: None };
    let attempt = Some(Attempt { stage, ..attempt.clone() });
    Some(Act::Commit(Box::new(Status { attempt, ..seen.status.clone() })))
}

/// Since when all has stayed healthy: what was not for a while has to be as long as all else.
fn stays(seen: &Snapshot, since: Timestamp, now: Timestamp) -> Timestamp {
    let healthy = |check: &&Check| check.health == Health::Healthy && ahead(check, now).is_none();
    let checks = seen.checks.iter().flatten().filter(healthy);
    checks.filter_map(|check| check.changed_at).fold(since, Timestamp::max)
}

/// Tells whether the release is healthy and its bake runs: then no other one takes its place by
/// itself.
pub fn runs(seen: &Snapshot, now: Timestamp) -> bool {
    let Some(attempt) = &seen.status.attempt else { return false };
    let Stage::Baking { since: Some(since), .. } = attempt.stage else { return false };
    let length = seen.spec.bake_time.unwrap_or(Duration::ZERO);
    now < stays(seen, since, now) + length && broken(seen, attempt).is_none()
}

fn baked(seen: &Snapshot, since: Option<Timestamp>, now: Timestamp) -> Act {
    let mut status = seen.status.clone();
    let message = match seen.spec.bake_time {
        Some(length) => format!("all stayed healthy for {length}"),
        None => "all is healthy".to_owned(),
    };
    let bake = Bake {
        result: BakeResult::Succeeded,
        started_at: Some(since.unwrap_or(now)),
        ended_at: now,
        message,
        failed: Vec::new(),
    };
    succeed(seen, &mut status, Some(bake), now);
    Act::Commit(Box::new(status))
}

/// What shows that the release is bad: Flux cannot apply it, or a HealthCheck found an error since.
fn broken(seen: &Snapshot, attempt: &Attempt) -> Option<(Cause, String)> {
    if let Some(why) = binding::refused(seen) {
        return Some((Cause::DeliveryFailed, why));
    }
    // An error of which no time is told came when the check changed.
    let unhealthy = |check: &Check| check.changed_at.filter(|_| check.health == Health::Unhealthy);
    let bad = |check: &&Check| {
        let error = check.error_at.or_else(|| unhealthy(check));
        error.is_some_and(|at| attempt.started_at <= at)
    };
    let first = seen.checks.iter().flatten().find(bad)?;
    let Check { namespace, name, message, .. } = first;
    Some((Cause::BakeFailed, format!("HealthCheck {namespace}/{name}: {message}")))
}

/// What keeps the release from being healthy.
fn waits(seen: &Snapshot, attempt: &Attempt, now: Timestamp) -> Option<Hold> {
    if let Some(hold) = binding::awaited(seen) {
        return Some(hold);
    }
    if let Some(hold) = unavailable(seen, attempt) {
        return Some(hold);
    }
    let check = seen.checks.iter().flatten().find(|check| !healthy(check, attempt, now))?;
    let why = match (check.health, check.message.as_str()) {
        (Health::Healthy, _) if ahead(check, now).is_some() => {
            "its status.lastChangeTime is still to come; mend the clock of who writes it".to_owned()
        }
        (Health::Healthy, _) => "it was not looked at since the delivery".to_owned(),
        (Health::Unhealthy | Health::Pending, "") => "it is not healthy yet".to_owned(),
        (Health::Unhealthy | Health::Pending, message) => message.to_owned(),
    };
    Some(Hold::AwaitingHealth { check: format!("{}/{}", check.namespace, check.name), why })
}

/// The time at which a HealthCheck says that it changed, where that is still to come: such a check
/// tells nothing of now.
fn ahead(check: &Check, now: Timestamp) -> Option<Timestamp> {
    check.changed_at.filter(|at| now + AHEAD_MAX < *at)
}

fn healthy(check: &Check, attempt: &Attempt, now: Timestamp) -> bool {
    let since = check.changed_at.is_some_and(|at| attempt.started_at <= at);
    #[cfg(feature = "planted")]
    let since = since || active(Bug::HealthFromBefore);
    check.health == Health::Healthy && since && ahead(check, now).is_none()
}

/// Pods that lack of the revision that bakes.
fn unavailable(seen: &Snapshot, attempt: &Attempt) -> Option<Hold> {
    let set = side::replica_set(seen, &attempt.revision).filter(|_| seen.spec.workload)?;
    let lacks = set.available < seen.spec.replicas;
    lacks.then(|| Hold::PodsNotReady {
        replica_set: set.name.clone(),
        available: set.available,
        needed: seen.spec.replicas,
    })
}

/// The release failed although it has all traffic: it goes, or stays until a person decides.
pub fn failed(seen: &Snapshot, (cause, message): (Cause, String), now: Timestamp) -> Act {
    let mut status = seen.status.clone();
    let checks = seen.checks.iter().flatten();
    let Some(attempt) = &mut status.attempt else { return Act::Wait(Waits::default()) };
    let since = attempt.stage.bakes_since();
    let blamed = checks.filter(|check| !healthy(check, attempt, now) || check.error_at.is_some());
    let blamed = blamed.map(|check| FailedCheck {
        namespace: check.namespace.clone(),
        name: check.name.clone(),
        message: check.message.clone(),
    });
    let failed = blamed.take(FAILED_MAX).collect();
    let result = BakeResult::Failed;
    attempt.bake = Some(Bake { result, started_at: since, ended_at: now, message, failed });
    match seen.spec.on_failure {
        OnFailure::Hold => {
            attempt.kept = true;
            ending::close(seen, &mut status, Some(cause), now);
            notice::failed(seen, &mut status, cause, now);
        }
        OnFailure::Rollback => go_back(seen, &mut status, cause, now),
    }
    Act::Commit(Box::new(status))
}

/// Goes back to the side that had all traffic before; where there is none the release stays.
pub fn go_back(seen: &Snapshot, status: &mut Status, cause: Cause, now: Timestamp) {
    let Some(attempt) = &mut status.attempt else { return };
    if seen.spec.workload {
        let previous = attempt.previous.take();
        let previous = previous.filter(|side| side::replica_set(seen, &side.revision).is_some());
        if previous.is_some() {
            status.canary = Some(side::shown(seen, &attempt.revision, &attempt.release));
        }
        status.stable = previous;
    }
    if status.stable.is_some() {
        ending::roll_back(status, cause, now);
    } else {
        ending::quarantine(status, cause, now);
        ending::close(seen, status, Some(cause), now);
        notice::failed(seen, status, cause, now);
    }
}

#[cfg(test)]
mod tests;
