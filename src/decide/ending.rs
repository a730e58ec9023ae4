//! Ending: how an attempt ends, and what is kept of it. It never tells whether it should.

use crate::decide::way::{self, Way};
use crate::decide::{routes, side};
use crate::model::moment::Timestamp;
use crate::model::snapshot::Snapshot;
use crate::model::status::{Bake, BakeResult, Cause, Draining, Entry, Quarantined, Stage, Status};
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Entries of the quarantine that are kept: more than a team keeps apart, small in status.
pub const QUARANTINE_MAX: usize = 20;

/// Ends the attempt in progress: history, and the drain of its side.
pub fn close(seen: &Snapshot, status: &mut Status, cause: Option<Cause>, now: Timestamp) {
    #[cfg(feature = "planted")]
    if active(Bug::RestartForgotten) {
        status.restart = None;
    }
    let Some(attempt) = status.attempt.as_mut() else { return };
    if let Some(cause) = cause.filter(|_| attempt.bake.is_none())
        && let Stage::Baking { since, .. } = attempt.stage
    {
        attempt.bake = Some(Bake {
            result: BakeResult::Cancelled,
            started_at: since,
            ended_at: now,
            message: format!("it ended before: {}", cause.as_str()),
            failed: Vec::new(),
        });
    }
    let entry = Entry {
        number: attempt.number,
        release: attempt.release.clone(),
        revision: attempt.revision.clone(),
        trigger: attempt.trigger,
        started_at: attempt.started_at,
        ended_at: now,
        cause,
        weight: attempt.highest,
        bake: attempt.bake.clone(),
        intent: attempt.intent.clone(),
    };
    attempt.weight = if cause.is_none() || attempt.kept { Weight::FULL } else { Weight::NONE };
    attempt.stage = match cause {
        None => Stage::Completed { at: now },
        Some(cause) => Stage::Ended { at: now, cause },
    };
    let made = side::replica_set(seen, &attempt.revision).is_some();
    let known = match way::of(seen) {
        Way::Route => !routes::readable(seen).is_empty(),
        Way::Switch => true,
        Way::Pods => false,
    };
    let stays = cause.is_some_and(Cause::failed) && seen.spec.ladder.abort_drain.is_none();
    let serves = status.stable.as_ref().is_some_and(|stable| stable.revision == attempt.revision);
    let goes = made && status.stable.is_some() && !serves;
    if cause.is_some() && goes && known && !stays {
        let since = cause.filter(|cause| *cause != Cause::Superseded).map(|_| now);
        #[cfg(feature = "planted")]
        let since = if active(Bug::DrainFromIntent) { Some(now) } else { since };
        let revision = attempt.revision.clone();
        status.draining.retain(|draining| draining.revision != revision);
        status.draining.push(Draining { revision, since });
    }
    status.canary = None;
    status.history.insert(0, entry);
    #[cfg(feature = "planted")]
    if active(Bug::HistoryNotTrimmed) {
        return;
    }
    status.history.truncate(seen.spec.history_max);
}

/// Goes back to stable; where the release is to blame, it is not tried again from here on.
pub fn roll_back(status: &mut Status, cause: Cause, now: Timestamp) {
    let Some(attempt) = status.attempt.as_mut() else { return };
    attempt.stage = Stage::RollingBack { entered_at: now, cause };
    attempt.weight = Weight::NONE;
    status.frozen_since = None;
    quarantine(status, cause, now);
}

/// Notes what failed, or did not win.
pub fn quarantine(status: &mut Status, cause: Cause, now: Timestamp) {
    #[cfg(feature = "planted")]
    if active(Bug::FailureForgotten) {
        return;
    }
    let Some(attempt) = status.attempt.as_ref().filter(|_| cause.bars()) else { return };
    let entry = Quarantined {
        revision: attempt.revision.clone(),
        release: attempt.release.clone(),
        trigger: attempt.trigger,
        attempt: attempt.number,
        since: now,
    };
    status.quarantine.retain(|old| old.revision != entry.revision);
    status.quarantine.insert(0, entry);
    status.quarantine.truncate(QUARANTINE_MAX);
}
