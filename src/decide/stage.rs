//! Stage: how an attempt goes from one stage to the next. Start reading at [`advance`].

use std::borrow::Cow;

use crate::decide::act::{Act, Next, Step, Waits};
use crate::decide::bake;
use crate::decide::binding;
use crate::decide::drain;
use crate::decide::ending;
use crate::decide::experiment;
use crate::decide::notice;
use crate::decide::order;
use crate::decide::pods;
use crate::decide::release;
use crate::decide::routes;
use crate::decide::side;
use crate::decide::status;
use crate::decide::switch;
use crate::decide::way::{self, Way};
use crate::model::hold::Hold;
use crate::model::moment::Timestamp;
use crate::model::snapshot::Snapshot;
#[cfg(feature = "planted")]
use crate::model::spec::Spec;
use crate::model::spec::{Pause, Step as Rung};
use crate::model::status::{Attempt, Bake, BakeResult, Cause, Stage, Status};
use crate::model::template::Revision;
use crate::model::weight::Weight;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Brings the present stage into force, and goes on to the next one once it is.
pub fn advance(seen: &Snapshot, now: Timestamp) -> Act {
    let drained = drain::next(seen, now);
    let act = match drained {
        Ok(act) => return act,
        Err(wake) => match &seen.status.attempt {
            None => Act::Wait(Waits::wake(wake)),
            Some(attempt) => with_wake(stage(seen, attempt, now), wake),
        },
    };
    match act {
        Act::Wait(waits) if waits.holds.is_empty() => drain::trim(seen).unwrap_or(Act::Wait(waits)),
        act @ (Act::Wait(_) | Act::Commit(_) | Act::Apply(_)) => act,
    }
}

/// Keeps what is in force as it is: an attempt at another template does not go on, but is still
/// healthy or fails; all else goes on.
pub fn stand(seen: &Snapshot, now: Timestamp) -> Act {
    match seen.status.attempt.as_ref().map(|attempt| &attempt.stage) {
        Some(Stage::Step { .. } | Stage::First { .. }) => {
            let act = advance(seen, now);
            let stage = |status: &Status| status.attempt.as_ref().map(|a| a.stage.clone());
            let goes_on = |status: &Status| {
                let next = stage(status);
                let ends = matches!(next, Some(Stage::RollingBack { .. } | Stage::Ended { .. }));
                next != stage(&seen.status) && !ends
            };
            match act {
                Act::Commit(status) if goes_on(&status) => {
                    Act::Wait(Waits::wake(drain::next(seen, now).err().flatten()))
                }
                Act::Commit(_) | Act::Apply(_) | Act::Wait(_) => act,
            }
        }
        Some(
            Stage::Promoting { .. }
            | Stage::Baking { .. }
            | Stage::RollingBack { .. }
            | Stage::Completed { .. }
            | Stage::Ended { .. },
        )
        | None => advance(seen, now),
    }
}

fn with_wake(act: Act, wake: Option<Timestamp>) -> Act {
    match act {
        Act::Wait(waits) => Act::Wait(waits.and_wake(wake)),
        Act::Commit(_) | Act::Apply(_) => act,
    }
}

fn stage(seen: &Snapshot, attempt: &Attempt, now: Timestamp) -> Act {
    #[cfg(feature = "planted")]
    if seen.spec.paused && active(Bug::PausedStillWrites) {
        let spec = Spec { paused: false, ..seen.spec.clone() };
        return stage(&Snapshot { spec, ..seen.clone() }, attempt, now);
    }
    let revision = &attempt.revision;
    match &attempt.stage {
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
            if seen.spec.paused =>
        {
            kept(seen, Hold::Suspended)
        }
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
            if seen.spec.replicas == 0 =>
        {
            scaled_to_zero(seen)
        }
        Stage::First { entered_at } => {
            let act = timed(seen, first(seen, revision), *entered_at, now, |status| {
                bake::enter(seen, status, now);
            });
            fed(seen, act, now)
        }
        Stage::Step { number, entered_at, paused_at } => {
            let act = fed(seen, step(seen, attempt, (*number, *entered_at, *paused_at), now), now);
            if stable_lost(seen) { act.with(Hold::NoHealthyBackend) } else { act }
        }
        Stage::Promoting { entered_at } => {
            let step = order::promotion(seen, revision);
            timed(seen, step, *entered_at, now, |status| bake::enter(seen, status, now))
        }
        Stage::Baking { .. } => baking(seen, attempt, now),
        Stage::RollingBack { cause, .. } => roll_back(seen, *cause, now),
        Stage::Completed { .. } | Stage::Ended { .. } => at_rest(seen),
    }
}

