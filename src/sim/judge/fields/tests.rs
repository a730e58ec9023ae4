//! S5.

use serde_json::json;

use crate::sim::judge::tale::{OLD, Row, Tale, check, merge, owner, place, replica_set, set};

fn routed() -> Tale {
    Tale::delivered(true)
}

#[test]
fn fields_of_foreign_objects_stay() {
    let rows: &[Row] = &[
        (
            "a match of a rule",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                route["spec"]["rules"][0]["matches"] = json!([]);
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "the weight of another backend",
            routed,
            |t| {
                let mut route = t.objects[&place("httproutes/shop")].as_ref().clone();
                let rule = &mut route["spec"]["rules"][0]["backendRefs"];
                rule.as_array_mut().unwrap().push(json!({"name": "other", "weight": 0}));
                t.create("person", "httproutes/shop", route.clone());
                route["spec"]["rules"][0]["backendRefs"][2]["weight"] = json!(1);
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "another key of a selector",
            routed,
            |t| {
                let other = json!({"spec": {"selector": {"app": "till"}}});
                t.merge("controller", "services/stable", other);
            },
            &["S5"],
        ),
        (
            "a label of a ReplicaSet",
            routed,
            |t| {
                t.merge("controller", &set(OLD), json!({"metadata": {"labels": {"a": "b"}}}));
            },
            &["S5"],
        ),
    ];
    check(rows);
}

#[test]
fn a_rollout_and_new_objects_keep_to_their_fields() {
    let rows: &[Row] = &[
        (
            "an environment variable",
            routed,
            |t| {
                let other = json!({"spec": {"replicas": 6}});
                t.merge("controller", "rollouts/shop", other);
            },
            &["S5"],
        ),
        (
            "an annotation of a person",
            routed,
            |t| {
                t.annotate("person", json!({"note": "hello"}));
                t.annotate("controller", json!({"note": null}));
            },
            &["S5"],
        ),
        ("pods", routed, |t| t.create("controller", "pods/shop-1", json!({})), &["S5"]),
        (
            "a Service that nobody names",
            routed,
            |t| {
                let body = json!({"metadata": {"ownerReferences": owner()}});
                t.create("controller", "services/other", body);
            },
            &["S5"],
        ),
        (
            "a ReplicaSet of nobody",
            routed,
            |t| {
                let mut body = replica_set("3333333333", "shop:1.0.0", 0);
                merge(&mut body, &json!({"metadata": {"ownerReferences": null}}));
                t.create("controller", &set("3333333333"), body);
            },
            &["S5"],
        ),
        (
            "the finalizer of another",
            routed,
            |t| {
                t.merge("person", "rollouts/shop", json!({"metadata": {"finalizers": ["x"]}}));
                t.merge(
                    "controller",
                    "rollouts/shop",
                    json!({"metadata": {"finalizers": ["x", "stairlock.dev/restore"]}}),
                );
                t.merge("controller", "rollouts/shop", json!({"metadata": {"finalizers": []}}));
            },
            &["S5"],
        ),
        (
            "a Rollout that is not being deleted",
            routed,
            |t| {
                t.delete("controller", "rollouts/shop");
            },
            &["S5"],
        ),
    ];
    check(rows);
}
