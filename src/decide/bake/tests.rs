//! When a bake begins, when it is over, and what fails it.

use super::*;
use crate::decide::fixture::{at_rest, bound, delivered};
use crate::decide::{attempt, stage};
use crate::model::binding::Binding;
use crate::model::moves::Target;
use crate::model::status::{Side, Waiting};
use crate::model::template::Revision;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(60_000 * minute)
}

/// `shop:1.0.0` of attempt 2 bakes since minute 1, healthy since `since`, after something else.
fn baking(since: Option<Timestamp>) -> Snapshot {
    let mut seen = at_rest();
    seen.spec.bake_time = Some(Duration::from_secs(600));
    seen.spec.deploy_timeout = Some(Duration::from_secs(300));
    let previous = Revision::parse("bbbbbbbbbb").unwrap();
    let release = delivered("shop:0.9.0");
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.number = 2;
    attempt.started_at = at(0);
    attempt.stage = Stage::Baking { entered_at: at(1), since };
    attempt.previous = Some(Side { revision: previous, release, replicas: 0, ready: 0 });
    seen
}

fn check(health: Health, changed: i64, error: Option<i64>) -> Check {
    Check {
        namespace: "prod".to_owned(),
        name: "errors".to_owned(),
        health,
        message: "5 % errors".to_owned(),
        changed_at: Some(at(changed)),
        error_at: error.map(at),
        target: Target { name: "check".into(), uid: "c".into(), resource_version: "1".into() },
        reached: true,
        looked: true,
    }
}

fn told(act: Act) -> String {
    match act {
        Act::Commit(status) => match status.attempt.as_ref().map(|a| (&a.stage, a.kept)) {
            Some((Stage::Baking { since: Some(_), .. }, _)) => "bakes".to_owned(),
            Some((Stage::Completed { .. }, _)) => "completed".to_owned(),
            Some((Stage::RollingBack { cause, .. }, _)) => format!("back, {}", cause.as_str()),
            Some((Stage::Ended { cause, .. }, kept)) => format!("{} {kept}", cause.as_str()),
            other => format!("{other:?}"),
        },
        Act::Wait(Waits { holds, until }) => {
            let code = holds.first().map_or("nothing", |(hold, _)| hold.code());
            format!("{code}{}", until.map(|until| format!(" {until}")).unwrap_or_default())
        }
        Act::Apply(writes) => format!("{writes:?}"),
    }
}

fn next_at(seen: &Snapshot, minute: i64) -> String {
    told(next(seen, seen.status.attempt.as_ref().unwrap(), at(minute)))
}

#[test]
fn a_bake_begins_once_all_is_healthy_since_the_delivery() {
    use Health::{Healthy, Pending, Unhealthy};
    let timeout = at(6);
    for (case, checks, available, minute, want) in [
        ("nothing is asked", None, 4, 2, "bakes".to_owned()),
        ("pods are missing", None, 3, 2, format!("PodsNotReady {timeout}")),
        ("no check is selected yet", Some(vec![]), 4, 2, "bakes".to_owned()),
        ("healthy since", Some(vec![check(Healthy, 1, None)]), 4, 2, "bakes".to_owned()),
        (
            "healthy at the very time of the delivery",
            Some(vec![check(Healthy, 0, None)]),
            4,
            2,
            "bakes".to_owned(),
        ),
        (
            "healthy from before",
            Some(vec![check(Healthy, -1, None)]),
            4,
            2,
            format!("AwaitingHealth {timeout}"),
        ),
        (
            "not healthy yet",
            Some(vec![check(Healthy, 1, None), check(Pending, 1, None)]),
            4,
            2,
            format!("AwaitingHealth {timeout}"),
        ),
        (
            "an error from before is none",
            Some(vec![check(Unhealthy, 1, Some(-1))]),
            4,
            2,
            format!("AwaitingHealth {timeout}"),
        ),
        (
            "by a clock a minute ahead",
            Some(vec![check(Healthy, 3, None)]),
            4,
            2,
            "bakes".to_owned(),
        ),
        (
            "at a time that is to come",
            Some(vec![check(Healthy, 4, None)]),
            4,
            2,
            format!("AwaitingHealth {}", at(4)),
        ),
        ("too late", Some(vec![check(Pending, 1, None)]), 4, 6, "DeployTimeout false".to_owned()),
        (
            "an error at the very time of the delivery",
            Some(vec![check(Healthy, 1, Some(0))]),
            4,
            2,
            "BakeFailed false".to_owned(),
        ),
    ] {
        let mut seen = baking(None);
        seen.checks = checks;
        seen.replica_sets[0].available = available;
        assert_eq!(next_at(&seen, minute), want, "{case}");
    }
}

