//! S2, S3 and S8 of sizes.

use serde_json::json;

use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, release, set};

fn unrouted() -> Tale {
    Tale::delivered(false)
}

#[test]
fn pods_with_traffic_stay() {
    let rows: &[Row] = &[
        (
            "the canary is cut below its share",
            Tale::awaiting,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 2}}));
            },
            &["S2"],
        ),
        (
            "the canary goes before its weight",
            Tale::aborted,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
        (
            "its weight is 0 and not accepted",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.after(60);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
        (
            "no pods are wanted",
            Tale::awaiting,
            |t| {
                t.merge("person", "rollouts/shop", json!({"spec": {"replicas": 0}}));
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &[],
        ),
        (
            "a ReplicaSet with pods is deleted",
            Tale::completed,
            |t| {
                t.delete("controller", &set(OLD));
            },
            &["S2", "S19"],
        ),
        (
            "without a route the last pod behind the stable Service goes",
            unrouted,
            |t| {
                t.ready(NEW, 9);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 0}}));
            },
            &["S2"],
        ),
    ];
    check(rows);
}

#[test]
fn pods_stay_within_their_bounds() {
    let rows: &[Row] = &[
        ("one more is allowed", unrouted, |_| {}, &[]),
        (
            "two more are not",
            unrouted,
            |t| {
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 2}}));
            },
            &["S3"],
        ),
        (
            "one may lack",
            unrouted,
            |t| {
                t.ready(NEW, 0);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 4}}));
            },
            &[],
        ),
        (
            "two may not",
            unrouted,
            |t| {
                t.ready(NEW, 0);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 3}}));
            },
            &["S3"],
        ),
        (
            "those that are not ready may go",
            unrouted,
            |t| {
                t.ready(OLD, 2);
                t.after(6);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 2}}));
            },
            &[],
        ),
        (
            "with a route stable keeps its size",
            Tale::promoting,
            |t| {
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 4}}));
            },
            &["S3"],
        ),
        ("unless its weight needs less", || shares(true), |t| shrinks(t, 4), &[]),
        ("but not fewer than that", || shares(true), |t| shrinks(t, 3), &["S2", "S3"]),
        ("nor before a gateway knows", || shares(false), |t| shrinks(t, 4), &["S2", "S3"]),
    ];
    check(rows);
}

/// The canary has its 20 % of the traffic in a Rollout whose stable side shares its size.
fn shares(accepted: bool) -> Tale {
    let mut tale = Tale::delivered(true);
    let canary = json!({"strategy": {"canary": {"dynamicStableScale": true}}});
    tale.merge("person", "rollouts/shop", json!({"spec": canary}));
    tale.after(6);
    tale.weigh(80, 20);
    if accepted {
        tale.accept();
    }
    tale.after(6);
    tale
}

fn shrinks(t: &mut Tale, replicas: u32) {
    t.merge("controller", &set(OLD), json!({"spec": {"replicas": replicas}}));
}

#[test]
fn what_failed_gets_no_pods() {
    let failed = || {
        let mut tale = Tale::aborted();
        tale.fails();
        tale.after(31);
        tale.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
        tale
    };
    let again = |t: &mut Tale| {
        t.after(6);
        t.merge("controller", &set(NEW), json!({"spec": {"replicas": 1}}));
    };
    let retried = |t: &mut Tale| {
        let notice = t.notice("AttemptStarted");
        t.after(6);
        t.status(json!({"phase": "Progressing", "outbox": [notice], "attempt": {"number": 3,
            "revision": NEW, "stage": "Step", "step": 1, "weight": 20, "trigger": "Release",
            "delivered": false, "cause": null, "release": release("1.1.0", "sha256:bb")}}));
    };
    let rows: &[Row] = &[
        ("it stays without pods", failed, |_| {}, &[]),
        ("it gets pods", failed, again, &["S8"]),
        ("it is tried again", failed, retried, &["S8", "S17"]),
    ];
    check(rows);
}
