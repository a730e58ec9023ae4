//! S2 and S11 of a change of strategy.

use serde_json::{Value, json};

use crate::sim::judge::tale::{OLD, Row, Tale, check, set};

/// The spec names a rolling update, which knows no Services, and the Services are let go.
fn changed(mut tale: Tale) -> Tale {
    let strategy = json!({"canary": null, "simple": {}});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": strategy}}));
    tale.after(6);
    tale
}

fn free(tale: &mut Tale, name: &str) {
    let all = json!({"spec": {"selector": {"stairlock.dev/revision": null}}});
    tale.merge("controller", &format!("services/{name}"), all);
}

fn simple() -> Value {
    json!({"strategy": "simple", "port": 80, "httpRoute": null, "stableService": null,
        "canaryService": null, "variantMatch": null})
}

fn uses(tale: &mut Tale, routing: &Value) {
    tale.status(json!({"attempt": {"routing": routing}}));
}

#[test]
fn a_service_that_a_lost_status_forgot_is_let_go() {
    let mut tale = Tale::paused();
    tale.merge("restore", "rollouts/shop", json!({"status": null}));
    let canary = json!({"stableService": "a", "canaryService": "b"});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": {"canary": canary}}}));
    free(&mut tale, "stable");
    assert_eq!(tale.broken(), Vec::<&str>::new());
}

#[test]
fn what_was_used_is_left_at_rest_and_whole() {
    fn calm() -> Tale {
        let mut tale = Tale::completed();
        tale.after(31);
        tale.merge("controller", &set(OLD), json!({"spec": {"replicas": 0}}));
        tale.status(json!({"draining": null}));
        tale.calm();
        changed(tale)
    }
    let rows: &[Row] = &[
        (
            "the Services are let go, then the strategy is used",
            calm,
            |t| {
                free(t, "stable");
                free(t, "canary");
                uses(t, &simple());
            },
            &[],
        ),
        (
            "a Service stays narrow",
            calm,
            |t| {
                free(t, "canary");
                uses(t, &simple())
            },
            &["S2"],
        ),
        ("a Service that is named is not let go", Tale::paused, |t| free(t, "stable"), &["S5"]),
        (
            "what is used is not named",
            calm,
            |t| {
                free(t, "stable");
                free(t, "canary");
                uses(t, &json!({"strategy": "blueGreen"}));
            },
            &["S11"],
        ),
        (
            "half-way",
            || changed(Tale::paused()),
            |t| {
                free(t, "stable");
                free(t, "canary");
                uses(t, &simple());
            },
            &["S11", "S2"],
        ),
        (
            "the old side still has pods",
            || {
                let mut tale = Tale::completed();
                tale.after(6);
                changed(tale)
            },
            |t| {
                free(t, "stable");
                free(t, "canary");
                uses(t, &simple());
            },
            &["S2"],
        ),
    ];
    check(rows);
}
