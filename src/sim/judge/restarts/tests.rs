//! S23 and L11.

use serde_json::{Value, json};

use crate::model::moment::{Duration, Timestamp};
use crate::sim::judge::tale::{NEW, OLD, Row, Tale, check, place};

fn pod(tale: &Tale, revision: &str, ready: bool) -> Value {
    let at = Timestamp::from_millis(tale.at.millis() / 1000 * 1000).to_string();
    let ready = if ready { "True" } else { "False" };
    json!({
        "metadata": {"creationTimestamp": at, "finalizers": ["kubelet.sim/stops"],
            "ownerReferences": [{"name": format!("shop-{revision}"), "controller": true}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    })
}

fn comes(tale: &mut Tale, name: &str, revision: &str, ready: bool) {
    let pod = pod(tale, revision, ready);
    tale.create("kubelet", &format!("pods/{name}"), pod);
}

fn goes(tale: &mut Tale, by: &str, name: &str) {
    let stamp = json!({"metadata": {"deletionTimestamp": tale.at.to_string()}});
    tale.merge(by, &format!("pods/{name}"), stamp);
}

/// Five pods of stable, and a restart that was asked for after they came.
fn restarting() -> Tale {
    let mut tale = Tale::at_rest(true);
    for name in ["a", "b", "c", "d", "e"] {
        comes(&mut tale, name, OLD, true);
    }
    tale.after(60);
    tale.annotate("person", json!({"stairlock.dev/restart": "true"}));
    let accepted = json!({"stairlock.dev/restart": null, "stairlock.dev/accepted": "restart 1/1"});
    tale.annotate("controller", accepted);
    let notice = tale.notice("RestartStarted");
    let since = tale.at.to_string();
    tale.status(json!({"restart": {"since": since, "number": 1}, "outbox": [notice]}));
    tale.annotate("controller", json!({"stairlock.dev/accepted": null}));
    tale.send("RestartStarted");
    tale.status(json!({"outbox": null}));
    tale.after(5);
    tale
}

#[test]
fn pods_are_evicted_by_a_restart_alone_and_one_by_one() {
    let rows: &[Row] = &[
        ("one", restarting, |t| goes(t, "controller", "a"), &[]),
        (
            "nobody asked",
            || Tale::at_rest(true),
            |t| {
                comes(t, "a", OLD, true);
                t.after(9);
                goes(t, "controller", "a");
            },
            &["S23"],
        ),
        (
            "by somebody else",
            || Tale::at_rest(true),
            |t| {
                comes(t, "a", OLD, true);
                goes(t, "person", "a");
            },
            &[],
        ),
        (
            "two at once",
            restarting,
            |t| {
                goes(t, "controller", "a");
                goes(t, "controller", "b");
            },
            &["S23"],
        ),
        (
            "the next before the replacement is ready",
            restarting,
            |t| {
                goes(t, "controller", "a");
                comes(t, "f", OLD, false);
                t.after(20);
                goes(t, "controller", "b");
            },
            &["S23"],
        ),
        (
            "the next after it",
            restarting,
            |t| {
                goes(t, "controller", "a");
                comes(t, "f", OLD, true);
                t.after(20);
                goes(t, "controller", "b");
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn pods_are_evicted_that_are_old_and_serve() {
    let rows: &[Row] = &[
        (
            "one that came since",
            restarting,
            |t| {
                goes(t, "controller", "a");
                comes(t, "f", OLD, true);
                t.after(20);
                goes(t, "controller", "f");
            },
            &["S23"],
        ),
        (
            "one of a side that does not serve",
            restarting,
            |t| {
                t.create(
                    "person",
                    &format!("replicasets/shop-{NEW}"),
                    json!({
                "metadata": {"labels": {"stairlock.dev/rollout": "shop",
                    "stairlock.dev/revision": NEW}}}),
                );
                t.merge(
                    "kubelet",
                    "pods/a",
                    json!({"metadata": {"ownerReferences": [
                {"name": format!("shop-{NEW}"), "controller": true}]}}),
                );
                goes(t, "controller", "a");
            },
            &["S23"],
        ),
    ];
    check(rows);
}

fn done(tale: &mut Tale) {
    let notice = tale.notice("RestartCompleted");
    tale.status(json!({"restart": null, "outbox": [notice]}));
}

#[test]
fn a_restart_ends_when_all_are_replaced_and_not_by_itself() {
    let rows: &[Row] = &[
        ("with old pods", restarting, done, &["S23"]),
        (
            "all replaced",
            restarting,
            |t| {
                for (old, new) in [("a", "f"), ("b", "g"), ("c", "h"), ("d", "i"), ("e", "j")] {
                    goes(t, "controller", old);
                    comes(t, new, OLD, true);
                    t.after(9);
                }
                done(t);
            },
            &[],
        ),
        (
            "begun by nobody",
            || Tale::at_rest(true),
            |t| {
                let since = t.at.to_string();
                t.status(json!({"restart": {"since": since, "number": 1}}));
            },
            &["S10"],
        ),
    ];
    check(rows);
    let mut tale = restarting();
    tale.calm();
    tale.after(150);
    let end = tale.at + Duration::from_secs(1);
    tale.judge.end(end);
    assert_eq!(tale.broken(), ["L11"], "{:?}", tale.objects.get(&place("rollouts/shop")));
}
