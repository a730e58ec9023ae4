//! What people choose while a release bakes, has failed or waits at a gate, and what is noted of
//! it: the questions of kuberik's own tests (docs/migration/kuberik-tests.md).

use crate::decide::act::{Act, Waits};
use crate::decide::attempt::{self, Start};
use crate::decide::fixture::{at, at_rest, delivered, release};
use crate::decide::{bake, command, pick, status};
use crate::model::command::Intent;
use crate::model::gate::{Asks, Bypass, Gate};
use crate::model::health::{Check, Health};
use crate::model::moment::{Duration, Timestamp};
use crate::model::moves::{Target, Write};
use crate::model::release::Listed;
use crate::model::snapshot::{Offer, Releases, Snapshot};
use crate::model::status::{BakeResult, Cause, Entry, Stage, Status, Trigger};
use crate::model::weight::Weight;

type Change = fn(&mut Snapshot);

const BAKING: Stage = Stage::Baking { entered_at: Timestamp::from_millis(0), since: None };

/// `shop:1.0.0` was delivered and bakes for ten minutes; 1.1.0 and 1.2.0 are there.
fn stands(stage: Stage) -> Snapshot {
    let mut seen = at_rest();
    seen.spec.workload = false;
    seen.spec.bake_time = Some(Duration::from_secs(600));
    seen.replica_sets.clear();
    let older = vec![release("1.1.0"), release("1.0.0")];
    seen.offer = Offer::Releases(Releases::newest(release("1.2.0"), older));
    seen.status.attempt.as_mut().unwrap().stage = stage;
    seen
}

/// The same at minute 1, healthy since minute 0.
fn bakes() -> Snapshot {
    stands(Stage::Baking { entered_at: at(0), since: Some(at(0)) })
}

/// The same where it failed its bake and stays.
fn failed() -> Snapshot {
    let mut seen = stands(Stage::Ended { at: at(0), cause: Cause::BakeFailed });
    seen.status.attempt.as_mut().unwrap().kept = true;
    seen
}

fn wants(seen: &mut Snapshot) {
    seen.spec.wanted_version = Some("1.1.0".to_owned());
}

/// The source offers what runs and nothing newer.
fn alone(seen: &mut Snapshot) {
    seen.offer = Offer::Releases(Releases::one(release("1.0.0")));
}

fn wants_it(seen: &mut Snapshot) {
    seen.spec.wanted_version = Some("1.0.0".to_owned());
}

fn forces(seen: &mut Snapshot) {
    let release = release("1.2.0");
    seen.status.pin = Some(pick::force(seen, &release, at(0)));
}

fn unblocks(seen: &mut Snapshot) {
    seen.status.attempt.as_mut().unwrap().unblocked = true;
}

fn gated(seen: &mut Snapshot) {
    let asks = Asks::Passing { passing: false, allowed: None, turns_at: None };
    seen.gates.push(Gate { name: "freeze".to_owned(), asks });
}

fn bypasses(seen: &mut Snapshot) {
    seen.status.bypass = Some(Bypass { version: "1.2.0".to_owned(), since: at(0) });
}

fn found(name: &str, health: Health, message: &str) -> Check {
    let target = Target { name: name.into(), uid: name.into(), resource_version: "1".into() };
    Check {
        namespace: "prod".to_owned(),
        name: name.to_owned(),
        health,
        message: message.to_owned(),
        changed_at: Some(at(0)),
        error_at: None,
        target,
        reached: true,
        looked: true,
    }
}

fn ill(seen: &mut Snapshot) {
    seen.checks = Some(vec![found("errors", Health::Unhealthy, "5 % errors")]);
}

/// The status with the next attempt, or the hold.
fn started(seen: &Snapshot) -> Result<Status, &'static str> {
    match attempt::start(seen, at(1)) {
        Start::Commit(status) => Ok(*status),
        Start::Hold(hold) | Start::Stop(hold) => Err(hold.code()),
        Start::Nothing => Err("nothing"),
        Start::Apply(_) => Err("an image"),
    }
}

fn check(seen: Snapshot, changes: &[Change], want: &str, case: &str) {
    let mut seen = seen;
    changes.iter().for_each(|change| change(&mut seen));
    let tag = |status: Status| status.attempt.unwrap().release.tag;
    assert_eq!(started(&seen).map(tag).unwrap_or_else(str::to_owned), want, "{case}");
}

#[test]
fn a_bake_that_goes_well_is_waited_for_unless_a_person_chose() {
    for (case, seen, changes, want) in [
        ("it bakes", bakes(), &[][..], "nothing"),
        ("it is not healthy yet: a newer one takes its place", stands(BAKING), &[], "1.2.0"),
        ("a version is wanted", bakes(), &[wants as Change], "1.1.0"),
        ("a version is forced", bakes(), &[forces], "1.2.0"),
        ("what is wanted goes before what is forced", bakes(), &[forces, wants], "1.1.0"),
        ("a person's choice asks no gate", bakes(), &[wants, gated], "1.1.0"),
        ("and no check", bakes(), &[wants, ill], "1.1.0"),
    ] {
        check(seen, changes, want, case);
    }
    let mut seen = bakes();
    wants(&mut seen);
    let entry = started(&seen).unwrap().history.remove(0);
    assert_eq!(entry.cause, Some(Cause::Superseded));
    assert_eq!(entry.bake.unwrap().result, BakeResult::Cancelled);
}