#[test]
fn after_an_absence_a_check_is_looked_at_before_it_is_late() {
    use Health::{Healthy, Pending};
    let again = |minute| format!("AwaitingHealth {}", at(minute) + LOOK_EVERY);
    for (case, health, looked, minute, want) in [
        ("time is left", Pending, false, 5, format!("AwaitingHealth {}", at(6))),
        ("what it says may be of long ago", Pending, false, 6, again(6)),
        ("it was looked at", Pending, true, 6, "DeployTimeout false".to_owned()),
        ("it is healthy by now", Healthy, true, 99, "bakes".to_owned()),
    ] {
        let mut seen = baking(None);
        seen.checks = Some(vec![Check { looked, ..check(health, 1, None) }]);
        assert_eq!(next_at(&seen, minute), want, "{case}");
    }
}

#[test]
fn what_is_delivered_after_an_absence_has_its_time_from_then_on() {
    let early = |seen: &mut Snapshot| seen.watched_since = at(0);
    let told = |change: fn(&mut Snapshot), value: &str, minute| {
        let mut seen = baking(None);
        seen.watched_since = at(90);
        seen.bindings = vec![Binding { ours: true, ..bound(Some(value)) }];
        change(&mut seen);
        match crate::decide::told(&seen, at(minute)) {
            Some(Act::Commit(status)) => {
                format!("from {}", status.attempt.unwrap().stage.entered_at())
            }
            Some(Act::Apply(writes)) => format!("{} write", writes.len()),
            other => format!("{other:?}"),
        }
    };
    let endless = |seen: &mut Snapshot| seen.spec.deploy_timeout = None;
    let baked = |seen: &mut Snapshot| {
        seen.status.attempt.as_mut().unwrap().stage =
            Stage::Baking { entered_at: at(1), since: Some(at(2)) };
    };
    let anew = |seen: &mut Snapshot| {
        seen.status.attempt.as_mut().unwrap().stage =
            Stage::Baking { entered_at: at(91), since: None };
    };
    assert_eq!(told(|_| (), "0.9.0", 91), format!("from {}", at(91)), "nothing was delivered");
    assert_eq!(told(anew, "0.9.0", 91), "1 write", "then it is");
    assert_eq!(told(|_| (), "1.0.0", 91), "None", "it was delivered before");
    assert_eq!(told(early, "0.9.0", 91), "1 write", "this process was there all the time");
    assert_eq!(told(endless, "0.9.0", 91), "1 write", "nothing is ever late");
    assert_eq!(told(baked, "0.9.0", 91), "1 write", "it was healthy already");
}

#[test]
fn a_bake_is_over_at_its_end_if_all_is_healthy() {
    use Health::{Healthy, Pending, Unhealthy};
    let end = at(12);
    for (case, check, minute, want) in [
        ("it runs", check(Healthy, 1, None), 11, format!("Baking {end}")),
        ("it is over at its end", check(Healthy, 1, None), 12, "completed".to_owned()),
        ("what is unknown meanwhile", check(Pending, 5, None), 6, format!("Baking {end}")),
        ("but not at the end", check(Pending, 5, None), 12, "AwaitingHealth".to_owned()),
        ("what is so again has to stay", check(Healthy, 5, None), 12, format!("Baking {}", at(15))),
        ("as long as all else", check(Healthy, 5, None), 15, "completed".to_owned()),
        ("at a time to come", check(Healthy, 16, None), 12, format!("AwaitingHealth {}", at(16))),
        ("an error fails it", check(Healthy, 6, Some(5)), 7, "BakeFailed false".to_owned()),
        ("so does one without a time", check(Unhealthy, 5, None), 7, "BakeFailed false".to_owned()),
    ] {
        let mut seen = baking(Some(at(2)));
        seen.checks = Some(vec![check]);
        assert_eq!(next_at(&seen, minute), want, "{case}");
    }
    let mut seen = baking(None);
    seen.spec.bake_time = None;
    assert_eq!(next_at(&seen, 2), "completed", "without a bake time it is over at once");
}

