//! Schedules as they are written, and what they are for.

use serde_json::{Value, json};

use super::*;
use crate::validate::fixture::{merged, object, rollout};

fn one(patch: Value) -> Either {
    let base = json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutSchedule",
        "metadata": {"name": "office", "namespace": "prod", "uid": "s1", "generation": 2},
        "spec": {"rolloutSelector": {"matchLabels": {"tier": "web"}}, "timezone": "Europe/Berlin",
            "action": "Allow", "rules": [{"timeRange": {"start": "09:00", "end": "17:30"}}]},
    });
    Either::One(object(merged(&base, &patch)))
}

fn many(spec: Value) -> Either {
    let base = json!({"rolloutSelector": {}, "rules": [{"daysOfWeek": ["Friday"]}]});
    Either::Many(object(json!({
        "apiVersion": "stairlock.dev/v1alpha1", "kind": "ClusterRolloutSchedule",
        "metadata": {"name": "friday", "uid": "s2"}, "spec": merged(&base, &spec),
    })))
}

fn seen(schedule: Either) -> Seen {
    let placed = |namespace: &str, name: &str, tier: &str| {
        rollout(
            json!({"metadata": {"namespace": namespace, "name": name, "labels": {"tier": tier}}}),
        )
    };
    let rollouts = vec![
        placed("prod", "shop", "web"),
        placed("prod", "till", "batch"),
        placed("dev", "shop", "web"),
        rollout(json!({"metadata": {"name": "going", "labels": {"tier": "web"},
            "deletionTimestamp": "2026-01-02T03:05:00Z"}})),
    ];
    let namespace =
        |name: &str| object(json!({"metadata": {"name": name, "labels": {"is": name}}}));
    Seen {
        schedule,
        rollouts,
        namespaces: vec![namespace("prod"), namespace("dev")],
        gates: Vec::new(),
        refused: [].into(),
    }
}

#[test]
fn a_schedule_is_for_what_its_selectors_select() {
    let names = |schedule: Either| -> Vec<String> {
        let all = watched(&seen(schedule)).rollouts;
        all.iter().map(|(namespace, name)| format!("{namespace}/{name}")).collect()
    };
    assert_eq!(names(one(json!({}))), ["prod/shop"], "of its namespace alone");
    assert_eq!(
        names(many(json!({}))),
        ["dev/shop", "prod/shop", "prod/till"],
        "no selector of namespaces is all of them"
    );
    let dev = json!({"namespaceSelector": {"matchLabels": {"is": "dev"}}});
    assert_eq!(names(many(dev)), ["dev/shop"]);
    let not = json!({"namespaceSelector": {"matchExpressions": [
        {"key": "is", "operator": "NotIn", "values": ["dev"]}]},
        "rolloutSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}});
    assert_eq!(names(many(not)), ["prod/shop", "prod/till"]);
}

#[test]
fn rules_are_read_or_named() {
    let read = |patch: Value| watched(&seen(one(json!({"spec": patch})))).schedule;
    let schedule = read(json!({})).unwrap();
    assert_eq!(schedule.action, Action::Allow);
    assert_eq!(schedule.rules[0].times, Some(Times { start: 540, end: 1050 }));
    assert_eq!(schedule.rules[0].name, "rules[0]");
    for (patch, field) in [
        (json!({"timezone": "Mars/Olympus"}), "spec.timezone"),
        (
            json!({"rules": [{"timeRange": {"start": "24:00", "end": "06:00"}}]}),
            "spec.rules[0].timeRange.start",
        ),
        (
            json!({"rules": [{}, {"timeRange": {"start": "09:00", "end": "9:30"}}]}),
            "spec.rules[1].timeRange.end",
        ),
        (
            json!({"rules": [{"dateRange": {"start": "2026-02-29", "end": "2026-03-01"}}]}),
            "spec.rules[0].dateRange.start",
        ),
    ] {
        assert_eq!(read(patch).unwrap_err().field, field);
    }
}

#[test]
fn gates_are_told_from_those_of_others() {
    let gate = |name: &str, uid: &str| {
        object(json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "RolloutGate",
            "metadata": {"name": name, "namespace": "prod", "uid": name, "resourceVersion": "4",
                "annotations": {"stairlock.dev/opens-at": "2026-01-05T08:00:00Z"},
                "ownerReferences": [{"apiVersion": "stairlock.dev/v1alpha1", "name": "office",
                    "kind": "RolloutSchedule", "uid": uid, "controller": true}]},
            "spec": {"rolloutRef": {"name": "shop"}, "passing": false},
        }))
    };
    let mut seen = seen(one(json!({})));
    for (asks, plain) in [
        (json!({}), true),
        (json!({"allowedVersions": ["1.2.3"]}), false),
        (json!({"allowedVersions": []}), false),
        (json!({"passing": null, "approval": {}}), false),
        (json!({"passing": null, "dependsOn": {"rollout": {"name": "till"}}}), false),
        (json!({"passing": null, "verified": true}), false),
    ] {
        let mut wire = serde_json::to_value(&*gate("a", "s1")).unwrap();
        wire["spec"] = merged(&wire["spec"], &asks);
        seen.gates = vec![object(wire)];
        assert_eq!(watched(&seen).gates[0].plain, plain, "{asks}");
    }
    seen.gates = vec![gate("a", "s1"), gate("b", "older")];
    let known = watched(&seen);
    assert_eq!(known.gates.len(), 1);
    let own = &known.gates[0];
    assert_eq!((own.target.name.as_str(), own.rollout.as_str(), own.passing), ("a", "shop", false));
    assert_eq!(own.turns_at, Timestamp::parse("2026-01-05T08:00:00Z"));
    assert_eq!(known.others, [("prod".to_owned(), "b".to_owned())].into());
    assert_eq!(known.status.observed_generation, -1);
    let marks = [one(json!({})), one(json!({"metadata": {"namespace": "dev"}})), many(json!({}))];
    let marks: BTreeSet<String> = marks.iter().map(mark).collect();
    assert_eq!(marks.len(), 3, "{marks:?}");
    assert!(marks.iter().any(|mark| mark.starts_with("office-") && mark.len() == 15));
}
