//! S17.

use serde_json::json;

use crate::sim::judge::Note;
use crate::sim::judge::tale::{Row, Tale, check, place};

fn rest() -> Tale {
    Tale::at_rest(true)
}

#[test]
fn nothing_is_told_that_is_not_stored() {
    let rows: &[Row] = &[
        (
            "an Event of nothing",
            rest,
            |t| {
                t.create(
                    "controller",
                    "events/shop.id99",
                    json!({"regarding": {"uid": "u1"}, "reason": "StepEntered", "note": "n"}),
                )
            },
            &["S17"],
        ),
        (
            "an Event before its notice is stored",
            Tale::paused,
            |t| {
                let notice = t.notice("StepEntered");
                t.send("StepEntered");
                t.after(60);
                t.status(json!({"phase": "Progressing", "outbox": [notice], "waitingFor": null,
                "attempt": {"step": 2, "weight": 50, "pausedAt": null}}));
            },
            &["S17"],
        ),
        (
            "one transition by two Events",
            Tale::paused,
            |t| {
                let outbox = json!([{"id": "ida", "reason": "A"}, {"id": "idb", "reason": "A"}]);
                t.status(json!({"outbox": outbox}));
                for name in ["events/shop.ida", "events/shop.idb"] {
                    let about = json!({"uid": "u1"});
                    let note = "attempt 2: the same";
                    let event = json!({"regarding": about, "reason": "A", "note": note});
                    t.create("controller", name, event);
                }
            },
            &["S17"],
        ),
        (
            "one id for two notices",
            rest,
            |t| {
                t.status(json!({"outbox": [{"id": "ida", "reason": "A", "message": "one"}]}));
                t.status(json!({"outbox": [{"id": "ida", "reason": "A", "message": "two"}]}));
            },
            &["S17"],
        ),
    ];
    check(rows);
}

#[test]
fn transitions_are_told() {
    let rows: &[Row] = &[
        (
            "a step without a notice",
            Tale::paused,
            |t| {
                t.after(60);
                t.status(json!({"phase": "Progressing", "waitingFor": null,
                "attempt": {"step": 2, "weight": 50, "pausedAt": null}}));
            },
            &["S17"],
        ),
        (
            "a notice is dropped",
            Tale::paused,
            |t| {
                let notice = t.notice("RouteRefused");
                t.status(json!({"outbox": [notice]}));
                t.status(json!({"outbox": null}));
            },
            &["S17"],
        ),
        (
            "a notice that could not be sent is dropped",
            Tale::paused,
            |t| {
                let notice = t.notice("RouteRefused");
                t.status(json!({"outbox": [notice]}));
                for _ in 0..5 {
                    let place = place("events/shop.id9");
                    t.judge.note(Note::Failed { place, at: t.at });
                }
                t.status(json!({"outbox": null}));
            },
            &[],
        ),
    ];
    check(rows);
}
