//! Which gates let a release through, and what is said where they do not.

use super::*;
use crate::decide::fixture::{at, at_rest, bound, delivered};
use crate::model::binding::Binding;
use crate::model::gate::{Bypass, Ran};
use crate::model::moment::Duration;
use crate::model::status::{Attempt, Cause, Entry, Stage};
use crate::model::template::Revision;

fn gate(name: &str, asks: Asks) -> Gate {
    Gate { name: name.to_owned(), asks }
}

fn passing(passing: bool, allowed: Option<&[&str]>) -> Asks {
    let allowed = allowed.map(|all| all.iter().map(|text| (*text).to_owned()).collect());
    Asks::Passing { passing, allowed, turns_at: None }
}

fn other(version: &str, minutes: u64) -> Asks {
    let release = delivered(&format!("shop:{version}"));
    Asks::Other {
        rollout: "staging/shop".to_owned(),
        lasting: Duration::from_secs(600),
        runs: Ok(Ran { release, since: at(minutes) }),
    }
}

fn approval(approved: Option<&str>) -> Asks {
    Asks::Approval { approved: approved.map(str::to_owned) }
}

/// What is said of `shop:1.1.0` at minute 20 behind these gates, named by their places.
fn told(asks: Vec<Asks>) -> String {
    let mut seen = at_rest();
    let named = asks.into_iter().enumerate();
    seen.gates = named.map(|(at, asks)| gate(&at.to_string(), asks)).collect();
    match allows(&seen, &delivered("shop:1.1.0"), at(20)) {
        Ok(()) => String::new(),
        Err(hold) => match hold.until() {
            Some(until) => {
                format!("{} until {}", hold.message(), until.since(at(0)).millis() / 60_000)
            }
            None => hold.message(),
        },
    }
}

#[test]
fn a_release_starts_once_every_gate_lets_it_through() {
    let shut = "it lets nothing through";
    let closed = Asks::Passing { passing: false, allowed: None, turns_at: Some(at(30)) };
    let open = |until| Asks::Passing { passing: true, allowed: None, turns_at: Some(at(until)) };
    let late = "RolloutGate 0: its schedule is about to close it";
    let some = |all: &[&str]| passing(true, Some(all));
    for (case, asks, want) in [
        ("no gate, no wait", vec![], String::new()),
        ("a passing gate", vec![passing(true, None)], String::new()),
        ("a closed gate", vec![passing(false, None)], format!("RolloutGate 0: {shut}")),
        (
            "one closed gate of two",
            vec![passing(true, None), passing(false, None)],
            format!("RolloutGate 1: {shut}"),
        ),
        (
            "closed wins over allowed",
            vec![passing(false, Some(&["1.1.0"]))],
            format!("RolloutGate 0: {shut}"),
        ),
        ("a schedule tells when it opens", vec![closed], format!("RolloutGate 0: {shut} until 30")),
        ("open until its schedule closes it", vec![open(21)], String::new()),
        ("and not a moment longer", vec![open(20)], late.to_owned()),
        ("its tag is allowed", vec![some(&["1.1.0", "9"])], String::new()),
        ("its version is allowed", vec![some(&["v1.1.0"])], String::new()),
        (
            "another is allowed",
            vec![some(&["1.2.0"])],
            "RolloutGate 0: it allows 1.2.0, not 1.1.0".to_owned(),
        ),
        (
            "an empty list allows none",
            vec![some(&[])],
            "RolloutGate 0: it allows no version, not 1.1.0".to_owned(),
        ),
        (
            "lists are intersected",
            vec![some(&["1.1.0", "1.2.0"]), some(&["1.2.0"])],
            "RolloutGate 1: it allows 1.2.0, not 1.1.0".to_owned(),
        ),
    ] {
        assert_eq!(told(asks), want, "{case}");
    }
}

