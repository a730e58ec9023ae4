//! L1 to L10.

use serde_json::json;

use crate::sim::judge::tale::{OLD, Row, Tale, check, set};

fn rest() -> Tale {
    Tale::at_rest(true)
}

/// An aborted attempt stands since a GitOps tool has one of its two routes; the other gives the
/// canary this weight.
fn held(tale: &mut Tale, canary: u32) {
    tale.annotate("controller", json!({"stairlock.dev/accepted": null}));
    let routes = json!({"httpRoute": null, "routes": [
        {"kind": "HTTPRoute", "name": "shop"}, {"kind": "HTTPRoute", "name": "intern"}]});
    let backends = json!([{"name": "stable", "port": 80, "weight": 50},
        {"name": "canary", "port": 80, "weight": 50}]);
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "apps"});
    tale.create(
        "person",
        "httproutes/intern",
        json!({"metadata": {"labels": labels},
        "spec": {"rules": [{"backendRefs": backends}]}}),
    );
    tale.status(json!({"attempt": {"routing": routes},
        "waitingFor": [{"kind": "RouteOwned", "automatic": false}]}));
    tale.weigh_as("person", 100 - canary, canary);
    tale.accept();
    tale.calm();
    end(tale, 600);
}

#[test]
fn a_route_that_is_held_keeps_no_other_from_falling() {
    let rows: &[Row] = &[
        ("the other one fell", Tale::aborted, |t| held(t, 0), &[]),
        ("it did not", Tale::aborted, |t| held(t, 50), &["L2"]),
    ];
    check(rows);
}

fn end(t: &mut Tale, secs: u64) {
    t.after(secs);
    let at = t.at;
    t.judge.end(at);
}

/// 1.0.0 carries all traffic, and all is calm.
fn calm() -> Tale {
    let mut tale = Tale::at_rest(true);
    tale.calm();
    tale
}

#[test]
fn everything_comes_into_its_place() {
    let rows: &[Row] = &[
        ("at rest", calm, |t| end(t, 600), &[]),
        ("before the calm nothing is late", Tale::completed, |t| end(t, 6000), &[]),
        (
            "pods that drained stay",
            Tale::completed,
            |t| {
                t.after(30);
                t.status(json!({"draining": null}));
                t.calm();
                end(t, 600);
            },
            &["L1"],
        ),
        (
            "they go",
            Tale::completed,
            |t| {
                t.after(31);
                t.merge("controller", &set(OLD), json!({"spec": {"replicas": 0}}));
                t.status(json!({"draining": null}));
                t.calm();
                end(t, 600);
            },
            &[],
        ),
        (
            "weights that a person set stay",
            calm,
            |t| {
                t.weigh_as("person", 50, 50);
                t.accept();
                end(t, 600);
            },
            &["L1"],
        ),
        (
            "notices stay unsent",
            calm,
            |t| {
                let notice = t.notice("RouteRefused");
                t.status(json!({"outbox": [notice]}));
                end(t, 600);
            },
            &["L1"],
        ),
    ];
    check(rows);
}

#[test]
fn what_is_needed_is_there_or_waited_for() {
    fn waits(t: &mut Tale, kind: &str) {
        t.status(json!({"waitingFor": [{"kind": kind, "automatic": false}]}));
    }
    fn gone(t: &mut Tale, path: &str) {
        t.delete("person", path);
        end(t, 600);
    }
    let rows: &[Row] = &[
        ("a Service is gone", calm, |t| gone(t, "services/canary"), &["L1"]),
        ("the route is gone", calm, |t| gone(t, "httproutes/shop"), &["L1"]),
        ("stable is gone", calm, |t| gone(t, &set(OLD)), &["L1"]),
        (
            "a Service is gone, and the gateway is waited for",
            calm,
            |t| {
                waits(t, "RouteRefused");
                gone(t, "services/canary");
            },
            &["L1"],
        ),
        (
            "a Service is gone and waited for",
            calm,
            |t| {
                waits(t, "BackendNotFound");
                gone(t, "services/canary");
            },
            &[],
        ),
        (
            "nobody takes care",
            calm,
            |t| {
                t.merge("person", "rollouts/shop", json!({"status": null}));
                end(t, 600);
            },
            &["L1"],
        ),
    ];
    check(rows);
}

