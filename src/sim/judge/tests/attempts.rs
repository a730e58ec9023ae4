//! Attempts: S8, S9, S10, S11, S14, S15, S18, S20 and S21.

use serde_json::{Value, json};

use super::tale::{NEW, OLD, Tale, merge, place, release, selector};
use super::{Row, check};
use crate::sim::judge::Note;
use crate::sim::judge::bindings::Reach;

fn delivered() -> Tale {
    Tale::delivered(true)
}

fn decided() -> Tale {
    Tale::decided(true)
}

fn rest() -> Tale {
    Tale::at_rest(true)
}

/// An attempt that supersedes the one in progress.
fn superseded(t: &mut Tale, number: i64, history: Value) {
    t.offer("1.2.0", "sha256:cc");
    let notice = t.notice("AttemptStarted");
    t.status(json!({"phase": "Progressing", "outbox": [notice], "history": history,
        "waitingFor": null, "attempt": {"number": number, "revision": "3333333333",
            "stage": "Step", "step": 1, "weight": 20, "trigger": "Release", "delivered": false,
            "pausedAt": null, "release": release("1.2.0", "sha256:cc")}}));
}

fn entries(all: &[(i64, &str)]) -> Value {
    all.iter().map(|(number, outcome)| json!({"number": number, "outcome": outcome})).collect()
}

#[test]
fn attempts_are_numbered_and_end_once() {
    let rows: &[Row] = &[
        (
            "superseded",
            Tale::paused,
            |t| {
                superseded(t, 3, entries(&[(2, "Superseded"), (1, "Completed")]));
            },
            &[],
        ),
        (
            "a number is left out",
            Tale::paused,
            |t| {
                superseded(t, 4, entries(&[(2, "Superseded"), (1, "Completed")]));
            },
            &["S8"],
        ),
        (
            "no entry is made",
            Tale::paused,
            |t| superseded(t, 3, entries(&[(1, "Completed")])),
            &["S8"],
        ),
        (
            "an entry is made twice",
            Tale::paused,
            |t| {
                superseded(
                    t,
                    3,
                    entries(&[(2, "Superseded"), (2, "Superseded"), (1, "Completed")]),
                );
            },
            &["S8"],
        ),
        (
            "the entry tells another end",
            Tale::paused,
            |t| {
                superseded(t, 3, entries(&[(2, "Completed"), (1, "Completed")]));
            },
            &["S8"],
        ),
        (
            "an entry is made before the end",
            Tale::paused,
            |t| {
                t.status(json!({"history": entries(&[(2, "Completed"), (1, "Completed")])}));
            },
            &["S8"],
        ),
        (
            "an attempt is lost",
            Tale::paused,
            |t| {
                t.status(json!({"attempt": null,
            "phase": "Initializing"}))
            },
            &["S8"],
        ),
        (
            "a person loses it",
            Tale::paused,
            |t| {
                t.merge("person", "rollouts/shop", json!({"status": null}));
                t.status(json!({"phase": "Completed", "stable": {"revision": OLD}, "attempt": {
                "number": 2, "stage": "Completed", "revision": OLD, "trigger": "Template"}}));
            },
            &[],
        ),
        (
            "its release becomes another",
            Tale::paused,
            |t| {
                t.status(json!({"attempt": {"release": release("1.2.0", "sha256:cc")}}));
            },
            &["S8"],
        ),
        (
            "an image is written a second time",
            delivered,
            |t| {
                t.image("person", "shop:1.0.0");
                t.image("controller", "shop:1.1.0@sha256:bb");
            },
            &["S8"],
        ),
        (
            "somebody was faster before it was seen",
            decided,
            |t| {
                t.image("controller", "shop:1.1.0@sha256:bb");
                t.image("person", "shop:1.0.0");
                t.image("controller", "shop:1.1.0@sha256:bb");
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn steps_and_weights_do_not_fall() {
    let rows: &[Row] = &[
        (
            "one step on",
            Tale::paused,
            |t| {
                t.after(60);
                t.enters(2, 50);
            },
            &[],
        ),
        (
            "two at once",
            Tale::paused,
            |t| {
                t.after(60);
                t.enters(3, 100);
            },
            &["S9"],
        ),
        (
            "to the last by promote-full",
            Tale::paused,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote-full": "true"}));
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/promote-full": null,
                "stairlock.dev/accepted": "promote-full 2/1"}),
                );
                t.status(json!({"phase": "Progressing", "waitingFor": null,
                "attempt": {"step": 3, "weight": 100, "pausedAt": null, "unpaused": true}}));
            },
            &[],
        ),
        ("a step back", Tale::awaiting, |t| t.enters(1, 50), &["S9"]),
        (
            "a weight falls",
            Tale::awaiting,
            |t| {
                t.status(json!({"attempt": {"weight": 20}}));
            },
            &["S9"],
        ),
        ("the canary's share falls", Tale::awaiting, |t| t.weigh(80, 20), &["S9"]),
        (
            "the canary's share falls with the ladder",
            Tale::awaiting,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"spec": {"strategy": {"canary": {
                "steps": [{"setWeight": 20, "pause": {}}]}}}}),
                );
                t.weigh(80, 20);
            },
            &[],
        ),
        (
            "what a person gave it is taken back",
            Tale::awaiting,
            |t| {
                t.weigh_as("person", 20, 80);
                t.weigh(50, 50);
            },
            &[],
        ),
        ("the canary gets weight at rest", rest, |t| t.weigh(80, 20), &["S9"]),
    ];
    check(rows);
}

