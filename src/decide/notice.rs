//! Notice: which transitions the world is told of, with ids that are derived from them.
//!
//! Start, step, hold that needs a person, end; nothing else.

use sha2::{Digest, Sha256};

use crate::decide::act::Waits;
use crate::decide::digest;
use crate::model::command::{Asked, Force};
use crate::model::hold::EndedBy;
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::model::snapshot::Snapshot;
use crate::model::spec::Pause;
use crate::model::status::{Attempt, Cause, Condition, Rejected, Stage, Status, Waiting};
use crate::model::template::hex;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Notices that wait to be sent: more than one attempt can have, small in status.
pub const OUTBOX_MAX: usize = 20;

/// An attempt began; for its first step no further notice follows.
pub fn started(seen: &Snapshot, status: &mut Status, attempt: &Attempt, now: Timestamp) {
    let what = what(attempt);
    let message = match attempt.stage {
        Stage::First { .. } => format!("attempt {}: {what} is the first revision", attempt.number),
        Stage::Baking { .. } => format!("attempt {}: {what} is delivered", attempt.number),
        Stage::Step { .. } if attempt.unpaused => {
            format!("attempt {}: {what} comes back without the steps", attempt.number)
        }
        Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::RollingBack { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => format!(
            "attempt {}: {what} climbs in {} steps, first to weight {}",
            attempt.number,
            seen.spec.ladder.last(),
            attempt.weight
        ),
    };
    let place = (attempt.number, 1);
    push(seen, status, place, ("AttemptStarted", false, message), now);
}

/// A further step was entered; the last one is told by its end.
pub fn entered(seen: &Snapshot, status: &mut Status, number: u32, now: Timestamp) {
    let last = seen.spec.ladder.last();
    let Some(attempt) = status.attempt.clone().filter(|_| number < last) else { return };
    let weight = attempt.weight;
    let message = format!("attempt {}: step {number} of {last}, weight {weight}", attempt.number);
    push(seen, status, (attempt.number, number), ("StepEntered", false, message), now);
}

/// A step waits for a person, or an experiment runs.
pub fn paused(seen: &Snapshot, status: &mut Status, pause: Pause, now: Timestamp) {
    let Some(Attempt { number: attempt, stage: Stage::Step { number, .. }, .. }) = &status.attempt
    else {
        return;
    };
    let (attempt, number) = (*attempt, *number);
    let (reason, what) = match pause {
        Pause::None | Pause::For(_) => return,
        Pause::UntilPromoted => {
            ("AwaitingPromotion", format!("step {number} waits to be promoted"))
        }
        Pause::UntilConcluded(None) => {
            ("ExperimentStarted", "the experiment runs until it is concluded".to_owned())
        }
        Pause::UntilConcluded(Some(most)) => {
            ("ExperimentStarted", format!("the experiment runs for {most} at most"))
        }
    };
    let message = format!("attempt {attempt}: {what}");
    push(seen, status, (attempt, number), (reason, false, message), now);
}

/// An attempt ended well.
pub fn completed(seen: &Snapshot, status: &mut Status, now: Timestamp) {
    let Some(attempt) = status.attempt.clone() else { return };
    let end = if seen.spec.workload { "carries all traffic" } else { "is delivered and healthy" };
    let message = format!("attempt {}: {} {end}", attempt.number, what(&attempt));
    push(seen, status, (attempt.number, 0), ("AttemptCompleted", false, message), now);
}

/// An attempt ended without full traffic: it failed, did not win, or the template went back.
pub fn failed(seen: &Snapshot, status: &mut Status, cause: Cause, now: Timestamp) {
    let Some(attempt) = status.attempt.clone() else { return };
    let back = match &status.stable {
        _ if attempt.kept => "; it stays until a person decides",
        Some(_) if seen.spec.workload => "; stable carries all traffic",
        Some(_) => "; the last good release is delivered again",
        None => "",
    };
    let (number, why) = (attempt.number, cause.as_str());
    let data = verdict(seen, &attempt).filter(|_| cause == Cause::Concluded);
    let bake = attempt.bake.as_ref().filter(|_| cause.failed());
    let data = data.or_else(|| bake.map(|bake| bake.message.clone()));
    let data = data.map(|told| format!(" ({told})")).unwrap_or_default();
    let message = format!("attempt {number}: {} ended, {why}{data}{back}", what(&attempt));
    let reason = match cause {
        Cause::Aborted
        | Cause::BakeFailed
        | Cause::DeadlineExceeded
        | Cause::DeliveryFailed
        | Cause::DeployTimeout => "AttemptFailed",
        Cause::Concluded => "ExperimentConcluded",
        Cause::Reverted | Cause::StrategyChanged | Cause::Superseded => "AttemptReverted",
    };
    push(seen, status, (number, 0), (reason, cause.failed(), message), now);
}

/// Tells what the data were, where they decided and something was asked of them.
fn verdict(seen: &Snapshot, attempt: &Attempt) -> Option<String> {
    let asked = seen.spec.ladder.analysis.filter(|_| attempt.concludes)?;
    Some(format!("no samples were measured, 0 of minSampleSize {}: A", asked.samples))
}

/// A restart of pods began.
pub fn restarting(seen: &Snapshot, status: &mut Status, since: Timestamp, now: Timestamp) {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let message = format!("pods that were made before {since} are replaced");
    push(seen, status, (number, 0), ("RestartStarted", false, message), now);
}

/// A restart of pods ended.
pub fn restarted(seen: &Snapshot, status: &mut Status, since: Timestamp, now: Timestamp) {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let message = format!("all pods that were made before {since} are replaced");
    push(seen, status, (number, 0), ("RestartCompleted", false, message), now);
}

/// The API server refuses the status of a Rollout with this uid and generation: no transition, as
/// none can be stored, and the same however often it is refused.
pub fn unstored((uid, generation): (&str, i64), why: &str, now: Timestamp) -> Notice {
    let id = hex(&Sha256::digest(format!("{uid} {generation} unstored")), 16);
    let message = format!(
        "nothing new begins: the API server refuses the status ({why}); where it is too large, \
         take something out of the Rollout"
    );
    Notice { id, warning: true, reason: "StatusRefused".to_owned(), message, at: now }
}

/// A command that is not waited for was dropped. Tells whether this is news.
pub fn dropped(seen: &Snapshot, status: &mut Status, asked: &Asked, now: Timestamp) -> bool {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let version = &seen.rollout.resource_version;
    let message =
        format!("{} was dropped: the Rollout does not wait for it (at {version})", asked.key);
    let before = status.outbox.len();
    let known = status.outbox.iter().any(|notice| {
        notice.reason == "CommandDropped" && notice.message.starts_with(&format!("{} ", asked.key))
    });
    if !known {
        push(seen, status, (number, 0), ("CommandDropped", true, message), now);
    }
    status.outbox.len() > before
}

/// A version that is to pass gates by is no candidate. Tells whether this is news.
pub fn no_candidate(
    seen: &Snapshot,
    status: &mut Status,
    (key, version): (&str, &str),
    now: Timestamp,
) -> bool {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let at = &seen.rollout.resource_version;
    let version: String = version.chars().take(64).collect();
    let begins = format!("{key}={version} was dropped: ");
    let message = format!("{begins}it is none of status.releaseCandidates (at {at})");
    let before = status.outbox.len();
    if !status.outbox.iter().any(|notice| notice.message.starts_with(&begins)) {
        push(seen, status, (number, 0), ("CommandDropped", true, message), now);
    }
    status.outbox.len() > before
}

/// Why a version is not taken at once as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unforced {
    /// It runs.
    Runs,
    /// The spec wants another one.
    Outranked,
    /// Nobody knows it.
    Unknown,
}

