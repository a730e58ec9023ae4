//! Times: S16, S17, S19, S22 and L1 to L10.

use serde_json::json;

use super::tale::{NEW, OLD, Tale, set};
use super::{Row, check};
use crate::sim::judge::Note;

fn rest() -> Tale {
    Tale::at_rest(true)
}

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
                t.status(json!({"phase": "Progressing", "waitingFor": null, "attempt": {
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

fn claim(t: &mut Tale, holder: &str) {
    let lease = json!({"spec": {"holderIdentity": holder}});
    t.create("controller", "leases/stairlock", lease);
}

#[test]
fn one_controller_writes_at_a_time() {
    fn elected() -> Tale {
        let mut tale = Tale::at_rest(true);
        claim(&mut tale, "controller");
        tale.status(json!({"observedGeneration": 2}));
        tale
    }
    fn write(t: &mut Tale, by: &str, number: i64) {
        t.merge(by, "rollouts/shop", json!({"status": {"observedGeneration": number}}));
    }
    let rows: &[Row] = &[
        ("the holder", elected, |t| write(t, "controller", 3), &[]),
        ("somebody who never held it", elected, |t| write(t, "controller-b", 3), &["S16"]),
        (
            "the next holder",
            elected,
            |t| {
                claim(t, "controller-b");
                write(t, "controller-b", 3);
            },
            &[],
        ),
        (
            "the old one after the next one wrote",
            elected,
            |t| {
                claim(t, "controller-b");
                write(t, "controller-b", 3);
                write(t, "controller", 4);
            },
            &["S16"],
        ),
        (
            "the old one before the next one wrote",
            elected,
            |t| {
                claim(t, "controller-b");
                write(t, "controller", 3);
                write(t, "controller-b", 4);
            },
            &[],
        ),
        (
            "the old one comes back",
            elected,
            |t| {
                claim(t, "controller-b");
                write(t, "controller-b", 3);
                claim(t, "controller");
                write(t, "controller", 4);
            },
            &[],
        ),
        (
            "too long after it renewed",
            elected,
            |t| {
                t.after(16);
                write(t, "controller", 3);
            },
            &["S16"],
        ),
        ("nobody is elected", rest, |t| write(t, "controller-b", 3), &[]),
    ];
    check(rows);
}

#[test]
fn transitions_are_told_once() {
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
                    let place = super::tale::place("events/shop.id9");
                    t.judge.note(Note::Failed { place, at: t.at });
                }
                t.status(json!({"outbox": null}));
            },
            &[],
        ),
        (
            "one transition by two Events",
            Tale::paused,
            |t| {
                let outbox = json!([{"id": "ida", "reason": "A"}, {"id": "idb", "reason": "A"}]);
                t.status(json!({"outbox": outbox}));
                for name in ["events/shop.ida", "events/shop.idb"] {
                    t.create(
                        "controller",
                        name,
                        json!({"regarding": {"uid": "u1"}, "reason": "A", "note": "the same"}),
                    );
                }
            },
            &["S17"],
        ),
    ];
    check(rows);
}

fn end(t: &mut Tale, secs: u64) {
    t.after(secs);
    let at = t.at;
    t.judge.end(at);
}

#[test]
fn everything_comes_into_its_place() {
    fn calm() -> Tale {
        let mut tale = Tale::at_rest(true);
        tale.calm();
        tale
    }
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
            "somebody writes at rest",
            calm,
            |t| {
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
fn commands_deletions_and_releases_are_taken_in_time() {
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
                t.after(30);
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
                t.after(30);
                t.annotate("person", json!({"stairlock.dev/promote": "yes"}));
                end(t, 61);
            },
            &[],
        ),
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
                t.after(30);
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
                t.after(30);
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
                t.after(30);
                t.offer("1.2.0", "sha256:cc");
                t.status(json!({"waitingFor": [{"kind": "OutOfRange", "automatic": false}]}));
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
