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

/// The Rollout makes its route itself, which does not exist.
fn making() -> Tale {
    let mut tale = routed();
    let own = json!({"parentRefs": [{"name": "gw"}], "hostnames": ["a.example"]});
    let api = json!({"httpRoute": null, "createRoute": own});
    let canary = json!({"trafficRouting": {"gatewayAPI": api}});
    tale.merge("person", "rollouts/shop", json!({"spec": {"strategy": {"canary": canary}}}));
    tale.delete("person", "httproutes/shop");
    tale
}

fn made(patch: serde_json::Value) -> serde_json::Value {
    let gateway = json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"});
    let mut route = json!({
        "metadata": {"ownerReferences": owner()},
        "spec": {
            "parentRefs": [gateway],
            "hostnames": ["a.example"],
            "rules": [{"backendRefs": [
                {"name": "stable", "port": 80, "weight": 100},
                {"name": "canary", "port": 80, "weight": 0},
            ]}],
        },
    });
    merge(&mut route, &patch);
    route
}

#[test]
fn a_route_is_made_as_its_rollout_asks_and_no_other() {
    let rows: &[Row] = &[
        ("as it asks", making, |t| t.create("controller", "httproutes/shop", made(json!({}))), &[]),
        (
            "another name",
            making,
            |t| t.create("controller", "httproutes/other", made(json!({}))),
            &["S5"],
        ),
        (
            "of nobody",
            making,
            |t| {
                let route = made(json!({"metadata": {"ownerReferences": null}}));
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "with a weight for the canary",
            making,
            |t| {
                let mut route = made(json!({}));
                route["spec"]["rules"][0]["backendRefs"][1]["weight"] = json!(1);
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "of another Gateway",
            making,
            |t| {
                let route = made(json!({"spec": {"parentRefs": [{"name": "edge"}]}}));
                t.create("controller", "httproutes/shop", route);
            },
            &["S5"],
        ),
        (
            "where the Rollout names one",
            || {
                let mut tale = routed();
                tale.delete("person", "httproutes/shop");
                tale
            },
            |t| t.create("controller", "httproutes/shop", made(json!({}))),
            &["S5"],
        ),
    ];
    check(rows);
}

#[test]
fn gateways_and_host_names_are_set_on_a_route_of_its_own_alone() {
    let foreign = || {
        let mut tale = making();
        let hosts = json!({"metadata": {"ownerReferences": null}, "spec": {"hostnames": null}});
        tale.create("person", "httproutes/shop", made(hosts));
        tale
    };
    let own = || {
        let mut tale = making();
        tale.create("person", "httproutes/shop", made(json!({"spec": {"hostnames": null}})));
        tale
    };
    let rows: &[Row] = &[
        (
            "as the spec asks",
            own,
            |t| {
                t.merge(
                    "controller",
                    "httproutes/shop",
                    json!({"spec": {"hostnames": ["a.example"]}}),
                )
            },
            &[],
        ),
        (
            "otherwise",
            own,
            |t| {
                t.merge(
                    "controller",
                    "httproutes/shop",
                    json!({"spec": {"hostnames": ["b.example"]}}),
                )
            },
            &["S5"],
        ),
        (
            "on a route of others",
            foreign,
            |t| {
                t.merge(
                    "controller",
                    "httproutes/shop",
                    json!({"spec": {"hostnames": ["a.example"]}}),
                )
            },
            &["S5"],
        ),
    ];
    check(rows);
}