/// A version that is to be taken at once was dropped. Tells whether this is news.
pub fn unforced(
    seen: &Snapshot,
    status: &mut Status,
    (asked, why): (&Force, Unforced),
    now: Timestamp,
) -> bool {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let (reason, why) = match why {
        Unforced::Runs => ("CommandDropped", "it runs"),
        Unforced::Outranked => ("CommandDropped", "spec.wantedVersion names another one"),
        Unforced::Unknown if asked.back => (
            "VersionNotFound",
            "use the number of an attempt in status.history that had a release, or \"true\" for \
             the last that ended well and does not run",
        ),
        Unforced::Unknown => ("VersionNotFound", "it is none of status.availableReleases"),
    };
    let version: String = asked.version.chars().take(64).collect();
    let at = &seen.rollout.resource_version;
    let message = format!("{} {version:?} was dropped: {why} (at {at})", asked.key);
    let before = status.outbox.len();
    let begins = format!("{} ", asked.key);
    let known = |notice: &Notice| notice.reason == reason && notice.message.starts_with(&begins);
    if !status.outbox.iter().any(known) {
        push(seen, status, (number, 0), (reason, true, message), now);
    }
    status.outbox.len() > before
}

/// A command annotation has a value that is not understood.
pub fn rejected(seen: &Snapshot, status: &mut Status, rejected: &Rejected, now: Timestamp) {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let known = if rejected.key.ends_with("/conclude-experiment") {
        "\"A\", \"B\" or \"true\""
    } else {
        "\"true\" or <attempt>/<step>"
    };
    let message = format!("{}: unknown value {:?}, use {known}", rejected.key, rejected.value);
    push(seen, status, (number, 0), ("CommandRejected", true, message), now);
}