/// Nothing moves but the sizes, where the replicas change.
fn kept(seen: &Snapshot, hold: Hold) -> Act {
    match sizes(seen) {
        Err(Next::Write(writes)) => Act::Apply(writes),
        Ok(()) | Err(Next::Hold(_)) => Act::hold(hold),
    }
}

/// No pod is wanted, so none can prove anything: the attempt stands, traffic stays as it is.
fn scaled_to_zero(seen: &Snapshot) -> Act {
    let pods = seen.replica_sets.iter().filter(|rs| rs.owned && rs.desired > 0);
    let steps: Vec<_> = pods.map(|rs| order::resized(seen, &rs.revision, 0)).collect();
    let writes: Vec<_> = steps
        .into_iter()
        .filter_map(|step| match step {
            Err(Next::Write(writes)) => Some(writes),
            Ok(()) | Err(Next::Hold(_)) => None,
        })
        .flatten()
        .collect();
    if writes.is_empty() { Act::hold(Hold::ScaledToZero) } else { Act::Apply(writes) }
}

fn commit(seen: &Snapshot, change: impl FnOnce(&mut Status)) -> Act {
    let mut status = seen.status.clone();
    change(&mut status);
    Act::Commit(Box::new(status))
}

/// One step of the ladder: its weight in force, then its pause, then the next one.
fn step(
    seen: &Snapshot,
    attempt: &Attempt,
    (number, entered_at, paused_at): (u32, Timestamp, Option<Timestamp>),
    now: Timestamp,
) -> Act {
    let Some(step) = seen.spec.ladder.stands(number) else {
        return Act::Wait(Waits::default());
    };
    let toward = rung(seen, &attempt.revision, &step);
    let pause = if attempt.unpaused { Pause::None } else { step.pause };
    let Some(paused_at) = paused_at else {
        return timed(seen, toward, entered_at, now, |status| match pause {
            Pause::None => next(seen, status, now),
            Pause::For(_) | Pause::UntilPromoted | Pause::UntilConcluded(_) => {
                paused(seen, status, pause, now);
            }
        });
    };
    #[cfg(feature = "planted")]
    let paused_at = if active(Bug::PauseFromEntry) { entered_at } else { paused_at };
    let end = experiment::ends_at(seen, pause, paused_at);
    match (toward, pause) {
        // Whatever state it is in.
        (_, Pause::UntilConcluded(_)) if end.is_some_and(|end| end <= now) => {
            commit(seen, |status| experiment::decide(status, now))
        }
        (Err(Next::Write(writes)), _) => late(seen, now).unwrap_or(Act::Apply(writes)),
        (Err(Next::Hold(hold)), _) => late(seen, now)
            .unwrap_or_else(|| Act::Wait(Waits::of(hold).and_wake(late_at(seen)).and_wake(end))),
        (Ok(()), Pause::None) => commit(seen, |status| next(seen, status, now)),
        (Ok(()), Pause::For(length)) if paused_at + length <= now => {
            commit(seen, |status| next(seen, status, now))
        }
        #[cfg(feature = "planted")]
        (Ok(()), Pause::For(_)) if active(Bug::PauseTimerNotArmed) => Act::hold(Hold::Paused),
        (Ok(()), Pause::For(length)) => Act::Wait(Waits::until(Hold::Paused, paused_at + length)),
        (Ok(()), Pause::UntilPromoted) => Act::hold(Hold::AwaitingPromotion),
        (Ok(()), Pause::UntilConcluded(_)) => match end {
            Some(end) if attempt.concludes => Act::Wait(Waits::until(Hold::Concluding, end)),
            Some(end) => Act::Wait(Waits::until(Hold::Experimenting, end)),
            None => Act::hold(Hold::AwaitingConclusion),
        },
    }
}