#[test]
fn nobody_writes_at_rest() {
    let rows: &[Row] = &[
        (
            "somebody writes at rest",
            calm,
            |t| {
                t.after(1000);
                t.status(json!({"observedGeneration": 9}));
            },
            &["L1"],
        ),
        (
            "what was waited for has ended",
            calm,
            |t| {
                t.status(json!({"waitingFor": [{"kind": "GateClosed", "automatic": true}]}));
                t.after(1000);
                t.status(json!({"waitingFor": null}));
            },
            &[],
        ),
        (
            "what a person has to end has not",
            calm,
            |t| {
                t.status(json!({"waitingFor": [{"kind": "Quarantined", "automatic": false}]}));
                t.after(1000);
                t.status(json!({"observedGeneration": 9}));
            },
            &["L1"],
        ),
        (
            "somebody writes after a change",
            calm,
            |t| {
                t.after(1000);
                t.merge("person", "rollouts/shop", json!({"spec": {"replicas": 6}}));
                t.status(json!({"observedGeneration": 9}));
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn attempts_end_or_say_what_they_wait_for() {
    let rows: &[Row] = &[
        (
            "promotion is awaited",
            Tale::awaiting,
            |t| {
                t.calm();
                end(t, 6000);
            },
            &[],
        ),
        (
            "nothing is awaited",
            Tale::awaiting,
            |t| {
                t.status(json!({"waitingFor": null}));
                t.calm();
                end(t, 600);
            },
            &["L2"],
        ),
    ];
    check(rows);
}

#[test]
fn holds_end_in_time() {
    let rows: &[Row] = &[
        (
            "a pause that is over",
            Tale::paused,
            |t| {
                let at = t.at.to_string();
                t.status(
                    json!({"waitingFor": [{"kind": "Paused", "automatic": true, "until": at}]}),
                );
                t.calm();
                end(t, 600);
            },
            &["L2"],
        ),
        (
            "a pause that ends late",
            Tale::paused,
            |t| {
                t.calm();
                t.after(140);
                t.enters(2, 50);
            },
            &["L2"],
        ),
        (
            "a pause that ends in time",
            Tale::paused,
            |t| {
                t.calm();
                t.after(100);
                t.enters(2, 50);
            },
            &[],
        ),
        (
            "a pause without an end",
            Tale::paused,
            |t| {
                t.status(json!({"waitingFor": [{"kind": "Paused", "automatic": true}]}));
                t.calm();
                end(t, 600);
            },
            &["L2"],
        ),
    ];
    check(rows);
}

#[test]
fn steps_have_a_deadline() {
    let rows: &[Row] = &[
        (
            "pods that never come",
            Tale::paused,
            |t| {
                let at = t.at.to_string();
                t.status(json!({"waitingFor": [
                {"kind": "PodsNotReady", "automatic": true, "since": at}]}));
                t.calm();
                end(t, 500);
            },
            &[],
        ),
        (
            "pods that never come, beyond the deadline",
            Tale::paused,
            |t| {
                let at = t.at.to_string();
                t.status(json!({"waitingFor": [
                {"kind": "PodsNotReady", "automatic": true, "since": at}]}));
                t.calm();
                end(t, 700);
            },
            &["L2"],
        ),
    ];
    check(rows);
}

#[test]
fn commands_are_taken_in_time() {
    let rows: &[Row] = &[
        (
            "a command stands",
            Tale::awaiting,
            |t| {
                t.calm();
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                end(t, 50);
            },
            &[],
        ),
        (
            "a command stands for long",
            Tale::awaiting,
            |t| {
                t.calm();
                t.after(45);
                t.annotate("person", json!({"stairlock.dev/promote": "true"}));
                end(t, 61);
            },
            &["L3"],
        ),
        (
            "one that is not understood stands",
            Tale::awaiting,
            |t| {
                t.calm();
                t.after(45);
                t.annotate("person", json!({"stairlock.dev/promote": "yes"}));
                end(t, 61);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn deletions_and_releases_are_taken_in_time() {
    let rows: &[Row] = &[
        (
            "a deletion takes long",
            rest,
            |t| {
                t.merge(
                    "controller",
                    "rollouts/shop",
                    json!({"metadata": {"finalizers": ["stairlock.dev/restore"]}}),
                );
                t.calm();
                t.after(45);
                t.merge(
                    "person",
                    "rollouts/shop",
                    json!({"metadata": {"deletionTimestamp": "2026-01-02T12:05:00Z"}}),
                );
                end(t, 41);
            },
            &["L4"],
        ),
        (
            "a release waits",
            Tale::awaiting,
            |t| {
                t.calm();
                t.after(45);
                t.offer("1.2.0", "sha256:cc");
                end(t, 6);
            },
            &["L9"],
        ),
        (
            "a release waits for a reason",
            Tale::awaiting,
            |t| {
                t.calm();
                t.after(45);
                t.offer("1.2.0", "sha256:cc");
                t.status(json!({"waitingFor": [{"kind": "OutOfRange", "automatic": false}]}));
                end(t, 6);
            },
            &[],
        ),
        (
            "a release waits at rest",
            calm,
            |t| {
                t.after(45);
                t.offer("1.2.0", "sha256:cc");
                end(t, 6);
            },
            &["L9"],
        ),
        (
            "an older one waits for ever",
            calm,
            |t| {
                t.after(45);
                t.offer("0.9.0", "sha256:cc");
                end(t, 6);
            },
            &[],
        ),
    ];
    check(rows);
}

#[test]
fn nobody_writes_on_and_on() {
    let mut tale = Tale::at_rest(true);
    (0..40).for_each(|number| tale.status(json!({"observedGeneration": number})));
    assert_eq!(tale.broken(), [""; 0]);
    tale.status(json!({"observedGeneration": 99}));
    assert_eq!(tale.broken(), ["L10"]);
    let mut tale = Tale::at_rest(true);
    for number in 0..100 {
        tale.status(json!({"observedGeneration": number}));
        tale.ready(OLD, 4 + u32::from(number % 2 == 0));
    }
    assert_eq!(tale.broken(), [""; 0], "each is asked for");
}