#[test]
fn what_failed_and_stays_is_left_only_as_a_person_says() {
    for (case, changes, want) in [
        ("it keeps all others back", &[][..], "FailedRelease"),
        ("people are told of it though there is no other", &[alone as Change], "FailedRelease"),
        ("and where it is what is wanted", &[alone, wants_it], "FailedRelease"),
        ("and whatever a gate says", &[gated], "FailedRelease"),
        ("none is told once it was unblocked", &[alone, unblocks], "nothing"),
        ("until it does not", &[unblocks as Change], "1.2.0"),
        ("which opens no gate", &[unblocks, gated], "GateClosed"),
        ("but for the version that passes by", &[unblocks, gated, bypasses], "1.2.0"),
        ("that alone does not unblock", &[gated, bypasses], "FailedRelease"),
        ("nor is a check passed by", &[unblocks, bypasses, ill], "UnhealthyCheck"),
        ("a version is wanted", &[wants], "1.1.0"),
        ("a version is forced", &[forces], "1.2.0"),
    ] {
        check(failed(), changes, want, case);
    }
}

#[test]
fn candidates_are_listed_whatever_the_attempt_does() {
    let tags = |seen: &Snapshot| {
        let (newer, open) = pick::candidates(seen, at(1));
        let tags = |all: Vec<_>| {
            let all = all.into_iter().map(|one: Listed| one.tag);
            all.collect::<Vec<_>>().join(" ")
        };
        (tags(newer), tags(open))
    };
    let both = || "1.2.0 1.1.0".to_owned();
    for seen in [stands(BAKING), bakes(), failed(), stands(Stage::Completed { at: at(0) })] {
        assert_eq!(tags(&seen), (both(), both()));
    }
    let mut seen = failed();
    gated(&mut seen);
    assert_eq!(tags(&seen), (both(), String::new()), "the gate lets none through");
}

#[test]
fn what_is_taken_is_no_candidate_any_more() {
    let mut seen = stands(Stage::Completed { at: at(0) });
    for (case, wanted, want) in [("the newest", None, ""), ("an older one", Some("1.1.0"), "1.2.0")]
    {
        seen.spec.wanted_version = wanted.map(str::to_owned);
        let status = started(&seen).unwrap();
        let status = status::project(&seen, status, &Waits::default(), at(1));
        for list in [status.candidates, status.gated] {
            let tags: Vec<_> = list.into_iter().map(|one| one.tag).collect();
            assert_eq!(tags.join(" "), want, "{case}");
        }
    }
}

#[test]
fn who_asks_is_stored_once_and_noted_for_what_they_chose_only() {
    let mut seen = stands(Stage::Completed { at: at(0) });
    let intent = Intent { user: "jo".to_owned(), message: "as agreed".to_owned() };
    let keys = vec!["stairlock.dev/deploy-user".to_owned()];
    seen.commands.intent = Some((keys.clone(), intent.clone()));
    let Some(Act::Commit(status)) = command::take(&seen, at(1)) else { panic!("not stored") };
    seen.status = *status;
    let removed = Write::TakeCommands { remove: keys, accept: None };
    assert_eq!(command::take(&seen, at(1)), Some(Act::Apply(vec![removed])));
    for (case, change, want) in [
        ("by itself", (|_| ()) as Change, None),
        ("wanted", wants, Some(&intent)),
        ("forced", forces, Some(&intent)),
    ] {
        let mut seen = seen.clone();
        change(&mut seen);
        let status = started(&seen).unwrap();
        assert_eq!(status.attempt.unwrap().intent.as_ref(), want, "{case}");
        assert_eq!(status.intent, None, "{case}: it is for one attempt");
    }
}

#[test]
fn all_that_is_not_well_in_time_is_recorded() {
    let mut seen = stands(BAKING);
    seen.spec.deploy_timeout = Some(Duration::from_secs(60));
    seen.checks = Some(vec![
        found("errors", Health::Unhealthy, "5 % errors"),
        found("fine", Health::Healthy, ""),
        found("slow", Health::Pending, ""),
    ]);
    let attempt = seen.status.attempt.as_ref().unwrap();
    let Act::Commit(status) = bake::next(&seen, attempt, at(1)) else { panic!("it goes on") };
    let bake = status.attempt.unwrap().bake.unwrap();
    let failed = bake.failed.iter().map(|check| (check.name.as_str(), check.message.as_str()));
    assert_eq!(failed.collect::<Vec<_>>(), [("errors", "5 % errors"), ("slow", "")]);
    assert_eq!((bake.result, bake.ended_at), (BakeResult::Failed, at(1)));
}

#[test]
fn numbers_go_on_beyond_what_history_keeps() {
    let mut seen = stands(BAKING);
    seen.spec.history_max = 2;
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.number = 40;
    let revision = attempt.revision.clone();
    let entry = |number| Entry {
        number,
        release: delivered("shop:0.9.0"),
        revision: revision.clone(),
        trigger: Trigger::Release,
        started_at: at(0),
        ended_at: at(0),
        cause: None,
        weight: Weight::FULL,
        bake: None,
        intent: None,
    };
    seen.status.history = [entry(39), entry(38)].into();
    let status = started(&seen).unwrap();
    assert_eq!(status.attempt.unwrap().number, 41);
    let numbers: Vec<u32> = status.history.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [40, 39]);
}
