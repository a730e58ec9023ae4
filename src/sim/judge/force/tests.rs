//! S13.

use serde_json::{Value, json};

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

/// 1 of 5 pods of 1.1.0 has the weight of step 1, which asks for so many.
fn scaled(scale: Value) -> Tale {
    let mut tale = Tale::delivered(true);
    let step = json!({"setWeight": 20, "pause": {"duration": "10s"}, "setCanaryScale": scale});
    let steps = json!([step, {"setWeight": 60, "pause": {}}, {"setWeight": 100}]);
    let canary = json!({"strategy": {"canary": {"steps": steps}}});
    tale.merge("person", "rollouts/shop", json!({"spec": canary}));
    tale.after(6);
    tale.weigh(80, 20);
    tale.accept();
    tale.after(6);
    tale
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
        ("more pods are asked for", || scaled(json!({"replicas": 2})), holds, &["S13"]),
        ("a larger share is", || scaled(json!({"weight": 21})), holds, &["S13"]),
        ("no more pods are", || scaled(json!({"weight": 20})), holds, &[]),
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