#[test]
fn a_person_or_another_rollout_lets_a_version_through() {
    let unknown = Asks::Other {
        rollout: "staging/shop".to_owned(),
        lasting: Duration::ZERO,
        runs: Err("staging/shop does not exist".to_owned()),
    };
    let waits = "waits for a person to approve 1.1.0";
    for (case, asks, want) in [
        ("nobody approved", approval(None), waits),
        ("another was approved", approval(Some("1.0.9")), waits),
        ("this one was approved", approval(Some("v1.1.0")), ""),
        (
            "it has not run long enough there",
            other("1.1.0", 11),
            "staging/shop has to run it for 10m until 21",
        ),
        ("it has, at its end", other("1.1.0", 10), ""),
        ("another one runs there", other("1.0.0", 0), "staging/shop runs 1.0.0, not 1.1.0"),
        ("nothing is known of it", unknown, "staging/shop does not exist"),
        ("its signature was verified", Asks::Signature { verified: Ok("1.1.0".to_owned()) }, ""),
        (
            "that of another one was",
            Asks::Signature { verified: Ok("1.0.0".to_owned()) },
            "Flux verified the signature of 1.0.0, not of 1.1.0",
        ),
        (
            "there is none to be verified",
            Asks::Signature { verified: Err("write its spec.verify".to_owned()) },
            "write its spec.verify",
        ),
        ("what cannot be read is closed", Asks::Unusable("twice".to_owned()), "twice"),
    ] {
        let want = if want.is_empty() { String::new() } else { format!("RolloutGate 0: {want}") };
        assert_eq!(told(vec![asks]), want, "{case}");
    }
}

#[test]
fn two_digests_are_two_releases() {
    let [one, two] = ["a", "b"].map(|c| delivered(&format!("shop:1.1.0@sha256:{}", c.repeat(64))));
    let plain = delivered("shop:v1.1.0");
    assert!(!same(&one, &two) && same(&one, &plain) && same(&plain, &two));
    assert!(!same(&delivered("shop:main"), &plain) && !same(&delivered("shop"), &delivered("a")));
}

#[test]
fn the_first_delivery_and_a_version_that_a_person_named_pass_gates_by() {
    let mut seen = at_rest();
    seen.gates = vec![gate("freeze", passing(false, None))];
    let offered = delivered("shop:1.1.0");
    assert!(allows(&seen, &offered, at(0)).is_err());
    seen.status.bypass = Some(Bypass { version: "1.2.0".to_owned(), since: at(0) });
    assert!(allows(&seen, &offered, at(0)).is_err(), "bound to one version");
    seen.status.bypass = Some(Bypass { version: "v1.1.0".to_owned(), since: at(0) });
    assert_eq!(allows(&seen, &offered, at(0)), Ok(()));
    used(&mut seen.status, &delivered("shop:1.2.0"));
    assert!(seen.status.bypass.is_some(), "an attempt at another version leaves it");
    used(&mut seen.status, &offered);
    assert_eq!(seen.status.bypass, None, "it does not outlive its attempt");
    seen.status.attempt.as_mut().unwrap().release = offered.clone();
    assert!(allows(&seen, &offered, at(0)).is_err(), "one that ended");
    let stage = Stage::First { entered_at: at(0) };
    seen.status.attempt.as_mut().unwrap().stage = stage;
    assert_eq!(allows(&seen, &offered, at(0)), Ok(()), "one that is on its way");
    seen.status.attempt = None;
    assert_eq!(allows(&seen, &offered, at(0)), Ok(()), "the first delivery");
    for (case, value, ours, passes) in [
        ("the status is lost, and another release is delivered", "1.0.0", true, false),
        ("the status is lost, and this one is", "1.1.0", true, true),
        ("what is there is somebody else's", "1.0.0", false, true),
    ] {
        seen.bindings = vec![Binding { ours, ..bound(Some(value)) }];
        assert_eq!(allows(&seen, &offered, at(0)).is_ok(), passes, "{case}");
    }
}

