use serde_json::json;

use super::*;
use crate::sim::history::{Place, Writer};
use crate::sim::resource::Resource;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000) + Duration::from_secs(secs)
}

fn change(secs: u64, object: &str, after: Value) -> Arc<Change> {
    let (plural, name) = object.split_once('/').unwrap();
    let place = Place::new(Resource::named(plural).unwrap().plural, "prod", name);
    let writer = Writer::Other("cluster".into());
    let after = (!after.is_null()).then(|| Arc::new(after));
    Arc::new(Change { revision: 1, at: at(secs), writer, place, before: None, after })
}

fn rollout(stage: &str, step: u32, weight: u32, more: Value) -> Value {
    let attempt = json!({"number": 2, "release": {"version": "1.1.0"}, "revision": "bbb",
        "trigger": "Release", "stage": stage, "step": step, "weight": weight,
        "startedAt": at(10).to_string(), "enteredAt": at(10).to_string()});
    let stable = json!({"revision": "aaa", "release": {"version": "1.0.0"}});
    let mut object = json!({"status": {"attempt": attempt, "stable": stable}});
    json_patch::merge(&mut object, &json!({"status": more}));
    object
}

fn set(revision: &str, ready: u32) -> Value {
    json!({"metadata": {"labels": {"stairlock.dev/revision": revision}},
        "status": {"readyReplicas": ready}})
}

fn story() -> Vec<Arc<Change>> {
    let held = json!({"waitingFor": [{"kind": "Paused", "since": "x", "automatic": true, "message":
        "m"}], "attempt": {"pausedAt": at(12).to_string()}});
    let done = json!({"history": [{"number": 2, "revision": "bbb", "trigger": "Release", "outcome":
        "Completed", "weight": 100, "startedAt": at(10).to_string(), "endedAt":
        at(40).to_string()}]});
    vec![
        change(0, "replicasets/a", set("aaa", 3)),
        change(1, "pods/1", json!({})),
        change(2, "pods/2", json!({})),
        change(10, "rollouts/shop", rollout("Step", 1, 25, json!({}))),
        change(11, "pods/2", json!({"metadata": {"deletionTimestamp": "x"}})),
        change(11, "pods/3", json!({})),
        change(12, "replicasets/b", set("bbb", 1)),
        change(12, "rollouts/shop", rollout("Step", 1, 25, held)),
        change(30, "rollouts/shop", rollout("Promoting", 0, 100, json!({}))),
        change(35, "replicasets/a", set("aaa", 0)),
        change(40, "rollouts/shop", rollout("Completed", 0, 100, done)),
    ]
}

#[test]
fn an_attempt_is_counted_by_where_it_stands() {
    let account = account(&story(), at(60), Some(2));
    assert_eq!(account.peak_pods, 2, "those that are being stopped do not count");
    assert_eq!(account.version().as_deref(), Some("1.1.0"));
    assert_eq!(account.attempts, BTreeMap::from([(2, (at(10), Some(at(40))))]));
    let stand = |stage: &str, step, weight| Stand {
        stage: stage.into(),
        step,
        weight,
        from: at(10),
        in_force: Some(at(12)),
        to: at(30),
        holds: vec![("Paused".into(), Duration::from_secs(18))],
        pods: (1, 3),
    };
    let promoting = Stand {
        from: at(30),
        in_force: None,
        to: at(40),
        holds: vec![],
        pods: (1, 0),
        ..stand("Promoting", 0, 100)
    };
    assert_eq!(account.stands, [stand("Step", 1, 25), promoting]);
    let other = super::account(&story(), at(60), Some(7));
    assert_eq!((other.version(), other.stands), (None, vec![]));
    let cut = super::account(&story()[..8], at(20), Some(2));
    assert_eq!(cut.stands[0].to, at(20), "it stands there to the end of the story");
}

#[test]
fn failed_requests_follow_the_split_of_traffic() {
    let fails = |version: &str, time: Timestamp| match version {
        "1.1.0" if at(20) <= time => 40.0,
        _ => 0.0,
    };
    let account = account(&story(), at(60), Some(2));
    let close = |from: u64, to: u64, want: f64| {
        let failed = account.failed(at(from), at(to), &[at(20)], fails).unwrap();
        assert!((failed - want).abs() < 1e-9, "{from} to {to}: {failed}, wanted {want}");
    };
    close(10, 20, 0.0); // nothing fails yet
    close(20, 30, 10.0); // one pod of four
    close(35, 40, 40.0); // all pods
    close(10, 30, 5.0); // half of the time
    assert_eq!(account.failed(at(30), at(30), &[], fails), None, "no time, no traffic");
}

#[test]
fn a_route_splits_traffic_by_what_its_services_select() {
    let service = |revision: &str| {
        json!({"spec": {"selector": {"stairlock.dev/revision":
        revision}}})
    };
    let route = |stable: u32, canary: u32| {
        json!({"spec": {"rules": [{"backendRefs": [
        {"name": "s", "weight": stable}, {"name": "c", "weight": canary}]}]}})
    };
    let changes = [
        change(0, "replicasets/a", set("aaa", 3)),
        change(1, "services/s", service("aaa")),
        change(1, "services/c", service("bbb")),
        change(2, "httproutes/shop", route(60, 20)),
        change(3, "httproutes/shop", route(0, 100)),
        change(4, "services/s", service("bbb")),
    ];
    let account = account(&changes, at(9), None);
    let parts = |parts: &[(&str, f64)]| -> BTreeMap<String, f64> {
        parts.iter().map(|(revision, part)| ((*revision).to_owned(), *part)).collect()
    };
    let shares: Vec<_> =
        account.shares.into_iter().map(|share| (share.from, share.parts)).collect();
    assert_eq!(
        shares,
        [
            (at(0), parts(&[("aaa", 1.0)])),
            (at(2), parts(&[("aaa", 0.75), ("bbb", 0.25)])),
            (at(3), parts(&[("bbb", 1.0)])),
        ]
    );
}
