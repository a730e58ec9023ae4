//! S21.

use serde_json::{Value, json};

use crate::sim::judge::tale::{Row, Tale, check};

fn rest() -> Tale {
    Tale::at_rest(true)
}

fn entries(all: &[(i64, &str)]) -> Value {
    all.iter().map(|(number, outcome)| json!({"number": number, "outcome": outcome})).collect()
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
        (
            "a condition changes its time alone",
            rest,
            |t| {
                let time = "2026-01-02T12:00:09Z";
                t.status(json!({"conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": time}]}));
            },
            &["S21"],
        ),
        (
            "a condition of a status that nobody can read begins anew",
            rest,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"status": {"attempt": {"stage": "Odd"}}}),
                );
                let time = "2026-01-02T12:00:09Z";
                t.status(json!({"attempt": {"stage": "Completed"}, "conditions": [
                    {"type": "Ready", "status": "True", "lastTransitionTime": time}]}));
            },
            &[],
        ),
    ];
    check(rows);
}
