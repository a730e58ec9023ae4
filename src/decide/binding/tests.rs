//! What bound fields are to hold, who keeps them from it, and when Flux has applied it.

use super::*;
use crate::decide::act::Waits;
use crate::decide::attempt::{self, Start};
use crate::decide::fixture::{at, at_rest, bound, climbing, delivered, release, template};
use crate::decide::{bake, conditions, side, stage};
use crate::model::binding::Field;
use crate::model::snapshot::{Offer, Releases};
use crate::model::status::Cause;
use crate::model::weight::Weight;

fn with(mut seen: Snapshot, binding: Binding) -> Snapshot {
    seen.bindings = vec![binding];
    seen
}

/// Who took a value away, and how often.
fn counts(known: &Delivered) -> String {
    let one = |revert: &Revert| format!("{}{}", revert.manager, revert.times);
    known.reverts.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn known(value: &str, reverts: &[(&str, &str, u32)]) -> Delivered {
    let revert = |(manager, value, times): &(&str, &str, u32)| Revert {
        manager: (*manager).to_owned(),
        value: (*value).to_owned(),
        times: *times,
    };
    Delivered {
        field: bound(None).field,
        value: value.to_owned(),
        since: at(0),
        reverts: reverts.iter().map(revert).collect(),
        bound: true,
    }
}

fn told(act: Option<Act>) -> String {
    match act {
        None => "nothing".to_owned(),
        Some(Act::Apply(writes)) => match writes.as_slice() {
            [Write::Request { .. }] => "asks Flux".to_owned(),
            [Write::Deliver { value, force, .. }] => {
                format!("{value}{}", if *force { ", taken from a person" } else { "" })
            }
            other => format!("{other:?}"),
        },
        Some(Act::Commit(status)) => format!("counts {}", counts(&status.targets[0])),
        Some(Act::Wait(waits)) => format!("{waits:?}"),
    }
}

#[test]
fn a_field_holds_what_the_rollout_is_about() {
    type Patch = fn(&mut Snapshot);
    let back = |seen: &mut Snapshot| {
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.stage = Stage::RollingBack { entered_at: at(1), cause: Cause::Aborted };
    };
    let promoted = |seen: &mut Snapshot| seen.bindings[0].promoted = true;
    let climbs: [(&str, Patch, &str); 7] = [
        ("an attempt begins", |_| (), "1.1.0"),
        ("it goes back", back, "nothing"),
        ("written with full traffic only", promoted, "nothing"),
        ("it is frozen", |seen| seen.spec.paused = true, "nothing"),
        (
            "a person set it meanwhile",
            |seen| {
                (seen.bindings[0].value, seen.bindings[0].yields) = (Some("9".to_owned()), true);
            },
            "1.1.0, taken from a person",
        ),
        (
            "another manager has it",
            |seen| seen.bindings[0].rival = Some("kustomize-controller".to_owned()),
            "nothing",
        ),
        (
            "the release has no tag",
            |seen| seen.status.attempt.as_mut().unwrap().release = ReleaseRef::default(),
            "nothing",
        ),
    ];
    for (case, patch, want) in climbs {
        let mut seen = with(climbing(1, None), bound(Some("1.0.0")));
        patch(&mut seen);
        assert_eq!(told(deliver(&seen, at(2))), want, "{case}");
    }
    let rest = with(at_rest(), bound(None));
    assert_eq!(told(deliver(&rest, at(2))), "1.0.0", "at rest it holds what stable is");
}

fn held(seen: &Snapshot) -> String {
    let holds: Vec<_> = troubles(seen).iter().map(|hold| hold.code().to_owned()).collect();
    holds.join(" ")
}

#[test]
fn what_another_manager_takes_away_is_not_fought_over() {
    for (case, rival, targets, want, hold) in [
        ("never delivered, and nobody's", None, vec![], "1.0.0", ""),
        ("it vanished once", None, vec![known("1.0.0", &[])], "counts 1", ""),
        ("counted: it is put back", None, vec![known("", NOBODY)], "1.0.0", ""),
        ("it vanished twice", None, vec![known("1.0.0", NOBODY)], "counts 2", ""),
        ("counted twice", None, vec![known("", NOBODY_TWICE)], "nothing", "OwnershipConflict"),
        ("before the first delivery", Some("flux"), vec![], "nothing", "SubstituteOwned"),
        ("after it", Some("flux"), vec![known("1.0.0", &[])], "nothing", "OwnershipConflict"),
    ] {
        let mut binding = bound(None);
        binding.rival = rival.map(str::to_owned);
        let mut seen = with(at_rest(), binding);
        seen.status.targets = targets;
        assert_eq!(told(deliver(&seen, at(2))), want, "{case}");
        assert_eq!(held(&seen), hold, "{case}");
    }

    // A release that failed before it was remembered.
    let mut seen = with(at_rest(), bound(Some("2.0.0")));
    seen.status.targets = vec![known("1.0.0", &[])];
    assert_eq!(told(deliver(&seen, at(2))), "1.0.0", "our own value is no revert");
}

/// The reverts of a value that vanished, of one that kubectl-edit changed, and of both.
const NOBODY: &[(&str, &str, u32)] = &[("", "1.0.0", 1)];
const NOBODY_TWICE: &[(&str, &str, u32)] = &[("", "1.0.0", 2)];
const EDITED: &[(&str, &str, u32)] = &[("kubectl-edit", "1.0.0", 1)];
const EDITED_TWICE: &[(&str, &str, u32)] = &[("kubectl-edit", "1.0.0", 2)];

#[test]
fn the_second_revert_in_a_row_by_one_manager_stays() {
    let edit = Some("kubectl-edit");
    let back = "1.0.0, taken from a person";
    for (case, by, targets, want, hold) in [
        ("a person sets it", edit, known("1.0.0", &[]), "counts kubectl-edit1", ""),
        ("counted: it is put back", edit, known("", EDITED), back, ""),
        ("the same again", edit, known("1.0.0", EDITED), "counts kubectl-edit2", ""),
        ("twice: it stays", edit, known("", EDITED_TWICE), "nothing", "OwnershipConflict"),
        (
            "another person",
            Some("kubectl-patch"),
            known("1.0.0", EDITED),
            "counts kubectl-edit1 kubectl-patch1",
            "",
        ),
        (
            "a tool that was told to leave it",
            Some("kustomize-controller"),
            known("1.0.0", &[]),
            "counts kustomize-controller1",
            "",
        ),
        ("it vanished before", edit, known("1.0.0", NOBODY), "counts 1 kubectl-edit1", ""),
        ("a Rollout that was bound before", None, known("1.0.0", EDITED), back, ""),
        ("another release is on its way", edit, known("0.9.0", EDITED), back, ""),
    ] {
        let mut binding = bound(Some("0.8.0"));
        (binding.ours, binding.yields) = (false, true);
        binding.setter = by.map(str::to_owned);
        let mut seen = with(at_rest(), binding);
        seen.status.targets = vec![targets];
        assert_eq!(told(deliver(&seen, at(2))), want, "{case}");
        assert_eq!(held(&seen), hold, "{case}");
    }

    // It vanishes: what a person did before is another row.
    let mut seen = with(at_rest(), bound(None));
    seen.status.targets = vec![known("1.0.0", EDITED)];
    assert_eq!(told(deliver(&seen, at(2))), "counts kubectl-edit1 1");

    // The list has an end: who came first is forgotten.
    let many: Vec<String> = (0..REVERTERS_MAX).map(|number| format!("kubectl-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1.0.0", 1)).collect();
    seen.status.targets = vec![known("1.0.0", &many)];
    let Some(Act::Commit(status)) = deliver(&seen, at(2)) else { panic!("not counted") };
    let managers: Vec<_> = status.targets[0].reverts.iter().map(|r| r.manager.as_str()).collect();
    assert_eq!(managers.len(), REVERTERS_MAX);
    assert_eq!((managers[0], managers[REVERTERS_MAX - 1]), ("kubectl-1", ""));
}

#[test]
fn a_row_of_reverts_ends_with_a_release_that_stays() {
    let baking = Stage::Baking { entered_at: at(1), since: None };
    let done = || Stage::Completed { at: at(1) };
    let back = Stage::Ended { at: at(1), cause: Cause::Aborted };
    for (case, before, stage, value, want) in [
        ("put back", known("", EDITED), done(), "1.0.0", "kubectl-edit1"),
        ("it stands", known("1.0.0", EDITED), done(), "1.0.0", "kubectl-edit1"),
        ("somebody else put it back", known("", EDITED_TWICE), done(), "1.0.0", ""),
        (
            "a newer one is delivered",
            known("1.0.0", EDITED),
            baking.clone(),
            "1.1.0",
            "kubectl-edit1",
        ),
        ("before the older was put back", known("", EDITED), baking, "1.1.0", "kubectl-edit1"),
        ("and stays", known("1.1.0", EDITED), done(), "1.1.0", ""),
        ("or does not", known("1.1.0", EDITED), back, "1.0.0", "kubectl-edit1"),
    ] {
        let mut seen = with(at_rest(), bound(Some(value)));
        seen.status.targets = vec![before];
        seen.status.stable.as_mut().unwrap().release = delivered(&format!("shop:{value}"));
        let attempt = seen.status.attempt.as_mut().unwrap();
        (attempt.stage, attempt.release) = (stage, delivered(&format!("shop:{value}")));
        let all = remembered(&seen, &seen.status, at(2));
        assert_eq!((all[0].value.as_str(), counts(&all[0]).as_str()), (value, want), "{case}");
    }
}

#[test]
fn an_attempt_does_not_begin_where_it_could_not_be_delivered() {
    let release = delivered("shop:1.1.0");
    for (case, value, rival, want) in [
        ("free", Some("1.0.0"), None, None),
        ("somebody has another value", Some("1.0.0"), Some("flux"), Some("SubstituteOwned")),
        ("an equal value hides its owner", Some("1.1.0"), Some("flux"), None),
    ] {
        let mut binding = bound(value);
        binding.rival = rival.map(str::to_owned);
        let seen = with(at_rest(), binding);
        let hold = blocked(&seen, &release, Trigger::Release);
        assert_eq!(hold.as_ref().map(Hold::code), want, "{case}");
    }

    // Nothing is written where an edit of the template came by itself.
    let suspended = || Trouble::Suspended { object: "apps".to_owned() };
    let owned = Trouble::Owned { field: bound(None).field, manager: "flux".to_owned() };
    for (trouble, feeds, want) in [
        (suspended(), true, "commit"),
        (owned, true, "commit"),
        (suspended(), false, "TargetSuspended"),
    ] {
        let mut seen = at_rest();
        seen.bindings = vec![Binding { feeds, trouble: Some(trouble), ..bound(Some("1.0.0")) }];
        seen.template = template("shop:2.0.0");
        let told = match attempt::start(&seen, at(1)) {
            Start::Commit(_) => "commit",
            Start::Hold(hold) | Start::Stop(hold) => hold.code(),
            other @ (Start::Nothing | Start::Apply(_)) => panic!("{other:?}"),
        };
        assert_eq!(told, want, "feeds: {feeds}");
    }
}

/// `shop:1.0.0` is only delivered, and bakes since minute 1; these fields are remembered.
fn baking(targets: &[&str], bindings: Vec<Binding>) -> Snapshot {
    let mut seen = at_rest();
    seen.spec.workload = false;
    seen.bindings = bindings;
    let attempt = seen.status.attempt.as_mut().unwrap();
    attempt.trigger = Trigger::Release;
    attempt.stage = Stage::Baking { entered_at: at(1), since: None };
    let known = |variable: &&str| Delivered {
        field: Field { variable: (*variable).to_owned(), ..bound(None).field },
        value: "1.0.0".to_owned(),
        since: at(1),
        reverts: Vec::new(),
        bound: true,
    };
    seen.status.targets = targets.iter().map(known).collect();
    seen
}

#[test]
fn a_release_that_nobody_has_is_no_success() {
    let done = || vec![bound(Some("1.0.0"))];
    for (case, targets, bindings, workload, want) in [
        ("applied", &["TAG"][..], done(), false, "completed"),
        ("nothing was ever bound", &[], vec![], false, "Rollout prod/shop"),
        ("it was unbound", &["TAG"], vec![], false, "TAG"),
        ("one of two was unbound", &["OTHER", "TAG"], done(), false, "OTHER"),
        ("its pods run it", &["TAG"], vec![], true, "completed"),
    ] {
        let mut seen = baking(targets, bindings);
        seen.spec.workload = workload;
        let told = match bake::next(&seen, seen.status.attempt.as_ref().unwrap(), at(2)) {
            Act::Commit(_) => "completed".to_owned(),
            Act::Wait(waits) => waits.holds[0].0.message(),
            Act::Apply(writes) => format!("{writes:?}"),
        };
        assert!(told.contains(want), "{case}: {told}");
        let names_the_end = told.contains("stairlock.dev/mark-successful");
        assert_eq!(names_the_end, want != "completed", "{case}: {told}");
    }

    // What went unbound before an attempt is none of its targets.
    let mut seen = baking(&["OTHER", "TAG"], done());
    let release = release("1.1.0");
    seen.status.attempt.as_mut().unwrap().stage = Stage::Completed { at: at(1) };
    seen.offer = Offer::Releases(Releases::newest(release, Vec::new()));
    let Start::Commit(next) = attempt::start(&seen, at(2)) else { panic!("none begins") };
    let fields: Vec<_> = next.targets.iter().map(|known| known.field.variable.as_str()).collect();
    assert_eq!(fields, ["TAG"]);
}

#[test]
fn a_frozen_rollout_takes_back_what_failed() {
    let tag = |seen: &Snapshot| told(deliver(seen, at(3)));
    let back = || Stage::RollingBack { entered_at: at(1), cause: Cause::Aborted };
    let ended = || Stage::Ended { at: at(2), cause: Cause::Aborted };
    let begun = Stage::Baking { entered_at: at(1), since: None };
    for (case, stage, value, kept, want) in [
        ("it goes back", back(), "1.1.0", false, "1.0.0"),
        ("a person set another value before", back(), "0.9.0", false, "nothing"),
        ("it went back, but not there", ended(), "1.1.0", false, "1.0.0"),
        ("a person set another value", ended(), "0.9.0", false, "nothing"),
        ("it stays", ended(), "1.1.0", true, "nothing"),
        ("it is delivered", begun, "1.0.0", false, "nothing"),
    ] {
        let mut seen = with(climbing(1, None), bound(Some(value)));
        (seen.spec.workload, seen.spec.paused) = (false, true);
        let attempt = seen.status.attempt.as_mut().unwrap();
        (attempt.stage, attempt.kept) = (stage, kept);
        assert_eq!(tag(&seen), want, "{case}");
    }
}

#[test]
fn flux_is_asked_once_for_an_object_with_two_variables() {
    let pending = Applied::Pending("why".to_owned());
    let tag = Binding { applied: pending, ..bound(Some("1.0.0")) };
    let field = Field { variable: "OTHER".to_owned(), ..tag.field.clone() };
    let mut seen = baking(&["OTHER", "TAG"], vec![Binding { field, ..tag.clone() }, tag]);
    seen.status.attempt.as_mut().unwrap().started_at = at(2);
    assert_eq!(told(deliver(&seen, at(3))), "asks Flux");
}

#[test]
fn a_release_that_flux_cannot_bring_into_the_template_fails() {
    let failed = Applied::Failed { why: "no such variable".to_owned(), since: None };
    let suspended = Trouble::Suspended { object: "apps".to_owned() };
    let pending = || Applied::Pending("it builds".to_owned());
    for (case, value, applied, trouble, first, want) in [
        ("it cannot", "1.1.0", failed.clone(), None, false, "back, DeliveryFailed"),
        ("nor at first", "1.1.0", failed.clone(), None, true, "ended, DeliveryFailed"),
        ("not yet written", "1.0.0", failed, None, false, "AwaitingDelivery"),
        ("it does", "1.1.0", pending(), None, false, "AwaitingDelivery: it builds"),
        ("at first", "1.1.0", pending(), None, true, "AwaitingDelivery: it builds"),
        ("suspended", "1.1.0", pending(), Some(suspended), false, "TargetSuspended"),
        ("it did", "1.1.0", Applied::Done, None, false, "AwaitingDelivery: it is applied"),
    ] {
        let mut seen = climbing(1, None);
        let arriving = std::mem::replace(&mut seen.template, template("shop:1.0.0"));
        seen.replica_sets.retain(|rs| rs.template != arriving.id);
        seen.bindings = vec![Binding { feeds: true, applied, trouble, ..bound(Some(value)) }];
        let attempt = seen.status.attempt.as_mut().unwrap();
        (attempt.delivered, attempt.weight) = (false, Weight::NONE);
        if first {
            attempt.stage = Stage::First { entered_at: at(0) };
            seen.status.stable = None;
        }
        let told = match stage::advance(&seen, at(1)) {
            Act::Commit(status) => {
                let attempt = status.attempt.unwrap();
                assert!(attempt.bake.unwrap().message.contains("no such variable"), "{case}");
                if let Stage::RollingBack { cause, .. } = attempt.stage {
                    format!("back, {}", cause.as_str())
                } else if let Stage::Ended { cause, .. } = attempt.stage {
                    format!("ended, {}", cause.as_str())
                } else {
                    format!("{:?}", attempt.stage)
                }
            }
            Act::Wait(waits) => {
                let hold = &waits.holds[0].0;
                if let Hold::AwaitingDelivery { why, .. } = hold {
                    format!("AwaitingDelivery: {why}")
                } else {
                    hold.code().to_owned()
                }
            }
            Act::Apply(writes) => format!("{writes:?}"),
        };
        assert!(told.starts_with(want), "{case}: {told}");
    }
}

#[test]
fn a_delivery_is_believed_as_flux_says() {
    let suspended = Trouble::Suspended { object: "Kustomization flux-system/apps".to_owned() };
    for (case, value, applied, trouble, feeds, want) in [
        ("applied", Some("1.0.0"), Applied::Done, None, false, None),
        ("not written", None, Applied::Done, None, false, Some("AwaitingDelivery")),
        (
            "not applied",
            Some("1.0.0"),
            Applied::Pending("why".to_owned()),
            None,
            false,
            Some("AwaitingDelivery"),
        ),
        (
            "the template is the proof",
            Some("1.0.0"),
            Applied::Pending(String::new()),
            None,
            true,
            None,
        ),
        (
            "it stands still",
            Some("1.0.0"),
            Applied::Done,
            Some(suspended),
            false,
            Some("TargetSuspended"),
        ),
    ] {
        let binding = Binding { applied, trouble, feeds, ..bound(value) };
        let mut seen = with(at_rest(), binding);
        seen.status.attempt.as_mut().unwrap().trigger = Trigger::Release;
        assert_eq!(awaited(&seen).as_ref().map(Hold::code), want, "{case}");
    }
    let failed = Binding {
        applied: Applied::Failed { why: "why".to_owned(), since: None },
        ..bound(Some("1.0.0"))
    };
    let seen = with(at_rest(), failed.clone());
    assert_eq!(refused(&seen).unwrap(), "Kustomization flux-system/apps TAG: why");
    for (case, known, since, want) in [
        ("written in this attempt", 2, None, true),
        ("it was there as it began", 1, None, false),
        ("it was there before", 0, None, false),
        ("and failed before", 0, Some(0), false),
        ("and failed again", 0, Some(1), true),
    ] {
        let applied = Applied::Failed { why: "why".to_owned(), since: since.map(at) };
        let mut seen = with(at_rest(), Binding { applied, ..failed.clone() });
        seen.status.attempt.as_mut().unwrap().started_at = at(1);
        seen.status.targets = remembered(&seen, &seen.status, at(known));
        assert_eq!(refused(&seen).is_some(), want, "{case}");
    }
    let old = Binding { value: Some("0.9.0".to_owned()), ..failed };
    assert_eq!(refused(&with(at_rest(), old)), None, "it failed with another value");
}

#[test]
fn flux_is_asked_once_to_look_at_a_value_that_was_there() {
    let pending = || Applied::Pending("why".to_owned());
    let [early, began, late] = [0, 1, 2].map(|minute| at(minute).to_string());
    for (case, known, applied, requested, want) in [
        ("it was there before, and is not applied", 0, pending(), "", "asks Flux"),
        ("it was there as the first attempt began", 1, pending(), "", "asks Flux"),
        ("it was asked for this attempt", 0, pending(), began.as_str(), "nothing"),
        ("it was asked for an earlier one", 0, pending(), early.as_str(), "asks Flux"),
        ("another Rollout asked later", 0, pending(), late.as_str(), "nothing"),
        ("it is applied", 0, Applied::Done, "", "nothing"),
        ("it was written in this attempt: Flux looks by itself", 2, pending(), "", "nothing"),
    ] {
        let mut binding = Binding { applied, ..bound(Some("1.0.0")) };
        binding.requested = requested.to_owned();
        let mut seen = with(at_rest(), binding);
        seen.status.targets = remembered(&seen, &seen.status, at(known));
        let attempt = seen.status.attempt.as_mut().unwrap();
        attempt.trigger = Trigger::Release;
        attempt.started_at = at(1);
        attempt.stage = Stage::Baking { entered_at: at(1), since: None };
        assert_eq!(told(deliver(&seen, at(3))), want, "{case}");
    }
}

#[test]
fn what_is_bound_is_remembered_and_what_is_not_any_more_too() {
    let seen = with(at_rest(), bound(Some("1.0.0")));
    let first = remembered(&seen, &seen.status, at(1));
    assert_eq!((first.len(), first[0].value.as_str(), first[0].since), (1, "1.0.0", at(1)));
    let mut later = seen.clone();
    later.status.targets = first;
    assert_eq!(remembered(&later, &later.status, at(9))[0].since, at(1), "since then");
    later.bindings.clear();
    let left = remembered(&later, &later.status, at(9));
    assert_eq!((left.len(), left[0].bound), (1, false));
    let status = Status { targets: left, ..later.status.clone() };
    let told = conditions::of(&later, &status, &Waits::default(), (3, at(9)));
    let unbound = told.iter().find(|condition| condition.kind == "Unbound").unwrap();
    let want = "Kustomization flux-system/apps TAG is not bound any more and keeps \"1.0.0\"";
    assert_eq!((unbound.status.as_str(), unbound.message.as_str()), ("True", want));
    let told = conditions::of(&seen, &seen.status, &Waits::default(), (3, at(9)));
    assert!(told.iter().all(|condition| condition.kind != "Unbound"), "{told:?}");
}

#[test]
fn the_sidecar_is_not_what_is_delivered() {
    let mut seen = with(at_rest(), bound(None));
    let [mut proxy, app] =
        ["envoy:v1.30", "shop:1.0.0"].map(|image| template(image).containers.remove(0));
    proxy.name = "proxy".to_owned();
    seen.template.containers = vec![proxy, app];
    let images = seen.template.images();
    let told = |seen: &Snapshot| side::delivered(seen, &images).tag;
    assert_eq!(told(&seen), "1.0.0", "what was delivered before tells");

    (seen.status.attempt, seen.status.stable) = (None, None);
    seen.offer = Offer::NoSource;
    assert_eq!(told(&seen), "", "nothing tells: nothing is delivered");
    seen.offer = Offer::Releases(Releases::newest(release("1.1.0"), Vec::new()));
    assert_eq!(told(&seen), "1.0.0", "the source tells");
    seen.spec.container = Some("proxy".to_owned());
    assert_eq!(told(&seen), "v1.30", "a person tells");
    (seen.spec.container, seen.offer) = (None, Offer::NoSource);
    seen.bindings.clear();
    assert_eq!(told(&seen), "v1.30", "only shown");
}

#[test]
fn a_field_that_an_older_rollout_has_is_a_hold_whatever_its_value() {
    let older = "the older Rollout cart".to_owned();
    let older = Trouble::Duplicate { field: bound(None).field, holder: older };
    let owned = Trouble::Owned { field: bound(None).field, manager: "flux".to_owned() };
    let failed = Applied::Failed { why: "why".to_owned(), since: None };
    let code = |hold: Option<&Hold>| hold.map_or("-", Hold::code).to_owned();
    let duplicate = ["DuplicateBinding"; 3];
    for (case, value, trouble, applied, want, known) in [
        ("another value", "0.9.0", &older, Applied::Done, duplicate, 0),
        ("an equal one", "1.0.0", &older, Applied::Done, duplicate, 0),
        ("one that Flux cannot apply", "1.0.0", &older, failed, duplicate, 0),
        ("no Rollout has it", "1.0.0", &owned, Applied::Done, ["-", "-", "completed"], 1),
    ] {
        let binding = Binding { trouble: Some(trouble.clone()), applied, ..bound(Some(value)) };
        let seen = baking(&[], vec![binding]);
        let start = blocked(&seen, &delivered("shop:1.0.0"), Trigger::Release);
        let end = match bake::next(&seen, seen.status.attempt.as_ref().unwrap(), at(2)) {
            Act::Commit(_) => "completed".to_owned(),
            Act::Wait(waits) => waits.holds[0].0.code().to_owned(),
            Act::Apply(writes) => format!("{writes:?}"),
        };
        let told = [code(start.as_ref()), code(troubles(&seen).first()), end];
        assert_eq!(told, want, "{case}");
        assert_eq!(remembered(&seen, &seen.status, at(2)).len(), known, "{case}");
    }

    // Nor is a template waited for that only the older one brings.
    let mut seen = climbing(1, None);
    let binding = Binding { feeds: true, trouble: Some(older), ..bound(Some("1.1.0")) };
    seen.bindings = vec![binding];
    assert_eq!(code(feeding(&seen).as_ref()), "DuplicateBinding");
}

#[test]
fn what_a_field_holds_is_told_whoever_set_it() {
    let suspended = || Some(Trouble::Suspended { object: "apps".to_owned() });
    let there = || Some("0.8.0");
    for (case, value, rival, trouble, before, want) in [
        ("one revert: put back soon", there(), None, None, known("", EDITED), ("0.8.0", 5)),
        ("the second: it stays", there(), None, None, known("", EDITED_TWICE), ("0.8.0", 5)),
        ("and stays", there(), None, None, known("0.8.0", EDITED_TWICE), ("0.8.0", 0)),
        ("then another", there(), None, None, known("0.7.0", EDITED_TWICE), ("0.8.0", 5)),
        ("it vanished twice", None, None, None, known("", NOBODY_TWICE), ("", 0)),
        ("a rival has it", there(), Some("flux"), None, known("1.0.0", &[]), ("0.8.0", 5)),
        ("not counted yet", there(), None, None, known("1.0.0", &[]), ("1.0.0", 0)),
        ("nor while suspended", there(), None, suspended(), known("1.0.0", &[]), ("1.0.0", 0)),
    ] {
        let mut binding = Binding { trouble, ..bound(value) };
        (binding.ours, binding.yields) = (false, rival.is_none());
        binding.rival = rival.map(str::to_owned);
        let mut seen = with(at_rest(), binding);
        let reverts = before.reverts.clone();
        seen.status.targets = vec![before];
        let all = remembered(&seen, &seen.status, at(5));
        assert_eq!((all[0].value.as_str(), all[0].since), (want.0, at(want.1)), "{case}");
        assert_eq!(all[0].reverts, reverts, "{case}");
    }
}