#[test]
fn commands_act_once() {
    let rows: &[Row] = &[
        ("promoted", Tale::promoting, |_| {}, &[]),
        ("a manual pause is left by nobody", Tale::awaiting, |t| t.enters(3, 100), &["S10"]),
        (
            "an abort by nobody",
            Tale::awaiting,
            |t| {
                t.status(json!({"phase": "Progressing", "waitingFor": null, "attempt": {
                "stage": "RollingBack", "step": 0, "pausedAt": null, "cause": "Aborted"}}));
            },
            &["S10"],
        ),
        (
            "pauses are left out by nobody",
            Tale::awaiting,
            |t| {
                t.status(json!({"attempt": {"unpaused": true}}));
            },
            &["S10"],
        ),
        (
            "a token that nobody asked for",
            Tale::awaiting,
            |t| {
                t.annotate("controller", json!({"stairlock.dev/accepted": "promote 2/2"}));
            },
            &["S10"],
        ),
        (
            "a token for another step",
            Tale::awaiting,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/promote": null,
                "stairlock.dev/accepted": "promote 2/1"}),
                );
            },
            &["S10"],
        ),
        (
            "promote wins over abort",
            Tale::awaiting,
            |t| {
                t.annotate(
                    "person",
                    json!({"stairlock.dev/promote": "true", "stairlock.dev/abort": "true"}),
                );
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/promote": null,
                "stairlock.dev/abort": null, "stairlock.dev/accepted": "promote 2/2"}),
                );
            },
            &["S10"],
        ),
        (
            "the annotation stays",
            Tale::awaiting,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                t.annotate("controller", json!({"stairlock.dev/accepted": "promote 2/2"}));
            },
            &["S10"],
        ),
        (
            "a command is lost",
            Tale::awaiting,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                t.annotate("controller", json!({"stairlock.dev/promote": null}));
            },
            &["S10"],
        ),
        (
            "one that is not waited for is dropped",
            Tale::promoting,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                t.annotate("controller", json!({"stairlock.dev/promote": null}));
            },
            &[],
        ),
        (
            "a token is removed unused",
            Tale::awaiting,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "2/2"}));
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/promote": null,
                "stairlock.dev/accepted": "promote 2/2"}),
                );
                t.annotate("controller", json!({"stairlock.dev/accepted": null}));
            },
            &["S10"],
        ),
        (
            "the quarantine is lifted by nobody",
            Tale::aborted,
            |t| {
                t.status(json!({"quarantine": null}));
            },
            &["S10"],
        ),
    ];
    check(rows);
}

#[test]
fn stages_follow_their_table() {
    let rows: &[Row] = &[
        (
            "from a step to the end",
            Tale::paused,
            |t| {
                let notice = t.notice("AttemptCompleted");
                t.after(60);
                t.status(json!({"phase": "Completed", "attempt": {"stage": "Completed"},
                "outbox": [notice],
                "history": entries(&[(2, "Completed"), (1, "Completed")])}));
            },
            &["S11"],
        ),
        (
            "an ended attempt climbs",
            rest,
            |t| {
                t.status(json!({"phase": "Progressing", "attempt": {"stage": "Step", "step": 1}}));
            },
            &["S11"],
        ),
        (
            "a phase of another stage",
            Tale::paused,
            |t| t.status(json!({"phase": "Completed"})),
            &["S11"],
        ),
        (
            "a promotion is superseded",
            Tale::promoting,
            |t| {
                superseded(t, 3, entries(&[(2, "Superseded"), (1, "Completed")]));
            },
            &["S11"],
        ),
    ];
    check(rows);
}