/// Tells whether the ReplicaSet of stable is gone, so that nothing can be gone back to.
fn stable_lost(seen: &Snapshot) -> bool {
    let stable = seen.status.stable.as_ref();
    stable.is_some_and(|side| side::replica_set(seen, &side.revision).is_none())
}

/// A stage that has to be in force within the progress deadline.
fn timed(
    seen: &Snapshot,
    toward: Step,
    since: Timestamp,
    now: Timestamp,
    reached: impl FnOnce(&mut Status),
) -> Act {
    let end = since + seen.spec.deadline;
    let delivered = seen.status.attempt.as_ref().is_some_and(|attempt| attempt.delivered);
    let counts = seen.spec.replicas > 0 && delivered;
    match toward {
        Ok(()) => commit(seen, reached),
        Err(Next::Write(_)) | Err(Next::Hold(_)) if counts && end <= now => fail(seen, now),
        Err(Next::Write(writes)) => Act::Apply(writes),
        #[cfg(feature = "planted")]
        Err(Next::Hold(hold)) if active(Bug::DeadlineTimerNotArmed) => Act::hold(hold),
        Err(Next::Hold(hold)) if counts => Act::Wait(Waits::of(hold).and_wake(Some(end))),
        Err(Next::Hold(hold)) => Act::hold(hold),
    }
}

/// A step that was in force and no longer is: over when it stays so for the progress deadline.
fn late(seen: &Snapshot, now: Timestamp) -> Option<Act> {
    (late_at(seen)? <= now && seen.spec.replicas > 0).then(|| fail(seen, now))
}

fn late_at(seen: &Snapshot) -> Option<Timestamp> {
    #[cfg(feature = "planted")]
    if active(Bug::DeadStepHeld) {
        return None;
    }
    let waiting = seen.status.waiting.first()?;
    status::unhealthy(&waiting.kind).then(|| waiting.since + seen.spec.deadline)
}

fn fail(seen: &Snapshot, now: Timestamp) -> Act {
    let cause = Cause::DeadlineExceeded;
    let attempt = seen.status.attempt.as_ref();
    if attempt.is_some_and(|attempt| matches!(attempt.stage, Stage::Baking { .. })) {
        let missing = seen.status.waiting.first().map(|waiting| waiting.message.clone());
        return bake::failed(seen, (cause, missing.unwrap_or_default()), now);
    }
    commit(seen, |status| fail_climb(seen, status, cause, now))
}

fn fail_climb(seen: &Snapshot, status: &mut Status, cause: Cause, now: Timestamp) {
    if status.stable.is_none() {
        fail_first(seen, status, cause, now);
    } else {
        ending::roll_back(status, cause, now);
    }
}

/// A release that Flux is to bring into the template fails where Flux cannot, and is waited for
/// until it did.
fn fed(seen: &Snapshot, act: Act, now: Timestamp) -> Act {
    if release::pending(seen).is_none() {
        return act;
    }
    if let Some(message) = binding::unfed(seen) {
        let (result, failed) = (BakeResult::Failed, Vec::new());
        let bake = Bake { result, started_at: None, ended_at: now, message, failed };
        return commit(seen, |status| {
            if let Some(attempt) = &mut status.attempt {
                attempt.bake = Some(bake);
            }
            fail_climb(seen, status, Cause::DeliveryFailed, now);
        });
    }
    match (act, binding::feeding(seen)) {
        (Act::Wait(waits), Some(hold)) => {
            let wake = waits.until;
            // Of a template that is not there no pods can be made yet: that is no other reason.
            let others = waits.holds.into_iter().map(|(other, _)| other);
            let others = others.filter(|other| *other != Hold::NoHealthyBackend);
            with_wake(others.fold(Act::hold(hold), Act::with), wake)
        }
        (act, _) => act,
    }
}

