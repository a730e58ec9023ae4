//! S8, S9 and S11.

use serde_json::{Value, json};

use crate::sim::judge::tale::{OLD, Row, Tale, check, release};

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
    ];
    check(rows);
}

#[test]
fn attempts_stay_what_they_are() {
    let rows: &[Row] = &[
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
        (
            "a failure is not noted",
            Tale::awaiting,
            |t| {
                t.status(json!({"phase": "Progressing", "waitingFor": null, "attempt": {
                    "stage": "RollingBack", "step": 0, "pausedAt": null,
                    "cause": "DeadlineExceeded"}}));
            },
            &["S8"],
        ),
    ];
    check(rows);
}

/// 1.2.0 begins at this step, without pauses. So many revisions may come back, and the last attempt
/// at it ended in this way.
fn comes_back(t: &mut Tale, (window, outcome, step): (u32, &str, i64)) {
    let canary = json!({"strategy": {"canary": {"rollbackWindow": {"revisions": window}}}});
    let history = [(1, OLD, "Completed"), (0, "3333333333", outcome)];
    let history: Value = history
        .map(|(number, revision, outcome)| {
            json!({"number": number, "revision": revision, "outcome": outcome})
        })
        .into_iter()
        .collect();
    let known = json!({"spec": canary, "status": {"history": history}});
    t.merge("person", "rollouts/shop", known);
    t.after(6);
    t.offer("1.2.0", "sha256:cc");
    let notice = t.notice("AttemptStarted");
    t.status(json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 2,
        "revision": "3333333333", "stage": "Step", "step": step, "weight": 100, "unpaused": true,
        "trigger": "Release", "delivered": false, "release": release("1.2.0", "sha256:cc")}}));
}

#[test]
fn only_what_carried_all_traffic_comes_back_without_the_steps() {
    let rest = || Tale::at_rest(true);
    let rows: &[Row] = &[
        ("the revision before", rest, |t| comes_back(t, (1, "Completed", 3)), &[]),
        ("not at its first step", rest, |t| comes_back(t, (1, "Completed", 1)), &["S11"]),
        ("one that failed", rest, |t| comes_back(t, (9, "Aborted", 3)), &["S11", "S10"]),
        ("no window", rest, |t| comes_back(t, (0, "Completed", 3)), &["S11", "S10"]),
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
        (
            "to what the step was edited to before",
            || {
                let mut tale = Tale::awaiting();
                let steps = json!([{"setWeight": 20}, {"setWeight": 20, "pause": {}}]);
                let strategy = json!({"canary": {"steps": steps}});
                tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": strategy}}));
                tale
            },
            |t| {
                t.status(json!({"attempt": {"weight": 20}}));
            },
            &[],
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