#[test]
fn attempts_at_releases_keep_their_distance() {
    let start = |trigger, minute| Attempt {
        trigger,
        started_at: at(minute),
        ..at_rest().status.attempt.unwrap()
    };
    let entry = |trigger, minute| Entry {
        number: 1,
        release: delivered("shop:0.9.0"),
        revision: at_rest().status.stable.unwrap().revision,
        trigger,
        started_at: at(minute),
        ended_at: at(minute),
        cause: None,
        weight: crate::model::weight::Weight::FULL,
        bake: None,
        intent: None,
    };
    let (by_itself, edit) = (Trigger::Release, Trigger::Template);
    for (case, present, before, want) in [
        ("too soon after the present one", (by_itself, 11), vec![], Some(71)),
        ("at its end", (by_itself, 0), vec![], None),
        ("an edit does not count", (edit, 50), vec![], None),
        ("one before an edit does", (edit, 50), vec![entry(by_itself, 20)], Some(80)),
        ("the newest counts", (by_itself, 30), vec![entry(by_itself, 1)], Some(90)),
    ] {
        let mut seen = at_rest();
        seen.spec.release_interval = Some(Duration::from_secs(3600));
        seen.status.attempt = Some(start(present.0, present.1));
        seen.status.history = before.into();
        let until = allows(&seen, &delivered("shop:1.1.0"), at(60)).err();
        let want = want.map(|minute| Hold::ReleaseInterval { until: at(minute) });
        assert_eq!(until, want, "{case}");
    }
}

#[test]
fn what_another_rollout_runs_is_its_last_good_release() {
    let revision = at_rest().status.stable.unwrap().revision;
    let entry = |image: &str, minute, cause| Entry {
        number: 1,
        release: delivered(image),
        revision: revision.clone(),
        trigger: Trigger::Release,
        started_at: at(0),
        ended_at: at(minute),
        cause,
        weight: crate::model::weight::Weight::FULL,
        bake: None,
        intent: None,
    };
    let failed = Some(crate::model::status::Cause::Aborted);
    for (case, history, want) in [
        ("nothing", vec![], None),
        (
            "the last good one",
            vec![entry("shop:1.1.0", 9, None), entry("shop:1.0.0", 5, None)],
            Some(("1.1.0", 9)),
        ),
        (
            "a failure after it does not count",
            vec![entry("shop:1.2.0", 9, failed), entry("shop:1.1.0", 7, None)],
            Some(("1.1.0", 7)),
        ),
        (
            "it was there before",
            vec![entry("shop:1.1.0", 9, None), entry("shop:1.1.0", 5, None)],
            Some(("1.1.0", 5)),
        ),
    ] {
        let status = Status { history: history.into(), ..at_rest().status };
        let ran = status.ran().map(|ran| (ran.release.version, ran.since));
        let want = want.map(|(version, minute)| (version.to_owned(), at(minute)));
        assert_eq!(ran, want, "{case}");
    }
    let elsewhere = crate::decide::fixture::template("shop:9").id.revision("shop", 0);
    let history = [entry("shop:1.1.0", 9, None)].into();
    let mut status = Status { history, ..at_rest().status };
    status.stable.as_mut().unwrap().revision = elsewhere;
    assert_eq!(status.ran(), None, "not what it stands on");
    let stable = status.stable.clone().unwrap();
    let (runs, other) = (stable.release.version, status.history[0].revision.clone());
    let failed = |number: u32, revision: &Revision| Entry {
        number,
        revision: revision.clone(),
        cause: Some(Cause::Aborted),
        started_at: at(50),
        ..status.history[0].clone()
    };
    let only = |number: u32, revision: &Revision| {
        let history = [failed(number, revision)].into();
        let status = Status { history, ..status.clone() };
        status.ran().map(|ran| (ran.release.version, ran.since))
    };
    assert_eq!(only(9, &other), Some((runs, at(50))), "what ended well was trimmed");
    assert_eq!(only(1, &other), None, "nothing ever did");
    assert_eq!(only(9, &stable.revision), None, "it stands on what failed");
}
