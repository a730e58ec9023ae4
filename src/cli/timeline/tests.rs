use serde_json::{Value, json};

use super::*;
use crate::sim::history::Place;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + secs * 1000)
}

fn controller(identity: &str) -> Writer {
    Writer::Controller { identity: identity.into(), seen: None }
}

/// One change of `plural/name` by a writer, in the second of its place in a list.
type Row<'a> = (Writer, &'a str, Value, Value);

fn told(rows: Vec<Row<'_>>) -> Vec<String> {
    let change = |(second, (writer, object, before, after)): (usize, Row<'_>)| {
        let (plural, name) = object.split_once('/').unwrap();
        let resource = crate::sim::resource::Resource::named(plural).unwrap().plural;
        let some = |value: Value| (!value.is_null()).then(|| Arc::new(value));
        Arc::new(Change {
            revision: 1,
            at: at(i64::try_from(second).unwrap()),
            writer,
            place: Place::new(resource, "prod", name),
            before: some(before),
            after: some(after),
        })
    };
    let changes: Vec<_> = rows.into_iter().enumerate().map(change).collect();
    let line =
        |line: Line| format!("{} {} {}", facts::offset(line.at), line.topic.as_str(), line.text);
    lines(&changes, at(0), 3).into_iter().map(line).collect()
}

fn status(attempt: Value, phase: &str, holds: Value) -> Value {
    let mut full = json!({"number": 2, "release": {"version": "1.1.0"}, "revision": "bbb",
        "trigger": "Release", "startedAt": "x", "enteredAt": "x"});
    json_patch::merge(&mut full, &attempt);
    let stable = json!({"revision": "aaa", "release": {"version": "1.0.0"}});
    json!({"status": {"attempt": full, "phase": phase, "waitingFor": holds, "stable": stable}})
}

#[test]
fn a_rollout_is_told_by_where_its_attempt_stands_and_what_holds_it() {
    let ours = || controller("a");
    let pause = |until: &str| {
        json!([{"kind": "Paused", "since": "x", "until": until,
        "automatic": true, "message": "the pause runs"}])
    };
    let person = json!([{"kind": "AwaitingPromotion", "since": "x", "automatic": false,
        "message": "waits"}]);
    let first = status(
        json!({"number": 1, "stage": "First", "trigger": "Template", "revision":
        "aaa", "release": {"version": "1.0.0"}}),
        "Initializing",
        json!([]),
    );
    let one =
        |holds| status(json!({"stage": "Step", "step": 1, "weight": 20}), "Progressing", holds);
    let two = status(json!({"stage": "Step", "step": 2, "weight": 50}), "Paused", person);
    let up = status(json!({"stage": "Promoting", "weight": 100}), "Progressing", json!([]));
    let done = status(json!({"stage": "Completed", "weight": 100}), "Completed", json!([]));
    let back =
        status(json!({"stage": "RollingBack", "cause": "Aborted"}), "Progressing", json!([]));
    let ended = status(json!({"stage": "Ended", "cause": "Aborted"}), "Failed", json!([]));
    let paused = one(pause("2026-01-01T00:05:00Z"));
    let rollout = "rollouts/shop";
    let rows: Vec<Row<'_>> = vec![
        (Writer::Other("kubectl".into()), rollout, Value::Null, json!({"spec": {}})),
        (ours(), rollout, json!({"spec": {}}), first.clone()),
        (ours(), rollout, first, one(json!([]))),
        (ours(), rollout, one(json!([])), paused.clone()),
        (ours(), rollout, paused.clone(), paused),
        (ours(), rollout, one(json!([])), two.clone()),
        (ours(), rollout, two, up.clone()),
        (ours(), rollout, up.clone(), done),
        (ours(), rollout, up, back.clone()),
        (ours(), rollout, back, ended.clone()),
        (controller("b"), rollout, ended, Value::Null),
    ];
    assert_eq!(
        told(rows),
        [
            "t+1s rollout attempt 1: template with 1.0.0, the first revision comes up, phase \
         Initializing",
            "t+2s rollout attempt 2: release 1.1.0, step 1 of 3, weight 20, phase Progressing",
            "t+3s hold Paused until t+5m: the pause runs",
            "t+5s rollout step 2 of 3, weight 50, phase Paused",
            "t+5s hold AwaitingPromotion (a person ends it): waits",
            "t+6s rollout all traffic is on it, it becomes stable, phase Progressing",
            "t+7s rollout attempt 2 is completed, phase Completed",
            "t+8s rollout goes back to stable: Aborted",
            "t+9s rollout attempt 2 ended: Aborted, phase Failed",
            "t+10s controller b goes on",
            "t+10s rollout Rollout shop is gone",
        ]
    );
}

#[test]
fn pods_and_traffic_are_told_where_they_change() {
    let ours = || controller("a");
    let world = || Writer::Other("cluster".into());
    let set = |replicas: u32, ready: u32| {
        json!({"metadata": {"labels":
        {"stairlock.dev/revision": "bbb"}}, "spec": {"replicas": replicas},
        "status": {"readyReplicas": ready}})
    };
    let route = |stable: u32| {
        json!({"spec": {"rules": [{"backendRefs": [
        {"name": "s", "weight": stable}, {"name": "c", "weight": 100 - stable}]}]}})
    };
    let service = |revision: &str| {
        json!({"spec": {"selector":
        {"stairlock.dev/revision": revision}}})
    };
    let image = |image: &str| {
        json!({"spec": {"template": {"spec": {"containers":
        [{"name": "app", "image": image}]}}}})
    };
    let (sets, routes) = ("replicasets/shop-bbb", "httproutes/shop");
    let rows: Vec<Row<'_>> = vec![
        (ours(), sets, Value::Null, set(2, 0)),
        (world(), sets, set(2, 0), set(2, 1)),
        (world(), sets, set(2, 1), set(2, 2)),
        (world(), sets, set(2, 2), set(2, 1)),
        (ours(), sets, set(2, 1), set(1, 1)),
        (ours(), routes, route(100), route(80)),
        (Writer::Other("rival".into()), routes, route(80), route(100)),
        (world(), routes, route(100), route(100)),
        (ours(), "services/s", Value::Null, service("bbb")),
        (ours(), "services/s", service("bbb"), service("")),
        (Writer::Other("person".into()), "services/s", service(""), service("x")),
        (ours(), "rollouts/shop", image("r/a:1"), image("r/a:2@sha256:0")),
        (ours(), "leases/l", Value::Null, json!({"spec": {"holderIdentity": "a"}})),
        (ours(), "events/e", Value::Null, json!({})),
    ];
    assert_eq!(
        told(rows),
        [
            "t+0s pods bbb: 0 → 2 pods",
            "t+2s pods bbb: 2 of 2 pods are ready",
            "t+3s pods bbb: 1 of 2 pods are ready",
            "t+4s pods bbb: 2 → 1 pods",
            "t+5s traffic HTTPRoute shop: c 20, s 80",
            "t+6s traffic HTTPRoute shop: c 0, s 100 (by rival)",
            "t+8s traffic Service s is made and selects bbb",
            "t+9s traffic Service s selects all pods",
            "t+11s rollout r/a:2 is written into container app",
            "t+12s controller a leads",
        ]
    );
}