/// Ends a first revision that never came up: there is nothing to go back to, its pods stay.
pub fn fail_first(seen: &Snapshot, status: &mut Status, cause: Cause, now: Timestamp) {
    ending::quarantine(status, cause, now);
    ending::close(seen, status, Some(cause), now);
    notice::failed(seen, status, cause, now);
}

fn paused(seen: &Snapshot, status: &mut Status, pause: Pause, now: Timestamp) {
    if let Some(Attempt { stage: Stage::Step { paused_at, .. }, .. }) = &mut status.attempt {
        *paused_at = Some(now);
    }
    notice::paused(seen, status, pause, now);
}

/// Goes on from a step: to the next one, to the promotion, or to the end.
pub fn next(seen: &Snapshot, status: &mut Status, now: Timestamp) {
    let Some(attempt) = &mut status.attempt else { return };
    let Stage::Step { number, .. } = attempt.stage else { return };
    if number < seen.spec.ladder.last() {
        enter(seen, status, number + 1, now);
    } else if seen.spec.ladder.routed() {
        attempt.stage = Stage::Promoting { entered_at: now };
    } else {
        bake::enter(seen, status, now);
    }
}

/// Enters a step.
pub fn enter(seen: &Snapshot, status: &mut Status, number: u32, now: Timestamp) {
    if let Some(attempt) = &mut status.attempt {
        attempt.stage = Stage::Step { number, entered_at: now, paused_at: None };
        let weight = seen.spec.ladder.step(number).map_or(Weight::FULL, |step| step.weight);
        (attempt.weight, attempt.concludes) = (weight, false);
        attempt.highest = attempt.highest.max(weight);
    }
    notice::entered(seen, status, number, now);
}

/// What a release that has all traffic needs stays as it is, or it fails while it bakes.
fn baking(seen: &Snapshot, attempt: &Attempt, now: Timestamp) -> Act {
    match at_rest(seen) {
        act @ (Act::Commit(_) | Act::Apply(_)) => late(seen, now).unwrap_or(act),
        Act::Wait(waits) => match bake::next(seen, attempt, now) {
            act @ (Act::Commit(_) | Act::Apply(_)) => act,
            Act::Wait(bakes) => late(seen, now).unwrap_or_else(|| {
                let mut act = Act::Wait(bakes.and_wake(waits.until).and_wake(late_at(seen)));
                for (hold, _) in waits.holds {
                    act = act.with(hold);
                }
                act
            }),
        },
    }
}

/// Traffic first, then the image; the pods go once they are drained.
fn roll_back(seen: &Snapshot, cause: Cause, now: Timestamp) -> Act {
    if !seen.spec.workload {
        // What was delivered before is written already, as far as it can be.
        return commit(seen, |status| {
            ending::close(seen, status, Some(cause), now);
            notice::failed(seen, status, cause, now);
        });
    }
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else {
        return commit(seen, |status| ending::close(seen, status, Some(cause), now));
    };
    #[cfg(feature = "planted")]
    if let Some(attempt) = seen.status.attempt.as_ref().filter(|_| seen.spec.ladder.routed())
        && active(Bug::ShrinkBeforeWeight)
        && let Err(Next::Write(writes)) = order::resized(seen, &attempt.revision, 1)
    {
        return Act::Apply(writes);
    }
    match all_on(&patient(seen, now), stable) {
        Err(Next::Write(writes)) => return Act::Apply(writes),
        Err(Next::Hold(hold)) => {
            let wake = back_at(seen).filter(|at| now < *at);
            return with_wake(Act::hold(hold), wake);
        }
        Ok(()) => {}
    }
    if let Some(writes) = drain::noted(seen) {
        return Act::Apply(writes);
    }
    if let Some(act) = release::put_back(seen).filter(|_| cause.bars()) {
        return act;
    }
    commit(seen, |status| {
        ending::close(seen, status, Some(cause), now);
        notice::failed(seen, status, cause, now);
    })
}