/// Holds that a person has to end and that are not shown yet.
pub fn of_holds(seen: &Snapshot, status: &mut Status, waits: &Waits, now: Timestamp) {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    for (hold, _) in &waits.holds {
        let shown = |w: &Waiting| w.kind == hold.code() && w.name == hold.object();
        let news = hold.ended_by() == EndedBy::Person && !seen.status.waiting.iter().any(shown);
        if news {
            let message = format!("waits: {}", hold.message());
            push(seen, status, (number, 0), (hold.code(), true, message), now);
        }
    }
}

/// A tag that runs was pushed again, and that is not shown yet.
pub fn of_moved(seen: &Snapshot, status: &mut Status, now: Timestamp) {
    let number = status.attempt.as_ref().map_or(0, |attempt| attempt.number);
    let moved = |c: &&Condition| c.kind == "TagMoved";
    let told = status.conditions.iter().find(moved).cloned();
    let before = seen.status.conditions.iter().find(moved);
    if let Some(told) = told.filter(|told| before.is_none_or(|b| b.message != told.message)) {
        push(seen, status, (number, 0), ("TagMoved", true, told.message), now);
    }
}

/// An attempt is about to take what a tag that runs has become.
pub fn repushed(seen: &Snapshot, status: &mut Status, attempt: &Attempt, now: Timestamp) {
    let known = seen.status.conditions.iter().any(|c| c.kind == "TagMoved");
    if let Some(moved) = digest::repushed(seen, &attempt.release).filter(|_| !known) {
        push(seen, status, (attempt.number, 0), ("TagMoved", true, moved.message()), now);
    }
}

fn what(attempt: &Attempt) -> String {
    let release = &attempt.release;
    match (release.version.is_empty(), release.image.is_empty()) {
        (false, _) => release.version.clone(),
        (true, false) => release.image.clone(),
        (true, true) => format!("revision {}", attempt.revision),
    }
}

fn push(
    seen: &Snapshot,
    status: &mut Status,
    (attempt, step): (u32, u32),
    (reason, warning, message): (&str, bool, String),
    now: Timestamp,
) {
    let mut hash = Sha256::new();
    let (number, step) = (attempt.to_string(), step.to_string());
    for part in [seen.rollout.uid.as_str(), &number, &step, reason, &message] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let id = hex(&hash.finalize(), 16);
    #[cfg(feature = "planted")]
    let id = if active(Bug::EventIdWithoutAttempt) {
        hex(&Sha256::digest(format!("{reason}{step}")), 16)
    } else {
        id
    };
    if status.outbox.iter().any(|notice| notice.id == id) {
        return;
    }
    let reason = reason.to_owned();
    status.outbox.push(Notice { id, warning, reason, message, at: now });
    let extra = status.outbox.len().saturating_sub(OUTBOX_MAX);
    status.outbox.drain(..extra);
}
