//! S13.

use serde_json::json;

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, selector};

fn holds(t: &mut Tale) {
    let at = t.at.to_string();
    t.status(json!({"phase": "Paused", "attempt": {"pausedAt": at}}));
}

fn completes(t: &mut Tale) {
    let notice = t.notice("AttemptCompleted");
    t.status(json!({"phase": "Completed", "outbox": [notice], "attempt": {"stage": "Completed"},
        "stable": {"revision": NEW}, "draining": [{"revision": OLD}], "history": [
            {"number": 2, "outcome": "Completed"}, {"number": 1, "outcome": "Completed"}]}));
}

#[test]
fn a_step_is_in_force_by_pods_and_gateways() {
    let rows: &[Row] = &[
        ("both are there", Tale::delivered_and_weighed, holds, &[]),
        (
            "the gateway said nothing of it",
            || Tale::delivered(true),
            |t| {
                t.weigh(80, 20);
                t.after(6);
                holds(t);
            },
            &["S13"],
        ),
        ("the weight is that of before", || Tale::delivered(true), holds, &["S13"]),
        (
            "the pods are gone",
            Tale::delivered_and_weighed,
            |t| {
                t.ready(NEW, 0);
                t.after(6);
                holds(t);
            },
            &["S13"],
        ),
        ("without a route the pods are enough", || Tale::delivered(false), holds, &[]),
    ];
    check(rows);
}

#[test]
fn a_promotion_ends_with_the_service_turned() {
    let rows: &[Row] = &[
        ("it is turned", Tale::completed, |_| {}, &[]),
        (
            "it is not turned",
            Tale::promoting,
            |t| {
                t.after(6);
                t.weigh_as("person", 100, 0);
                t.accept();
                t.after(6);
                completes(t);
            },
            &["S13"],
        ),
        (
            "its weights are not back",
            Tale::promoting,
            |t| {
                t.merge("controller", "services/stable", selector(NEW));
                t.after(6);
                completes(t);
            },
            &["S13"],
        ),
    ];
    check(rows);
}
