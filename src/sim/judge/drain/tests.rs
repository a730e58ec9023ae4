//! The drain of S19.

use serde_json::json;

use crate::sim::judge::tale::{NEW, Row, Tale, check, set};

/// 1.1.0 was aborted, in a Rollout where pods stay so long, and those that failed so long.
fn ended(drain: u32, failed: u32) -> Tale {
    let mut tale = Tale::aborted();
    let canary = json!({"scaleDownDelaySeconds": drain, "abortScaleDownDelaySeconds": failed});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": {"canary": canary}}}));
    tale.after(6);
    tale.fails();
    tale
}

fn goes_after(t: &mut Tale, secs: u64) {
    t.after(secs);
    t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
}

#[test]
fn pods_stay_for_a_while_after_their_traffic() {
    let rows: &[Row] = &[
        (
            "its weight is 0 for too short a time",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.accept();
                t.after(29);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &["S19"],
        ),
        (
            "its weight is 0 for long enough",
            Tale::aborted,
            |t| {
                t.weigh(100, 0);
                t.accept();
                t.after(30);
                t.merge("controller", &set(NEW), json!({"spec": {"replicas": 0}}));
            },
            &[],
        ),
        ("what failed goes after its own delay", || ended(30, 9), |t| goes_after(t, 9), &[]),
        ("it goes before", || ended(3, 60), |t| goes_after(t, 59), &["S19"]),
        ("it goes though it is kept", || ended(30, 0), |t| goes_after(t, 600), &["S19"]),
    ];
    check(rows);
}
