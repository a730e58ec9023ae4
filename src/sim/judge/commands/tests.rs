//! S10.

use serde_json::json;

use crate::sim::judge::tale::{NEW, Row, Tale, check};

#[test]
fn nothing_happens_without_a_command() {
    let rows: &[Row] = &[
        ("promoted", Tale::promoting, |_| {}, &[]),
        ("a manual pause is left by nobody", Tale::awaiting, |t| t.enters(3, 100), &["S10"]),
        (
            "an abort by nobody",
            Tale::awaiting,
            |t| {
                t.status(json!({"phase": "Progressing", "waitingFor": null,
                "quarantine": [{"revision": NEW, "attempt": 2}], "attempt": {
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
            "the quarantine is lifted by nobody",
            Tale::aborted,
            |t| {
                t.status(json!({"quarantine": null}));
            },
            &["S10"],
        ),
        (
            "an attempt begins without pauses",
            Tale::promoting,
            |t| {
                t.status(json!({"attempt": {"stage": "Step", "step": 1, "number": 3,
                    "unpaused": true}}));
            },
            &["S8", "S11", "S10", "S17"],
        ),
    ];
    check(rows);
}

#[test]
fn commands_are_taken_once() {
    let rows: &[Row] = &[
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
    ];
    check(rows);
}

#[test]
fn commands_are_not_lost() {
    let rows: &[Row] = &[
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
    ];
    check(rows);
}
