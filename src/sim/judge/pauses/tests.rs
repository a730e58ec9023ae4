//! S19 and S22.

use serde_json::json;

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, set};

fn freeze(t: &mut Tale, paused: bool) {
    t.merge("person", "rollouts/shop", json!({"spec": {"paused": paused}}));
}

#[test]
fn pauses_last_by_the_true_clock() {
    let rows: &[Row] = &[
        (
            "a minute",
            Tale::paused,
            |t| {
                t.after(60);
                t.enters(2, 50);
            },
            &[],
        ),
        (
            "less",
            Tale::paused,
            |t| {
                t.after(58);
                t.enters(2, 50);
            },
            &["S19"],
        ),
        (
            "less, and the ladder is shorter now",
            Tale::paused,
            |t| {
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"spec": {"strategy": {"canary": {
                "steps": [{"setWeight": 20, "pause": {"duration": "30s"}}, {"setWeight": 50}]}}}}),
                );
                t.after(30);
                t.enters(2, 50);
            },
            &[],
        ),
        (
            "less, by command",
            Tale::paused,
            |t| {
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/promote": null,
                "stairlock.dev/accepted": "promote 2/1"}),
                );
                t.enters(2, 50);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn pauses_do_not_go_by_the_clock_of_a_process() {
    let rows: &[Row] = &[
        (
            "a clock that is an hour late",
            Tale::delivered_and_weighed,
            |t| {
                t.status(
                    json!({"phase": "Paused", "attempt": {"pausedAt": "2026-01-02T11:01:00Z"}}),
                );
                t.after(30);
                t.enters(2, 50);
            },
            &["S19"],
        ),
        (
            "it begins anew",
            Tale::paused,
            |t| {
                let at = t.at.to_string();
                t.after(30);
                t.status(json!({"attempt": {"pausedAt": at}}));
            },
            &["S19"],
        ),
        (
            "a little less, by another process",
            Tale::paused,
            |t| {
                t.after(58);
                t.by = "controller-b".to_owned();
                t.enters(2, 50);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn frozen_time_does_not_count() {
    let rows: &[Row] = &[
        (
            "frozen time counts",
            Tale::paused,
            |t| {
                freeze(t, true);
                let at = t.at.to_string();
                t.status(json!({"frozenSince": at}));
                t.after(60);
                freeze(t, false);
                t.status(json!({"frozenSince": null}));
                t.enters(2, 50);
            },
            &["S19"],
        ),
        (
            "frozen time counts, and no time says since when",
            Tale::paused,
            |t| {
                freeze(t, true);
                t.status(json!({"waitingFor": [{"kind": "Suspended", "automatic": false}]}));
                t.after(60);
                freeze(t, false);
                t.enters(2, 50);
            },
            &["S19"],
        ),
        (
            "frozen time does not count",
            Tale::paused,
            |t| {
                freeze(t, true);
                let at = t.at.to_string();
                t.status(json!({"frozenSince": at}));
                t.after(60);
                freeze(t, false);
                t.status(json!({"frozenSince": null}));
                t.after(60);
                t.enters(2, 50);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn a_frozen_rollout_stands_still() {
    fn frozen() -> Tale {
        let mut tale = Tale::paused();
        freeze(&mut tale, true);
        tale.after(60);
        tale
    }
    let rows: &[Row] = &[
        ("it goes on", frozen, |t| t.enters(2, 50), &["S22"]),
        ("its weights are changed", frozen, |t| t.weigh(100, 0), &["S9", "S22"]),
        (
            "it is aborted",
            frozen,
            |t| {
                t.annotate("person", json!({"stairlock.dev/abort": "true"}));
                t.annotate(
                    "controller",
                    json!({"stairlock.dev/abort": null,
                "stairlock.dev/accepted": "abort 2/1"}),
                );
                t.status(json!({"phase": "Progressing", "waitingFor": null,
                "quarantine": [{"revision": NEW, "attempt": 2}], "attempt": {
                "stage": "RollingBack", "step": 0, "pausedAt": null, "cause": "Aborted"}}));
                t.after(6);
                t.weigh(100, 0);
                t.accept();
                t.image("controller", "shop:1.0.0");
            },
            &[],
        ),
        (
            "a release is delivered",
            || {
                let mut tale = Tale::decided(true);
                freeze(&mut tale, true);
                tale
            },
            |t| t.image("controller", "shop:1.1.0@sha256:bb"),
            &["S22"],
        ),
        (
            "sizes follow the replicas",
            frozen,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"replicas": 10}}));
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 10}}));
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 2}}));
            },
            &[],
        ),
    ];
    check(rows);
}
