//! How long which pods stay.

use super::*;
use crate::decide::fixture::{at, at_rest, climbing, route};
use crate::decide::{stage, status};
use crate::model::moves::Write;
use crate::model::snapshot::Snapshot;
use crate::model::spec::Scale;
use crate::model::status::{Cause, Quarantined};
use crate::model::weight::Weight;

/// Attempt 2 ended in minute 1 for this cause, and its pods have no traffic since.
fn ended(cause: Cause) -> Snapshot {
    let mut seen = climbing(1, Some(at(0)));
    seen.routes[0].live = Ok(route((100, 0)));
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.stage = Stage::Ended { at: at(1), cause };
    attempt.weight = Weight::NONE;
    if cause.failed() {
        seen.status.quarantine.push(Quarantined {
            revision: attempt.revision.clone(),
            release: attempt.release.clone(),
            trigger: attempt.trigger,
            attempt: 2,
            since: at(1),
        });
    }
    seen.status.draining.push(Draining { revision: attempt.revision.clone(), since: Some(at(1)) });
    seen.replica_sets[1].quarantined = Some(2);
    seen
}

fn shown(seen: &Snapshot, minute: u64) -> String {
    match next(seen, at(minute)) {
        Ok(Act::Apply(writes)) => match writes.as_slice() {
            [Write::Resize { replicas, quarantine, .. }] => format!("{replicas}, {quarantine:?}"),
            other => format!("{other:?}"),
        },
        Ok(Act::Commit(status)) => format!("drains since {:?}", status.draining[0].since),
        Ok(other) => format!("{other:?}"),
        Err(None) => "stays".to_owned(),
        Err(Some(wake)) => format!("until minute {}", wake.since(at(0)).millis() / 60_000),
    }
}

#[test]
fn what_failed_stays_as_long_as_its_own_delay() {
    let (minutes, gone) = (|count: u64| Duration::from_secs(60 * count), "0, Some(2)");
    for (case, cause, abort, minute, want) in [
        ("a failure stays", Cause::Aborted, Some(minutes(9)), 9, "until minute 10"),
        ("and goes then", Cause::DeadlineExceeded, Some(minutes(9)), 10, gone),
        ("what failed may go sooner", Cause::Aborted, Some(minutes(0)), 1, gone),
        ("or not at all", Cause::Aborted, None, 9999, "stays"),
        ("a revert is no failure", Cause::Reverted, None, 5, "until minute 6"),
        ("and goes as an old side does", Cause::Reverted, Some(minutes(9)), 6, "0, None"),
    ] {
        let mut seen = ended(cause);
        (seen.spec.ladder.drain, seen.spec.ladder.abort_drain) = (minutes(5), abort);
        assert_eq!(shown(&seen, minute), want, "{case}");
    }
}

#[test]
fn pods_that_are_kept_go_with_the_next_attempt() {
    let kept = || {
        let mut seen = ended(Cause::Aborted);
        seen.spec.ladder.abort_drain = None;
        seen.status.draining.clear();
        seen
    };
    let mut seen = kept();
    seen.replica_sets[1].quarantined = None;
    assert_eq!(shown(&seen, 2), "2, Some(2)", "the failure is told by the pods");

    let mut seen = kept();
    seen.spec.replicas = 0;
    assert!(shown(&seen, 2).starts_with("drains since"), "no pods are wanted");

    let mut seen = kept();
    seen.status.attempt = at_rest().status.attempt;
    assert!(shown(&seen, 2).starts_with("drains since"), "another attempt began");
}

#[test]
fn a_step_that_wants_no_pods_drains_those_that_are_left() {
    let idle = || {
        let mut seen = climbing(1, Some(at(0)));
        let step = &mut seen.spec.ladder.steps[0];
        (step.weight, step.scale) = (Weight::NONE, Some(Scale::Count(0)));
        seen.routes[0].live = Ok(route((100, 0)));
        seen
    };
    let since = |since: u64| {
        let mut seen = idle();
        let revision = seen.status.attempt.as_ref().unwrap().revision.clone();
        seen.status.draining.push(Draining { revision, since: Some(at(since)) });
        seen.spec.ladder.drain = Duration::from_secs(120);
        seen
    };
    assert!(shown(&idle(), 2).starts_with("drains since"), "its traffic just went");
    assert_eq!(shown(&since(1), 2), "until minute 3");
    assert_eq!(shown(&since(1), 3), "0, None");
    let step = |seen: &Snapshot| match stage::advance(seen, at(2)) {
        Act::Wait(waits) => waits.holds.first().map(|(hold, _)| hold.code()),
        other @ (Act::Commit(_) | Act::Apply(_)) => panic!("{other:?}"),
    };
    assert_eq!(step(&since(1)), Some("Paused"), "the step is in force meanwhile");
    let mut climbed = since(1);
    climbed.spec.ladder.steps[0].weight = Weight::FULL;
    assert_eq!(shown(&climbed, 9), "stays", "it is to have traffic again");
    let projected = status::project(&climbed, climbed.status.clone(), &Default::default(), at(9));
    assert_eq!(projected.draining, [], "and its time begins anew");
}

#[test]
fn an_attempt_without_pods_leaves_its_number_before_its_image_goes() {
    let going_back = || {
        let mut seen = climbing(1, None);
        seen.replica_sets.pop();
        let service = seen.canary_service.as_mut().unwrap().live.as_mut().unwrap();
        service.selects = Some(seen.replica_sets[0].revision.clone());
        seen.routes[0].live = Ok(route((100, 0)));
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.stage = Stage::RollingBack { entered_at: at(1), cause: Cause::Aborted };
        seen
    };
    let with = |change: fn(&mut Snapshot)| {
        let mut seen = going_back();
        change(&mut seen);
        match stage::advance(&seen, at(1)) {
            Act::Apply(writes) => match writes.as_slice() {
                [Write::Resize { replicas, attempt, quarantine: None, .. }] => {
                    format!("{replicas} pods, attempt {attempt:?}")
                }
                [Write::SetImages(edits)] => edits[0].image.clone(),
                other => format!("{other:?}"),
            },
            other @ (Act::Commit(_) | Act::Wait(_)) => format!("{other:?}"),
        }
    };
    let lacks = |seen: &mut Snapshot| seen.replica_sets[0].desired = 3;
    assert_eq!(with(|_| ()), "4 pods, attempt Some(2)", "no other object would tell of it");
    assert_eq!(with(lacks), "4 pods, attempt None", "pods come before numbers");
    assert_eq!(with(|seen| seen.replica_sets[0].attempt = 2), "shop:1.0.0", "it tells");
    let expected = status::expected(&going_back(), &noted(&going_back()).unwrap());
    assert_eq!(expected, Default::default(), "no pod is waited for");
}