#[test]
fn what_fails_goes_or_stays_as_the_spec_says() {
    let mut seen = baking(Some(at(2)));
    seen.checks = Some(vec![check(Health::Unhealthy, 5, Some(5))]);
    assert_eq!(next_at(&seen, 6), "BakeFailed false", "its predecessor has no pods to go back to");
    let previous = seen.status.attempt.as_ref().unwrap().previous.clone().unwrap();
    let mut old = seen.replica_sets[0].clone();
    old.revision = previous.revision.clone();
    seen.replica_sets.push(old);
    let act = next(&seen, seen.status.attempt.as_ref().unwrap(), at(6));
    let Act::Commit(status) = &act else { panic!("{act:?}") };
    assert_eq!(status.stable.as_ref().unwrap().revision, previous.revision);
    assert_eq!(status.quarantine.len(), 1);
    let bake = status.attempt.as_ref().unwrap().bake.clone().unwrap();
    assert_eq!(
        (bake.result, bake.started_at, bake.failed.len()),
        (BakeResult::Failed, Some(at(2)), 1)
    );
    assert_eq!(told(act), "back, BakeFailed");
    seen.spec.on_failure = OnFailure::Hold;
    let act = next(&seen, seen.status.attempt.as_ref().unwrap(), at(6));
    let Act::Commit(status) = &act else { panic!("{act:?}") };
    assert_eq!((status.quarantine.len(), status.history.len()), (0, 1), "it stays");
    assert_eq!(told(act), "BakeFailed true");
}

#[test]
fn only_what_is_asked_delays_a_completion() {
    for (case, bake, workload, want) in [
        ("nothing is asked", None, true, "completed"),
        ("a bake", Some(Duration::from_secs(1)), true, "Baking"),
    ] {
        let mut seen = at_rest();
        (seen.spec.bake_time, seen.spec.workload) = (bake, workload);
        let mut status = seen.status.clone();
        status.attempt.as_mut().unwrap().stage = Stage::Promoting { entered_at: at(0) };
        enter(&seen, &mut status, at(1));
        let stage = status.attempt.as_ref().unwrap().stage.clone();
        let word = if matches!(stage, Stage::Baking { .. }) { "Baking" } else { "completed" };
        assert_eq!(word, want, "{case}");
    }
}

#[test]
fn behind_a_release_that_was_not_proven_stands_the_last_that_was() {
    let side = |name: &str| Side {
        revision: Revision::parse(name).unwrap(),
        release: delivered("shop:0.9.0"),
        replicas: 0,
        ready: 0,
    };
    let proven = side("bbbbbbbbbb");
    let mut seen = baking(None);
    let stable = seen.status.stable.as_ref().unwrap().revision.clone();
    let own = Side { revision: side("cccccccccc").revision, ..proven.clone() };
    for (case, carried, want) in [
        ("nothing is carried: the one before", None, stable.clone()),
        ("the proven one is", Some(proven.clone()), proven.revision.clone()),
        ("it is the one that comes back", Some(own.clone()), stable),
    ] {
        let attempt = seen.status.attempt.as_mut().unwrap();
        (attempt.revision, attempt.previous) = (own.revision.clone(), carried);
        let mut status = seen.status.clone();
        enter(&seen, &mut status, at(3));
        assert_eq!(status.attempt.unwrap().previous.unwrap().revision, want, "{case}");
    }
    let mut kept = baking(Some(at(2)));
    kept.status.attempt.as_mut().unwrap().kept = true;
    let status = attempt::again(&kept, at(9)).unwrap();
    let attempt = status.attempt.unwrap();
    assert_eq!(attempt.previous, kept.status.attempt.as_ref().unwrap().previous, "tried again");
    let mut status = kept.status.clone();
    status.attempt.as_mut().unwrap().stage = Stage::Ended { at: at(3), cause: Cause::BakeFailed };
    mark(&kept, &mut status, at(9)).unwrap();
    assert_eq!(status.attempt.unwrap().previous, None, "marked as successful it is proven");
}

#[test]
fn pods_that_die_while_it_bakes_fail_it_as_the_spec_says() {
    for (on_failure, want) in [
        (OnFailure::Hold, "DeadlineExceeded true"),
        (OnFailure::Rollback, "DeadlineExceeded false"),
    ] {
        let mut seen = baking(Some(at(2)));
        seen.spec.on_failure = on_failure;
        seen.replica_sets[0].available = 0;
        seen.replica_sets[0].ready = 0;
        seen.status.waiting = vec![Waiting {
            kind: "PodsNotReady".to_owned(),
            name: "shop".to_owned(),
            since: at(1),
            until: None,
            automatic: true,
            message: "0 of 4 pods are ready".to_owned(),
            command: None,
        }];
        assert_eq!(told(stage::advance(&seen, at(30))), want);
    }
}