/// From when on a way back does not wait any more for each pod that a stable side lacks which had
/// only those that its weight needed.
fn back_at(seen: &Snapshot) -> Option<Timestamp> {
    let attempt = seen.status.attempt.as_ref().filter(|_| seen.spec.ladder.dynamic_stable)?;
    match attempt.stage {
        Stage::RollingBack { entered_at, .. } => Some(entered_at + seen.spec.deadline),
        Stage::First { .. }
        | Stage::Step { .. }
        | Stage::Promoting { .. }
        | Stage::Baking { .. }
        | Stage::Completed { .. }
        | Stage::Ended { .. } => None,
    }
}

/// What was seen, with a stable side that takes all at once where it took too long.
fn patient(seen: &Snapshot, now: Timestamp) -> Cow<'_, Snapshot> {
    if back_at(seen).is_none_or(|at| now < at) {
        return Cow::Borrowed(seen);
    }
    let mut seen = seen.clone();
    seen.spec.ladder.dynamic_stable = false;
    Cow::Owned(seen)
}

/// What the first revision needs next.
fn first(seen: &Snapshot, revision: &Revision) -> Step {
    match way::of(seen) {
        Way::Route => order::first(seen, revision),
        Way::Switch => switch::first(seen, revision),
        Way::Pods => pods::first(seen, revision),
    }
}

/// What a step of the ladder needs next.
fn rung(seen: &Snapshot, revision: &Revision, rung: &Rung) -> Step {
    match way::of(seen) {
        Way::Route => order::ladder(seen, revision, rung),
        Way::Switch => switch::ladder(seen, revision, rung),
        Way::Pods => pods::ladder(seen, revision, rung.weight),
    }
}

/// What all traffic on a revision needs next.
fn all_on(seen: &Snapshot, revision: &Revision) -> Step {
    match way::of(seen) {
        // The Rollout leaves a route that leads nowhere any more.
        Way::Route if seen.instead.is_some() && side::gone(seen) => {
            order::without_route(seen, revision)
        }
        Way::Route => order::stable(seen, revision),
        Way::Switch => switch::stable(seen, revision),
        Way::Pods => pods::stable(seen, revision),
    }
}

/// What the sizes of the sides need next while the ladder is held.
fn sizes(seen: &Snapshot) -> Step {
    match way::of(seen) {
        Way::Route | Way::Switch => order::sizes(seen),
        Way::Pods => pods::sizes(seen),
    }
}

/// All routes that the Rollout names are there.
fn complete_routes(seen: &Snapshot) -> Step {
    if !seen.spec.ladder.routed() {
        return Ok(());
    }
    routes::all(seen).map(|_| ()).map_err(Next::Hold)
}

/// Nothing climbs: sizes, Services and weights are kept as they are to be.
fn at_rest(seen: &Snapshot) -> Act {
    if !seen.spec.workload {
        return Act::Wait(Waits::default());
    }
    #[cfg(feature = "planted")]
    if let Some(attempt) = seen.status.attempt.as_ref().filter(|_| seen.status.stable.is_none())
        && active(Bug::FirstAbortScalesDown)
        && let Err(Next::Write(writes)) = order::resized(seen, &attempt.revision, 0)
    {
        return Act::Apply(writes);
    }
    let Some(stable) = seen.status.stable.as_ref().map(|side| &side.revision) else {
        return Act::Wait(Waits::default());
    };
    match all_on(seen, stable).and_then(|()| complete_routes(seen)) {
        Err(Next::Write(writes)) => Act::Apply(writes),
        Err(Next::Hold(hold)) if hold.blocks() || hold == Hold::NoHealthyBackend => Act::hold(hold),
        Err(Next::Hold(_)) | Ok(()) => Act::Wait(Waits::default()),
    }
}