#[test]
fn releases_are_those_of_the_source() {
    let rows: &[Row] = &[
        (
            "an older one",
            rest,
            |t| {
                t.offer("0.9.0", "sha256:dd");
                let notice = t.notice("AttemptStarted");
                t.status(
                    json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 2,
                "stage": "Step", "step": 1, "weight": 20, "trigger": "Release", "revision": NEW,
                "delivered": false, "release": release("0.9.0", "sha256:dd")}}),
                );
            },
            &["S14"],
        ),
        (
            "an older one is written",
            Tale::paused,
            |t| t.image("controller", "shop:1.0.0"),
            &["S14", "S18"],
        ),
        ("the old one is put back", Tale::aborted, |t| t.image("controller", "shop:1.0.0"), &[]),
        (
            "another digest than the source shows",
            rest,
            |t| {
                t.offer("1.1.0", "sha256:bb");
                let notice = t.notice("AttemptStarted");
                t.status(
                    json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 2,
                "stage": "Step", "step": 1, "weight": 20, "trigger": "Release", "revision": NEW,
                "delivered": false, "release": release("1.1.0", "sha256:ee")}}),
                );
            },
            &["S18"],
        ),
        (
            "another digest than was accepted",
            decided,
            |t| {
                t.image("controller", "shop:1.1.0@sha256:ee");
            },
            &["S18"],
        ),
        (
            "from another namespace",
            rest,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"spec": {"sourceRef": {"namespace": "flux"}}}),
                );
                t.offer("1.1.0", "sha256:bb");
                let notice = t.notice("AttemptStarted");
                t.status(
                    json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 2,
                "stage": "Step", "step": 1, "weight": 20, "trigger": "Release", "revision": NEW,
                "delivered": false, "release": release("1.1.0", "sha256:bb")}}),
                );
            },
            &["S20", "S18"],
        ),
    ];
    check(rows);
}

#[test]
fn writes_stay_in_their_namespaces() {
    let mut tale = Tale::at_rest(true);
    let namespaces = Some(["dev".to_owned()].into());
    tale.judge.note(Note::Reach(Reach { namespaces, foreign_sources: false }));
    tale.status(json!({"observedGeneration": 2}));
    assert_eq!(tale.broken(), ["S20"]);
}

#[test]
fn the_older_rollout_has_its_objects() {
    let other = |created: &str| {
        let mut tale = Tale::delivered(true);
        let mut object = tale.objects[&place("rollouts/shop")].as_ref().clone();
        merge(
            &mut object,
            &json!({"status": null,
            "metadata": {"uid": "u2", "creationTimestamp": created}}),
        );
        tale.create("person", "rollouts/other", object);
        tale.after(6);
        tale
    };
    let (younger, older) = ("2026-01-02T12:00:01Z", "2026-01-02T11:00:00Z");
    for (created, want) in [(younger, &[] as &[&str]), (older, &["S15"])] {
        let mut tale = other(created);
        tale.merge("person", "services/canary", selector(OLD));
        tale.after(6);
        tale.merge("controller", "services/canary", selector(NEW));
        assert_eq!(tale.broken(), want, "the Service, {created}");
        let mut tale = other(created);
        // The older one has another pair of Services in the same route.
        let names = json!({"stableService": "a", "canaryService": "b"});
        tale.merge("person", "rollouts/other", json!({"spec": {"strategy": {"canary": names}}}));
        tale.after(6);
        tale.weigh(80, 20);
        assert_eq!(tale.broken(), want, "the route, {created}");
    }
}

#[test]
fn a_status_stays_small() {
    let rows: &[Row] = &[
        (
            "a type of condition twice",
            rest,
            |t| {
                t.status(json!({"conditions": [{"type": "Ready", "status": "True"},
                {"type": "Ready", "status": "False"}]}));
            },
            &["S21"],
        ),
        (
            "an outbox without end",
            rest,
            |t| {
                let all: Vec<_> = (0..33).map(|_| t.notice("StepEntered")).collect();
                t.status(json!({"outbox": all}));
            },
            &["S21"],
        ),
        (
            "a history beyond its limit",
            rest,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"versionHistoryLimit": 1}}));
                t.status(json!({"history": entries(&[(2, "Completed"), (1, "Completed")])}));
            },
            &["S8", "S21"],
        ),
        (
            "a very long message",
            rest,
            |t| {
                t.status(
                    json!({"conditions": [{"type": "Ready", "message": "x".repeat(300_000)}]}),
                );
            },
            &["S21"],
        ),
    ];
    check(rows);
}
